"""IMIconnectProfileStatusSensor: waits until the queued work of transactions is done, or has failed."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any, ClassVar, Literal

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowTaskTimeout,
    BaseSensorOperator,
    Context,
    PokeReturnValue,
    TaskDeferred,
    conf,
)

from airflow_imiconnect.pacing.backoff import PollPolicy
from airflow_imiconnect.polling.background_loop import BackgroundLoop
from airflow_imiconnect.polling.outcome import Outcome
from airflow_imiconnect.records.rejects import RejectsFile
from airflow_imiconnect.submission.submission import transactions_of
from airflow_imiconnect.tasks.arguments import check_waiting
from airflow_imiconnect.tasks.aside import run_aside
from airflow_imiconnect.tasks.context import DEFAULT_CONN_ID, hook_of, owner_of, unrendered
from airflow_imiconnect.tasks.reading.storage import storage_path
from airflow_imiconnect.tasks.waiting.deadline import Deadline
from airflow_imiconnect.tasks.waiting.endings import Endings
from airflow_imiconnect.tasks.waiting.trigger_event import TimedOut
from airflow_imiconnect.tasks.waiting.wait import Patience, Waiting, naming_what_waits, reached, report

_PAST_TIMEOUT = 0.01  # seconds from the timeout to the last poll: BaseSensorOperator ends the task after it


class IMIconnectProfileStatusSensor(BaseSensorOperator):
    """
    Wait until IMIconnect has finished transactions, and fail when a record is not as it was submitted.

    7600 and "QUEUED" mean waiting, until ``timeout``: 7600 also stands for an id that does not exist (contract 5).
    While waiting, a passing error (no connection, 5xx, 7020 …) is logged and the request sent again; a permanent one
    fails the task. How records are judged follows from the operation that was submitted, which travels with
    ``submit.output``; ids that come alone are judged as a create.

    :param transids: one id, a list of ids, or what IMIconnectCreateAppProfileOperator returns (``submit.output``)
    :param on_failed_records: "fail", or "warn": log them and succeed
    :param tolerated_codes: codes of failed records that do not fail the task, for example ``("7015",)``
    :param rejects_path: where the failed records go, as JSON Lines; written only if there are any
    :param max_concurrency: status requests in flight
    :param deferrable: wait in the triggerer, whatever the ``mode``: one trigger, and no worker slot, for any number of
        transactions; by default as ``[operators] default_deferrable`` says
    :param imiconnect_conn_id: a connection of type ``imiconnect``
    :param poke_interval: seconds between two rounds; only transactions that still wait are polled again, and a round
        ends when a hundred responses in a row bring nothing new. "reschedule" begins anew each time and polls all of
        them; it wants an interval of 60 or more: below some ten seconds Airflow may take a rescheduled task for lost.
        Where the service asks for more time (Retry-After), it is given.
    :param max_wait: deferred, the interval grows up to this while nothing happens; by default twice ``poke_interval``
    :param mode: "poke" or "reschedule"; ``timeout`` and ``soft_fail`` are BaseSensorOperator's. Deferred, the waiting
        ends at ``timeout`` or ``execution_timeout``, whichever is earlier.

    Returns ``{"transactions", "records", "succeeded", "created", "existing", "failed", "failures", "failed_records",
    "rejects"}``: ``succeeded`` counts every record that is now as submitted, ``existing`` those of them that existed
    before in a batch that may have been processed twice.

    :raises ValueError: while the DAG is parsed, when an argument cannot be right
    :raises IMIconnectRecordsFailedError: the service has finished, and some records failed
    :raises AirflowSensorTimeout: not all had finished in time; names what still waits
    """

    template_fields: Sequence[str] = ("transids", "rejects_path", "imiconnect_conn_id")
    ui_color = "#d9f2e6"
    patience: ClassVar[Patience] = Patience()

    def __init__(
        self,
        *,
        transids: Any,  # noqa: ANN401 - one, many, or an upstream task's output
        on_failed_records: Literal["fail", "warn"] = "fail",
        tolerated_codes: Collection[str | int] = (),
        rejects_path: str | None = None,
        max_concurrency: int = 8,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        imiconnect_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,  # noqa: ANN401 - BaseSensorOperator's own
    ) -> None:
        super().__init__(**kwargs)
        self.transids = transids
        self.on_failed_records = on_failed_records
        self.tolerated_codes = tolerated_codes
        self.rejects_path = rejects_path
        self.max_concurrency = max_concurrency
        self.imiconnect_conn_id = imiconnect_conn_id
        self.deferrable = deferrable
        self._begun: _Begun | None = None
        check_waiting(self.task_id, on_failed_records, tolerated_codes, max_concurrency)

    def execute(self, context: Context) -> Any:  # noqa: ANN401 - as BaseSensorOperator has it
        """Wait, and return the outcome; or leave the waiting to the trigger."""
        self._begun = None  # one object may be run several times, in dag.test()
        if self.deferrable:
            with self._endings.as_while_poking():
                return self._defer_or_finish(context)
        with self._endings.as_sensors_fail():
            try:
                return super().execute(context)
            except (AirflowSensorTimeout, AirflowTaskTimeout) as timeout:
                raise naming_what_waits(timeout, self._begun.poller if self._begun else None) from None

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll the transactions that are not known to be finished."""
        begun = self._begun = self._begun or self._begin(context)
        if begun.poller.left:
            loop = BackgroundLoop(lambda: begun.poller.once(begun.deadline, thorough=self.reschedule))
            run_aside(loop.run, loop.cancel)
        if begun.poller.left:
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=self._finish(context, begun.outcome))

    def execute_complete(
        self, context: Context, event: object = None, limit: str = "timeout", at: float | None = None
    ) -> dict[str, Any]:
        """
        Read the trigger's event, and return the outcome.

        :param event: what the trigger fired (``tasks/waiting/trigger_event.py``)
        :param limit: the argument that set the deadline: "timeout" or "execution_timeout"
        :param at: the deadline, in seconds since 1970
        """
        with self._endings.as_while_poking():
            waiting = self._waiting()
            outcome = waiting.after(event, at)
            if isinstance(outcome, TimedOut):
                error = AirflowTaskTimeout if limit == "execution_timeout" else AirflowSensorTimeout
                raise error(reached(self.task_id, limit, outcome, len(waiting.transactions)))
            return self._finish(context, outcome)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:  # noqa: ANN401 - as BaseSensorOperator has it
        """Go on after the deferral."""
        with self._endings.after_deferral(next_method):
            return super().resume_execution(next_method, next_kwargs, context)

    def _defer_or_finish(self, context: Context) -> dict[str, Any]:
        waiting = self._waiting()
        if not waiting.transactions:
            return self._finish(context, waiting.new_outcome())
        from airflow_imiconnect.triggers import (  # noqa: PLC0415 - httpx takes its time, a DAG has none
            IMIconnectProfileStatusTrigger,
        )

        deadline = Deadline.of(self.timeout, self.execution_timeout, time.time())
        raise TaskDeferred(
            trigger=IMIconnectProfileStatusTrigger.of(waiting, deadline),
            method_name="execute_complete",
            kwargs=deadline._asdict(),
            timeout=deadline.backstop(self.poke_interval),
        )

    def _waiting(self) -> Waiting:
        longest = self.max_wait.total_seconds() if self.max_wait is not None else None
        return Waiting(
            transactions_of(unrendered(self.transids)),
            hook_of(self.imiconnect_conn_id),
            PollPolicy(self.poke_interval, longest),
            self.max_concurrency,
            self.tolerated_codes,
            self.log,
            patience=self.patience,
        )

    @property
    def _endings(self) -> Endings:
        return Endings(bool(self.soft_fail), bool(self.never_fail))

    def _finish(self, context: Context, outcome: Outcome) -> dict[str, Any]:
        if not outcome.transactions:
            self.log.warning("There are no transactions to wait for.")
        with RejectsFile(storage_path(self.rejects_path) if self.rejects_path else None, owner_of(context)) as rejects:
            for failed in outcome.failed_records:
                rejects.add_failed(failed)
        return report(context, outcome, outcome.to_json(rejects.uri), self.on_failed_records, self.log)

    def _begin(self, context: Context) -> _Begun:
        waiting, since = self._waiting(), 0.0
        if first := context["ti"].get_first_reschedule_date(context) if self.reschedule else None:
            waiting.find_connection()
            since = time.time() - first.timestamp()
        return _Begun(waiting, time.monotonic() - since + self.timeout)

    def _get_next_poke_interval(self, started_at: Any, run_duration: Any, poke_count: int) -> float:  # noqa: ANN401
        """Give the service the time that it asks for (Retry-After), and poll a last time when ``timeout`` is over."""
        asked_for = self._begun.poller.asked_for if self._begun else 0.0
        usual = super()._get_next_poke_interval(started_at, run_duration, poke_count)
        return float(min(max(usual, asked_for), max(0.0, self.timeout - run_duration()) + _PAST_TIMEOUT))


class _Begun:
    """What poking keeps between two rounds; ``deadline`` is a moment of the monotonic clock."""

    def __init__(self, waiting: Waiting, deadline: float) -> None:
        self.deadline = deadline
        self.outcome = waiting.new_outcome()
        self.poller = waiting.poller(self.outcome.add)
