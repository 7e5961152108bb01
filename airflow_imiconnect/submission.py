"""
The engine: batches x ledger x a send function -> deliveries, in the order of the source.

The source is read only as fast as it is sent: at most ``max_concurrency`` calls are in flight, and for each one more
batch is ready.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from airflow_imiconnect.batches import Batch
from airflow_imiconnect.errors import IMIconnectAmbiguousError, IMIconnectError, IMIconnectRateLimitError
from airflow_imiconnect.ledger import Ledger
from airflow_imiconnect.models import Receipt, RecordResult
from airflow_imiconnect.outcome import ALREADY_EXISTS
from airflow_imiconnect.pace import Pace
from airflow_imiconnect.protocol import may_be_one_records_fault
from airflow_imiconnect.retry import RetryPolicy

Send = Callable[[Batch], Receipt]
_SWITCH = 0.0005  # seconds until a thread with an answer is let in while another computes; usually it is 0.005
_READ_AHEAD = 16  # deliveries a slow batch may hold up, as a multiple of max_concurrency


@dataclass(frozen=True)
class Delivery:
    """
    How one batch fared.

    :param receipt: the service's answer; None where there is an error instead, or where it was not sent after a stop
    :param resent: whether an earlier call with the same batch may have been taken too
    :param known: whether the receipt comes from the ledger: this try has sent nothing
    """

    batch: Batch
    receipt: Receipt | None
    error: IMIconnectError | None = None
    resent: bool = False
    known: bool = False


@dataclass(frozen=True)
class Engine:
    """
    Sends batches, each at most once for as long as the ledger lives and no answer is lost.

    :param send: makes one call; raises IMIconnectError
    :param split_refused: whether a batch that is refused as a whole, for what may be one record's fault, is halved
        until the culprit stands alone
    """

    send: Send
    ledger: Ledger
    max_concurrency: int
    pace: Pace = field(default_factory=Pace)
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    split_refused: bool = False
    left_over: list[Delivery] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def deliver(self, batches: Iterable[Batch]) -> Generator[Delivery, None, None]:
        """
        Yield what became of each batch, in their order.

        After the first error nothing more is sent; what is in flight is awaited, and yielded like the rest. What
        earlier tries have sent is yielded all the same, so that no transaction is lost from sight.

        Where an exception ends it before its time, here or in its user, ``left_over`` holds what was not yielded.

        :raises IMIconnectError: the source could not be read to its end; what was sent before has been yielded
        """
        source = _Source(batches)
        pending: deque[Future[list[Delivery]]] = deque()
        ready: deque[Delivery] = deque()
        try:
            with self._threads() as pool:
                for batch in source:
                    pending.append(pool.submit(self._deliver, batch))
                    self._wait_for_room(pending)
                    while pending and (pending[0].done() or len(pending) > _READ_AHEAD * self.max_concurrency):
                        yield from _next(pending, ready)
                    if self._stopped.is_set() and not self.ledger.was_begun:
                        break
                while pending:
                    yield from _next(pending, ready)
        finally:
            self.left_over.extend(ready)
            for future in pending:
                if not (future.cancelled() or future.exception()):
                    self.left_over.extend(future.result())
        if source.error:
            raise source.error

    @contextmanager
    def _threads(self) -> Iterator[ThreadPoolExecutor]:
        """However it ends, also by the task's timeout: nothing more is sent, and what was in flight is recorded."""
        with ExitStack() as at_the_end, ThreadPoolExecutor(self.max_concurrency, "imiconnect") as pool:
            at_the_end.callback(self.ledger.flush)
            at_the_end.callback(sys.setswitchinterval, sys.getswitchinterval())
            sys.setswitchinterval(_SWITCH)
            try:
                yield pool
            finally:
                self._stopped.set()

    def _wait_for_room(self, pending: Iterable[Future[list[Delivery]]]) -> None:
        undone = [future for future in pending if not future.done()]
        if len(undone) >= 2 * self.max_concurrency:
            wait(undone, return_when=FIRST_COMPLETED)

    def _deliver(self, batch: Batch, *, resent: bool = False) -> list[Delivery]:
        try:
            return self._deliver_once(batch, resent=resent)
        except BaseException:
            self._stopped.set()
            raise

    def _deliver_once(self, batch: Batch, *, resent: bool) -> list[Delivery]:
        entry = self.ledger.find(batch.key)
        if entry and entry.receipt:
            return [Delivery(batch, entry.receipt, resent=entry.resent, known=True)]
        # An intention without an acceptance: an earlier try may have sent it (contract 7).
        resent = resent or (entry is not None and entry.resent)
        if entry and entry.split:
            return self._deliver_halves(batch, resent=resent)
        if self._stopped.is_set():
            return []
        self.ledger.intend(batch.key)
        delivery = self._call(batch, resent=resent)
        if delivery.error and self._can_be_split(delivery):
            if len(batch.records) > 1:
                self.ledger.split(batch.key, resent=delivery.resent)
                return self._deliver_halves(batch, resent=delivery.resent)
            delivery = _refused(delivery)
        self._note(delivery)
        return [delivery]

    def _deliver_halves(self, batch: Batch, *, resent: bool) -> list[Delivery]:
        first, second = batch.halves()
        return self._deliver(first, resent=resent) + self._deliver(second, resent=resent)

    def _can_be_split(self, delivery: Delivery) -> bool:
        """Tell whether halving may help: the user wants it, or the records that exist may be our own."""
        error = delivery.error
        if error is None or not may_be_one_records_fault(error):
            return False
        return self.split_refused or (delivery.resent and error.code == ALREADY_EXISTS)

    def _note(self, delivery: Delivery) -> None:
        key = delivery.batch.key
        if delivery.receipt:
            self.ledger.accept(key, delivery.receipt, resent=delivery.resent)
            return
        self._stopped.set()
        if not (delivery.resent or isinstance(delivery.error, IMIconnectAmbiguousError)):
            self.ledger.withdraw(key)
            self.ledger.flush()  # should the worker die now, the next try must not take the batch for sent

    def _call(self, batch: Batch, *, resent: bool) -> Delivery:
        attempt, started = 0, 0.0
        error: IMIconnectError | None = None
        while True:
            self.pace.wait(self._stopped)
            if self._stopped.is_set():
                return Delivery(batch, None, error, resent=resent)
            attempt, started = attempt + 1, started or time.monotonic()
            try:
                receipt = self.send(batch)
            except IMIconnectError as failure:
                error = failure
                if isinstance(error, IMIconnectRateLimitError):
                    self.pace.slow_down(self.policy.asked_for(error))
                pause = self.policy.wait(error, attempt, time.monotonic() - started, random.random())  # noqa: S311 - jitter
                if pause is None or self._stopped.wait(pause):
                    return Delivery(batch, None, error, resent=resent)
                resent = resent or isinstance(error, IMIconnectAmbiguousError)
            else:
                self.pace.speed_up()
                return Delivery(batch, receipt, resent=resent)


def _next(pending: deque[Future[list[Delivery]]], ready: deque[Delivery]) -> Iterator[Delivery]:
    """Yield what became of the first pending batch, and wait for it where that is not known yet."""
    ready.extend(pending[0].result())
    pending.popleft()
    while ready:
        yield ready.popleft()


def _refused(delivery: Delivery) -> Delivery:
    """Turn the error about a single record into a receipt that refuses this record."""
    error = delivery.error
    (record,) = delivery.batch.records
    result = RecordResult(record.customer_id, (error and error.code) or "", (error and error.description) or "")
    return Delivery(delivery.batch, Receipt("", "finished", (result,)), resent=delivery.resent)


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
