"""How fast calls may start: one clock that all calls of a task share."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator

_SLOWER = 0.7  # what is left of the rate after the service said "too fast"
_FASTER = 0.05  # calls a second that each success adds: some 5 % a second at any rate, and more the longer all is well
_FAST_ENOUGH = 1000.0  # above this many calls a second no limit is kept
_SLOWEST = 0.5  # calls a second at which a service that refuses every call is asked whether it still does
_EPISODE = 1.0  # seconds in which further refusals tell nothing new: their calls had started before
_REMEMBERED = 64
_AHEAD = 0.1  # seconds before it comes that a turn is given away; until then the rate of the moment counts
_NAP = 0.5  # seconds after which whoever waits looks again


class Pace:
    """
    Spreads the starts of calls evenly, so that no second sees more than the limit.

    Where the service says that its limit is reached (7020, 429), all threads slow down together, and speed up again
    with each success: so the rate settles near the tenant's limit, which is not published (contract 7). The longer no
    call was refused, the more a success adds: after minutes of refusals the rate is back within seconds.

    :param calls_per_second: the most that are ever made; None for no limit of our own
    """

    def __init__(self, calls_per_second: float | None = None) -> None:
        self._limit = calls_per_second
        self._rate = calls_per_second
        self._last = float("-inf")  # the last turn that was given away
        self._not_before = float("-inf")  # what a Retry-After asks for
        self._slowed_at = float("-inf")
        self._starts: deque[float] = deque(maxlen=_REMEMBERED)
        self._lock = threading.Lock()

    @property
    def calls_per_second(self) -> float | None:
        """The rate that is kept now; None for none."""
        return self._rate

    def pauses(self) -> Iterator[float]:
        """Yield how many seconds to sleep, one after another: after the last one it is the caller's turn."""
        taken = False
        while not taken:
            seconds, taken = self._look()
            if seconds > 0:
                yield seconds

    def wait(self, stopped: threading.Event) -> None:
        """Sleep until this thread's turn, or until all is stopped."""
        for seconds in self.pauses():
            if stopped.wait(seconds):
                return

    def slow_down(self, retry_after: float | None = None) -> None:
        """Take note that the service refused a call because there were too many."""
        with self._lock:
            now = time.monotonic()
            self._not_before = max(self._not_before, now + (retry_after or 0.0))
            if now - self._slowed_at < _EPISODE:
                return
            self._slowed_at = now
            slowest = min(_SLOWEST, self._limit or _SLOWEST)
            self._rate = max(slowest, _SLOWER * min(self._measured(now), self._rate or _FAST_ENOUGH))

    def speed_up(self) -> None:
        """Take note that a call was taken."""
        with self._lock:
            if self._rate is None or self._rate == self._limit:
                return
            self._rate += _FASTER * (1.0 + (time.monotonic() - self._slowed_at) ** 2)
            if self._limit:
                self._rate = min(self._rate, self._limit)
            elif self._rate > _FAST_ENOUGH:
                self._rate = None

    def _look(self) -> tuple[float, bool]:
        """Return how long to sleep, and whether it is the caller's turn then."""
        with self._lock:
            now = time.monotonic()
            gap = 1.0 / self._rate if self._rate else 0.0
            turn = max(now, self._last + gap, self._not_before)
            if turn > now + _AHEAD:
                return min(turn - now - _AHEAD / 2, _NAP), False
            self._last = turn
            self._starts.append(turn)
            return turn - now, True

    def _measured(self, now: float) -> float:
        """Return how many calls a second have started lately."""
        since = max(self._starts[0], now - 2.0) if self._starts else now
        recent = sum(1 for start in self._starts if since <= start <= now)
        return max(1.0, recent / max(now - since, 0.1))
