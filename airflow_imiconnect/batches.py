"""Raw records -> checked records -> batches of at most 100, each with a key that is the digest of its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from airflow_imiconnect.attributes import RecordProblem
from airflow_imiconnect.errors import IMIconnectInvalidRecordError, IMIconnectRequestError
from airflow_imiconnect.models import AppProfile
from airflow_imiconnect.protocol import MAX_RECORDS_PER_CALL, Operation
from airflow_imiconnect.sources import RawRecord


class CheckedRecord(NamedTuple):
    """A record fit to be sent, and where it stands."""

    position: str
    profile: AppProfile


@dataclass(frozen=True)
class Batch:
    """
    What one call submits.

    :param index: its place among the batches, from 0
    :param records: at most 100
    :param body: the vendor's envelope around them, as JSON
    :param key: the digest of operation, app and body: the same content has the same key, and no other has
    """

    index: int
    records: tuple[CheckedRecord, ...]
    body: bytes
    key: str


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
    return CheckedRecord(raw.position, AppProfile.from_record(raw.record, strict=strict))


def make_batches(
    records: Iterable[CheckedRecord], operation: Operation, app_id: str, size: int = MAX_RECORDS_PER_CALL
) -> Iterator[Batch]:
    """Yield the records in batches, in their order; the last one may be smaller."""
    index = 0
    waiting: list[CheckedRecord] = []
    for record in records:
        waiting.append(record)
        if len(waiting) == size:
            yield _batch(index, waiting, operation, app_id)
            index, waiting = index + 1, []
    if waiting:
        yield _batch(index, waiting, operation, app_id)


def encode(profiles: Sequence[AppProfile]) -> bytes:
    """
    Return the body of one call.

    :raises IMIconnectRequestError: none, or more than 100 (contract 3: code 7012, and nothing is done)
    """
    if not 0 < len(profiles) <= MAX_RECORDS_PER_CALL:
        raise IMIconnectRequestError(
            f"A call takes 1 to {MAX_RECORDS_PER_CALL} records, not {len(profiles)}: nothing was sent."
        )
    envelope = {"Records": [profile.to_wire() for profile in profiles]}
    return json.dumps(envelope, separators=(",", ":")).encode("ascii")


def _batch(index: int, records: Sequence[CheckedRecord], operation: Operation, app_id: str) -> Batch:
    body = encode([record.profile for record in records])
    digest = hashlib.sha256(f"{operation.name}\n{app_id}\n".encode())
    digest.update(body)
    return Batch(index, tuple(records), body, digest.hexdigest())
