"""
Where the ledger is kept: a key and a few words for each batch, in a store that is slow (some 10 ms a write or a read).

The store is anything with get and set: Airflow's task_state_store, which holds JSON values. The batches share a few
values. The head holds the latest; when it is full, its batches move to a segment, which is never written again, and
which counts once a head says so. The later word on a batch counts. Each value is one short text, for Airflow looks at
every part of a JSON object several times on its way.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from airflow_imiconnect.errors import IMIconnectRequestError
from airflow_imiconnect.profile_api.results import Receipt, RecordResult
from airflow_imiconnect.submission.ledger_entries import Accepted, Entry, Intended, Split

_SEGMENT_SIZE = 4_000  # characters of JSON, roughly: the fewer, the faster a write, and the more segments to read
_INTENDED = 0
_WITHDRAWN = None
_INCOMPLETE = (
    "The journal of earlier attempts is incomplete: Airflow's task_state_store has lost {lost} (it keeps values for "
    "[state_store] default_retention_days). Nothing was sent. What is left there, and the logs of earlier attempts, "
    "say what was accepted; to send everything again, delete {head} from it and clear the task."
)


class Store(Protocol):
    """As much of Airflow's task_state_store as is used here."""

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401 - any JSON value
        """Return the stored value."""

    def set(self, key: str, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """Store a JSON value for all attempts of the task."""


class LedgerStore:
    """
    The entries of one ledger: read when they are asked for, written together.

    Opening it reads the head, and writes nothing.

    :param store: where to keep it; None for no memory across attempts
    :param name: the key of the head in the store
    """

    def __init__(self, store: Store | None, name: str) -> None:
        self._store = store
        self._name = name
        self._lock = threading.Condition()
        self._entries: dict[str, Any] = {}  # the latest word on each batch
        self._latest: dict[str, Any] = {}  # those that the head holds
        self._size = 0
        self._full: deque[dict[str, Any]] = deque()  # segments to be stored
        self._segments = self._unread = 0  # how many stand in the store; how many of them are still to be read
        self._changes = self._stored = 0
        self._is_writing = False
        self._notes: dict[str, Any] = self._load(store) if store is not None else {}

    @property
    def is_kept(self) -> bool:
        """Whether a later attempt can read it."""
        return self._store is not None

    @property
    def is_empty(self) -> bool:
        """Whether it knows of no batch."""
        return not self._segments and all(value is _WITHDRAWN for value in self._entries.values())

    def note(self, name: str) -> Any:  # noqa: ANN401 - any JSON value
        """Return what the head says besides the batches; None where it says nothing."""
        return self._notes.get(name)

    def set_note(self, name: str, value: object) -> None:
        """Say something in the head; None takes it back. It is stored by the next sync."""
        with self._lock:
            self._notes[name] = value
            self._changes += 1

    def clear(self) -> None:
        """Forget all batches; their segments are overwritten one by one."""
        with self._lock:
            self._entries, self._latest, self._size = {}, {}, 0
            self._full.clear()
            self._segments = self._unread = 0

    def find(self, key: str) -> Entry | None:
        """
        Return the latest word on a batch, None where there is none.

        :raises IMIconnectRequestError: a part of the ledger is gone
        """
        with self._lock:
            self._read_segments()
            value = self._entries.get(key, _WITHDRAWN)
        return None if value is _WITHDRAWN else _unpacked(value)

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """Yield the latest word on each batch; raises as find does."""
        with self._lock:
            self._read_segments()
            values = dict(self._entries)
        return ((key, _unpacked(value)) for key, value in values.items() if value is not _WITHDRAWN)

    def put(self, key: str, entry: Entry | None) -> None:
        """Note the latest word on a batch; it is stored by the next sync of any thread."""
        if self._store is None:
            return
        with self._lock:
            self._put(key, _WITHDRAWN if entry is None else _packed(entry))

    def sync(self) -> None:
        """Wait until everything noted so far is stored. Whoever finds the store free writes for all who wait."""
        if self._store is None:
            return
        with self._lock:
            wanted = self._changes
            while self._stored < wanted:
                self._write_or_wait(self._store)

    def _load(self, store: Store) -> dict[str, Any]:
        head: dict[str, Any] = json.loads(store.get(self._name) or "{}")
        self._segments = self._unread = head.pop("segments", 0)
        for key, value in head.pop("batches", {}).items():
            self._put(key, value)
        self._stored = self._changes
        return head

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
        notes = {name: value for name, value in self._notes.items() if value is not None}
        return {"segments": self._segments, "batches": dict(self._latest), **notes}

    def _put(self, key: str, value: object) -> None:
        if self._size > _SEGMENT_SIZE:
            self._full.append(self._latest)
            self._latest, self._size = {}, 0
        self._size += len(str(value)) + (0 if key in self._latest else len(key))
        self._entries[key] = self._latest[key] = value
        self._changes += 1

    def _write_or_wait(self, store: Store) -> None:
        if self._is_writing:
            self._lock.wait()
        elif self._full:
            self._write(store, self._segment(self._segments), self._full[0])
            self._segments += 1
            self._full.popleft()
        else:
            changes = self._changes
            self._write(store, self._name, self._head())
            self._stored = changes

    def _write(self, store: Store, name: str, value: dict[str, Any]) -> None:
        """Write one value; the lock is free meanwhile, so that others can note theirs."""
        text = json.dumps(value, separators=(",", ":"))
        self._is_writing = True
        self._lock.release()
        try:
            store.set(name, text)
        finally:
            self._lock.acquire()
            self._is_writing = False
            self._lock.notify_all()


def _packed(entry: Entry) -> int | str | dict[str, Any]:
    if isinstance(entry, Intended):
        return _INTENDED
    flag = {"again": 1} if entry.resent else {}
    if isinstance(entry, Split):
        return {"split": 1, **flag}
    receipt = entry.receipt
    if receipt.state == "queued" and len(receipt.transids) == 1 and not (receipt.refused or entry.resent):
        return receipt.transids[0]  # as nearly all are
    packed: dict[str, Any] = {"t": list(receipt.transids), "s": receipt.state, **flag}
    # A refusal that names nobody stands for the records that no result names: then all results are needed.
    results = receipt.refused if all(result.customer_id for result in receipt.refused) else receipt.results
    if results:
        packed["r"] = [list(result) for result in results]
    return packed


def _unpacked(value: int | str | Mapping[str, Any]) -> Entry:
    if isinstance(value, str):
        return Accepted(Receipt((value,), "queued"))
    if not isinstance(value, Mapping):
        return Intended()
    if "split" in value:
        return Split(resent="again" in value)
    results = tuple(RecordResult(*result) for result in value.get("r", ()))
    return Accepted(Receipt(tuple(value["t"]), value["s"], results), resent="again" in value)
