"""How fast calls may start: one clock that all calls of a task share."""

from __future__ import annotations

import threading
import time
from collections import deque

_SLOWER = 0.7  # what is left of the rate after the service said "too fast"
_FASTER = 0.05  # calls a second that each success adds: some 5 % a second at any rate
_FAST_ENOUGH = 1000.0  # above this many calls a second no limit is kept
_EPISODE = 1.0  # seconds in which further refusals tell nothing new: their calls had started before
_REMEMBERED = 64


class Pace:
    """
    Spreads the starts of calls evenly, so that no second sees more than the limit.

    Where the service says that its limit is reached (7020, 429), all threads slow down together, and speed up again
    with each success: so the rate settles near the tenant's limit, which is not published (contract 7).

    :param calls_per_second: the most that are ever made; None for no limit of our own
    """

    def __init__(self, calls_per_second: float | None = None) -> None:
        self._limit = calls_per_second
        self._rate = calls_per_second
        self._next = 0.0
        self._slowed_at = float("-inf")
        self._starts: deque[float] = deque(maxlen=_REMEMBERED)
        self._lock = threading.Lock()

    @property
    def calls_per_second(self) -> float | None:
        """The rate that is kept now; None for none."""
        return self._rate

    def turn(self) -> float:
        """Take the next turn; return how many seconds there are until then."""
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            if self._rate:
                self._next = turn + 1.0 / self._rate
            self._starts.append(turn)
        return turn - now

    def wait(self, stopped: threading.Event) -> None:
        """Sleep until this thread's turn, or until all is stopped."""
        seconds = self.turn()
        if seconds:
            stopped.wait(seconds)

    def slow_down(self, retry_after: float | None = None) -> None:
        """Take note that the service refused a call because there were too many."""
        with self._lock:
            now = time.monotonic()
            if retry_after:
                self._next = max(self._next, now + retry_after)
            if now - self._slowed_at < _EPISODE:
                return
            self._slowed_at = now
            self._rate = max(
                min(0.1, self._limit or 0.1), _SLOWER * min(self._measured(now), self._rate or _FAST_ENOUGH)
            )

    def speed_up(self) -> None:
        """Take note that a call was taken."""
        with self._lock:
            if self._rate is None or self._rate == self._limit:
                return
            self._rate += _FASTER
            if self._limit:
                self._rate = min(self._rate, self._limit)
            elif self._rate > _FAST_ENOUGH:
                self._rate = None

    def _measured(self, now: float) -> float:
        """Return how many calls a second have started lately."""
        since = max(self._starts[0], now - 2.0) if self._starts else now
        recent = sum(1 for start in self._starts if since <= start <= now)
        return max(1.0, recent / max(now - since, 0.1))
