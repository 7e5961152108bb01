"""Records given as a frame: pandas, polars, Arrow, and whatever else has Arrow's C stream interface."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date

import msgspec

from airflow_imiconnect.attributes.values import is_missing
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.sources.options import ReadOptions
from airflow_imiconnect.records.sources.raw import RawRecord
from airflow_imiconnect.records.sources.tables.cells import ROWS_AT_ONCE, Cells, cell_records, cells_of
from airflow_imiconnect.records.sources.tables.columns import Columns
from airflow_imiconnect.records.sources.tables.frame_columns import WHERE, Frame, frame_columns, is_frame

__all__ = ["FrameSource", "is_frame"]


class FrameSource:
    """
    Records given as a frame, a row each.

    :param frame: a DataFrame of pandas or polars, an Arrow Table, RecordBatch or RecordBatchReader, or an object with
        ``__arrow_c_stream__``. All but those of pandas need pyarrow
    :param options: how rows are read
    :raises IMIconnectInvalidRecordError: it is not a table, or its columns have no names
    :raises IMIconnectRequestError: pyarrow is not installed
    """

    def __init__(self, frame: Frame, options: ReadOptions | None = None) -> None:
        self._columns = frame_columns(frame)
        self._options = options or ReadOptions()
        self._rows_read = 0

    def __iter__(self) -> Iterator[RawRecord]:
        """Yield each record with its row, 1 for the first."""
        return self.read(Notes())

    def read(self, notes: Notes) -> Iterator[RawRecord]:
        """
        Yield each record with its row, 1 for the first.

        :raises IMIconnectInvalidRecordError: its columns cannot be right
        """
        names = self._columns.names
        if names or self._columns.rows:
            yield from cell_records(self._blocks(), Columns(names, WHERE, self._options, notes), WHERE)

    @property
    def fraction(self) -> float:
        """How much of it has been read, from 0 to 1."""
        return self._rows_read / max(1, self._columns.rows)

    @property
    def version(self) -> str:
        """A digest of the content and of the options; empty if part of it has no JSON form."""
        digest = hashlib.sha256(repr((list(self._columns.names), self._options)).encode())
        try:
            for block in self._blocks():
                for row in zip(*block.values, strict=True):
                    digest.update(msgspec.json.encode(row, enc_hook=_plain) + b"\n")
        except (TypeError, ValueError, OverflowError, RecursionError):
            return ""
        return digest.hexdigest()[:16]

    def _blocks(self) -> Iterator[Cells]:
        _, readers, rows = self._columns
        for start in range(0, rows, ROWS_AT_ONCE):
            yield cells_of([read(start, start + ROWS_AT_ONCE) for read in readers])
            self._rows_read = min(start + ROWS_AT_ONCE, rows)


def _plain(value: object) -> object:
    if is_missing(value):
        return None
    if isinstance(value, str | date) or getattr(value, "ndim", None) == 0:  # a scalar of pandas or numpy
        return str(value)
    raise TypeError(type(value).__name__)
