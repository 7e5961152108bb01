"""What became of a submission: deliveries counted, what was not taken written down, the task's result or its error."""

from __future__ import annotations

import time
from collections import Counter

from airflow_imiconnect.batches import Batch, CheckedRecord
from airflow_imiconnect.errors import IMIconnectError, IMIconnectInvalidRecordError, IMIconnectPermanentError
from airflow_imiconnect.failures import FailedRecord
from airflow_imiconnect.models import Receipt, RecordResult
from airflow_imiconnect.outcome import ALREADY_EXISTS, records_failed
from airflow_imiconnect.protocol import Operation
from airflow_imiconnect.rejects import RejectsFile
from airflow_imiconnect.sources import RawRecord
from airflow_imiconnect.submission import Delivery


class SubmissionResult:
    """
    What became of a submission so far: it counts deliveries, and writes what was not taken to the rejects.

    :param rejects: open for as long as deliveries are added
    :param resumes: whether another try of the task knows what this one sent
    """

    def __init__(self, operation: Operation, app_id: str, rejects: RejectsFile, *, resumes: bool = False) -> None:
        self.operation = operation
        self.app_id = app_id
        self.rejects = rejects
        self.resumes = resumes
        self.records = 0
        self.accepted = 0
        self.invalid = 0
        self.batches = 0
        self.known_batches = 0
        self.transids: list[str] = []
        self.resent: list[str] = []
        self._started = time.monotonic()
        self._refused: list[FailedRecord] = []
        self._errors: list[IMIconnectError] = []

    def add_invalid(self, raw: RawRecord, error: IMIconnectInvalidRecordError) -> None:
        """Count a record that can never be right."""
        self.records += 1
        self.invalid += 1
        why = f"{error.field}: {error.reason}" if error.field else error.reason
        self.rejects.add("invalid", position=raw.position, description=why, record=raw.record)

    def add(self, delivery: Delivery) -> None:
        """Count a batch that was answered for, by the service or by the ledger, or that failed."""
        self.records += len(delivery.batch.records)
        if delivery.receipt is None:
            if delivery.error:
                first, last = delivery.batch.records[0].position, delivery.batch.records[-1].position
                count = len(delivery.batch.records)
                self.fail(delivery.error.with_context(f"The call held {count} records, from {first} to {last}."))
            return
        receipt = delivery.receipt
        self.batches += 1
        self.known_batches += delivery.known
        if receipt.state == "queued":
            self.transids += receipt.transids
        self.resent += receipt.transids if delivery.resent else ()
        created_before = ALREADY_EXISTS if delivery.resent else None
        refusals = [pair for pair in _refusals(delivery.batch, receipt) if pair[0].code != created_before]
        self.accepted += len(delivery.batch.records) - len(refusals)
        for result, record in refusals:
            self._add_refused(receipt, result, record)

    def fail(self, error: IMIconnectError) -> None:
        """Remember what ended the submission before its time."""
        self._errors.append(error)

    def _add_refused(self, receipt: Receipt, result: RecordResult, record: CheckedRecord | None) -> None:
        customer_id = record.customer_id if record else result.customer_id
        self._refused.append(FailedRecord(customer_id, result.code, result.description, receipt.transid))
        self.rejects.add(
            "refused",
            customer_id=customer_id,
            code=result.code,
            description=result.description,
            position=record.position if record else None,
            transid=receipt.transid or None,
            record=record.to_wire() if record else None,
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
            # What stopped it all is a permanent error, if there is one; the passing ones were only interrupted by it.
            first = next(
                (error for error in self._errors if isinstance(error, IMIconnectPermanentError)), self._errors[0]
            )
            return first.with_context(self._so_far())
        return None if tolerate_refused else self.refusal()

    def refusal(self) -> IMIconnectError | None:
        """Return what there is to say of records that the service refused at once; None where it took all."""
        if not self._refused:
            return None
        failures = Counter(record.code for record in self._refused)
        start = f"IMIconnect refused {len(self._refused)} of {self.records} records for app {self.app_id}"
        error = records_failed(start, failures, self._refused, self.rejects.uri)
        return error.with_context("Another try does not send them again: mend them, and submit what was mended.")

    def progress(self) -> str:
        """Tell how far it is, for the log."""
        rate = self.batches / max(0.001, time.monotonic() - self._started)
        rejects = self.invalid + len(self._refused)
        return f"{self.records:,} records, {self.batches:,} calls answered ({rate:.1f} a second), {rejects:,} rejects"

    def _so_far(self) -> str:
        if not self.accepted:
            return "No record was accepted."
        then = "another try continues from there" if self.resumes else "their transactions are in XCom return_value"
        return f"{self.accepted} records were accepted in {self.batches} batches: {then}."

    def __str__(self) -> str:
        counts = f"{self.accepted} accepted, {self.invalid} invalid, {len(self._refused)} refused"
        known = f" Earlier tries had sent {self.known_batches} of the batches." if self.known_batches else ""
        return f"IMIconnect app {self.app_id}: {self.records} records in {self.batches} batches: {counts}.{known}"


def _refusals(batch: Batch, receipt: Receipt) -> list[tuple[RecordResult, CheckedRecord | None]]:
    """
    Return each refusal with its record, as far as the answer tells which it is; never more than there are records.

    One customer may stand in a batch several times, with several devices. A refusal that names nobody stands for the
    records that no result names.
    """
    times = Counter(record.customer_id for record in batch.records)
    only = {record.customer_id: record for record in batch.records if times[record.customer_id] == 1}
    named = {result.customer_id for result in receipt.results}
    unnamed = iter([record for record in batch.records if record.customer_id not in named])
    refusals: list[tuple[RecordResult, CheckedRecord | None]] = []
    for result in receipt.refused:
        if result.customer_id:
            if result.customer_id in times and not times[result.customer_id]:
                continue  # it was named more often than it was sent
            times[result.customer_id] -= 1
        refusals.append((result, only.get(result.customer_id) if result.customer_id else next(unnamed, None)))
    return refusals[: len(batch.records)]
