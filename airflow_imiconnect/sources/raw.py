"""A record nobody has checked, and how it is found in what a file or a task gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from airflow_imiconnect.models import SPELLINGS

MAX_RECORD_BYTES = 1024 * 1024  # a record has some 50 short attributes; whatever is larger is none
ENVELOPE_KEYS = ("Records", "records")
_REJECT_KEYS = frozenset({"position", "stage", "code"})


class RawRecord(NamedTuple):
    """
    A record nobody has checked.

    :param position: where it stands, for errors and rejects: ``a.csv, line 7`` or ``records[12]``
    :param record: what stands there; the text of the line where that is no record at all
    :param problem: why it is none, so that the records around it can still be read
    :param is_text: whether all that it holds is known to be texts already
    """

    position: str
    record: object
    problem: str | None = None
    is_text: bool = False

    def __repr__(self) -> str:
        """Name the place, not the values."""
        return f"RawRecord({self.position!r})"


def raw_record(position: str, record: object) -> RawRecord:
    """Take the record out of a line of a rejects file: that file, mended, is an input again."""
    if not (isinstance(record, dict) and record.keys() >= _REJECT_KEYS):
        return RawRecord(position, record)
    if record.get("record") is None:
        return RawRecord(position, record, "this line of a rejects file holds no record to submit")
    return RawRecord(position, record["record"])


def is_single_record(value: Mapping[object, object]) -> bool:
    """Tell a record that stands alone from the vendor's envelope around many."""
    return any(key in SPELLINGS for key in value)
