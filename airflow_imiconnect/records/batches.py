"""Checked records -> batches, the records of one request each, with a key that is the digest of their content."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from airflow_imiconnect.profile_api.operations import MAX_RECORDS, Operation, Payload
from airflow_imiconnect.records.validation import CheckedRecord


@dataclass(frozen=True)
class Batch:
    """
    What one request submits.

    :param operation: what is done with the records
    :param app_id: in which app
    :param records: at most 100
    :param payload: the records, encoded
    :param key: the digest of all these: the same content has the same key, and no other has; only where a source
        repeats a whole batch, the second one gets a key of its own
    """

    operation: Operation
    app_id: str
    records: tuple[CheckedRecord, ...] = field(repr=False)
    payload: Payload = field(repr=False)
    key: str

    @classmethod
    def of(cls, operation: Operation, app_id: str, records: Sequence[CheckedRecord], seen: Counter[str]) -> Batch:
        """Encode the records; ``seen`` counts the contents that there have been."""
        payload = operation.encode(records)
        key = _digest(operation.name, app_id, payload.body or payload.query)
        seen[key] += 1
        if seen[key] > 1:
            key = _digest(key, str(seen[key]))
        return cls(operation, app_id, tuple(records), payload, key)

    def halves(self) -> tuple[Batch, Batch]:
        """Return the two batches that stand for this one."""
        middle = len(self.records) // 2
        return self._part(0, self.records[:middle]), self._part(1, self.records[middle:])

    def _part(self, number: int, records: Sequence[CheckedRecord]) -> Batch:
        key = _digest(self.key, str(number))  # a part of another batch is another part, whatever it holds
        return Batch(self.operation, self.app_id, tuple(records), self.operation.encode(records), key)


def make_batches(
    records: Iterable[CheckedRecord], operation: Operation, app_id: str, size: int = MAX_RECORDS
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


def _digest(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(b"%d:" % len(data) + data)
    return digest.hexdigest()[:32]
