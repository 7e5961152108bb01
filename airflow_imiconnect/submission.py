"""
The engine: batches x a send function -> deliveries, in the order of the source -> the task's result.

The source is read only as fast as it is sent: at most ``max_concurrency`` batches are in flight.
"""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from airflow_imiconnect.batches import Batch
from airflow_imiconnect.errors import IMIconnectAmbiguousError, IMIconnectError, IMIconnectInvalidRecordError
from airflow_imiconnect.models import Receipt, RecordResult
from airflow_imiconnect.outcome import ALREADY_EXISTS, FailedRecord, records_failed
from airflow_imiconnect.pace import Pace
from airflow_imiconnect.protocol import Operation
from airflow_imiconnect.rejects import RejectsFile
from airflow_imiconnect.retry import RetryPolicy
from airflow_imiconnect.sources import RawRecord

Send = Callable[[Batch], Receipt]


@dataclass(frozen=True)
class Delivery:
    """
    How one batch fared.

    :param receipt: the service's answer; None where there is an error instead
    :param resent: whether an earlier call with the same batch may have been taken too
    """

    batch: Batch
    receipt: Receipt | None
    error: IMIconnectError | None = None
    resent: bool = False


def deliver(
    batches: Iterable[Batch], send: Send, *, max_concurrency: int, pace: Pace, policy: RetryPolicy
) -> Iterator[Delivery]:
    """
    Send the batches and yield what became of each, in their order.

    After the first error nothing more is sent; what is in flight is awaited, and yielded like the rest.

    :raises IMIconnectError: the source could not be read to its end; what was sent before has been yielded
    """
    in_flight: deque[Future[Delivery]] = deque()
    source = _Source(batches)
    with ThreadPoolExecutor(max_concurrency, thread_name_prefix="imiconnect") as pool:
        for batch in source:
            in_flight.append(pool.submit(_deliver_one, batch, send, pace, policy))
            if any(future.done() and future.result().error for future in in_flight):
                break
            if len(in_flight) == max_concurrency:
                delivery = in_flight.popleft().result()
                yield delivery
                if delivery.error:
                    break
        while in_flight:
            yield in_flight.popleft().result()
    if source.error:
        raise source.error


class _Source:
    """The batches up to their end, or up to the error that cuts them short."""

    def __init__(self, batches: Iterable[Batch]) -> None:
        self._batches = batches
        self.error: IMIconnectError | None = None

    def __iter__(self) -> Iterator[Batch]:
        try:
            yield from self._batches
        except IMIconnectError as error:
            self.error = error


def _deliver_one(batch: Batch, send: Send, pace: Pace, policy: RetryPolicy) -> Delivery:
    started = time.monotonic()
    attempt = 0
    resent = False
    while True:
        attempt += 1
        pace.wait()
        try:
            return Delivery(batch, send(batch), resent=resent)
        except IMIconnectError as error:
            wait = policy.wait(error, attempt, time.monotonic() - started, random.random())  # noqa: S311 - jitter
            if wait is None:
                return Delivery(batch, None, error, resent=resent)
            resent = resent or isinstance(error, IMIconnectAmbiguousError)
            time.sleep(wait)


class Submission:
    """
    What became of a submission so far: it counts deliveries, and writes what was not taken to the rejects.

    :param rejects: open for as long as deliveries are added
    """

    def __init__(self, operation: Operation, app_id: str, rejects: RejectsFile) -> None:
        self.operation = operation
        self.app_id = app_id
        self.rejects = rejects
        self.records = 0
        self.accepted = 0
        self.invalid = 0
        self.calls = 0
        self.transids: list[str] = []
        self.resent: list[str] = []
        self._refused: list[FailedRecord] = []
        self._errors: list[IMIconnectError] = []

    def add_invalid(self, raw: RawRecord, error: IMIconnectInvalidRecordError) -> None:
        """Count a record that can never be right."""
        self.records += 1
        self.invalid += 1
        why = f"{error.field}: {error.reason}" if error.field else error.reason
        self.rejects.add("invalid", position=raw.position, description=why, record=raw.record)

    def add(self, delivery: Delivery) -> None:
        """Count a batch that was answered for, or failed."""
        self.records += len(delivery.batch.records)
        if delivery.receipt is None:
            self._errors += [delivery.error] if delivery.error else []
            return
        receipt = delivery.receipt
        self.calls += 1
        if receipt.state == "queued":
            self.transids += receipt.transids
            self.resent += receipt.transids if delivery.resent else ()
        refused = [r for r in receipt.refused if not (delivery.resent and r.code == ALREADY_EXISTS)]
        self.accepted += len(delivery.batch.records) - len(refused)
        for result in refused:
            self._add_refused(delivery.batch, receipt, result)

    def fail(self, error: IMIconnectError) -> None:
        """Remember what ended the submission before its time."""
        self._errors.append(error)

    def _add_refused(self, batch: Batch, receipt: Receipt, result: RecordResult) -> None:
        self._refused.append(FailedRecord(result.customer_id, result.code, result.description, receipt.transid))
        found = [record for record in batch.records if record.profile.customer_id == result.customer_id]
        record = found[0] if len(found) == 1 else None  # one customer on several devices: the answer does not tell
        self.rejects.add(
            "refused",
            customer_id=result.customer_id,
            code=result.code,
            description=result.description,
            position=record.position if record else None,
            transid=receipt.transid or None,
            record=record.profile.to_wire() if record else None,
        )

    def to_json(self) -> dict[str, object]:
        """Return the task's result."""
        return {
            "operation": self.operation.name,
            "app_id": self.app_id,
            "records": self.records,
            "accepted": self.accepted,
            "invalid": self.invalid,
            "refused": len(self._refused),
            "transids": self.transids,
            "resent": self.resent,
            "rejects": self.rejects.uri,
        }

    def error(self, *, tolerate_refused: bool) -> IMIconnectError | None:
        """Return the error that the task must end with, if any."""
        if self._errors:
            return self._errors[0].with_context(self._so_far())
        if self._refused and not tolerate_refused:
            failures = Counter(record.code for record in self._refused)
            start = f"IMIconnect refused {len(self._refused)} of {self.records} records for app {self.app_id}"
            return records_failed(start, failures, self._refused, self.rejects.uri)
        return None

    def _so_far(self) -> str:
        if not self.accepted:
            return "No record had been accepted."
        return (
            f"{self.accepted} records had been accepted in {self.calls} calls; "
            f"their transactions are in the task's XCom return_value."
        )

    def __str__(self) -> str:
        counts = f"{self.accepted} accepted, {self.invalid} invalid, {len(self._refused)} refused"
        return f"IMIconnect app {self.app_id}: {self.records} records in {self.calls} calls: {counts}."
