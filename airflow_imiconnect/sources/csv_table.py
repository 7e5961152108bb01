"""CSV tables as other systems write them: any usual delimiter and quote, line ends within cells."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, product
from typing import Any

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.sources.files import TOO_LONG, BinaryFile, InputFile, decode, empty, lines
from airflow_imiconnect.sources.raw import RawRecord
from airflow_imiconnect.sources.tables import Columns, TableOptions

_DELIMITERS = ",;\t|"
_QUOTES = "\"'"
_EXCELS_HINT = "sep="  # files for Excel may begin with a line that names the delimiter: sep=;


def read_csv(source: InputFile, options: TableOptions) -> Iterator[RawRecord]:
    """
    Yield the record of each row, with the line that it begins on.

    :raises IMIconnectInvalidRecordError: it is no CSV, not UTF-8, or its head cannot be right
    """
    with source.open_text() as file:
        texts = enumerate(_texts(file, source.where), start=1)
        number, head = next(texts, (0, ""))
        delimiters = options.delimiter or _DELIMITERS
        while (number and not head.strip()) or _names_delimiter(head):
            delimiters = options.delimiter or head.strip()[len(_EXCELS_HINT) :] or delimiters
            number, head = next(texts, (0, ""))
        if not number:
            raise empty(source.where)
        dialect = _dialect(head, delimiters, options)
        rows = _rows(chain([head], (text for _, text in texts)), number, dialect, source.where)
        head_line, names = next(rows)
        columns = Columns(names, f"{source.where}, line {head_line}", options)
        for line, row in rows:
            yield _record(f"{source.where}, line {line}", columns, row)


def _texts(file: BinaryFile, where: str) -> Iterator[str]:
    for number, line in enumerate(lines(file), start=1):
        if line is None:
            raise IMIconnectInvalidRecordError(f"{where}, line {number}", TOO_LONG)
        yield decode(line, where, number)


def _names_delimiter(line: str) -> bool:
    return line.startswith(_EXCELS_HINT) and len(line.rstrip("\r\n")) == len(_EXCELS_HINT) + 1


def _dialect(head: str, delimiters: str, options: TableOptions) -> Any:  # noqa: ANN401 - as csv.reader wants it
    """Take the delimiter and the quote with which the head holds the id's column: it is there in every file."""
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
            names = next(csv.reader([head], **dialect))
            if options.find_id([name.strip() for name in names]) is not None:
                return dialect
    return dialects[0]


def _rows(
    texts: Iterable[str],
    first: int,
    dialect: Any,  # noqa: ANN401 - as above
    where: str,
) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank, with the line that it begins on: a cell may hold line ends."""
    rows = csv.reader(texts, **dialect)
    while True:
        line = first + rows.line_num
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
