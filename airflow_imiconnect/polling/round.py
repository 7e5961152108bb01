"""One round of polling: what is still to be polled in it, and when it ends."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable

from airflow_imiconnect.pacing.backoff import PollPolicy
from airflow_imiconnect.profile_api.results import Transaction


class Round:
    """
    One round of polling.

    :param transactions: those to poll
    :param policy: when a round ends
    :param thorough: poll until there is a response for each: any response is news then, and only failures count as
        fruitless
    """

    def __init__(self, transactions: Iterable[Transaction], policy: PollPolicy, *, thorough: bool) -> None:
        self.todo = deque(transactions)
        self.unanswered: deque[Transaction] = deque()  # those whose request failed
        self.responses = 0
        self.fruitless = 0  # requests in a row without news
        self.over = False  # Python below 3.12 loses a cancellation at times: a worker must not go on then
        self._policy = policy
        self._thorough = thorough
        self._news_at = 0.0

    @property
    def goes_on(self) -> bool:
        """Whether there is something to poll in it."""
        return bool(self.todo) and self.fruitless < self._policy.fruitless and not self.over

    def note_response(self, *, is_news: bool) -> None:
        """Count a response, be it "waiting"."""
        self.responses += 1
        if is_news or self._thorough:
            self.fruitless, self._news_at = 0, time.monotonic()
        else:
            self.fruitless += 1

    async def until_over(self, workers: set[asyncio.Task[None]], deadline: float) -> None:
        """Let the workers poll until all has been polled, or the deadline has come, or, after it, there is no news."""
        least = time.monotonic() + self._policy.least_round
        while workers and (left := max(deadline, least, self._end(deadline)) - time.monotonic()) > 0:
            pause = min(left, self._policy.news)
            done, workers = await asyncio.wait(workers, timeout=pause, return_when=asyncio.FIRST_EXCEPTION)
            for worker in done:
                worker.result()

    def _end(self, deadline: float) -> float:
        """Return up to when it goes on after the deadline; the first response is waited for."""
        latest = self._policy.latest(deadline)
        return min(self._news_at + self._policy.news, latest) if self.responses else latest
