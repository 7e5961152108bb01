"""
Polling: which transaction is polled next, when a round ends, and how long the next one waits.

The worker and the triggerer run the very same code. Moments are those of the monotonic clock: a wall clock that is put
back stretches no wait.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from airflow_imiconnect.errors import IMIconnectRateLimitError, IMIconnectTransientError
from airflow_imiconnect.pacing.backoff import PollPolicy, RetryPolicy
from airflow_imiconnect.pacing.rate_limiter import RateLimiter
from airflow_imiconnect.polling.round import Round
from airflow_imiconnect.profile_api.results import Transaction, TransactionStatus

Poll = Callable[[Transaction], Awaitable[TransactionStatus]]
Connect = Callable[[], AbstractAsyncContextManager[Poll]]
_SECONDS_BETWEEN_LINES = 30.0


class Poller:
    """
    The transactions that are not known to be finished, and how they are polled.

    :param transactions: to wait for, in the order in which they were submitted
    :param on_finished: is handed each status once, when the transaction has finished
    :param connect: makes what polls one transaction, for as long as an ``async with`` statement lasts
    :param policy: how often they are polled
    :param max_concurrency: requests in flight
    :param requests_per_second: the most requests that start in a second; None for no limit of our own
    :param log: where progress goes; a logger
    """

    def __init__(
        self,
        transactions: Sequence[Transaction],
        on_finished: Callable[[TransactionStatus], None],
        connect: Connect,
        policy: PollPolicy,
        *,
        max_concurrency: int,
        log: Any,  # noqa: ANN401 - Airflow has several kinds
        requests_per_second: float | None = None,
    ) -> None:
        self._transactions = tuple(transactions)
        # Those that were polled longest ago stand first.
        self._waiting = {transaction.transid: transaction for transaction in self._transactions}
        self._on_finished = on_finished
        self._connect = connect
        self._policy = policy
        self._max_concurrency = max_concurrency
        self._rate_limiter = RateLimiter(requests_per_second)
        self._retry_policy = RetryPolicy()
        self._log = log
        self._told_at = time.monotonic()
        self._open: dict[str, None] = {}
        self._not_before = 0.0
        self._passing_errors = 0
        self._last_error: IMIconnectTransientError | None = None

    @property
    def total(self) -> int:
        """How many transactions there are in all."""
        return len(self._transactions)

    @property
    def left(self) -> int:
        """How many are not known to be finished."""
        return len(self._waiting)

    @property
    def asked_for(self) -> float:
        """For how many seconds from now the service has asked to be left alone (Retry-After)."""
        return max(0.0, self._not_before - time.monotonic())

    @property
    def waiting(self) -> Iterator[str]:
        """The ids of those that are not known to be finished, in the order of submission."""
        return (each.transid for each in self._transactions if each.transid in self._waiting)

    async def until_finished(self, deadline: float) -> bool:
        """
        Poll, round after round, until all are finished or the deadline has come; return whether all are finished.

        At the deadline they are polled a last time, so that nothing that is finished by then is called late.

        :param deadline: a moment of the monotonic clock
        :raises IMIconnectPermanentError: polling again cannot help
        """
        quiet_rounds = 0
        async with self._connect() as poll:
            while True:
                before, started = self.left, time.monotonic()
                await self._poll_round(poll, deadline)
                now = time.monotonic()
                self._tell_now_and_then(is_last=now >= deadline)
                if not self.left or now >= deadline:
                    return not self.left
                quiet_rounds = 0 if self.left < before else quiet_rounds + 1
                interval = self._policy.wait(quiet_rounds, self._not_before - started, random.random())  # noqa: S311 - jitter
                await asyncio.sleep(max(0.0, min(started + interval, deadline) - now))

    async def once(self, deadline: float, *, thorough: bool) -> None:
        """
        Poll one round, which ends where many responses in a row bring no news.

        :param thorough: poll until there was a response for each, for as long as there are responses at all
        :raises IMIconnectPermanentError: polling again cannot help
        """
        async with self._connect() as poll:
            await (self._poll_all(poll, deadline) if thorough else self._poll_round(poll, deadline))
        self._tell()

    async def _poll_round(self, poll: Poll, deadline: float) -> None:
        """Poll those that are left; a request that failed for now is sent again in a later round, after it all are."""
        thorough = time.monotonic() >= deadline
        await self._poll(poll, Round(self._waiting.values(), self._policy, thorough=thorough), deadline)

    async def _poll_all(self, poll: Poll, deadline: float) -> None:
        todo = deque(self._waiting.values())
        while todo:
            a_round = Round(todo, self._policy, thorough=True)
            await self._poll(poll, a_round, deadline)
            is_too_late = time.monotonic() + self.asked_for >= self._policy.latest(deadline)
            if not a_round.responses or a_round.todo or is_too_late:
                return
            todo = a_round.unanswered
            await asyncio.sleep(self.asked_for if todo else 0.0)

    async def _poll(self, poll: Poll, a_round: Round, deadline: float) -> None:
        count = min(self._max_concurrency, len(a_round.todo))
        workers = {asyncio.ensure_future(self._work(poll, a_round)) for _ in range(count)}
        try:
            await a_round.until_over(workers, deadline)
        finally:
            a_round.over = True
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, poll: Poll, a_round: Round) -> None:
        while a_round.goes_on:
            transaction = a_round.todo.popleft()
            try:
                for seconds in self._rate_limiter.pauses():
                    await asyncio.sleep(seconds)
                self._waiting[transaction.transid] = self._waiting.pop(transaction.transid)
                status = await poll(transaction)
            except IMIconnectRateLimitError as error:
                self._note(error, a_round)
                self._rate_limiter.slow_down(self._retry_policy.asked_for(error))
                a_round.todo.append(transaction)  # it was not looked at: it is polled again in this round, slower
            except IMIconnectTransientError as error:
                self._note(error, a_round)
                self._not_before = max(self._not_before, time.monotonic() + self._retry_policy.asked_for(error))
                a_round.unanswered.append(transaction)
            else:
                self._rate_limiter.speed_up()
                self._take(status, a_round)

    def _take(self, status: TransactionStatus, a_round: Round) -> None:
        is_finished = status.state != "waiting"
        self._open.pop(status.transid, None)
        if status.is_open:
            self._open[status.transid] = None
        if is_finished:
            self._on_finished(status)  # should that fail, it is polled again
            del self._waiting[status.transid]
        a_round.note_response(is_news=is_finished)

    def _note(self, error: IMIconnectTransientError, a_round: Round) -> None:
        a_round.fruitless += 1
        self._passing_errors += 1
        self._last_error = error

    def _tell_now_and_then(self, *, is_last: bool) -> None:
        if self.left and (is_last or time.monotonic() - self._told_at >= _SECONDS_BETWEEN_LINES):
            self._told_at = time.monotonic()
            self._tell()

    def _tell(self) -> None:
        if self._passing_errors:
            self._log.warning(
                "%d status requests failed and are sent again. The last: %s", self._passing_errors, self._last_error
            )
            self._passing_errors = 0
        if self._open:
            self._log.warning(
                "%d transactions (first: %s) have a status that leaves open what became of some records. They are "
                "polled until it tells.",
                len(self._open),
                next(iter(self._open)),
            )
        if self.left:
            self._log.info("%d of %d transactions have finished.", self.total - self.left, self.total)
