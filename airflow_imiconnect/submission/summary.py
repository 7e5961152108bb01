"""The summing up: deliveries counted, what was not taken written to the rejects, the task's result or its error."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

from airflow_imiconnect.errors import (
    IMIconnectAmbiguousError,
    IMIconnectError,
    IMIconnectInvalidRecordError,
    IMIconnectPermanentError,
)
from airflow_imiconnect.profile_api.lacking import lacking, with_lacking
from airflow_imiconnect.profile_api.operations import Operation
from airflow_imiconnect.profile_api.results import Receipt, RecordResult, Transaction
from airflow_imiconnect.records.batches import Batch
from airflow_imiconnect.records.failed_records import FailedRecord, records_failed
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.preview import Preview
from airflow_imiconnect.records.rejects import RejectsFile
from airflow_imiconnect.records.sources.raw import RawRecord
from airflow_imiconnect.records.validation import CheckedRecord
from airflow_imiconnect.submission.senders import Delivery
from airflow_imiconnect.submission.submission import Submission


class Summary:
    """
    What became of a submission so far: it counts deliveries, and writes what was not taken to the rejects.

    One thread at a time adds deliveries, another may add invalid records.

    :param rejects: open for as long as deliveries are added
    :param then: what happens next with what was accepted, for the error that stops it
    """

    def __init__(self, operation: Operation, app_id: str, rejects: RejectsFile, then: str = "") -> None:
        self.operation = operation
        self.app_id = app_id
        self.rejects = rejects
        self._then = then
        self.records = 0
        self.accepted = 0
        self.invalid = 0
        self.existing = 0
        self.batches = 0
        self.known_batches = 0
        self.transactions: list[Transaction] = []
        self.resent: list[str] = []
        self.notes = Notes()
        self._delivered = 0  # records, in source order
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._refused: list[FailedRecord] = []
        self._errors: list[IMIconnectError] = []
        self._more: dict[str, Any] = {}

    def add_invalid(self, raw: RawRecord, error: IMIconnectInvalidRecordError) -> None:
        """Count a record that can never be right."""
        why = f"{error.field}: {error.reason}" if error.field else error.reason
        with self._lock:
            self.records += 1
            self.invalid += 1
            self.rejects.add("invalid", position=raw.position, description=why, record=raw.record)

    def add(self, delivery: Delivery) -> None:
        """Count a batch that was answered for, by the service or by the ledger, or that failed."""
        records = delivery.batch.records
        with self._lock:
            self.records += len(records)
            self._delivered += len(records)
            if delivery.receipt is not None:
                self._add_receipt(delivery, delivery.receipt)
        if delivery.error:
            first, last = records[0].position, records[-1].position
            held = f"The request held {_count(len(records), 'record')}, from {first} to {last}."
            self.fail(delivery.error.with_context(held))

    def add_earlier(self, receipt: Receipt) -> None:
        """Keep in sight what an earlier attempt has sent in a batch that there is no longer."""
        self.transactions += (Transaction(transid, self.operation.name) for transid in receipt.transids)

    def note_preview(self, preview: Preview) -> None:
        """Take note of what would be sent: a dry run sends nothing."""
        self.records = preview.records
        self._more = {"dry_run": preview.to_json()}

    def fail(self, error: IMIconnectError) -> None:
        """Remember what ended the submission before its time."""
        self._errors.append(error)

    def _add_receipt(self, delivery: Delivery, receipt: Receipt) -> None:
        batch = delivery.batch
        refusals = _refusals(batch, receipt)
        existing = [pair for pair in refusals if delivery.resent and pair[0].code == self.operation.already_so]
        if receipt.state == "queued":
            # With several ids it is not known how many records each transaction holds.
            size = (len(batch.records) - len(refusals)) or None if len(receipt.transids) == 1 else None
            places = (self._delivered - len(batch.records), self._delivered)
            self.transactions += (
                Transaction(transid, self.operation.name, size, delivery.resent, places) for transid in receipt.transids
            )
        self.batches += 1
        self.known_batches += delivery.known
        self.resent += receipt.transids if delivery.resent else ()
        self.existing += len(existing)
        self.accepted += len(batch.records) - len(refusals) + len(existing)
        for result, record in refusals:
            if (result, record) not in existing:
                self._add_refused(receipt, result, record)

    def _add_refused(self, receipt: Receipt, result: RecordResult, record: CheckedRecord | None) -> None:
        customer_id = record.customer_id if record else result.customer_id
        lacks = lacking(result.code, self.operation.name, record.attributes) if record else ""
        self._refused.append(FailedRecord(customer_id, result.code, result.description, receipt.transid, lacks=lacks))
        self.rejects.add(
            "refused",
            customer_id=customer_id,
            code=result.code,
            description=with_lacking(result.description, lacks),
            position=record.position if record else None,
            transid=receipt.transid or None,
            record=record.to_wire() if record else None,
        )

    def to_submission(self) -> Submission:
        """Return what is known by now, as it travels."""
        return Submission(
            self.operation.name,
            self.app_id,
            records=self.records,
            accepted=self.accepted,
            invalid=self.invalid,
            refused=len(self._refused),
            existing=self.existing,
            transactions=tuple(self.transactions),
            resent=tuple(self.resent),
            notes=tuple(self.notes),
            rejects=self.rejects.uri,
            more=self._more,
        )

    def error(self, *, tolerate_refused: bool) -> IMIconnectError | None:
        """Return the error that the task must end with, if any."""
        if self._errors:
            # What stopped it all is a permanent error, if there is one; the passing ones were only interrupted by it.
            first = next(
                (error for error in self._errors if isinstance(error, IMIconnectPermanentError)), self._errors[0]
            )
            return first.with_context(self._so_far(first))
        return None if tolerate_refused else self.refusal()

    def refusal(self) -> IMIconnectError | None:
        """Return what there is to say of records that the service refused at once; None where it took all."""
        if not self._refused:
            return None
        failures = Counter(record.code for record in self._refused)
        start = f"IMIconnect refused {len(self._refused)} of {self.records} records for app {self.app_id}"
        error = records_failed(start, failures, self._refused, self.rejects.uri)
        return error.with_context("Retries will not resend them: correct and resubmit them.")

    def progress(self) -> str:
        """Tell how far it is, for the log."""
        rate = self.batches / max(0.001, time.monotonic() - self._started)
        rejects = self.invalid + len(self._refused)
        return (
            f"{self.records:,} records, {self.batches:,} requests answered ({rate:.1f} a second), {rejects:,} rejects"
        )

    def _so_far(self, error: IMIconnectError) -> str:
        if not self.accepted:
            is_known = not isinstance(error, IMIconnectAmbiguousError)
            return "No record was accepted." if is_known else "No other record was accepted."
        accepted = f"{_count(self.accepted, 'record')} {_were(self.accepted)} accepted"
        return f"{accepted} in {_count(self.batches, 'batch', 'batches')}{self._then and f': {self._then}'}."

    def __str__(self) -> str:
        counts = f"{self.accepted} accepted, {self.invalid} invalid, {len(self._refused)} refused"
        held = f"{_count(self.records, 'record')} in {_count(self.batches, 'batch', 'batches')}"
        existing = f" {self.existing} of them existed already." if self.existing else ""
        known = f" Earlier attempts had sent {self.known_batches} of the batches." if self.known_batches else ""
        return f"IMIconnect app {self.app_id}: {held}: {counts}.{existing}{known}"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


def _refusals(batch: Batch, receipt: Receipt) -> list[tuple[RecordResult, CheckedRecord | None]]:
    """
    Return each refusal with its record, as far as the response tells which it is; never more than there are records.

    One customer may stand in a batch several times, with several devices. A refusal that names nobody stands for the
    records that no result names.
    """
    if not receipt.results:  # as of nearly all batches
        return []
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
