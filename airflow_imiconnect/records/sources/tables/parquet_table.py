"""Parquet tables, read by row groups, a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

from airflow_imiconnect.attributes import Unreadable
from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.sources.files.compression import missing_package
from airflow_imiconnect.records.sources.files.input_file import BLOCK, InputFile
from airflow_imiconnect.records.sources.options import ReadOptions
from airflow_imiconnect.records.sources.raw import MAX_RECORD_BYTES, RawRecord
from airflow_imiconnect.records.sources.tables.columns import Columns

_ROWS_AT_ONCE = 1000
_RELEASE_EVERY = 50  # times
_BYTES_AT_ONCE = 4 * MAX_RECORD_BYTES


def read_parquet(source: InputFile, options: ReadOptions, notes: Notes) -> Iterator[RawRecord]:
    """
    Yield the record of each row, with its number, 1 for the first.

    :raises IMIconnectInvalidRecordError: it is no Parquet file, or damaged, or its columns cannot be right
    :raises IMIconnectRequestError: pyarrow is not installed
    """
    arrow = _pyarrow(source.where)
    number = 0
    with source.open() as file, _frugal(arrow):
        try:
            for number, (record, size, is_plain) in enumerate(
                _records(arrow, file, source.where, options, notes), start=1
            ):
                problem = _TOO_LONG if size > MAX_RECORD_BYTES else None
                yield RawRecord(f"{source.where}, row {number}", None if problem else record, problem, is_plain)
        except (arrow.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk or the network, not the content
            where = f"{source.where}, after row {number}" if number else source.where
            raise IMIconnectInvalidRecordError(where, f"no Parquet, or damaged ({type(error).__name__})") from None


_TOO_LONG = f"the row is longer than {MAX_RECORD_BYTES} bytes, which no record is"


def _pyarrow(where: str) -> Any:  # noqa: ANN401 - pyarrow has no types
    try:
        import pyarrow.parquet  # noqa: PLC0415 - it comes with the extra "parquet" only, and takes its time
    except ImportError:
        raise missing_package(f"{where}: Parquet files need pyarrow", "parquet") from None
    return pyarrow


@contextmanager
def _frugal(arrow: Any) -> Iterator[None]:  # noqa: ANN401 - as above
    """Give memory back when it is free: pyarrow's own pools keep some."""
    usual = arrow.default_memory_pool()
    arrow.set_memory_pool(arrow.system_memory_pool())
    try:
        yield
    finally:
        arrow.set_memory_pool(usual)


def _records(
    arrow: Any, file: IO[bytes], where: str, options: ReadOptions, notes: Notes
) -> Iterator[tuple[object, int, bool]]:
    """Yield the record of each row, its size if it may be too long, and whether it is plain."""
    table = arrow.parquet.ParquetFile(file, buffer_size=BLOCK, pre_buffer=False, page_checksum_verification=True)
    rows_at_once = _rows_at_once(table.metadata)
    if not rows_at_once:
        raise IMIconnectInvalidRecordError(where, _TOO_LONG)
    columns = Columns(table.schema_arrow.names, where, options, notes)
    for number, batch in enumerate(table.iter_batches(rows_at_once, use_threads=False)):
        if number % _RELEASE_EVERY == 0:  # several threads read in turn, and each of them would keep some
            arrow.default_memory_pool().release_unused()
        is_long = batch.nbytes > MAX_RECORD_BYTES
        values = [_values(arrow, column) for column in batch.columns]
        is_plain = columns.is_plain and _are_plain(arrow, batch.columns, values)
        for cells in zip(*values, strict=True):
            size = sum(len(cell) for cell in cells if isinstance(cell, str)) if is_long else 0
            yield columns.record(cells), size, is_plain


def _values(arrow: Any, column: Any) -> Sequence[object]:  # noqa: ANN401 - as above
    kind = column.type
    if arrow.types.is_timestamp(kind) and kind.unit == "ns":  # Python's datetime ends at the microsecond
        column = column.cast(arrow.timestamp("us", kind.tz), safe=False)
    try:
        values: list[object] = column.to_pylist()
    except (ValueError, ArithmeticError, LookupError):
        return [_value(cell) for cell in column]
    return values


def _are_plain(arrow: Any, columns: Sequence[Any], values: Sequence[Sequence[object]]) -> bool:  # noqa: ANN401 - as above
    """Return whether the cells of some rows are all strings without forbidden characters."""
    if not all(arrow.types.is_string(column.type) for column in columns):
        return False
    return all(map(_is_plain, values))


def _is_plain(values: Sequence[Any]) -> bool:
    try:
        return "".join(filter(None, values)).isprintable()
    except TypeError:  # one of them is Unreadable
        return False


def _value(cell: Any) -> object:  # noqa: ANN401 - as above
    try:
        value: object = cell.as_py()
    except (ValueError, ArithmeticError, LookupError):  # a date after the year 9999, a text that is not UTF-8
        return Unreadable()
    return value


def _rows_at_once(metadata: Any) -> int:  # noqa: ANN401 - as above
    """Return how many rows are decoded together: few, where rows are long, and none where no record is as long."""
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    longest = max((group.total_byte_size // max(1, group.num_rows) for group in groups), default=0)
    return 0 if longest > MAX_RECORD_BYTES else max(1, min(_ROWS_AT_ONCE, _BYTES_AT_ONCE // max(1, longest)))
