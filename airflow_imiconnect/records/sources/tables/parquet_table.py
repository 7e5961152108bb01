"""Parquet tables, read by row groups, a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.sources.files.input_file import BLOCK, InputFile
from airflow_imiconnect.records.sources.options import ReadOptions
from airflow_imiconnect.records.sources.raw import MAX_RECORD_BYTES, RawRecord
from airflow_imiconnect.records.sources.tables.arrow_values import Arrow, is_text, load_pyarrow, python_values
from airflow_imiconnect.records.sources.tables.cells import ROWS_AT_ONCE, TOO_LONG, Cells, cell_records, joined_text
from airflow_imiconnect.records.sources.tables.columns import Columns

_RELEASE_EVERY = 50  # times
_BYTES_AT_ONCE = 4 * MAX_RECORD_BYTES


def read_parquet(source: InputFile, options: ReadOptions, notes: Notes) -> Iterator[RawRecord]:
    """
    Yield the record of each row, with its number, 1 for the first.

    :raises IMIconnectInvalidRecordError: it is not a Parquet file, or damaged, or its columns cannot be right
    :raises IMIconnectRequestError: pyarrow is not installed
    """
    arrow = load_pyarrow(f"{source.where}: Parquet files")
    raw = None
    with source.open() as file, _frugal(arrow):
        try:
            for raw in _records(arrow, file, source.where, options, notes):
                yield raw
        except (arrow.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk or the network, not the content
            where = raw.position.replace(f"{source.where}, ", f"{source.where}, after ") if raw else source.where
            reason = f"not Parquet, or damaged ({type(error).__name__})"
            raise IMIconnectInvalidRecordError(where, reason) from None


@contextmanager
def _frugal(arrow: Arrow) -> Iterator[None]:
    """Give memory back when it is free: pyarrow's own pools keep some."""
    usual = arrow.default_memory_pool()
    arrow.set_memory_pool(arrow.system_memory_pool())
    try:
        yield
    finally:
        arrow.set_memory_pool(usual)


def _records(arrow: Arrow, file: IO[bytes], where: str, options: ReadOptions, notes: Notes) -> Iterator[RawRecord]:
    table = arrow.parquet.ParquetFile(file, buffer_size=BLOCK, pre_buffer=False, page_checksum_verification=True)
    rows_at_once = _rows_at_once(table.metadata)
    if not rows_at_once:
        raise IMIconnectInvalidRecordError(where, TOO_LONG)
    columns = Columns(table.schema_arrow.names, where, options, notes)
    return cell_records(_blocks(arrow, table, rows_at_once), columns, where)


def _blocks(arrow: Arrow, table: Any, rows_at_once: int) -> Iterator[Cells]:  # noqa: ANN401 - pyarrow's
    are_text = all(is_text(arrow, kind) for kind in table.schema_arrow.types)
    for number, batch in enumerate(table.iter_batches(rows_at_once, use_threads=False)):
        if number % _RELEASE_EVERY == 0:  # several threads read in turn, and each of them would keep some
            arrow.default_memory_pool().release_unused()
        values = [python_values(arrow, column) for column in batch.columns]
        is_plain = are_text and all(map(_is_plain, values))
        yield Cells(values, is_plain, batch.nbytes > MAX_RECORD_BYTES)


def _is_plain(values: Sequence[object]) -> bool:
    text = joined_text(values)
    return text is not None and text.isprintable()


def _rows_at_once(metadata: Any) -> int:  # noqa: ANN401 - as above
    """Return how many rows are decoded together: few, where rows are long, and none where no record is as long."""
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    longest = max((group.total_byte_size // max(1, group.num_rows) for group in groups), default=0)
    return 0 if longest > MAX_RECORD_BYTES else max(1, min(ROWS_AT_ONCE, _BYTES_AT_ONCE // max(1, longest)))
