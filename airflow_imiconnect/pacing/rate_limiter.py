"""How fast requests may start: one limiter that all requests of a task share."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator

_SLOWER = 0.7  # the factor by which the rate drops when the service says "too fast"
_FASTER = 0.05  # requests/s that each success adds: about 5 % a second at any rate, more the longer nothing is refused
_FAST_ENOUGH = 1000.0  # above this many requests per second, the limit is dropped
_SLOWEST = 0.5  # requests per second to a service that refuses every one
_EPISODE = 1.0  # seconds in which further refusals are ignored: their requests had started before the rate dropped
_REMEMBERED = 64
_AHEAD = 0.1  # a turn is assigned at most this many seconds ahead; until then the current rate applies
_NAP = 0.5  # seconds after which a waiting thread checks again


class RateLimiter:
    """
    Spreads the starts of requests evenly, so that no second sees more than the limit.

    When the service says that its limit is reached (7020, 429), all threads slow down together, and speed up again
    with each success: the rate settles near the tenant's limit, which is not published (contract 7). The longer no
    request has been refused, the more a success adds: after minutes of refusals, the rate recovers within seconds.

    :param requests_per_second: the upper limit; None for no limit of our own
    """

    def __init__(self, requests_per_second: float | None = None) -> None:
        self._limit = requests_per_second
        self._rate = requests_per_second
        self._last = float("-inf")  # the last turn that was assigned
        self._not_before = float("-inf")  # the end of a Retry-After
        self._slowed_at = float("-inf")
        self._starts: deque[float] = deque(maxlen=_REMEMBERED)
        self._lock = threading.Lock()

    @property
    def requests_per_second(self) -> float | None:
        """The current rate; None without a limit."""
        return self._rate

    def pauses(self) -> Iterator[float]:
        """Yield the seconds to sleep, one value at a time: after the last one it is the caller's turn."""
        taken = False
        while not taken:
            seconds, taken = self._look()
            if seconds > 0:
                yield seconds

    def wait(self, stopped: threading.Event) -> None:
        """Sleep until it is this thread's turn, or until ``stopped`` is set."""
        for seconds in self.pauses():
            if stopped.wait(seconds):
                return

    def slow_down(self, retry_after: float | None = None) -> None:
        """Note that the service refused a request because of its rate limit."""
        with self._lock:
            now = time.monotonic()
            self._not_before = max(self._not_before, now + (retry_after or 0.0))
            if now - self._slowed_at < _EPISODE:
                return
            self._slowed_at = now
            slowest = min(_SLOWEST, self._limit or _SLOWEST)
            self._rate = max(slowest, _SLOWER * min(self._measured(now), self._rate or _FAST_ENOUGH))

    def speed_up(self) -> None:
        """Note that a request was accepted."""
        with self._lock:
            if self._rate is None or self._rate == self._limit:
                return
            self._rate += _FASTER * (1.0 + (time.monotonic() - self._slowed_at) ** 2)
            if self._limit:
                self._rate = min(self._rate, self._limit)
            elif self._rate > _FAST_ENOUGH:
                self._rate = None

    def _look(self) -> tuple[float, bool]:
        """Return how long to sleep, and whether it is then the caller's turn."""
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
        """Return the rate, in requests per second, at which requests have recently started."""
        since = max(self._starts[0], now - 2.0) if self._starts else now
        recent = sum(1 for start in self._starts if since <= start <= now)
        return max(1.0, recent / max(now - since, 0.1))
