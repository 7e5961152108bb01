"""How fast calls may start: one clock that all threads of a submission share."""

from __future__ import annotations

import threading
import time


class Pace:
    """
    Spreads the starts of calls evenly, so that no second sees more than the limit.

    :param calls_per_second: the limit; None for none
    """

    def __init__(self, calls_per_second: float | None) -> None:
        self._gap = 1.0 / calls_per_second if calls_per_second else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Sleep until this thread's turn."""
        if not self._gap:
            return
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._gap
        time.sleep(turn - now)
