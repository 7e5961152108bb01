"""An unchecked record, and its position in a file or a list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.profile import SPELLINGS

MAX_RECORD_BYTES = 1024 * 1024  # a record has some 50 short attributes
ENVELOPE_KEYS = ("Records", "records")
_REJECT_KEYS = frozenset({"position", "stage", "code"})


class RawRecord(NamedTuple):
    """
    An unchecked record.

    :param position: for errors and rejects: ``a.csv, line 7`` or ``records[12]``
    :param record: the content; the text of the line if it is not a record at all
    :param problem: why it is not a record; the records around it are still readable
    :param is_plain: whether all of its values are known to be strings without forbidden characters
    """

    position: str
    record: object
    problem: str | None = None
    is_plain: bool = False

    def __repr__(self) -> str:
        """Show the position, not the values."""
        return f"RawRecord({self.position!r})"


class Source(Protocol):
    """Records that can be read more than once, from the beginning."""

    def read(self, notes: Notes) -> Iterator[RawRecord]:
        """
        Yield each record with its position.

        :param notes: what is odd about the input, and read all the same
        :raises IMIconnectInvalidRecordError: it cannot be read
        """

    def __iter__(self) -> Iterator[RawRecord]:
        """Yield each record, where nobody asks for notes."""

    @property
    def fraction(self) -> float:
        """How much of it has been read, from 0 to 1."""

    @property
    def version(self) -> str:
        """Identifies the content that was read."""


def raw_record(position: str, record: object) -> RawRecord:
    """Unwrap the record in a line of a rejects file: once corrected, that file is an input."""
    if not (isinstance(record, dict) and record.keys() >= _REJECT_KEYS):
        return RawRecord(position, record)
    if record.get("record") is None:
        return RawRecord(position, record, "this line of a rejects file holds no record to submit")
    return RawRecord(position, record["record"])


def is_single_record(value: Mapping[object, object]) -> bool:
    """Return whether it is a single record, as against the vendor's envelope around many."""
    return any(key in SPELLINGS for key in value)
