"""The use case: check, send, record, sum up. It knows nothing of Airflow."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from airflow_imiconnect.errors import IMIconnectError
from airflow_imiconnect.pacing.backoff import RetryPolicy
from airflow_imiconnect.pacing.rate_limiter import RateLimiter
from airflow_imiconnect.profile_api.operations import MAX_RECORDS, Operation
from airflow_imiconnect.records.batches import make_batches
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.sources.raw import Source
from airflow_imiconnect.records.validation import check_records
from airflow_imiconnect.submission.engine import Engine, Send
from airflow_imiconnect.submission.ledger import Ledger
from airflow_imiconnect.submission.summary import Summary


@dataclass(frozen=True)
class Order:
    """
    What is to be submitted, and how.

    :param operation: what is done with the records
    :param app_id: in which app
    :param batch_size: records a request
    :param max_concurrency: requests in flight
    :param requests_per_second: the most requests that start in a second; None for no limit of our own
    :param on_invalid: "fail": the whole input is checked before the first request, and nothing is sent if a record can
        never be right; "skip": the others are sent
    :param strict: whether records without the attributes that their channel requires can never be right
    :param policy: how often a failed request is sent again
    """

    operation: Operation
    app_id: str
    batch_size: int = MAX_RECORDS
    max_concurrency: int = 4
    requests_per_second: float | None = None
    on_invalid: Literal["fail", "skip"] = "fail"
    strict: bool = False
    policy: RetryPolicy = field(default_factory=RetryPolicy)

    @property
    def skips(self) -> bool:
        """Whether records that are not taken leave the others to be sent."""
        return self.on_invalid == "skip"

    def digest(self, source: Source) -> str:
        """Return what tells this submission from one of other records, or of the same ones in other batches."""
        parts = (self.operation.name, self.app_id, self.batch_size, self.on_invalid, self.strict, source.version)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


_CHANGED = (
    "The input, or how it is read and sent, has changed since an earlier attempt, which had {count} accepted. "
    "Batches that are the same are not sent again. The others may hold records that were accepted before: they stand "
    "in resent, and records that exist already count as existing. The transactions of batches that no longer "
    "occur stay in the result. To send corrected records alone, submit the rejects file."
)


def check_all(
    order: Order, source: Source, notes: Notes, on_record: Callable[[], None], stopped: threading.Event
) -> None:
    """
    Check the whole input before the first request. It is read again to be sent, and must be the same then.

    :param notes: what is odd about it, and is sent all the same
    :param on_record: is called for each record that can be sent
    :raises IMIconnectInvalidRecordError: what cannot be read to its end, and the first record that can never be right,
        unless such records are skipped
    """
    skip = (lambda *_: None) if order.skips else None
    for _ in check_records(source.read(notes), strict=order.strict, on_problem=skip, notes=notes):
        on_record()
        if stopped.is_set():
            return


def submit(
    order: Order,
    source: Source,
    send: Send,
    ledger: Ledger,
    summary: Summary,
    stopped: threading.Event,
    warn: Callable[[str], None],
) -> None:
    """
    Send all records of a source, and record and sum up the outcome.

    :param send: sends one batch; raises IMIconnectError
    :param summary: knows, however this ends, what was accepted, and which errors have ended it
    :param stopped: set it, from any thread, and nothing more is sent; what is in flight is awaited and summed up
    :param warn: is handed what the user should know before anything is sent
    :raises Exception: what is not ours: a full disk, a store that fails
    """
    if ledger.is_kept:
        ledger.begin(order.digest(source))
    if ledger.has_changed:
        count = ledger.accepted_batches
        warn(_CHANGED.format(count=f"{count} batch{'es' * (count != 1)}"))
    records = check_records(source, strict=order.strict, on_problem=summary.add_invalid if order.skips else None)
    engine = Engine(
        send,
        ledger,
        order.max_concurrency,
        rate_limiter=RateLimiter(order.requests_per_second),
        policy=order.policy,
        split_refused=order.skips,
        stopped=stopped,
    )
    try:
        with summary.rejects:
            engine.run(make_batches(records, order.operation, order.app_id, order.batch_size), summary.add)
    except IMIconnectError as error:
        summary.fail(error)
    finally:
        for receipt in ledger.unclaimed() if ledger.has_changed else ():
            summary.add_earlier(receipt)
