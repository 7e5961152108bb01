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
from dataclasses import dataclass, field
from itertools import islice

from airflow_imiconnect.errors import IMIconnectRateLimitError, IMIconnectTransientError
from airflow_imiconnect.models import TransactionStatus
from airflow_imiconnect.pace import Pace
from airflow_imiconnect.retry import Limit, PollPolicy, RetryPolicy

Ask = Callable[[str], Awaitable[TransactionStatus]]
_LEAST = 1.0  # seconds that a round has at least, at the deadline too
_NEWS = 3.0  # seconds that the last round goes on after each answer
_ENOUGH = 100  # answers in a row that bring nothing new end a round: a long queue is not asked in full in vain


@dataclass
class _Round:
    """
    One round of questions.

    :param todo: who is still to be asked in it
    :param thorough: whether each is to be answered for: then any answer is news, and only calls that fail are in vain
    :param answers: how many calls were answered, be it with "waiting"
    :param unanswered: those whose call failed
    :param in_vain: how many calls in a row have brought no news
    :param news_at: when one last did
    """

    todo: deque[str]
    thorough: bool = False
    answers: int = 0
    unanswered: deque[str] = field(default_factory=deque)
    in_vain: int = 0
    news_at: float = 0.0
    over: bool = False  # Python below 3.12 loses a cancellation at times: an asker must not go on then

    @property
    def goes_on(self) -> bool:
        return bool(self.todo) and self.in_vain < _ENOUGH and not self.over


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
        self._waiting = dict.fromkeys(self._transids)  # those that were asked longest ago stand first
        self._on_finished = on_finished
        self._max_concurrency = max_concurrency
        self._pace = pace
        self._policy = RetryPolicy()
        self._not_before = 0.0
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

    @property
    def asked_for(self) -> float:
        """For how many seconds from now the service has asked to be left alone (Retry-After)."""
        return max(0.0, self._not_before - time.time())

    def first(self, count: int) -> list[str]:
        """Name the first of those that are not known to be finished."""
        return list(islice((transid for transid in self._transids if transid in self._waiting), count))

    async def until_finished(self, ask: Ask, policy: PollPolicy, limit: Limit, tell: Callable[[Watch], None]) -> bool:
        """
        Ask, round after round, until all are finished or the deadline has come; return whether all are finished.

        At the deadline they are asked a last time, so that nothing that is finished by then is called late.

        :param tell: is called after each round
        :raises IMIconnectPermanentError: asking again cannot help
        """
        quiet_rounds = 0
        while True:
            before, started = self.left, time.time()
            await self.ask_round(ask, limit)
            tell(self)
            now = time.time()
            if not self.left or now >= limit.at:
                return not self.left
            quiet_rounds = 0 if self.left < before else quiet_rounds + 1
            interval = policy.wait(quiet_rounds, self._not_before - started, random.random())  # noqa: S311 - jitter
            await asyncio.sleep(max(0.0, min(started + interval, limit.at) - now))

    async def ask_round(self, ask: Ask, limit: Limit) -> None:
        """
        Ask those that are still waited for once, or until a hundred answers in a row bring nothing new.

        After the deadline all are asked. An error that passes is no answer; the transaction is asked again in a later
        round.

        :param limit: when the round ends at the latest
        :raises IMIconnectPermanentError: asking again cannot help
        """
        await self._ask(ask, _Round(deque(self._waiting), thorough=time.time() >= limit.at), limit)

    async def ask_all(self, ask: Ask, limit: Limit) -> None:
        """
        Ask until each that is still waited for was answered for, for as long as there are answers at all.

        :param limit: when it ends at the latest
        :raises IMIconnectPermanentError: asking again cannot help
        """
        todo = deque(self._waiting)
        while todo:
            a_round = _Round(todo, thorough=True)
            await self._ask(ask, a_round, limit)
            if not a_round.answers or a_round.todo or time.time() + self.asked_for >= limit.latest:
                return
            todo = a_round.unanswered
            await asyncio.sleep(self.asked_for if todo else 0.0)

    async def _ask(self, ask: Ask, a_round: _Round, limit: Limit) -> None:
        count = min(self._max_concurrency, len(a_round.todo))
        askers = {asyncio.ensure_future(self._asker(ask, a_round)) for _ in range(count)}
        try:
            await _until_over(a_round, askers, limit)
        finally:
            a_round.over = True
            for asker in askers:
                asker.cancel()
            await asyncio.gather(*askers, return_exceptions=True)

    async def _asker(self, ask: Ask, a_round: _Round) -> None:
        while a_round.goes_on:
            transid = a_round.todo.popleft()
            try:
                for seconds in self._pace.pauses():
                    await asyncio.sleep(seconds)
                self._waiting[transid] = self._waiting.pop(transid)
                status = await ask(transid)
            except IMIconnectRateLimitError as error:
                self._note(error, a_round)
                self._pace.slow_down(self._policy.asked_for(error))
                a_round.todo.append(transid)  # it was not looked at: it is asked again in this round, slower
            except IMIconnectTransientError as error:
                self._note(error, a_round)
                self._not_before = max(self._not_before, time.time() + self._policy.asked_for(error))
                a_round.unanswered.append(transid)
            else:
                self._pace.speed_up()
                self._take(status, a_round)

    def _take(self, status: TransactionStatus, a_round: _Round) -> None:
        a_round.answers += 1
        finished = status.state != "waiting"
        if finished:
            self._on_finished(status)  # should that fail, it is asked for again
            del self._waiting[status.transid]
        if finished or a_round.thorough:
            a_round.in_vain, a_round.news_at = 0, time.time()
        else:
            a_round.in_vain += 1

    def _note(self, error: IMIconnectTransientError, a_round: _Round) -> None:
        a_round.in_vain += 1
        self.passing_errors += 1
        self.last_error = error


async def _until_over(a_round: _Round, askers: set[asyncio.Task[None]], limit: Limit) -> None:
    """Let the askers ask until all has been asked, or until the deadline, or after it for as long as there is news."""
    least = time.time() + _LEAST
    while askers and (left := max(limit.at, least, _end_of(a_round, limit)) - time.time()) > 0:
        done, askers = await asyncio.wait(askers, timeout=min(left, _NEWS), return_when=asyncio.FIRST_EXCEPTION)
        for asker in done:
            asker.result()


def _end_of(a_round: _Round, limit: Limit) -> float:
    """Return up to when a round goes on after the deadline; the first answer is waited for."""
    return min(a_round.news_at + _NEWS, limit.latest) if a_round.answers else limit.latest
