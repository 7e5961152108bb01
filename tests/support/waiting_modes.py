"""Runs a task that waits, in each of its modes, to its end: as Airflow does, through JSON wherever Airflow stores JSON."""

import asyncio
import importlib
import json
import time
from datetime import datetime, timezone
from types import SimpleNamespace

from airflow.providers.common.compat.sdk import TaskDeferred

from support.stand_ins import Ti

try:
    from airflow.sdk.exceptions import AirflowRescheduleException
except ImportError:  # Airflow 3.1
    from airflow.exceptions import AirflowRescheduleException

MODES = ("poke", "reschedule", "deferrable")


def context_of(ti=None, **more):
    ti = ti or Ti()
    ti.first_rescheduled = None
    ti.get_first_reschedule_date = lambda _: ti.first_rescheduled
    return {"ti": ti, **more}


def stored(value):
    return json.loads(json.dumps(value))


def trigger_of(deferred):
    """Return the trigger as a triggerer makes it from its row."""
    path, arguments = deferred.trigger.serialize()
    module, name = path.rsplit(".", 1)
    return getattr(importlib.import_module(module), name)(**stored(arguments))


def fire(trigger):
    """Run a trigger to its end; return the payload of its one event."""

    async def events():
        return [event.payload async for event in trigger.run()]

    (payload,) = asyncio.run(events())
    return stored(payload)


def resume(make, deferred, payload, context):
    """Continue in another worker, with a task object that knows nothing of the first one."""
    return make().resume_execution(deferred.method_name, {"event": payload, **stored(deferred.kwargs or {})}, context)


def run(make, context=None):
    """
    Run a task, deferred and rescheduled as often as it wants; return its result.

    :param make: makes the task anew for each worker
    """
    context, started = context or context_of(), datetime.now(timezone.utc)
    while True:
        try:
            return make().execute(context)
        except TaskDeferred as deferred:
            return resume(make, deferred, fire(trigger_of(deferred)), context)
        except AirflowRescheduleException as later:
            context["ti"].first_rescheduled = context["ti"].first_rescheduled or started
            time.sleep(max(0.0, (later.reschedule_date - datetime.now(timezone.utc)).total_seconds()))


def deferred_by(task, context=None):
    """Return what a task defers with."""
    try:
        task.execute(context or context_of())
    except TaskDeferred as deferred:
        return deferred
    raise AssertionError("the task did not defer")


def ended(make, context=None):
    """Run a task; return how it ended: its result, or the kind of its error and what it said."""
    try:
        return SimpleNamespace(result=run(make, context), error=None, words="")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at
        return SimpleNamespace(result=None, error=type(error).__name__, words=str(error))
