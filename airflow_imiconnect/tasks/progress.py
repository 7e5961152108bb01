"""How far a long task is: a line at a steady pace, whatever the task is waiting for, and none for a short one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

EVERY = 30.0  # seconds from line to line


class Progress:
    """
    Logs how far a task is, from a thread of its own, for as long as the ``with`` statement lasts.

    :param log: a logger
    :param counts: tells what is done by now, in words
    :param fraction: tells how much of it is done, from 0 to 1
    """

    def __init__(self, log: Any, counts: Callable[[], str], fraction: Callable[[], float]) -> None:  # noqa: ANN401
        self._log = log
        self._counts = counts
        self._fraction = fraction
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="imiconnect-progress", daemon=True)
        self._started = time.monotonic()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(EVERY):
            with suppress(Exception):  # a storage that does not tell sizes just now: the next line may
                self._log.info("%s", self._line())

    def _line(self) -> str:
        done = self._fraction()
        left = (time.monotonic() - self._started) * (1 - done) / done if done else None
        return f"{self._counts()}: {done:.0%} of the input{f', about {in_words(left)} left' if left else ''}."


def in_words(seconds: float) -> str:
    """Return a time as a person says it: ``40 s``, ``5 min``, ``2 h 10 min``."""
    if seconds < 90:  # noqa: PLR2004 - up to there seconds are the plainest
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
