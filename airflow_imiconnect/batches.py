"""Raw records -> checked records -> batches of at most 100, each with a key that is the digest of its content."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from airflow_imiconnect.attributes import RecordProblem
from airflow_imiconnect.errors import IMIconnectInvalidRecordError, IMIconnectRequestError
from airflow_imiconnect.models import AppProfile, read_record, to_wire
from airflow_imiconnect.protocol import MAX_RECORDS_PER_CALL, Operation
from airflow_imiconnect.sources import RawRecord


class CheckedRecord(NamedTuple):
    """A record fit to be sent, and where it stands."""

    position: str
    customer_id: str
    attributes: Mapping[str, str]

    def to_wire(self) -> dict[str, object]:
        """Return the record as it is sent."""
        return to_wire(self.customer_id, self.attributes)

    def __repr__(self) -> str:
        """Name the place and the customer, not the values."""
        return f"CheckedRecord({self.position!r}, {self.customer_id!r})"


@dataclass(frozen=True)
class Batch:
    """
    What one call submits.

    :param operation: what is done with the records
    :param app_id: in which app
    :param records: at most 100
    :param body: the vendor's envelope around them, as JSON
    :param key: the digest of all these: the same content has the same key, and no other has; only where a source
        repeats a whole batch, the second one gets a key of its own
    """

    operation: Operation
    app_id: str
    records: tuple[CheckedRecord, ...] = field(repr=False)
    body: bytes = field(repr=False)
    key: str

    @classmethod
    def of(cls, operation: Operation, app_id: str, records: Sequence[CheckedRecord], seen: Counter[str]) -> Batch:
        """Encode the records; ``seen`` counts the contents that there have been."""
        body = encode(records)
        key = _digest(operation.name, app_id, body)
        seen[key] += 1
        if seen[key] > 1:
            key = _digest(key, str(seen[key]))
        return cls(operation, app_id, tuple(records), body, key)

    @property
    def values(self) -> Iterator[str]:
        """All values of all attributes."""
        return (value for record in self.records for value in record.attributes.values())

    def halves(self) -> tuple[Batch, Batch]:
        """Return the two batches that stand for this one."""
        middle = len(self.records) // 2
        return self._part(0, self.records[:middle]), self._part(1, self.records[middle:])

    def _part(self, number: int, records: Sequence[CheckedRecord]) -> Batch:
        body = encode(records)
        key = _digest(self.key, str(number))  # a part of another batch is another part, whatever it holds
        return Batch(self.operation, self.app_id, tuple(records), body, key)


def check_records(
    source: Iterable[RawRecord],
    *,
    strict: bool = False,
    on_problem: Callable[[RawRecord, IMIconnectInvalidRecordError], None] | None = None,
) -> Iterator[CheckedRecord]:
    """
    Yield the records that can be sent.

    :param on_problem: is handed each of the others; without it the first one ends the reading
    :raises IMIconnectInvalidRecordError: names the place, the field and the reason
    """
    for raw in source:
        try:
            checked = _check(raw, strict=strict)
        except RecordProblem as problem:
            error = IMIconnectInvalidRecordError(raw.position, problem.reason, field=problem.name)
            if on_problem is None:
                raise error from None
            on_problem(raw, error)
        else:
            yield checked


def _check(raw: RawRecord, *, strict: bool) -> CheckedRecord:
    if raw.problem:
        raise RecordProblem(None, raw.problem)
    return CheckedRecord(raw.position, *read_record(raw.record, strict=strict, is_text=raw.is_text))


def make_batches(
    records: Iterable[CheckedRecord], operation: Operation, app_id: str, size: int = MAX_RECORDS_PER_CALL
) -> Iterator[Batch]:
    """Yield the records in batches, in their order; the last one may be smaller."""
    seen: Counter[str] = Counter()
    waiting: list[CheckedRecord] = []
    for record in records:
        waiting.append(record)
        if len(waiting) == size:
            yield Batch.of(operation, app_id, waiting, seen)
            waiting = []
    if waiting:
        yield Batch.of(operation, app_id, waiting, seen)


def encode(records: Sequence[AppProfile | CheckedRecord]) -> bytes:
    """
    Return the body of one call.

    :raises IMIconnectRequestError: none, or more than 100 (contract 3: code 7012, and nothing is done)
    """
    if not 0 < len(records) <= MAX_RECORDS_PER_CALL:
        raise IMIconnectRequestError(
            f"A call takes 1 to {MAX_RECORDS_PER_CALL} records, not {len(records)}: nothing was sent."
        )
    envelope = {"Records": [record.to_wire() for record in records]}
    try:
        body = msgspec.json.encode(envelope)
    except UnicodeEncodeError:  # half a character, which JSON's escapes can write
        body = b"\xff"
    # What is not ASCII is written in escapes: they are read alike, whatever charset the service has in mind.
    return body if body.isascii() else json.dumps(envelope, separators=(",", ":")).encode("ascii")


def _digest(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(b"%d:" % len(data) + data)
    return digest.hexdigest()[:32]
