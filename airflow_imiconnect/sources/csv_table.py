"""CSV tables as other systems write them: any usual delimiter and quote, line ends within cells."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from typing import Any

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.sources.files import TOO_LONG, BinaryFile, InputFile, decode, empty, lines
from airflow_imiconnect.sources.raw import MAX_RECORD_BYTES, RawRecord
from airflow_imiconnect.sources.tables import Columns, TableOptions

_DELIMITERS = ",;\t|"
_QUOTES = "\"'"
_EXCELS_HINT = "sep="  # files for Excel may begin with a line that names the delimiter: sep=;


def read_csv(source: InputFile, options: TableOptions) -> Iterator[RawRecord]:
    """
    Yield the record of each row, with the line that it begins on.

    :raises IMIconnectInvalidRecordError: it is no CSV, not UTF-8, or its head cannot be right
    """
    csv.field_size_limit(max(csv.field_size_limit(), MAX_RECORD_BYTES))  # the limit of a row is kept here
    with source.open_text() as file:
        text = _Text(file, source.where)
        dialect = _dialect(text, _delimiters(text, options), options)
        rows = _rows(text, dialect, source.where)
        head_line, names = next(rows)
        columns = Columns(names, f"{source.where}, line {head_line}", options)
        for line, row in rows:
            yield _record(f"{source.where}, line {line}", columns, row)


class _Text:
    """The lines of a file, of which the next may be looked at before they are used; no row may be endless."""

    def __init__(self, file: BinaryFile, where: str) -> None:
        self.where = where
        self.used = 0  # lines
        self._ahead: list[str] = []
        self._fresh = self._read(file)
        self._row_began, self._row_size = 1, 0

    def begin_row(self) -> int:
        """Return the line on which the next row begins."""
        self._row_began, self._row_size = self.used + 1, 0
        return self._row_began

    def __iter__(self) -> Iterator[str]:
        while self._ahead:
            self.used += 1
            yield self._ahead.pop(0)
        for line in self._fresh:
            self.used += 1
            yield line

    def ahead(self) -> Iterator[str]:
        """Look at the next lines."""
        yield from tuple(self._ahead)
        for line in self._fresh:
            self._ahead.append(line)
            yield line

    def _read(self, file: BinaryFile) -> Iterator[str]:
        for number, line in enumerate(lines(file), start=1):
            if line is None:
                raise IMIconnectInvalidRecordError(f"{self.where}, line {number}", TOO_LONG)
            self._row_size += len(line)
            if self._row_size > MAX_RECORD_BYTES:
                raise IMIconnectInvalidRecordError(f"{self.where}, line {self._row_began}", _ENDLESS)
            yield decode(line, self.where, number)


_ENDLESS = f"the row is longer than {MAX_RECORD_BYTES} bytes, which no record is: is a quote opened and not closed?"


def _delimiters(text: _Text, options: TableOptions) -> str:
    """Pass over what stands before the head; return the delimiters that may be the table's."""
    delimiters = options.delimiter or _DELIMITERS
    for line in text.ahead():
        if _names_delimiter(line):
            delimiters = options.delimiter or line.rstrip("\r\n")[-1]
        elif line.strip():
            return delimiters
        next(iter(text))
    raise empty(text.where)


def _names_delimiter(line: str) -> bool:
    return line.startswith(_EXCELS_HINT) and len(line.rstrip("\r\n")) == len(_EXCELS_HINT) + 1


def _dialect(text: _Text, delimiters: str, options: TableOptions) -> Any:  # noqa: ANN401 - as csv.reader wants it
    """Take the delimiter and the quote with which the head holds the id's column: it is there in every file."""
    head = next(text.ahead())
    dialects: list[Any] = [
        {
            "delimiter": delimiter,
            "quotechar": quote,
            "escapechar": options.escapechar,
            "doublequote": options.escapechar is None,
            "skipinitialspace": f"{delimiter} {quote}" in head,
            "strict": True,
        }
        for quote, delimiter in product(options.quotechar or _QUOTES, delimiters)
    ]
    for dialect in dialects:
        with suppress(csv.Error):
            names = next(csv.reader(text.ahead(), **dialect))
            if options.find_id([name.strip(" ") for name in names]) is not None:
                return dialect
    return dialects[0]


def _rows(text: _Text, dialect: Any, where: str) -> Iterator[tuple[int, list[str]]]:  # noqa: ANN401 - as above
    """Yield each row that is not blank, with the line that it begins on: a cell may hold line ends."""
    rows = csv.reader(text, **dialect)
    while True:
        line = text.begin_row()
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise IMIconnectInvalidRecordError(f"{where}, line {line}", f"no valid CSV: {error}") from None
        if row:
            yield line, row


def _record(position: str, columns: Columns, row: list[str]) -> RawRecord:
    if len(row) != len(columns):
        return RawRecord(position, row, f"the row has {len(row)} cells, the header {len(columns)} columns")
    return RawRecord(position, columns.record(row))
