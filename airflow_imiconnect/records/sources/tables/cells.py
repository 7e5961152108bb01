"""The cells of some rows, column by column, as Parquet and frames hold them -> raw records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from airflow_imiconnect.records.sources.raw import MAX_RECORD_BYTES, RawRecord
from airflow_imiconnect.records.sources.tables.columns import BAD_CELLS, Columns, problem_of

ROWS_AT_ONCE = 1000
TOO_LONG = f"the row is longer than {MAX_RECORD_BYTES} bytes, which no record is"
_TEXT = frozenset({str, type(None)})
_SIZED = frozenset({str, bytes, dict, list, tuple})


class Cells(NamedTuple):
    """
    The cells of some rows.

    :param values: those of each column
    :param is_plain: whether all of them are strings without forbidden characters, or None
    :param is_long: whether one of the rows may be too long for a record
    """

    values: Sequence[Sequence[object]]
    is_plain: bool
    is_long: bool


def cell_records(blocks: Iterable[Cells], columns: Columns, where: str) -> Iterator[RawRecord]:
    """Yield the record of each row, with its number, 1 for the first."""
    number = 0
    for block in blocks:
        is_plain, is_long = block.is_plain and columns.is_plain, block.is_long
        for cells in zip(*block.values, strict=True):
            number += 1
            position = f"{where}, row {number}"
            if is_long and _size(cells) > MAX_RECORD_BYTES:
                yield RawRecord(position, None, TOO_LONG)
                continue
            try:
                raw = RawRecord(position, columns.record(cells), None, is_plain)
            except BAD_CELLS as error:
                raw = RawRecord(position, cells, problem_of(error))
            yield raw


def cells_of(values: Sequence[Sequence[object]]) -> Cells:
    """Return the cells of some rows, of whatever types they are."""
    is_plain, length = True, 0
    for column in values:
        kinds = set(map(type, column))
        text = joined_text(column) if kinds <= _TEXT else None
        is_plain = is_plain and text is not None and text.isprintable()
        if text is not None:
            length += len(text)
        elif not kinds.isdisjoint(_SIZED):
            length += sum(map(_size, column))
    return Cells(values, is_plain, length > MAX_RECORD_BYTES)


def joined_text(values: Sequence[object]) -> str | None:
    """Return the strings of a column as one; None if some are not strings. None and "" are cells without a value."""
    try:
        return "".join(filter(None, values))  # type: ignore[arg-type]
    except TypeError:
        return None


def _size(value: object) -> int:
    """Return how long the strings of a row are together."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, Mapping):
        return sum(map(_size, value.values()))
    return sum(map(_size, value)) if isinstance(value, list | tuple) else 0
