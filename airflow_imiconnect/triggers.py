"""IMIconnectProfileStatusTrigger: waits for any number of transactions in the triggerer. It only reads."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import anyio
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_imiconnect import events
from airflow_imiconnect.asking import Questions
from airflow_imiconnect.errors import IMIconnectError
from airflow_imiconnect.retry import PollPolicy
from airflow_imiconnect.settings import Settings

_LOOK_UP = 10.0, 60.0  # seconds that reading the connection has at least, for the first time takes a few, and at most
_NOT_FOUND = 600.0  # seconds after which a connection that is not found, or forbidden, is taken for deleted
_PAUSES = 5.0, 60.0  # seconds between two readings: the first ones, and up to where they grow


class IMIconnectProfileStatusTrigger(BaseTrigger):
    """
    Wait until all transactions are finished, or the deadline has come, or an error that cannot pass; then fire once.

    Its row holds the transaction ids and nothing of any record; its event holds counts, and a bit a transaction (see
    events.py). Started anew by another triggerer it asks again: nothing is lost, since it only reads.

    The task has read the connection before it was deferred. Where it cannot be read now, that passes (a restart of the
    API server): it is read again until the deadline; one that is not found, for ten minutes, since in a triggerer
    Airflow says so of passing errors too.

    :param transids: the transactions, each once
    :param deadline: when to give up, in seconds since 1970
    :param imiconnect_conn_id: a connection of type ``imiconnect``
    :param poll_interval: seconds between two rounds of questions; only transactions that still wait are asked again
    :param max_poll_interval: up to where the interval grows while nothing happens; by default twice ``poll_interval``
    :param max_concurrency: status calls in flight
    :param requests_per_second: the most calls that start in a second; None for what the connection says
    :raises ValueError: an argument cannot be right, or could not be stored with the trigger
    """

    def __init__(
        self,
        *,
        transids: Sequence[str],
        deadline: float,
        imiconnect_conn_id: str = "imiconnect_default",
        poll_interval: float = 60.0,
        max_poll_interval: float | None = None,
        max_concurrency: int = 8,
        requests_per_second: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.transids = _texts(transids)
        self.deadline = _number("deadline", deadline)
        self.imiconnect_conn_id = imiconnect_conn_id
        self.poll_interval = _number("poll_interval", poll_interval)
        self.max_poll_interval = _number_or_none("max_poll_interval", max_poll_interval)
        self.max_concurrency = int(_number("max_concurrency", max_concurrency, least=1))
        self.requests_per_second = _number_or_none("requests_per_second", requests_per_second)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the path of the class, and its arguments as plain JSON."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "transids": self.transids,
            "deadline": self.deadline,
            "imiconnect_conn_id": self.imiconnect_conn_id,
            "poll_interval": self.poll_interval,
            "max_poll_interval": self.max_poll_interval,
            "max_concurrency": self.max_concurrency,
            "requests_per_second": self.requests_per_second,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield the one event."""
        yield TriggerEvent(await self._wait())  # type: ignore[no-untyped-call]

    async def _wait(self) -> dict[str, Any]:
        try:
            settings = await self._settings()
            if settings is None:
                return events.timed_out(len(self.transids), self.transids[: events.NAMED_TRANSIDS])
            return await self._ask(Questions(settings, self.max_concurrency, self.log, self.requests_per_second))
        except IMIconnectError as error:
            return events.failed(error)

    async def _ask(self, questions: Questions) -> dict[str, Any]:
        tally = events.Tally(self.transids)
        policy = PollPolicy(self.poll_interval, self.max_poll_interval)
        watch = questions.watch(self.transids, tally.add)
        if await questions.until_finished(watch, policy, policy.limit(self.deadline)):
            return events.finished(tally)
        return events.timed_out(watch.left, watch.first(events.NAMED_TRANSIDS))

    async def _settings(self) -> Settings | None:
        """Look the connection up, again where that fails for now; None when the deadline comes first."""
        started, pause = time.time(), min(self.poll_interval, _PAUSES[0])
        while True:
            try:
                with anyio.fail_after(min(max(self.deadline - time.time(), _LOOK_UP[0]), _LOOK_UP[1])):
                    connection = await BaseHook.aget_connection(self.imiconnect_conn_id)
                return Settings.from_connection(connection)
            except IMIconnectError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever Airflow raises: it is looked up again
                self._look_again(error, started)
            if time.time() >= self.deadline:
                return None
            await asyncio.sleep(max(0.0, min(pause, self.deadline - time.time())))
            pause = min(pause * 1.5, _PAUSES[1])

    def _look_again(self, error: Exception, started: float) -> None:
        # PermissionError: the secrets backend, or Airflow's API, refuses it to this task.
        if isinstance(error, AirflowNotFoundException | PermissionError) and time.time() - started > _NOT_FOUND:
            raise IMIconnectError(f"{error} It was looked for again and again for {_NOT_FOUND:g} s.") from None
        self.log.warning("The connection could not be read, and is read again: %s", type(error).__name__)


def _texts(transids: object) -> list[str]:
    if isinstance(transids, str) or not isinstance(transids, Sequence):
        raise ValueError("transids must be a list of transaction ids")  # noqa: TRY004 - as for the other arguments
    if not all(isinstance(transid, str) and transid for transid in transids):
        raise ValueError("each of transids must be a text: nothing else can be stored with the trigger")
    return list(transids)


def _number(name: str, value: float, least: float = 0) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < least:
        raise ValueError(f"{name} must be a number, at least {least}")
    return value


def _number_or_none(name: str, value: float | None) -> float | None:
    return None if value is None else _number(name, value)
