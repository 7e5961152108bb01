"""The standard streams: the report alone is written to stdout, and whoever reads it may stop at any time."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO


@contextmanager
def logs_on_stderr() -> Iterator[None]:
    """Send to stderr what Airflow and its providers log to stdout."""
    if sys.stdout is None or sys.stderr is None:  # closed by the shell
        yield
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        with suppress(BrokenPipeError):
            sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def end_report() -> None:
    """Send to stderr what is written to stdout from now on: Airflow logs once more when the process ends."""
    if sys.stdout is not None and sys.stderr is not None:
        os.dup2(2, 1)


def tell(text: str, stream: TextIO | None) -> None:
    """Write a text and a line end to stdout or stderr; nothing where nobody reads any more."""
    if stream is None:  # closed by the shell
        return
    try:
        stream.write(f"{text}\n")
        stream.flush()
    except BrokenPipeError:
        # What is left in the buffer is written once more at the exit: it must find somebody who takes it.
        with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device, not a path
            os.dup2(nowhere.fileno(), stream.fileno())
