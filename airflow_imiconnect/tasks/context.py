"""What operators and sensor take from Airflow, and give to it: rendered values, the hook, XCom, a task's name."""

from __future__ import annotations

import ast
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Context

if TYPE_CHECKING:
    from airflow_imiconnect.hooks import IMIconnectHook

DEFAULT_CONN_ID = "imiconnect_default"


def hook_of(conn_id: str) -> IMIconnectHook:
    """Return the hook of a connection."""
    from airflow_imiconnect.hooks import IMIconnectHook  # noqa: PLC0415 - requests takes its time, a DAG has none

    return IMIconnectHook(conn_id)


def unrendered(value: object) -> object:
    """
    Return the list or object that a Jinja template has turned into text; anything else as it is.

    ``"{{ ti.xcom_pull('submit')['transids'] }}"`` arrives as ``"['5f1c…']"``, a Python literal, unless the DAG renders
    native objects; with ``| tojson`` it arrives as JSON.
    """
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    for parse in (json.loads, ast.literal_eval):
        with suppress(ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            return parse(value.strip())
    return value


def publish(context: Context, result: object) -> None:
    """Push the result of a task that is about to fail, so that a later task and a person can still read it."""
    task_instance = context.get("ti")
    if task_instance is not None:
        task_instance.xcom_push(key="return_value", value=result)


def published(context: Context) -> Any:  # noqa: ANN401 - as it was pushed
    """Return the result that this very task has pushed."""
    task_instance = context["ti"]
    return task_instance.xcom_pull(task_ids=task_instance.task_id, map_indexes=task_instance.map_index)


def owner_of(context: Context) -> str:
    """Name the task of a run, the same for all its attempts."""
    task_instance = context.get("ti")
    return " ".join(str(getattr(task_instance, name, "")) for name in ("dag_id", "run_id", "task_id", "map_index"))
