"""Input that can be read once, a pipe or standard input: its content is kept, and read as that of a file."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from typing import IO, Any

from airflow_imiconnect.errors import IMIconnectInvalidRecordError

STDIN = "-"
_NAMES_OF_STDIN = (STDIN, "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
_BLOCK = 1024 * 1024


def is_pipe(path: str) -> bool:
    """Return whether a path is standard input, whatever that is, or a pipe: a named one, or one of ``<(…)``."""
    if path in _NAMES_OF_STDIN:
        return True
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)  # noqa: PTH116 - a Path would change the spelling
    except (OSError, ValueError):  # an error where the file is opened
        return False


def shown(path: str) -> str:
    """Return what a path is called in positions."""
    return "standard input" if path == STDIN else path


class KeptPipe:
    """
    The content of a pipe, as a path that one reader after another can open.

    It is kept in a temporary file without a name, which nobody else can open, and which is gone when the process ends.

    :param path: as it was given
    """

    protocol = ""

    def __init__(self, path: str) -> None:
        self._path = path
        self._where = shown(path)
        self.name = os.path.basename(self._where)  # noqa: PTH119 - as above
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> KeptPipe:  # noqa: PYI034 - Self came with Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def fill(self) -> None:
        """Read the pipe to its end; raises IMIconnectInvalidRecordError if that fails, or the disk is full."""
        for block in _blocks(self._path, self._where):
            self._keep(block)

    def _keep(self, block: bytes) -> None:
        try:
            while block:
                block = block[self._file.write(block) :]
        except OSError as error:
            reason = f"it is kept in a temporary file first, which cannot be written: {error.strerror}"
            advice = "set TMPDIR to a folder with more room, or give the path of a file"
            raise IMIconnectInvalidRecordError(self._where, f"{reason}; {advice}") from None

    def __str__(self) -> str:
        return self._where

    @property
    def path(self) -> str:
        """The temporary file, as this process sees it."""
        return f"/dev/fd/{self._file.fileno()}"

    def is_dir(self) -> bool:
        """Return False."""
        return False

    def stat(self) -> os.stat_result:
        """Return the size and the time of the content."""
        return os.fstat(self._file.fileno())

    def open(self, mode: str) -> IO[Any]:
        """Open the content from its beginning."""
        file: IO[Any] = os.fdopen(os.dup(self._file.fileno()), mode)
        file.seek(0)
        return file


def _blocks(path: str, where: str) -> Iterator[bytes]:
    try:
        with _opened(path) as pipe:
            yield from iter(partial(pipe.read, _BLOCK), b"")
    except OSError as error:
        raise IMIconnectInvalidRecordError(where, f"the pipe cannot be read: {error.strerror}") from None


def _opened(path: str) -> IO[bytes]:
    if path not in _NAMES_OF_STDIN:
        return open(path, "rb")  # noqa: PTH123 - as above
    if sys.stdin is None:
        raise IMIconnectInvalidRecordError("standard input", "it is closed")
    return open(0, "rb", closefd=False)
