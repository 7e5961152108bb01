"""How far a long check is: a bar on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

_PATIENCE = 1.0  # seconds without a bar
_PACE = 0.1  # seconds from one look of the bar to the next
_Item = TypeVar("_Item")


def with_bar(items: Iterator[_Item], words: Callable[[], str], fraction: Callable[[], float]) -> Iterator[_Item]:
    """
    Yield the items; where that takes long, show on a terminal how far it is.

    :param words: tells what is done by now
    :param fraction: tells how much of it is done, from 0 to 1
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console  # noqa: PLC0415 - only where there is somebody to look at it
    from rich.progress import Progress  # noqa: PLC0415 - as above

    with Progress(console=Console(stderr=True), transient=True, auto_refresh=False) as bar:
        task = bar.add_task("Checking", total=1.0, visible=False)
        next_look = time.monotonic() + _PATIENCE
        for item in items:
            yield item
            if (now := time.monotonic()) >= next_look:
                next_look = now + _PACE
                bar.update(task, description=words(), completed=fraction(), visible=True, refresh=True)
