"""IMIconnectProfileStatusSensor: waits until the queued work of transactions is done, or has failed."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseSensorOperator,
    Context,
    PokeReturnValue,
    TaskDeferred,
    conf,
)

from airflow_imiconnect.arguments import check_waiting
from airflow_imiconnect.completion import (
    Completion,
    Deadline,
    naming_what_waits,
    report,
    run_aside,
    still_waiting,
)
from airflow_imiconnect.events import TimedOut, UnknownOutcomeError
from airflow_imiconnect.outcome import Outcome, Transactions
from airflow_imiconnect.paths import storage_path
from airflow_imiconnect.rejects import RejectsFile
from airflow_imiconnect.retry import Limit, PollPolicy
from airflow_imiconnect.tasks import DEFAULT_CONN_ID, hook_of, owner_of, unrendered

_TRIGGER_FAILED = "__fail__"  # the method by which Airflow resumes a task whose trigger has crashed, or timed out
_PAST_TIMEOUT = 0.01  # seconds by which the last question comes after the timeout: BaseSensorOperator ends it after it


class IMIconnectProfileStatusSensor(BaseSensorOperator):
    """
    Wait until IMIconnect has finished transactions, and fail when it did not create every record.

    7600 and "QUEUED" mean waiting, until ``timeout``: 7600 also stands for an id that does not exist (contract 5).
    While waiting, a passing error (no connection, 5xx, 7020 …) is logged and asked again; a permanent one ends it.

    :param transids: one id, a list of ids, or what IMIconnectCreateAppProfileOperator returns (``submit.output``)
    :param on_failed_records: "fail", or "warn": log them and succeed
    :param tolerated_codes: codes of failed records that do not fail the task, for example ``("7015",)``
    :param rejects_path: where the failed records go, as JSON Lines; written only if there are any
    :param max_concurrency: status calls in flight
    :param deferrable: wait in the triggerer, whatever the ``mode``: one trigger, and no worker slot, for any number of
        transactions; by default as ``[operators] default_deferrable`` says
    :param imiconnect_conn_id: a connection of type ``imiconnect``
    :param poke_interval: seconds between two rounds of questions; only transactions that still wait are asked again,
        and a round ends when a hundred answers in a row bring nothing new. "reschedule" begins anew each time and asks
        about all of them; it wants an interval of 60 or more: below some ten seconds Airflow may take a rescheduled
        task for lost. Where the service asks for more time (Retry-After), it is given.
    :param max_wait: deferred, the interval grows up to this while nothing happens; by default twice ``poke_interval``
    :param mode: "poke" or "reschedule"; ``timeout`` and ``soft_fail`` are BaseSensorOperator's. Deferred, the waiting
        ends at ``timeout`` or ``execution_timeout``, whichever is earlier.

    Returns ``{"transactions", "records", "succeeded", "failed", "failures", "failed_records", "rejects"}``.

    :raises ValueError: while the DAG is parsed, when an argument cannot be right
    :raises IMIconnectRecordsFailedError: the service has finished, and some records failed
    :raises AirflowSensorTimeout: not all were finished in time; names what still waits
    """

    template_fields: Sequence[str] = ("transids", "rejects_path", "imiconnect_conn_id")
    ui_color = "#d9f2e6"

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
            with self._as_while_poking():
                return self._defer_or_finish(context)
        with self._as_sensors_fail():
            try:
                return super().execute(context)
            except (AirflowSensorTimeout, AirflowTaskTimeout) as timeout:
                raise naming_what_waits(timeout, self._begun.watch if self._begun else None) from None

    def poke(self, context: Context) -> PokeReturnValue:
        """Ask about the transactions that are not known to be finished."""
        begun = self._begun = self._begun or self._begin(context)
        if begun.watch.left:
            limit = self._limit(context, begun.started)
            run_aside(begun.questions.ask_once(begun.watch, limit, thorough=self.reschedule))
        if begun.watch.left:
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=self._finish(context, begun.outcome))

    def execute_complete(
        self, context: Context, event: object = None, limit: str = "timeout", at: float | None = None
    ) -> dict[str, Any]:
        """
        Read the trigger's event, and return the outcome.

        :param event: what the trigger fired (events.py)
        :param limit: the task's limit that set the deadline: "timeout" or "execution_timeout"
        :param at: the deadline, in seconds since 1970
        """
        with self._as_while_poking():
            completion = self._completion()
            outcome = completion.after(event, at)
            if isinstance(outcome, TimedOut):
                error = AirflowTaskTimeout if limit == "execution_timeout" else AirflowSensorTimeout
                total = len(completion.transactions.transids)
                raise error(f"{self.task_id} has reached its {limit}. {still_waiting(outcome, total)}")
            return self._finish(context, outcome)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:  # noqa: ANN401 - as BaseSensorOperator has it
        """Go on after the deferral. Where the trigger has crashed, BaseSensorOperator would skip for soft_fail."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowSkipException as skip:
            if next_method != _TRIGGER_FAILED or isinstance(skip.__cause__, AirflowSensorTimeout):
                raise
            raise RuntimeError(
                f"The trigger has failed ({skip.__cause__}): whether the transactions are finished is not known. "
                "Another try asks again."
            ) from skip.__cause__

    def _defer_or_finish(self, context: Context) -> dict[str, Any]:
        completion = self._completion()
        if not completion.transactions.transids:
            return self._finish(context, completion.new_outcome())
        deadline = Deadline.of(self.timeout, self.execution_timeout, time.time())
        raise TaskDeferred(
            trigger=completion.trigger(deadline),
            method_name="execute_complete",
            kwargs=deadline._asdict(),
            timeout=deadline.backstop(completion.policy),
        )

    def _completion(self) -> Completion:
        longest = self.max_wait.total_seconds() if self.max_wait is not None else None
        return Completion(
            Transactions.of(unrendered(self.transids)),
            hook_of(self.imiconnect_conn_id),
            PollPolicy(self.poke_interval, longest),
            self.max_concurrency,
            self.tolerated_codes,
            self.log,
        )

    @contextmanager
    def _as_sensors_fail(self) -> Iterator[None]:
        """Skip for soft_fail and never_fail what BaseSensorOperator skips for them."""
        try:
            yield
        except (AirflowFailException, AirflowSensorTimeout, AirflowTaskTimeout) as error:
            if self.soft_fail or self.never_fail:
                self._skip(error)
            raise

    @contextmanager
    def _as_while_poking(self) -> Iterator[None]:
        """End a task that does not poke itself as BaseSensorOperator ends one that does, for the same errors."""
        with self._as_sensors_fail():
            try:
                yield
            except (AirflowFailException, AirflowSensorTimeout, AirflowSkipException):
                raise
            except UnknownOutcomeError as error:
                if self.soft_fail or self.never_fail:  # after a deferral it would be skipped in silence
                    raise RuntimeError(str(error)) from None
                raise
            except Exception as error:
                if self.never_fail:
                    self._skip(error)
                if self.soft_fail and isinstance(error, AirflowException):  # as above
                    raise RuntimeError(str(error)) from error
                raise

    def _skip(self, error: BaseException) -> NoReturn:
        setting = "soft_fail" if self.soft_fail else "never_fail"
        raise AirflowSkipException(f"Skipping due to {setting} is set to True. {error}") from error

    def _finish(self, context: Context, outcome: Outcome) -> dict[str, Any]:
        if not outcome.transactions.transids:
            self.log.warning("There are no transactions to wait for.")
        rejects_path = storage_path(self.rejects_path) if self.rejects_path else None
        with RejectsFile(rejects_path, owner_of(context)) as rejects:
            for failed in outcome.failed_records:
                rejects.add_failed(failed)
        return report(context, outcome, outcome.to_json(rejects.uri), self.on_failed_records, self.log)

    def _begin(self, context: Context) -> _Begun:
        completion = self._completion()
        if self._first_rescheduled(context):
            completion.find_connection()
        return _Begun(completion)

    def _first_rescheduled(self, context: Context) -> float | None:
        first = context["ti"].get_first_reschedule_date(context) if self.reschedule else None
        return first.timestamp() if first else None

    def _limit(self, context: Context, started: float) -> Limit:
        begun = self._first_rescheduled(context) or started
        return PollPolicy(self.poke_interval).limit(begun + self.timeout)

    def _get_next_poke_interval(self, started_at: Any, run_duration: Any, poke_count: int) -> float:  # noqa: ANN401
        """Give the service the time that it asks for (Retry-After), and ask a last time when ``timeout`` is over."""
        asked_for = self._begun.watch.asked_for if self._begun else 0.0
        usual = super()._get_next_poke_interval(started_at, run_duration, poke_count)
        return float(min(max(usual, asked_for), max(0.0, self.timeout - run_duration()) + _PAST_TIMEOUT))


class _Begun:
    """What poking keeps between two rounds."""

    def __init__(self, completion: Completion) -> None:
        self.started = time.time()
        self.questions = completion.questions
        self.outcome = completion.new_outcome()
        self.watch = self.questions.watch(completion.transactions.transids, self.outcome.add)
