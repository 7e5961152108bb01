"""IMIconnectProfileStatusTrigger: waits for any number of transactions in the triggerer. It only reads."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar

import anyio
from airflow.providers.common.compat.sdk import BaseHook
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_imiconnect.errors import IMIconnectError
from airflow_imiconnect.pacing.backoff import PollPolicy
from airflow_imiconnect.polling.status_requests import Polling
from airflow_imiconnect.profile_api.results import Transaction
from airflow_imiconnect.tasks.waiting import trigger_event
from airflow_imiconnect.tasks.waiting.connection import LookUp, LookUpPolicy
from airflow_imiconnect.tasks.waiting.deadline import Deadline, monotonic
from airflow_imiconnect.tasks.waiting.trigger_event import Tally, TimedOut
from airflow_imiconnect.tasks.waiting.wait import Waiting
from airflow_imiconnect.transport.settings import Settings


class IMIconnectProfileStatusTrigger(BaseTrigger):
    """
    Wait until all transactions have finished, or the deadline has come, or polling again cannot help; then fire once.

    Its row holds the transaction ids, and of records only their number; its event holds counts, and a bit for each
    transaction (``tasks/waiting/trigger_event.py``). Started anew by another triggerer it polls again: nothing is lost.

    The task has read the connection before it was deferred. Where it cannot be read now, that passes (a restart of the
    API server): it is read again until the deadline; one that is not found, for ten minutes.

    :param transids: the transactions, each once
    :param deadline: when to give up, in seconds since 1970
    :param imiconnect_conn_id: a connection of type ``imiconnect``
    :param poll_interval: seconds between two rounds; only transactions that still wait are polled again
    :param max_poll_interval: up to where the interval grows while nothing happens; by default twice ``poll_interval``
    :param max_concurrency: status requests in flight
    :param requests_per_second: the most requests that start in a second; None for what the connection says
    :param records: how many records each of the transactions holds, None for one of which it is not known; None for all
    :raises ValueError: an argument cannot be right, or could not be stored with the trigger
    """

    look_up_policy: ClassVar[LookUpPolicy] = LookUpPolicy()

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
        records: Sequence[int | None] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.transids = _texts(transids)
        self.deadline = _number("deadline", deadline)
        self.imiconnect_conn_id = imiconnect_conn_id
        self.poll_interval = _number("poll_interval", poll_interval)
        self.max_poll_interval = _number_or_none("max_poll_interval", max_poll_interval)
        self.max_concurrency = int(_number("max_concurrency", max_concurrency, least=1))
        self.requests_per_second = _number_or_none("requests_per_second", requests_per_second)
        self.records = _counts(records, len(self.transids))

    @classmethod
    def of(cls, waiting: Waiting, deadline: Deadline) -> IMIconnectProfileStatusTrigger:
        """Return the trigger for a task that waits; raises IMIconnectError where its connection cannot be right."""
        _ = waiting.hook.settings  # a connection that cannot be right fails here and now
        return cls(
            transids=[transaction.transid for transaction in waiting.transactions],
            records=[transaction.records for transaction in waiting.transactions],
            deadline=deadline.at,
            imiconnect_conn_id=waiting.hook.imiconnect_conn_id,
            poll_interval=waiting.policy.poll_interval,
            max_poll_interval=waiting.policy.max_poll_interval,
            max_concurrency=waiting.max_concurrency,
            requests_per_second=waiting.requests_per_second,
        )

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
            "records": self.records,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield the one event."""
        yield TriggerEvent(await self._wait())  # type: ignore[no-untyped-call]

    async def _wait(self) -> dict[str, Any]:
        deadline = monotonic(self.deadline)
        try:
            settings = await self._settings(deadline)
            if settings is None:
                return trigger_event.timed_out(TimedOut.of(self.transids))
            return await self._poll(settings, deadline)
        except IMIconnectError as error:
            return trigger_event.failed(error)

    async def _poll(self, settings: Settings, deadline: float) -> dict[str, Any]:
        sizes = self.records or [None] * len(self.transids)
        transactions = [Transaction(transid, records=size) for transid, size in zip(self.transids, sizes, strict=True)]
        tally = Tally(transactions)
        policy = PollPolicy(self.poll_interval, self.max_poll_interval)
        polling = Polling(settings, policy, self.max_concurrency, self.log, self.requests_per_second)
        poller = polling.poller(transactions, tally.add)
        if await poller.until_finished(deadline):
            return trigger_event.finished(tally)
        return trigger_event.timed_out(TimedOut.of(poller.waiting))

    async def _settings(self, deadline: float) -> Settings | None:
        """Look the connection up, again where that fails for now; None when the deadline comes first."""
        policy, look_up = self.look_up_policy, LookUp(self.look_up_policy, self.log)
        while True:
            try:
                with anyio.fail_after(min(max(deadline - time.monotonic(), policy.least_time), policy.most_time)):
                    connection = await BaseHook.aget_connection(self.imiconnect_conn_id)
                return Settings.from_connection(connection)
            except IMIconnectError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever Airflow raises: it is looked up again
                pause = look_up.pause_after(error)
            if time.monotonic() >= deadline:
                return None
            await asyncio.sleep(max(0.0, min(pause, deadline - time.monotonic())))


def _texts(transids: object) -> list[str]:
    if isinstance(transids, str) or not isinstance(transids, Sequence):
        raise ValueError("transids must be a list of transaction ids")  # noqa: TRY004 - as for the other arguments
    if not all(isinstance(transid, str) and transid for transid in transids):
        raise ValueError("each of transids must be a text: nothing else can be stored with the trigger")
    return list(transids)


def _counts(records: Sequence[int | None] | None, count: int) -> list[int | None] | None:
    """Return the numbers of records; None stands for a list that says nothing."""
    numbers = list(records or ())
    if all(number is None for number in numbers):
        return None
    if len(numbers) != count or not all(number is None or isinstance(number, int) for number in numbers):
        raise ValueError("records must hold a number for each of transids")
    return numbers


def _number(name: str, value: float, least: float = 0) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < least:
        raise ValueError(f"{name} must be a number, at least {least}")
    return value


def _number_or_none(name: str, value: float | None) -> float | None:
    return None if value is None else _number(name, value)
