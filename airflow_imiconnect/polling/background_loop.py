"""A coroutine in a thread of its own, which another thread can cancel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")


class BackgroundLoop(Generic[_T]):
    """
    Runs one coroutine on an event loop of its own.

    :param work: makes the coroutine, which is run once. Work that never begins makes none: Python would warn of a
        coroutine that was never awaited
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, _T]]) -> None:
        self._work = work
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[_T]] | None = None
        self._is_cancelled = False

    def run(self) -> _T:
        """Run it to its end. Unlike asyncio.run this waits for no thread that still looks up a host's name."""
        loop = asyncio.new_event_loop()
        task = loop.create_task(self._work())
        self._running = loop, task
        if self._is_cancelled:  # before it had begun
            task.cancel()
        try:
            loop.run_until_complete(asyncio.wait({task}))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()
        return task.result()

    def cancel(self) -> None:
        """Cancel it, from another thread."""
        self._is_cancelled = True
        if self._running:
            loop, task = self._running
            with suppress(RuntimeError):  # it has ended by itself, and its loop is closed
                loop.call_soon_threadsafe(task.cancel)
