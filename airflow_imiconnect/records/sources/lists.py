"""Records given as a list."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from pydantic import BaseModel

from airflow_imiconnect.attributes import kind_of
from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.records.sources.raw import ENVELOPE_KEYS, RawRecord, is_single_record

_WANTED = "records must be a list of records"


class ListSource:
    """Records given as a list: one AppProfile or dict each, or the vendor's envelope around such a list."""

    def __init__(self, records: object) -> None:
        self._records = _records_of(records)

    def __iter__(self) -> Iterator[RawRecord]:
        """Yield each record with its index."""
        for index, record in enumerate(self._records):
            self._read = index + 1
            yield RawRecord(f"records[{index}]", record)

    def __len__(self) -> int:
        return len(self._records)

    _read = 0

    @property
    def version(self) -> str:
        """A digest of the content; empty if part of it has no JSON form."""
        digest = hashlib.sha256()
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


def _records_of(value: object) -> Sequence[object]:
    where = "records"
    if isinstance(value, Mapping):
        envelope = [key for key in ENVELOPE_KEYS if key in value]
        if is_single_record(value) and not envelope:
            return [value]
        if is_single_record(value) or len(envelope) != 1:
            raise IMIconnectInvalidRecordError(where, f'{_WANTED} or {{"Records": […]}}, not another object')
        value, where = value[envelope[0]], f"records.{envelope[0]}"
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise IMIconnectInvalidRecordError(where, f"{_WANTED}, this is {kind_of(value)}")
    return value


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump()
    raise TypeError(type(value).__name__)
