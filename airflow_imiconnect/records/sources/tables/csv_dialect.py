"""Which delimiter, quote and escape a CSV file has, and where its header row is."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.records.sources.files.text import EmptyFileError
from airflow_imiconnect.records.sources.options import ReadOptions
from airflow_imiconnect.records.sources.tables.csv_text import CsvText
from airflow_imiconnect.records.sources.tables.mysql_text import mysql_rows

_DELIMITERS = ",;\t|"
_QUOTES = "\"'"
_EXCELS_HINT = "sep="  # files for Excel may begin with a line that names the delimiter: sep=;
_LOOKS_AHEAD = 30  # rows, for a header that does not come first


@dataclass(frozen=True)
class Dialect:
    r"""
    How a file's rows are written.

    :param delimiter: what stands between cells
    :param quotechar: what stands around a cell; None for nothing
    :param escapechar: what stands before a quote within a quoted cell; None where it is doubled
    :param is_mysql: whether a backslash escapes anywhere, and ``\N`` stands for a missing value
    :param skipinitialspace: whether a blank follows each delimiter
    """

    delimiter: str
    quotechar: str | None
    escapechar: str | None = None
    is_mysql: bool = False
    skipinitialspace: bool = False

    def reader(self, lines: Iterable[str]) -> Iterator[Sequence[str | None]]:
        """Return the rows of some lines; each raises csv.Error if it is not valid."""
        settings: dict[str, Any] = {"delimiter": self.delimiter, "skipinitialspace": self.skipinitialspace}
        settings |= {"quotechar": self.quotechar} if self.quotechar else {"quoting": csv.QUOTE_NONE}
        if self.is_mysql:
            return mysql_rows(lines, self.delimiter, self.quotechar)
        if self.escapechar:
            lines = _with_doubled_quotes(lines, self)
        return csv.reader(lines, strict=True, **settings)

    def hint(self, text: CsvText) -> str:
        """Return what may help with a row that is not valid."""
        if not self.escapechar and text.has_escaped_quote:
            return ". If a backslash stands before quotes within cells, set escapechar='\\\\'"
        return ""


def find_header(text: CsvText, options: ReadOptions, *, is_mysql: bool) -> Dialect:
    """
    Pass over what stands before the header row; return the dialect with which it holds the id's column.

    :raises IMIconnectInvalidRecordError: the file is empty, or the header row seems to come later
    """
    for _ in islice(text, options.skip_rows):
        text.begin_row()
    delimiters = _delimiters(text, options, "\t" if is_mysql else _DELIMITERS)
    dialects = _dialects(next(text.ahead()), delimiters, options, is_mysql=is_mysql)
    names = {dialect: _names(text, dialect) for dialect in dialects}
    fitting = [dialect for dialect in dialects if options.find_id(names[dialect]) is not None]
    for dialect in () if fitting else dialects:
        _look_further(text, dialect, options)
    return max(fitting or dialects, key=lambda dialect: len(names[dialect]))


def _dialects(head: str, delimiters: str, options: ReadOptions, *, is_mysql: bool) -> list[Dialect]:
    if is_mysql:
        return [Dialect(delimiter, options.quotechar, is_mysql=True) for delimiter in delimiters]
    return [
        Dialect(delimiter, quote, options.escapechar, skipinitialspace=f"{delimiter} {quote}" in head)
        for quote, delimiter in product(options.quotechar or _QUOTES, delimiters)
    ]


def _delimiters(text: CsvText, options: ReadOptions, usual: str) -> str:
    """Pass over blank lines, and over Excel's hint; return the delimiters that may be the table's."""
    delimiters = options.delimiter or usual
    for line in text.ahead():
        if _names_delimiter(line):
            delimiters = options.delimiter or line.rstrip("\r\n")[-1]
        elif line.strip():
            return delimiters
        next(iter(text))
    raise EmptyFileError(text.where)


def _names_delimiter(line: str) -> bool:
    return line.startswith(_EXCELS_HINT) and len(line.rstrip("\r\n")) == len(_EXCELS_HINT) + 1


def _names(text: CsvText, dialect: Dialect) -> list[str]:
    with suppress(csv.Error, StopIteration):
        return [(name or "").strip() for name in next(dialect.reader(text.ahead()))]
    return []


def _look_further(text: CsvText, dialect: Dialect, options: ReadOptions) -> None:
    """Raise an error if one of the next lines looks like the header row."""
    for number, line in enumerate(text.ahead(_LOOKS_AHEAD)):
        with suppress(csv.Error, StopIteration):
            names = [(name or "").strip() for name in next(dialect.reader([line]))]
            if number and options.find_id(names) is not None:
                skipped = text.used + number
                raise IMIconnectInvalidRecordError(
                    f"{text.where}, line {text.used + 1}",
                    f"the header row seems to be on line {skipped + 1} (its columns: {', '.join(names)}): set "
                    f"skip_rows={skipped}",
                )


def _with_doubled_quotes(lines: Iterable[str], dialect: Dialect) -> Iterator[str]:
    """
    Yield lines in which a quote within a cell is doubled, as csv wants it.

    The escape counts within quotes only, and before a quote or itself: elsewhere it is a character like others.
    """
    quote, escape = str(dialect.quotechar), str(dialect.escapechar)
    starts = re.compile(f"(?:^|{re.escape(dialect.delimiter)}) *{re.escape(quote)}")
    inside = re.compile(f"{re.escape(escape)}[{re.escape(escape + quote)}]|{re.escape(quote)}{{1,2}}")
    is_open = False
    for line in lines:
        parts, at = [], 0
        while found := (inside if is_open else starts).search(line, at):
            sign = found[0]
            is_escaped = is_open and sign.startswith(escape)
            is_open = not is_open or is_escaped or len(sign) > 1
            if is_escaped:
                sign = quote * 2 if sign.endswith(quote) else escape
            parts += [line[at : found.start()], sign]
            at = found.end()
        yield "".join([*parts, line[at:]])
