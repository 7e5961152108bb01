"""IMIconnectProfileStatusSensor: waits until the queued work of transactions is done, or has failed."""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, Literal

from airflow.providers.common.compat.sdk import AirflowSensorTimeout, BaseSensorOperator, Context, PokeReturnValue

from airflow_imiconnect.errors import IMIconnectRateLimitError, IMIconnectTransientError
from airflow_imiconnect.hooks import IMIconnectHook
from airflow_imiconnect.models import TransactionStatus
from airflow_imiconnect.outcome import Outcome, Transactions
from airflow_imiconnect.pace import Pace
from airflow_imiconnect.rejects import RejectsFile
from airflow_imiconnect.retry import RetryPolicy
from airflow_imiconnect.tasks import owner_of, publish, storage_path, unrendered

_NAMED_TRANSIDS = 5
_SECONDS_UNDER_A_LIMIT = 120.0  # how long a round of questions slows down for the tenant's limit


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
    :param imiconnect_conn_id: a connection of type ``imiconnect``
    :param poke_interval: seconds between two rounds of questions; only transactions that still wait are asked again
        ("reschedule" asks all of them each time, and wants an interval of 60 or more: below some ten seconds Airflow
        may take a rescheduled task for lost)
    :param mode: "poke" or "reschedule"; ``timeout`` and ``soft_fail`` are BaseSensorOperator's

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
        imiconnect_conn_id: str = IMIconnectHook.default_conn_name,
        **kwargs: Any,  # noqa: ANN401 - BaseSensorOperator's own
    ) -> None:
        super().__init__(**kwargs)
        self.transids = transids
        self.on_failed_records = on_failed_records
        self.tolerated_codes = tolerated_codes
        self.rejects_path = rejects_path
        self.max_concurrency = max_concurrency
        self.imiconnect_conn_id = imiconnect_conn_id
        self._finished: dict[str, TransactionStatus] = {}
        self._check_arguments()

    def execute(self, context: Context) -> Any:  # noqa: ANN401 - as BaseSensorOperator has it
        """Wait, and return the outcome."""
        self._finished = {}  # one object may be run several times, in dag.test()
        try:
            return super().execute(context)
        except AirflowSensorTimeout as timeout:
            raise AirflowSensorTimeout(f"{timeout} {self._still_waiting()}") from None

    def poke(self, context: Context) -> PokeReturnValue:
        """Ask about every transaction that is not known to be finished."""
        transactions = Transactions.of(unrendered(self.transids))
        waiting = [transid for transid in transactions.transids if transid not in self._finished]
        self._finished |= {status.transid: status for status in self._ask(waiting) if status.state != "waiting"}
        left = sum(transid not in self._finished for transid in waiting)
        if left:
            total = len(transactions.transids)
            self.log.info("%d of %d transactions are finished.", total - left, total)
            return PokeReturnValue(is_done=False)
        if not transactions.transids:
            self.log.warning("There are no transactions to wait for.")
        return PokeReturnValue(is_done=True, xcom_value=self._finish(context, transactions))

    def _ask(self, transids: Sequence[str]) -> Iterable[TransactionStatus]:
        if not transids:
            return
        hook = IMIconnectHook(self.imiconnect_conn_id)
        pace = Pace(hook.settings.requests_per_second)

        def ask(transid: str) -> TransactionStatus:
            started, attempt, pause = time.monotonic(), 0, 0.0
            while True:
                time.sleep(pause)
                pace.wait()
                attempt += 1
                try:
                    status = hook.get_profile_status(transid)
                except IMIconnectTransientError as error:
                    passing.append(error)
                    wait = policy.wait(error, attempt, time.monotonic() - started, random.random())  # noqa: S311 - jitter
                    if wait is None or not isinstance(error, IMIconnectRateLimitError):
                        return TransactionStatus(transid, "waiting")
                    pace.slow_down(policy.asked_for(error))
                    pause = wait
                else:
                    pace.speed_up()
                    return status

        policy = RetryPolicy(max_seconds=_SECONDS_UNDER_A_LIMIT, longest_wait=5.0)
        passing: list[IMIconnectTransientError] = []
        with closing(hook), ThreadPoolExecutor(self.max_concurrency, thread_name_prefix="imiconnect") as pool:
            yield from pool.map(ask, transids)
        if passing:
            self.log.warning("%d status calls failed and are made again. The first: %s", len(passing), passing[0])

    def _finish(self, context: Context, transactions: Transactions) -> dict[str, Any]:
        statuses = [self._finished[transid] for transid in transactions.transids]
        outcome = Outcome(statuses, transactions.resent, frozenset(map(str, self.tolerated_codes)))
        rejects_path = storage_path(self.rejects_path) if self.rejects_path else None
        with RejectsFile(rejects_path, owner_of(context)) as rejects:
            for failed in outcome.failed_records:
                rejects.add(
                    "failed",
                    customer_id=failed.customer_id,
                    code=failed.code,
                    description=failed.description,
                    transid=failed.transid,
                )
        result = outcome.to_json(rejects.uri)
        self.log.info("%d transactions finished: %d records, %d failed.", *map(result.get, _LOGGED))
        if outcome.untolerated:
            error = outcome.error(rejects.uri)
            if self.on_failed_records == "fail":
                publish(context, result)
                raise error
            self.log.warning("%s", error)
        return result

    def _still_waiting(self) -> str:
        transids = Transactions.of(unrendered(self.transids)).transids
        waiting = [transid for transid in transids if transid not in self._finished]
        return (
            f"{len(waiting)} of {len(transids)} transactions were not finished, "
            f"first {', '.join(waiting[:_NAMED_TRANSIDS])}. "
            "Code 7600 means that IMIconnect still has them in its queue, or that the id is wrong: "
            "check the app's queue in IMIconnect and, if the ids are right, give a longer timeout."
        )

    def _check_arguments(self) -> None:
        if self.on_failed_records not in ("fail", "warn"):
            raise ValueError(f"Task {self.task_id!r}: on_failed_records must be 'fail' or 'warn'.")
        if self.max_concurrency < 1:
            raise ValueError(f"Task {self.task_id!r}: max_concurrency must be at least 1.")
        if isinstance(self.tolerated_codes, str):
            raise ValueError(  # noqa: TRY004 - as for the other arguments
                f"Task {self.task_id!r}: tolerated_codes must be a list of codes, for example ['7015']."
            )


_LOGGED = ("transactions", "records", "failed")
