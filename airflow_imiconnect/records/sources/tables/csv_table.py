"""CSV tables as other systems write them: any usual delimiter and quote, line ends within cells."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.sources.files.input_file import InputFile
from airflow_imiconnect.records.sources.options import ReadOptions
from airflow_imiconnect.records.sources.raw import MAX_RECORD_BYTES, RawRecord
from airflow_imiconnect.records.sources.tables.columns import ANOTHER_HEADER, BAD_CELLS, Columns, problem_of
from airflow_imiconnect.records.sources.tables.csv_dialect import Dialect, find_header
from airflow_imiconnect.records.sources.tables.csv_text import BrokenRowError, CsvText

_GUARDED = '="'


class _Row(NamedTuple):
    line: int
    cells: Sequence[str | None]
    problem: str | None = None
    column: int | None = None


def read_csv(source: InputFile, options: ReadOptions, notes: Notes, *, is_mysql: bool = False) -> Iterator[RawRecord]:
    """
    Yield the record of each row, with the line that it begins on. A row that cannot be read leaves the others readable.

    :param is_mysql: whether the file is one of MySQL's ``SELECT … INTO OUTFILE``
    :raises IMIconnectInvalidRecordError: it is no CSV, or its header row cannot be right
    """
    csv.field_size_limit(max(csv.field_size_limit(), MAX_RECORD_BYTES))  # the limit of a row is kept here
    with source.open_text() as file:
        text = CsvText(file, source.where)
        try:
            dialect = find_header(text, options, is_mysql=is_mysql)
        except BrokenRowError as error:
            raise IMIconnectInvalidRecordError(f"{source.where}, line {text.used}", str(error)) from None
        rows = _rows(text, dialect)
        columns = _columns(source.where, next(rows), options, notes)
        for row in rows:
            yield _record(source.where, columns, row, text, notes)


def _columns(where: str, head: _Row, options: ReadOptions, notes: Notes) -> Columns:
    """Return the columns; empty names at the end stand for delimiters too many."""
    position = f"{where}, line {head.line}"
    if head.problem:
        position = f"{position}, column {head.column}" if head.column else position
        raise IMIconnectInvalidRecordError(position, head.problem)
    kept = [name or "" for name in head.cells]
    while len(kept) > 1 and not kept[-1].strip() and "" not in options.columns:
        kept.pop()
    return Columns(kept, position, options, notes)


def _rows(text: CsvText, dialect: Dialect) -> Iterator[_Row]:
    """Yield each row that is not blank. After a row that cannot be read, its second line begins the next one."""
    rows = dialect.reader(text)
    while True:
        line = text.begin_row()
        try:
            cells = next(rows)
        except StopIteration:
            return
        except BrokenRowError as error:
            yield _Row(line, [], str(error))
        except csv.Error as error:
            yield _Row(line, [], f"not valid CSV: {error}{dialect.hint(text)}")
        else:
            if cells:
                yield _Row(line, cells, text.problem, text.column)
            continue
        text.go_back()
        rows = dialect.reader(text)


def _record(where: str, columns: Columns, row: _Row, text: CsvText, notes: Notes) -> RawRecord:
    position = f"{where}, line {row.line}"
    cells = row.cells
    if row.problem:
        position = f"{position}, column {row.column}" if row.column else position
        return RawRecord(position, cells or None, row.problem)
    if len(cells) != len(columns):
        cells, problem = _fitting(cells, len(columns))
        if problem:
            return RawRecord(position, cells, problem)
    if columns.is_header(cells):
        return RawRecord(position, cells, ANOTHER_HEADER)
    if text.is_guarded:
        cells = _unguarded(cells, position, notes)
    try:
        return RawRecord(position, columns.record(cells), None, text.is_plain and columns.is_plain)
    except BAD_CELLS as error:
        return RawRecord(position, cells, problem_of(error))


def _fitting(cells: Sequence[str | None], count: int) -> tuple[Sequence[str | None], str | None]:
    """
    Return as many cells as there are columns, and what is wrong with the row.

    Missing cells at the end are empty, empty ones beyond the header are nothing. A single cell is a title or a footer,
    not a record.
    """
    kept = [*cells[:count], *[None] * (count - len(cells))]
    if any(cell and cell.strip() for cell in cells[count:]):
        return cells, f"the row has {len(cells)} cells, the header {count} columns"
    if len(cells) == 1:
        return cells, f"the row has 1 cell, the header {count} columns: is it a title or a footer?"
    return kept, None


def _unguarded(cells: Sequence[str | None], position: str, notes: Notes) -> Sequence[str | None]:
    """Take off the ="…" with which a file tells Excel that digits are text."""
    plain = [cell[2:-1] if cell and _is_guarded(cell) else cell for cell in cells]
    if plain != [*cells]:
        notes.add('cells are written as ="…", for Excel; what is between the quotes is sent', position)
    return plain


def _is_guarded(cell: str) -> bool:
    return cell.startswith(_GUARDED) and cell.endswith('"') and len(cell) > len(_GUARDED)
