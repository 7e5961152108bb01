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
from itertools import islice

from airflow_imiconnect.errors import IMIconnectRateLimitError, IMIconnectTransientError
from airflow_imiconnect.models import TransactionStatus
from airflow_imiconnect.pace import Pace
from airflow_imiconnect.retry import PollPolicy, RetryPolicy

Ask = Callable[[str], Awaitable[TransactionStatus]]
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
        Ask, round after round, until all are finished; return whether they were before the deadline.

        :param deadline: seconds since 1970
        :param tell: is called after each round
        :raises IMIconnectPermanentError: asking again cannot help
        """
        try:
            await asyncio.wait_for(self._rounds(ask, policy, tell), max(0.0, deadline - time.time()))
        except (asyncio.TimeoutError, TimeoutError):
            return False
        return True

    async def _rounds(self, ask: Ask, policy: PollPolicy, tell: Callable[[Watch], None]) -> None:
        quiet_rounds = 0
        while True:
            before, started = self.left, time.monotonic()
            await self.ask_round(ask)
            tell(self)
            if not self.left:
                return
            quiet_rounds = 0 if self.left < before else quiet_rounds + 1
            interval = policy.wait(quiet_rounds, self._asked_for, random.random())  # noqa: S311 - jitter
            await asyncio.sleep(max(0.0, started + interval - time.monotonic()))

    async def ask_round(self, ask: Ask) -> None:
        """
        Ask those that are still waited for once, or until a hundred answers in a row bring nothing new.

        An error that passes is no answer; the transaction is asked again in a later round.

        :raises IMIconnectPermanentError: asking again cannot help
        """
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
                await asyncio.sleep(self._pace.turn())
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
