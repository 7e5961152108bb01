"""
The ledger: batch key -> intended, or accepted as these transactions. It lets a later try continue where one stopped.

Rule 1  A batch is sent only after its intention has been stored.
Rule 2  Its acceptance is stored with the next intention of the same thread, or with the flush at the end. So a kill
        leaves at most one acceptance a thread unrecorded.
Rule 3  Whoever finds the store free writes for all who wait: a write costs the same for one batch as for eight.

The store is anything with get and set: Airflow's task_state_store, which holds JSON values and is slow (some 10 ms a
write, and as much a read), so the batches share a few values. The head holds the latest; when it is full, its batches
move to a segment, which is never written again, and which counts once a head says so. The later word on a batch counts.
Each value is one short text, for Airflow looks at every part of a JSON object several times on its way.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from airflow_imiconnect.errors import IMIconnectRequestError
from airflow_imiconnect.models import Receipt, RecordResult

_SEGMENT_SIZE = 4_000  # characters of JSON, roughly: the fewer, the faster a write, and the more segments to read
_INTENDED = 0
_WITHDRAWN = None
_INCOMPLETE = (
    "What earlier tries have sent is no longer fully known: Airflow's task_state_store has lost {lost} (it keeps "
    "values for [state_store] default_retention_days). Nothing was sent. What is left there, and the logs of earlier "
    "tries, say what was accepted; to send everything again, delete {head} from it and clear the task."
)


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
        self._name = f"imiconnect-{hashlib.sha256(service.encode()).hexdigest()[:8]}"
        self._mark = mark
        self._lock = threading.Condition()
        self._entries: dict[str, Any] = {}  # the latest word on each batch
        self._latest: dict[str, Any] = {}  # those that the head holds
        self._size = 0
        self._full: deque[dict[str, Any]] = deque()  # segments to be stored
        self._segments = self._unread = 0  # how many stand in the store; how many of them are still to be read
        self._finished: int | None = None
        self._changes = self._stored = 0
        self._writing = False
        if store is not None:
            self._load(store)
        self.was_begun = bool(self._segments or self._entries)  # by an earlier try

    @property
    def is_kept(self) -> bool:
        """Whether a later try can read it."""
        return self._store is not None

    def find(self, key: str) -> Entry | None:
        """
        Return what is known of a batch, None for one never intended.

        :raises IMIconnectRequestError: a part of the ledger is gone
        """
        with self._lock:
            self._read_segments()
            value = self._entries.get(key, _WITHDRAWN)
        return None if value is _WITHDRAWN else _entry(value)

    def intend(self, key: str) -> None:
        """Store that the batch is about to be sent; returns when it is stored."""
        with self._lock:
            is_new = self._entries.get(key, _WITHDRAWN) is _WITHDRAWN
            if is_new:
                self._put(key, _INTENDED)
            try:
                self._sync()
            except BaseException:
                if is_new:
                    self._put(key, _WITHDRAWN)  # it will not be sent
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
            self._put(key, _WITHDRAWN)

    def flush(self) -> None:
        """Store what is not stored yet."""
        with self._lock:
            self._sync()

    def finish(self) -> None:
        """Note the full success: when a person clears the task after it, everything is to be sent again."""
        self._mark_finished(self._mark)

    def reopen(self) -> None:
        """Take the success back: the task has failed after all, and another try or a Clear is to continue."""
        self._mark_finished(None)

    def _mark_finished(self, mark: int | None) -> None:
        with self._lock:
            self._writing = False  # no other thread is left by now; the task's timeout may have cut a write short
            self._finished = mark
            self._changes += 1
            self._sync()

    def _load(self, store: Store) -> None:
        head = json.loads(store.get(self._name) or "{}")
        finished = head.get("finished")
        # A Clear sets max_tries anew, a retry leaves it: so the same mark after a success is a worker that died
        # before Airflow had noted the success, and another mark is a person who wants it all again.
        if not head or finished not in (None, self._mark):
            return
        self._segments = self._unread = head["segments"]
        for key, value in head["batches"].items():
            self._put(key, value)
        self._stored = self._changes
        if finished is not None:
            self.reopen()  # at once: this try may fail without having anything else to write

    def _read_segments(self) -> None:
        """Read them when they are first asked for; whoever only finishes needs none."""
        while self._store is not None and self._unread:
            name = self._segment(self._unread - 1)
            text = self._store.get(name)
            if text is None:
                raise IMIconnectRequestError(_INCOMPLETE.format(lost=name, head=self._name))
            for key, value in json.loads(text).items():
                self._entries.setdefault(key, value)  # from the latest to the first: the later word counts
            self._unread -= 1

    def _segment(self, number: int) -> str:
        return f"{self._name}-{number}"

    def _head(self) -> dict[str, Any]:
        head = {"segments": self._segments, "batches": dict(self._latest)}
        return head if self._finished is None else {**head, "finished": self._finished}

    def _put(self, key: str, value: object) -> None:
        if self._store is None:
            return
        if self._size > _SEGMENT_SIZE:
            self._full.append(self._latest)
            self._latest, self._size = {}, 0
        self._size += len(str(value)) + (0 if key in self._latest else len(key))
        self._entries[key] = self._latest[key] = value
        self._changes += 1

    def _sync(self) -> None:
        """Wait until all changes made so far are stored; the lock is held, and free while the store writes."""
        wanted = self._changes
        while self._store is not None and self._stored < wanted:
            if self._writing:
                self._lock.wait()
            elif self._full:
                self._write(self._store, self._segment(self._segments), self._full[0])
                self._segments += 1
                self._full.popleft()
            else:
                changes = self._changes
                self._write(self._store, self._name, self._head())
                self._stored = changes

    def _write(self, store: Store, name: str, value: dict[str, Any]) -> None:
        try:
            self._writing = True
            self._lock.release()
            store.set(name, json.dumps(value, separators=(",", ":")))
        finally:
            self._lock.acquire()
            self._writing = False
            self._lock.notify_all()


def _packed(receipt: Receipt, *, resent: bool) -> str | dict[str, Any]:
    if receipt.state == "queued" and len(receipt.transids) == 1 and not (receipt.refused or resent):
        return receipt.transids[0]  # as nearly all are
    packed: dict[str, Any] = {"t": list(receipt.transids), "s": receipt.state, **_flag(resent=resent)}
    # A refusal that names nobody stands for the records that no result names: then all results are needed.
    results = receipt.refused if all(result.customer_id for result in receipt.refused) else receipt.results
    if results:
        packed["r"] = [[result.customer_id, result.code, result.description] for result in results]
    return packed


def _flag(*, resent: bool) -> dict[str, int]:
    return {"again": 1} if resent else {}


def _entry(value: int | str | Mapping[str, Any]) -> Entry:
    if isinstance(value, str):
        return Entry(Receipt(value, "queued"))
    if not isinstance(value, Mapping):
        return Entry(resent=True)  # intended, and perhaps sent
    if "split" in value:
        return Entry(resent="again" in value, split=True)
    transids = value["t"] or [""]
    results = tuple(RecordResult(*result) for result in value.get("r", ()))
    receipt = Receipt(transids[0], value["s"], results, tuple(transids[1:]))
    return Entry(receipt, resent="again" in value)
