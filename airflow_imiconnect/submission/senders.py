"""The sender threads: each takes a batch, delivers it, and hands over what became of it in the order of the source."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from airflow_imiconnect.errors import IMIconnectError
from airflow_imiconnect.profile_api.results import Receipt
from airflow_imiconnect.records.batches import Batch

_AHEAD = 16  # batches that a slow one may hold up, as a multiple of max_concurrency


@dataclass(frozen=True)
class Delivery:
    """
    What became of one batch.

    :param receipt: the service's answer; None where there is an error instead
    :param resent: whether an earlier request with the same batch may have been processed too
    :param known: whether the receipt comes from the ledger: this attempt has sent nothing
    """

    batch: Batch
    receipt: Receipt | None
    error: IMIconnectError | None = None
    resent: bool = False
    known: bool = False


class Line:
    """
    The batches on their way through the sender threads: taken one by one, handed over in the same order.

    :param reads_on: whether the source is read to its end after a stop, for what earlier attempts have sent
    """

    def __init__(
        self,
        batches: Iterable[Batch],
        on_delivery: Callable[[Delivery], None],
        threads: int,
        stopped: threading.Event,
        *,
        reads_on: bool,
    ) -> None:
        self._batches: Iterator[Batch] | None = iter(batches)
        self._on_delivery = on_delivery
        self._most = threads
        self._threads: list[threading.Thread] = []
        self._stopped = stopped
        self._reads_on = reads_on
        self._source = threading.Lock()  # held by whoever reads the next batch
        self._order = threading.Condition()  # held by whoever hands over
        self._taken = self._handed_over = 0
        self._done: dict[int, Sequence[Delivery]] = {}
        self.failure: BaseException | None = None

    def work_off(self, deliver: Callable[[Batch, list[Delivery]], None]) -> None:
        """Run the sender threads to their end; each starts the next one when there is a batch for it."""
        self._deliver = deliver
        self._start_thread()
        for thread in self._threads:  # it grows while the first of them run
            thread.join()

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._work, name=f"imiconnect-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        try:
            thread.start()
        except RuntimeError:
            self._threads.remove(thread)
            raise

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            number, batch = taken
            deliveries: list[Delivery] = []
            try:
                self._deliver(batch, deliveries)
            except BaseException as error:  # noqa: BLE001 - raised again by whoever runs the engine
                self._fail(error)
            self._hand_over(number, deliveries)

    def _take(self) -> tuple[int, Batch] | None:
        """Read the next batch; None where there is none, or where no more is to be read."""
        with self._source:
            self._wait_for_room()
            if self._batches is None or (self._stopped.is_set() and not self._reads_on):
                return None
            try:
                batch = next(self._batches, None)
            except BaseException as error:  # noqa: BLE001 - as above
                self._fail(error, stops=not isinstance(error, IMIconnectError))
                batch = None
            if batch is None:
                self._batches = None
                return None
            self._taken += 1
            if len(self._threads) < min(self._most, self._taken + 1):
                with suppress(RuntimeError):  # this machine has no thread left: it goes on with fewer
                    self._start_thread()
            return self._taken - 1, batch

    def _wait_for_room(self) -> None:
        with self._order:
            while self._taken - self._handed_over > _AHEAD * self._most:
                self._order.wait()

    def _hand_over(self, number: int, deliveries: Sequence[Delivery]) -> None:
        """Hand over what became of a batch as soon as all before it are through."""
        with self._order:
            self._done[number] = deliveries
            while self._handed_over in self._done:
                for delivery in self._done.pop(self._handed_over):
                    self._hand_over_one(delivery)
                self._handed_over += 1
            self._order.notify_all()

    def _hand_over_one(self, delivery: Delivery) -> None:
        try:
            self._on_delivery(delivery)
        except BaseException as error:  # noqa: BLE001 - as above; the deliveries after it are handed over all the same
            self._fail(error)

    def _fail(self, error: BaseException, *, stops: bool = True) -> None:
        self.failure = self.failure or error
        if stops:
            self._stopped.set()
