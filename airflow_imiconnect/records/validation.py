"""Raw records -> checked records: records that can never be valid are refused before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from airflow_imiconnect.attributes import RecordProblem
from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.profile import Note, read_record, to_wire
from airflow_imiconnect.records.sources.raw import RawRecord


class CheckedRecord(NamedTuple):
    """A record that can be sent, and its position."""

    position: str
    customer_id: str
    attributes: Mapping[str, str]

    def to_wire(self) -> dict[str, object]:
        """Return the record as it is sent."""
        return to_wire(self.customer_id, self.attributes)

    def __repr__(self) -> str:
        """Show the position and the customer, not the values."""
        return f"CheckedRecord({self.position!r}, {self.customer_id!r})"


def check_records(
    source: Iterable[RawRecord],
    *,
    strict: bool = False,
    on_problem: Callable[[RawRecord, IMIconnectInvalidRecordError], None] | None = None,
    notes: Notes | None = None,
) -> Iterator[CheckedRecord]:
    """
    Yield the records that can be sent.

    :param on_problem: is handed each of the others; without it the first one ends the reading
    :param notes: what is odd about a record that can be sent all the same; None where nobody asks
    :raises IMIconnectInvalidRecordError: names the place, the field and the reason
    """
    note = None if notes is None else notes.here
    for raw in source:
        if notes is not None:
            notes.at = raw.position
        try:
            checked = _check(raw, strict, note)
        except RecordProblem as problem:
            error = IMIconnectInvalidRecordError(raw.position, problem.reason, field=problem.name)
            if on_problem is None:
                raise error from None
            on_problem(raw, error)
        else:
            yield checked


def _check(raw: RawRecord, strict: bool, note: Note | None) -> CheckedRecord:  # noqa: FBT001 - names cost time
    position, record, problem, is_plain = raw
    if problem:
        raise RecordProblem(None, problem)
    return CheckedRecord(position, *read_record(record, strict=strict, is_plain=is_plain, note=note))
