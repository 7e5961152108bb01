"""
The ledger: batch key -> intended, or accepted as these transactions. It lets a later try continue where one stopped.

Rule 1  A batch is sent only after its intention has been stored.
Rule 2  Its acceptance is stored with the next intention of the same thread, or with the flush at the end. So a kill
        leaves at most one acceptance a thread unrecorded.
Rule 3  Whoever finds the store free writes for all who wait: a write costs the same for one batch as for eight.

The store is anything with get and set: Airflow's task_state_store, which holds JSON values and is slow (some 10 ms a
write), so the batches share a few values, the segments. Only the last one is written to: what becomes of a batch stands
there, even if its intention stands in an earlier one, and the later word counts.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from airflow_imiconnect.models import Receipt, RecordResult

_SEGMENT_SIZE = 16_000  # characters of JSON, roughly; Airflow warns from 64 KB on
_INTENDED = 0


class Store(Protocol):
    """As much of Airflow's task_state_store as is used here."""

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401 - any JSON value
        """Return the stored value."""

    def set(self, key: str, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """Store a JSON value for all tries of the task."""


@dataclass(frozen=True)
class Entry:
    """
    What an earlier try left of a batch.

    :param receipt: the service's answer; None when it was only intended, or split
    :param resent: whether it may have been taken before the receipt, or without one
    :param split: whether the service refused it as a whole, so that its halves were sent
    """

    receipt: Receipt | None = None
    resent: bool = False
    split: bool = False


class Ledger:
    """
    One submission's ledger.

    :param store: where to keep it; None for no memory across tries
    :param mark: what changes when a person clears the task, and stays in a retry: ``ti.max_tries`` less ``retries``
    :param service: the URL that is submitted to: what one service has taken, another has not
    """

    def __init__(self, store: Store | None, mark: int = 0, service: str = "") -> None:
        self._store = store
        self._prefix = f"imiconnect-{hashlib.sha256(service.encode()).hexdigest()[:8]}"
        self._mark = mark
        self._lock = threading.Condition()
        self._segments: list[dict[str, Any]] = [{}]
        self._sizes = [0]
        self._place: dict[str, int] = {}
        self._dirty: set[int] = set()
        self._changes = self._stored = 0
        self._writing = False
        self._generation = 0
        if store is not None:
            self._load(store)
        self.known_before = len(self._place)  # batches of earlier tries

    @property
    def is_kept(self) -> bool:
        """Whether a later try can read it."""
        return self._store is not None

    @property
    def known(self) -> int:
        """How many batches stand here."""
        return len(self._place)

    def find(self, key: str) -> Entry | None:
        """Return what is known of a batch, None for one never intended."""
        with self._lock:
            place = self._place.get(key)
            return None if place is None else _entry(self._segments[place][key])

    def intend(self, key: str) -> None:
        """Store that the batch is about to be sent; returns when it is stored."""
        with self._lock:
            is_new = key not in self._place
            if is_new:
                self._put(key, _INTENDED)
            try:
                self._sync()
            except BaseException:
                if is_new:
                    self._remove(key)  # it will not be sent
                raise

    def accept(self, key: str, receipt: Receipt, *, resent: bool) -> None:
        """Note the service's answer; it is stored with the next intention, or by flush."""
        with self._lock:
            self._put(key, _packed(receipt, resent=resent))

    def split(self, key: str, *, resent: bool) -> None:
        """Note that the batch was refused as a whole, and that its halves stand for it from now on."""
        with self._lock:
            self._put(key, {"split": 1, **_flag(resent=resent)})

    def withdraw(self, key: str) -> None:
        """Forget the intention: the service has said that it did not take the batch."""
        with self._lock:
            self._remove(key)

    def flush(self) -> None:
        """Store what is not stored yet."""
        with self._lock:
            self._sync()

    def finish(self) -> None:
        """Note the full success: when a person clears the task after it, everything is to be sent again."""
        with self._lock:
            self._sync()
        self._write_head(finished=self._mark)

    def reopen(self) -> None:
        """Take the success back: the task has failed after all, and another try or a Clear is to continue."""
        self._write_head()

    def _load(self, store: Store) -> None:
        head = store.get(self._prefix) or {}
        self._generation = head.get("generation", 0)
        finished = head.get("finished")
        # A Clear sets max_tries anew, a retry leaves it: so the same mark after a success is a worker that died
        # before Airflow had noted the success, and another mark is a person who wants it all again.
        if finished is not None and finished != self._mark:
            self._generation += 1
            self._write_head()
            return
        if finished is not None:
            self._write_head()  # this try may fail
        while (segment := store.get(self._name(len(self._segments) - 1))) is not None:
            number = len(self._segments) - 1
            self._segments[number] = dict(segment)
            self._place.update(dict.fromkeys(segment, number))
            self._segments.append({})
            self._sizes.append(0)

    def _write_head(self, **finished: int) -> None:
        if self._store is not None:
            self._store.set(self._prefix, {"generation": self._generation, **finished})

    def _name(self, number: int) -> str:
        return f"{self._prefix}-{self._generation}-{number}"

    def _put(self, key: str, value: object) -> None:
        if self._store is None:
            return
        if self._sizes[-1] > _SEGMENT_SIZE:
            self._segments.append({})
            self._sizes.append(0)
        place = self._place[key] = len(self._segments) - 1
        self._segments[place][key] = value
        self._sizes[place] += len(key) + len(str(value))
        self._dirty.add(place)
        self._changes += 1

    def _remove(self, key: str) -> None:
        if self._place.pop(key, None) is None:
            return
        for place, segment in enumerate(self._segments):
            if segment.pop(key, None) is not None:
                self._dirty.add(place)
        self._changes += 1

    def _sync(self) -> None:
        """Wait until all changes made so far are stored; the lock is held, and free while the store writes."""
        wanted = self._changes
        while self._store is not None and self._stored < wanted:
            if self._writing:
                self._lock.wait()
                continue
            changes = self._changes
            values = {self._name(number): dict(self._segments[number]) for number in sorted(self._dirty)}
            dirty, self._dirty = self._dirty, set()
            self._writing = True
            self._lock.release()
            try:
                for name, value in values.items():
                    self._store.set(name, value)
                dirty = set()
            finally:
                self._lock.acquire()
                self._dirty |= dirty  # what could not be written
                self._writing = False
                self._lock.notify_all()
            self._stored = changes


def _packed(receipt: Receipt, *, resent: bool) -> dict[str, Any]:
    packed: dict[str, Any] = {"t": list(receipt.transids), "s": receipt.state, **_flag(resent=resent)}
    if receipt.refused:
        packed["r"] = [[result.customer_id, result.code, result.description] for result in receipt.refused]
    return packed


def _flag(*, resent: bool) -> dict[str, int]:
    return {"again": 1} if resent else {}


def _entry(value: int | Mapping[str, Any]) -> Entry:
    if not isinstance(value, Mapping):
        return Entry(resent=True)  # intended, and perhaps sent
    if "split" in value:
        return Entry(resent="again" in value, split=True)
    transids = value["t"] or [""]
    results = tuple(RecordResult(*result) for result in value.get("r", ()))
    receipt = Receipt(transids[0], value["s"], results, tuple(transids[1:]))
    return Entry(receipt, resent="again" in value)
