"""How transactions are polled: the status of each over one asynchronous client. Worker and triggerer share it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from airflow_imiconnect.pacing.backoff import PollPolicy
from airflow_imiconnect.polling.poller import Poll, Poller
from airflow_imiconnect.profile_api.requests import status_request
from airflow_imiconnect.profile_api.responses import read_status
from airflow_imiconnect.profile_api.results import Transaction, TransactionStatus
from airflow_imiconnect.transport.async_client import AsyncClient
from airflow_imiconnect.transport.settings import Settings


@dataclass(frozen=True)
class Polling:
    """
    How transactions are polled.

    :param settings: what the connection says
    :param policy: how often
    :param max_concurrency: requests in flight
    :param log: where progress goes; a logger
    :param requests_per_second: the most requests that start in a second; None for what the connection says
    """

    settings: Settings
    policy: PollPolicy
    max_concurrency: int
    log: Any
    requests_per_second: float | None = None

    def poller(self, transactions: Sequence[Transaction], on_finished: Callable[[TransactionStatus], None]) -> Poller:
        """Return what polls these transactions; ``on_finished`` is handed the status of each once."""
        return Poller(
            transactions,
            on_finished,
            self._connect,
            self.policy,
            max_concurrency=self.max_concurrency,
            log=self.log,
            requests_per_second=self.requests_per_second or self.settings.requests_per_second,
        )

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[Poll]:
        """Yield what polls one transaction; it raises IMIconnectError, whose class says whether to poll again."""
        async with AsyncClient(self.settings) as client:

            async def poll(transaction: Transaction) -> TransactionStatus:
                request = status_request(transaction.transid)
                response = await client.exchange(request)
                return read_status(request, response, transaction.transid, transaction.records)

            yield poll
