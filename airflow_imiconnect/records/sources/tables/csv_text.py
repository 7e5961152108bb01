"""The lines of a CSV file, which can be looked at ahead, and gone back to where a row turns out to be none."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from itertools import chain, islice

from airflow_imiconnect.records.sources.files.compression import BinaryFile
from airflow_imiconnect.records.sources.files.text import TOO_LONG, lines, not_utf8
from airflow_imiconnect.records.sources.raw import MAX_RECORD_BYTES

_ENDLESS = f"the row is longer than {MAX_RECORD_BYTES} bytes, which no record is: is a quote opened and not closed?"
_CSV_TAKES_NULL = sys.version_info >= (3, 11)
_ESCAPED = (b'\\"', b"\\'")
_GUARD = '="'  # with which Excel is told that digits are text


class BrokenRowError(ValueError):
    """A row that cannot be read; those after its first line can."""


class CsvText:
    """
    The lines of a file.

    :param file: as UTF-8
    :param where: its name, for errors
    """

    def __init__(self, file: BinaryFile, where: str) -> None:
        self.where = where
        self.used = 0  # lines
        self.is_plain = True  # no forbidden character in the row so far
        self.is_guarded = False  # the row holds ="00123"
        self.problem: str | None = None  # what is wrong with a line of the row
        self.column: int | None = None  # where
        self._ahead: deque[bytes | None] = deque()
        self._fresh = lines(file)
        self._row: list[bytes | None] = []
        self._row_size = 0

    def begin_row(self) -> int:
        """Return the line on which the next row begins."""
        self._row, self._row_size = [], 0
        self.is_plain, self.is_guarded, self.problem, self.column = True, False, None, None
        return self.used + 1

    @property
    def has_escaped_quote(self) -> bool:
        """Whether a backslash stands before a quote in the row so far."""
        return any(sign in (line or b"") for line in self._row for sign in _ESCAPED)

    def __iter__(self) -> Iterator[str]:
        """Yield the lines that follow; raises BrokenRowError where a row ends nowhere."""
        for line in chain(self._take_ahead(), self._fresh):
            self.used += 1
            self._row.append(line)
            yield self._decoded(line)

    def _take_ahead(self) -> Iterator[bytes | None]:
        while self._ahead:
            yield self._ahead.popleft()

    def _decoded(self, line: bytes | None) -> str:
        if line is None:
            raise BrokenRowError(TOO_LONG)
        self._row_size += len(line)
        if self._row_size > MAX_RECORD_BYTES:
            raise BrokenRowError(_ENDLESS)
        text = self._text(line)
        self.is_plain = self.is_plain and text.rstrip("\r\n").isprintable()
        self.is_guarded = self.is_guarded or _GUARD in text
        return text

    def _text(self, line: bytes) -> str:
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            text = line.decode("utf-8", "surrogateescape")
            if self.problem is None:
                self.problem, self.column = not_utf8(line), len(line[: error.start].decode("utf-8", "replace")) + 1
        return text if _CSV_TAKES_NULL else text.replace("\0", "\1")  # both are refused

    def go_back(self) -> None:
        """Go back to the second line of the row."""
        again = self._row[1:]
        self.used -= len(again)
        self._ahead.extendleft(reversed(again))

    def ahead(self, count: int | None = None) -> Iterator[str]:
        """Look at the next lines, as far as a record may be long; what cannot be decoded is replaced."""
        known = len(self._ahead)
        yield from map(_shown, islice(tuple(self._ahead), count))
        size = sum(len(line or b"") for line in self._ahead)
        for line in islice(self._fresh, None if count is None else max(0, count - known)):
            self._ahead.append(line)
            yield _shown(line)
            size += len(line or b"")
            if size > MAX_RECORD_BYTES:
                return


def _shown(line: bytes | None) -> str:
    text = (line or b"").decode("utf-8", "surrogateescape")
    return text if _CSV_TAKES_NULL else text.replace("\0", "\1")
