"""Records given as a list."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from pydantic import BaseModel

from airflow_imiconnect.attributes import kind_of
from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.sources.options import ReadOptions
from airflow_imiconnect.records.sources.raw import ENVELOPE_KEYS, RawRecord, is_single_record
from airflow_imiconnect.records.sources.tables.rows import Rows

_WANTED = "records must be a list of records"
_NAMELESS = (
    "this is a row without the names of its columns: return dicts, {column: value, …}, from the upstream task, or give "
    "the query itself to the operator (sql)"
)


class ListSource:
    """
    Records given as a list: one AppProfile, dict or row each, or the vendor's envelope around such a list.

    A list of such lists, as a mapped upstream task returns it, is one list.

    :param options: how flat rows are read
    """

    def __init__(self, records: object, options: ReadOptions | None = None) -> None:
        self._options = options or ReadOptions()
        self._records = _records_of(records, self._options)

    def read(self, notes: Notes) -> Iterator[RawRecord]:
        """Yield each record with its index."""
        rows = Rows(self._options, notes)
        for index, record in enumerate(self._records):
            self._read = index + 1
            if isinstance(record, dict):
                yield rows.read(f"records[{index}]", record)
            else:
                yield from one_or_many(f"records[{index}]", record, rows)
        rows.finish("records")

    def __iter__(self) -> Iterator[RawRecord]:
        """Yield each record with its index, where nobody asks for notes."""
        return self.read(Notes())

    def __len__(self) -> int:
        return len(self._records)

    _read = 0

    @property
    def version(self) -> str:
        """A digest of the content; empty if part of it has no JSON form."""
        digest = hashlib.sha256(b"" if self._options == ReadOptions() else repr(self._options).encode())
        try:
            for record in self._records:
                digest.update(msgspec.json.encode(record, enc_hook=_plain) + b"\n")
        except (TypeError, ValueError, OverflowError, RecursionError):
            return ""
        return digest.hexdigest()[:16]

    @property
    def fraction(self) -> float:
        """How much of it has been read, from 0 to 1."""
        return self._read / max(1, len(self._records))


def one_or_many(position: str, record: object, rows: Rows) -> Iterator[RawRecord]:
    """Yield a record, or those of a list within the list."""
    if not isinstance(record, list | tuple) or not all(isinstance(each, Mapping | BaseModel) for each in record):
        yield _raw(position, record, rows)
        return
    for index, each in enumerate(record):
        yield _raw(f"{position}[{index}]", each, rows)


def _raw(position: str, record: object, rows: Rows) -> RawRecord:
    row = as_mapping(record)
    if isinstance(row, list | tuple):
        return RawRecord(position, row, _NAMELESS)
    return rows.read(position, row)


def as_mapping(record: Any) -> object:  # noqa: ANN401 - whatever an upstream task returns
    """Return a named tuple, or a row of a database, as a mapping."""
    if isinstance(record, tuple) and hasattr(record, "_asdict"):
        return record._asdict()
    mapping = getattr(record, "_mapping", None) if isinstance(record, Sequence) else None
    if isinstance(mapping, Mapping):
        return dict(mapping)
    if hasattr(record, "keys") and hasattr(record, "__getitem__") and not isinstance(record, Mapping):
        return {key: record[key] for key in record.keys()}  # noqa: SIM118 - sqlite3.Row
    return record


def _records_of(value: object, options: ReadOptions) -> Sequence[object]:
    where = "records"
    if isinstance(value, Mapping):
        envelope = [key for key in ENVELOPE_KEYS if key in value]
        is_single = is_single_record(value) or Rows(options, Notes()).is_row(value)
        if is_single and not envelope:
            return [value]
        if is_single or len(envelope) != 1:
            raise IMIconnectInvalidRecordError(where, f'{_WANTED} or {{"Records": […]}}, not another object')
        value, where = value[envelope[0]], f"records.{envelope[0]}"
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise IMIconnectInvalidRecordError(where, f"{_WANTED}, this is {kind_of(value)}")
    return value


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump()
    raise TypeError(type(value).__name__)
