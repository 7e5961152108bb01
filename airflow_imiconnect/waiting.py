"""
Waiting for transactions: who is asked next, when a round of questions ends, and how long the next one waits.

It is used in the worker and in the triggerer alike; whoever calls brings the function that asks the service.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from itertools import islice

from airflow_imiconnect.errors import IMIconnectRateLimitError, IMIconnectTransientError
from airflow_imiconnect.models import TransactionStatus
from airflow_imiconnect.pace import Pace
from airflow_imiconnect.retry import PollPolicy, RetryPolicy

Ask = Callable[[str], Awaitable[TransactionStatus]]
_LAST_ROUND = 1.0  # seconds that a round has at least, at the deadline too
_ENOUGH = 100  # answers in a row that bring nothing new end a round: a long queue is not asked in full in vain


class Watch:
    """
    The transactions that are still waited for.

    :param transids: to wait for, in the order in which they were submitted
    :param on_finished: is handed each transaction once, when it has finished
    :param max_concurrency: status calls in flight
    :param pace: how fast calls may start
    """

    def __init__(
        self,
        transids: Iterable[str],
        on_finished: Callable[[TransactionStatus], None],
        *,
        max_concurrency: int,
        pace: Pace,
    ) -> None:
        self._transids = tuple(transids)
        self._waiting = deque(self._transids)  # those that were asked longest ago stand first
        self._on_finished = on_finished
        self._max_concurrency = max_concurrency
        self._pace = pace
        self._policy = RetryPolicy()
        self._in_vain = 0
        self._asked_for = 0.0
        self.passing_errors = 0
        self.last_error: IMIconnectTransientError | None = None

    @property
    def total(self) -> int:
        """How many transactions there are in all."""
        return len(self._transids)

    @property
    def left(self) -> int:
        """How many are not known to be finished."""
        return len(self._waiting)

    def first(self, count: int) -> list[str]:
        """Name the first of those that are not known to be finished."""
        waiting = set(self._waiting)
        return list(islice((transid for transid in self._transids if transid in waiting), count))

    async def until_finished(
        self, ask: Ask, policy: PollPolicy, deadline: float, tell: Callable[[Watch], None]
    ) -> bool:
        """
        Ask, round after round, until all are finished or the deadline has come; return whether all are finished.

        At the deadline they are asked a last time, so that nothing that is finished by then is called late.

        :param deadline: seconds since 1970
        :param tell: is called after each round
        :raises IMIconnectPermanentError: asking again cannot help
        """
        quiet_rounds = 0
        while True:
            before, started = self.left, time.time()
            await self.ask_round(ask, max(deadline - started, _LAST_ROUND))
            tell(self)
            now = time.time()
            if not self.left or now >= deadline:
                return not self.left
            quiet_rounds = 0 if self.left < before else quiet_rounds + 1
            interval = policy.wait(quiet_rounds, self._asked_for, random.random())  # noqa: S311 - jitter
            await asyncio.sleep(max(0.0, min(started + interval, deadline) - now))

    async def ask_round(self, ask: Ask, seconds: float) -> None:
        """
        Ask those that are still waited for once, or until a hundred answers in a row bring nothing new.

        An error that passes is no answer; the transaction is asked again in a later round.

        :param seconds: how long the round may take at most
        :raises IMIconnectPermanentError: asking again cannot help
        """
        with suppress(asyncio.TimeoutError, TimeoutError):
            await asyncio.wait_for(self._ask_round(ask), seconds)

    async def _ask_round(self, ask: Ask) -> None:
        self._in_vain, self._asked_for = 0, 0.0
        todo = deque(range(self.left))
        askers = [asyncio.ensure_future(self._asker(ask, todo)) for _ in range(min(self._max_concurrency, self.left))]
        try:
            await asyncio.gather(*askers)
        finally:
            for asker in askers:
                asker.cancel()
            await asyncio.gather(*askers, return_exceptions=True)

    async def _asker(self, ask: Ask, todo: deque[int]) -> None:
        while todo and self._in_vain < _ENOUGH:
            todo.pop()
            transid = self._waiting.popleft()
            status = None
            try:
                for seconds in self._pace.pauses():
                    await asyncio.sleep(seconds)
                status = await ask(transid)
                self._pace.speed_up()
            except IMIconnectRateLimitError as error:
                self._pace.slow_down(self._policy.asked_for(error))
                self._note(error)
                todo.append(0)  # it was not looked at: it is asked again in this round, slower
            except IMIconnectTransientError as error:
                self._note(error)
                self._asked_for = max(self._asked_for, self._policy.asked_for(error))
            finally:
                if status is None or status.state == "waiting":
                    self._waiting.append(transid)
            if status is None or status.state == "waiting":
                self._in_vain += 1
            else:
                self._in_vain = 0
                self._on_finished(status)

    def _note(self, error: IMIconnectTransientError) -> None:
        self.passing_errors += 1
        self.last_error = error
