"""Asking about many transactions: one round of questions, or as many as it takes. Worker and triggerer share it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_imiconnect.models import TransactionStatus
from airflow_imiconnect.pace import Pace
from airflow_imiconnect.retry import Limit, PollPolicy
from airflow_imiconnect.settings import Settings
from airflow_imiconnect.status_client import StatusClient
from airflow_imiconnect.waiting import Watch

_SECONDS_BETWEEN_LINES = 30.0


@dataclass(frozen=True)
class Questions:
    """
    How the service is asked.

    :param settings: what the connection says
    :param max_concurrency: status calls in flight
    :param log: where progress goes; a logger
    :param requests_per_second: the most calls that start in a second; None for what the connection says
    """

    settings: Settings
    max_concurrency: int
    log: Any
    requests_per_second: float | None = None

    def watch(self, transids: Sequence[str], on_finished: Callable[[TransactionStatus], None]) -> Watch:
        """Return what waits for the transactions; ``on_finished`` is handed each of them once."""
        pace = Pace(self.requests_per_second or self.settings.requests_per_second)
        return Watch(transids, on_finished, max_concurrency=self.max_concurrency, pace=pace)

    async def ask_once(self, watch: Watch, limit: Limit, *, thorough: bool) -> None:
        """Ask one round, or until each was answered for; raises as Watch does."""
        async with StatusClient(self.settings) as client:
            ask = watch.ask_all if thorough else watch.ask_round
            await ask(client.get_profile_status, limit)
        self._tell(watch)

    async def until_finished(self, watch: Watch, policy: PollPolicy, limit: Limit) -> bool:
        """Ask round after round; return whether all were finished in time; raises as Watch does."""
        told = time.monotonic()

        def tell(watch: Watch) -> None:
            nonlocal told
            if watch.left and time.monotonic() - told >= _SECONDS_BETWEEN_LINES:
                told = time.monotonic()
                self._tell(watch)

        async with StatusClient(self.settings) as client:
            return await watch.until_finished(client.get_profile_status, policy, limit, tell)

    def _tell(self, watch: Watch) -> None:
        if watch.passing_errors:
            self.log.warning(
                "%d status calls failed and are made again. The last: %s", watch.passing_errors, watch.last_error
            )
            watch.passing_errors = 0
        if watch.left:
            self.log.info("%d of %d transactions are finished.", watch.total - watch.left, watch.total)
