"""The text files of MySQL's ``SELECT … INTO OUTFILE`` and PostgreSQL's ``COPY``: a backslash escapes anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

NULL = "\\N"
_LETTERS = {"0": "\0", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "Z": "\x1a"}
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED_END = re.compile(r"(?<!\\)(?:\\\\)*\\\r?\n?$")
_END_OF_COPY = "\\."


def mysql_rows(lines: Iterable[str], delimiter: str, quotechar: str | None) -> Iterator[list[str | None]]:
    r"""
    Yield the cells of each row; None for ``\N``, which stands for a missing value.

    :param quotechar: what stands around a cell (``ENCLOSED BY``); None for nothing
    """
    cell, row = _cell_pattern(re.escape(delimiter), re.escape(quotechar or "")), ""
    for line in lines:
        row += line
        if _ESCAPED_END.search(line):
            continue
        text, row = row.removesuffix("\n").removesuffix("\r"), ""
        if text == _END_OF_COPY:
            return
        yield [_value(found, quotechar) for found in _cells(cell, text)] if text else []
    if row:
        yield [_value(found, quotechar) for found in _cells(cell, row)]


def _cell_pattern(delimiter: str, quote: str) -> re.Pattern[str]:
    plain = rf"(?:[^\\{delimiter}]|\\.)*\\?"
    quoted = rf"{quote}(?:[^\\{quote}]|\\.|{quote}{quote})*{quote}(?={delimiter}|$)|" if quote else ""
    return re.compile(f"({quoted}{plain})(?:{delimiter}|$)", re.DOTALL)


def _cells(cell: re.Pattern[str], text: str) -> Iterator[str]:
    at = 0
    while at <= len(text) and (found := cell.match(text, at)):
        yield found[1]
        at = found.end() if found.end() > found.end(1) else len(text) + 1


def _value(cell: str, quotechar: str | None) -> str | None:
    if cell == NULL:
        return None
    if quotechar and len(cell) > 1 and cell[0] == cell[-1] == quotechar:
        cell = cell[1:-1].replace(quotechar * 2, quotechar)
    return _ESCAPED.sub(_letter, cell) if "\\" in cell else cell


def _letter(found: re.Match[str]) -> str:
    return _LETTERS.get(found[1], found[1])
