"""
Work in a thread of its own, for which the main thread only waits.

Airflow ends a task by an exception that a signal handler raises in the main thread, at any line (execution_timeout, a
person's stop). Here that line is one that waits: no lock that the work needs is ever taken in the main thread, and the
work is told to stop, and ends in its own way.
"""

from __future__ import annotations

import _thread
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")
PATIENCE = 60.0  # seconds that work has for its end: a store, a disk or a database that never answers holds up nobody
_LOOKS_EVERY = 0.1  # seconds; a signal that comes right before a wait begins is seen when it ends


def run_aside(work: Callable[[], _T], cancel: Callable[[], Any], patience: float = PATIENCE) -> _T:
    """
    Do the work in another thread; return what it returns, or raise what it raises.

    :param cancel: tells the work to end soon; it is called, in a thread of its own too, when an exception comes in here
    :param patience: how many seconds are waited for its end then; the thread is left behind after that
    :raises BaseException: the one that came in here, once the work has ended
    """
    aside = _Aside(work)
    try:
        _thread.start_new_thread(aside.run, ())
        aside.wait()
    except BaseException:
        aside.end(cancel, patience)
        raise
    return aside.result()


class _Aside(Generic[_T]):
    def __init__(self, work: Callable[[], _T]) -> None:
        self._work = work
        self._permit = [None]  # whoever takes it decides: the work begins, or it never does
        self._is_over = False
        self._over = _thread.allocate_lock()
        self._over.acquire()
        self._results: list[_T] = []
        self._until: float | None = None
        self._is_cancelled = False
        self._error: BaseException | None = None

    def run(self) -> None:
        if self.revoke():
            try:
                self._results.append(self._work())
            except BaseException as error:  # noqa: BLE001 - raised again by result()
                self._error = error
        self._is_over = True
        self._over.release()

    def revoke(self) -> bool:
        """Take the permit; tell whether it was still there."""
        try:
            self._permit.pop()
        except IndexError:
            return False
        return True

    def wait(self, until: float = float("inf")) -> None:
        while not self._is_over and time.monotonic() < until:
            self._over.acquire(timeout=_LOOKS_EVERY)

    def end(self, cancel: Callable[[], Any], patience: float) -> None:
        """End it, whatever exceptions come in meanwhile: the first one counts, and what it ended must be recorded."""
        # Python looks for signals where a loop jumps back: there the outer loop catches what comes in.
        while True:
            try:
                while True:
                    try:
                        return self._end(cancel, patience)
                    except BaseException:  # noqa: BLE001, S110 - as above
                        pass
            except BaseException:  # noqa: BLE001, S110 - as above
                pass

    def _end(self, cancel: Callable[[], Any], patience: float) -> None:
        if self.revoke():
            return
        if not self._is_cancelled:
            _thread.start_new_thread(cancel, ())
            self._is_cancelled = True
        self._until = self._until or time.monotonic() + patience
        self.wait(self._until)

    def result(self) -> _T:
        if self._error is not None:
            raise self._error
        return self._results[0]
