"""
The engine: batches x ledger x a send function -> deliveries, in the order of the source.

Each sender thread reads its next batch, sends it, and hands over what became of it. The source is read only as fast as
batches are sent: at most ``max_concurrency`` are in flight, and a slow one holds up a bounded number of others.

Rule 1  First the turn (the rate limiter's), then the intention (the ledger's), then the request: what waits for its
        turn was not sent, and no later attempt may take it for sent.
Rule 2  After the first error nothing more is sent. What is in flight is awaited and handed over like the rest, and what
        earlier attempts have sent is handed over all the same, so that no transaction is lost from sight.
Rule 3  It runs in a thread other than the main one, and is stopped from there. So an exception that a signal raises
        (execution_timeout, a person's stop) meets no lock that is held and no work that is half done.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Iterable

from airflow_imiconnect.errors import IMIconnectAmbiguousError, IMIconnectError, IMIconnectRateLimitError
from airflow_imiconnect.pacing.backoff import RetryPolicy
from airflow_imiconnect.pacing.rate_limiter import RateLimiter
from airflow_imiconnect.profile_api.request_errors import may_be_one_records_fault
from airflow_imiconnect.profile_api.results import Receipt, RecordResult
from airflow_imiconnect.records.batches import Batch
from airflow_imiconnect.submission.ledger import Ledger
from airflow_imiconnect.submission.ledger_entries import Accepted, Split
from airflow_imiconnect.submission.senders import Delivery, Line

Send = Callable[[Batch], Receipt]
_FOREIGN = (
    "IMIconnect answered with transaction {transid}, which belongs to another batch. The server may have processed the "
    "request. Check whether a proxy caches or mixes up responses."
)
_SWITCH = 0.0005  # seconds until a thread with a response is let in while another computes; usually it is 0.005


class Engine:
    """
    Sends batches, each at most once for as long as the ledger lives and no response is lost.

    :param send: sends one request; raises IMIconnectError
    :param max_concurrency: requests in flight
    :param split_refused: whether a batch that is refused as a whole, for what may be one record's fault, is halved
        until the culprit stands alone
    :param stopped: set it, from any thread, and nothing more is sent
    """

    def __init__(
        self,
        send: Send,
        ledger: Ledger,
        max_concurrency: int,
        *,
        rate_limiter: RateLimiter | None = None,
        policy: RetryPolicy | None = None,
        split_refused: bool = False,
        stopped: threading.Event | None = None,
    ) -> None:
        self._send = send
        self._ledger = ledger
        self._max_concurrency = max_concurrency
        self._rate_limiter = rate_limiter or RateLimiter()
        self._policy = policy or RetryPolicy()
        self._split_refused = split_refused
        self._stopped = stopped or threading.Event()
        self._batches: dict[str, str] = {}  # the key of the batch by its transaction

    def run(self, batches: Iterable[Batch], on_delivery: Callable[[Delivery], None]) -> None:
        """
        Send them all.

        :param on_delivery: is handed what became of each batch, in their order, from one thread at a time
        :raises Exception: what ended the reading of the source, or what ``on_delivery`` or the ledger raised; what was
            sent before has been handed over
        """
        line = Line(batches, on_delivery, self._max_concurrency, self._stopped, reads_on=self._ledger.was_begun)
        usual = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH)
        try:
            line.work_off(self._deliver)
        finally:
            self._stopped.set()
            sys.setswitchinterval(usual)
            self._ledger.flush()
        if line.failure:
            raise line.failure

    def _deliver(self, batch: Batch, done: list[Delivery], *, resent: bool = False) -> None:
        """Deliver a batch, or its parts; what is known of it stands in ``done``, whatever ends this."""
        entry = self._ledger.find(batch.key)
        if isinstance(entry, Accepted):
            done.append(Delivery(batch, entry.receipt, resent=entry.resent, known=True))
            return
        resent = resent or (self._ledger.has_changed if entry is None else entry.resent)
        if isinstance(entry, Split):
            self._deliver_halves(batch, done, resent=resent)
            return
        delivery = self._call(batch, resent=resent)
        if self._can_be_split(delivery):
            if len(batch.records) > 1:
                self._ledger.split(batch.key, resent=delivery.resent)
                self._deliver_halves(batch, done, resent=delivery.resent)
                return
            delivery = _refused(delivery)
        if delivery.receipt or delivery.error:  # else it was not sent
            done.append(delivery)
            self._note(delivery)

    def _deliver_halves(self, batch: Batch, done: list[Delivery], *, resent: bool) -> None:
        for half in batch.halves():
            self._deliver(half, done, resent=resent)

    def _can_be_split(self, delivery: Delivery) -> bool:
        """Tell whether halving may help: the user wants it, or the records that exist may be our own."""
        error = delivery.error
        if error is None or not may_be_one_records_fault(error):
            return False
        return self._split_refused or (delivery.resent and error.code == delivery.batch.operation.already_so)

    def _note(self, delivery: Delivery) -> None:
        batch, error = delivery.batch, delivery.error
        if delivery.receipt:
            self._ledger.accept(batch.key, delivery.receipt, resent=delivery.resent)
            return
        self._stopped.set()
        self._take_back(batch, resent=delivery.resent or isinstance(error, IMIconnectAmbiguousError))

    def _call(self, batch: Batch, *, resent: bool) -> Delivery:
        """Send one batch, as often as the policy allows; neither receipt nor error where it was not sent."""
        attempt, started, strange = 0, 0.0, 0
        error: IMIconnectError | None = None
        while self._may_send(batch, resent=resent):
            attempt, started = attempt + 1, started or time.monotonic()
            try:
                receipt = self._send(batch)
                self._check_transids(batch, receipt)
            except IMIconnectError as failure:
                error = failure
                if isinstance(error, IMIconnectRateLimitError):
                    self._rate_limiter.slow_down(self._policy.asked_for(error))
                pause = self._policy.wait(error, attempt, time.monotonic() - started, random.random())  # noqa: S311 - jitter
                strange += bool(error.transid) and isinstance(error, IMIconnectAmbiguousError)
                if pause is None or strange > 1 or not self._pause(batch, error, pause, resent=resent):
                    break
                resent = resent or isinstance(error, IMIconnectAmbiguousError)
            else:
                self._rate_limiter.speed_up()
                return Delivery(batch, receipt, resent=resent)
        return Delivery(batch, None, error, resent=resent)

    def _may_send(self, batch: Batch, *, resent: bool) -> bool:
        """Wait for the turn, and store the intention before the request."""
        self._rate_limiter.wait(self._stopped)
        if self._stopped.is_set():
            return False
        self._ledger.intend(batch.key)
        if self._stopped.is_set():
            self._take_back(batch, resent=resent)
            return False
        return True

    def _take_back(self, batch: Batch, *, resent: bool) -> None:
        """Store that the batch was not processed: should the worker die now, it must not be taken for sent."""
        if not resent:
            self._ledger.withdraw(batch.key)
            self._ledger.flush()

    def _pause(self, batch: Batch, error: IMIconnectError, seconds: float, *, resent: bool) -> bool:
        self._take_back(batch, resent=resent or isinstance(error, IMIconnectAmbiguousError))
        return not self._stopped.wait(seconds)

    def _check_transids(self, batch: Batch, receipt: Receipt) -> None:
        """Refuse to believe a response with another batch's transaction: a proxy may have mixed responses up."""
        for transid in receipt.transids:
            if self._batches.setdefault(transid, batch.key) != batch.key:
                raise IMIconnectAmbiguousError(_FOREIGN.format(transid=transid), transid=transid)


def _refused(delivery: Delivery) -> Delivery:
    """Turn the error about a single record into a receipt that refuses this record."""
    error = delivery.error
    (record,) = delivery.batch.records
    result = RecordResult(record.customer_id, (error and error.code) or "", (error and error.description) or "")
    return Delivery(delivery.batch, Receipt((), "finished", (result,)), resent=delivery.resent)
