"""
The ledger: what became of each batch, kept across the attempts of a task, so that a later one resumes.

Rule 1  A batch is sent only after its intention has been stored.
Rule 2  Its acceptance is stored with the next intention of any thread, or with the flush at the end. So a kill leaves
        at most one acceptance a thread unrecorded.
Rule 3  After a success the next attempt begins anew: a person has cleared the task. Where it is not known whether
        Airflow has noted the success, the mark tells: the same one is that of a worker that died before, and nothing is
        sent again.
Rule 4  The ledger says what it was begun with (the source's version, the options). Where an attempt submits other
        input, or makes other batches of it, a batch that is not known may hold records that were accepted in another
        one: it counts as perhaps processed before.
"""

from __future__ import annotations

import hashlib

from airflow_imiconnect.profile_api.results import Receipt
from airflow_imiconnect.submission.ledger_entries import Accepted, Entry, Intended, Split
from airflow_imiconnect.submission.ledger_store import LedgerStore, Store

SUCCESS = "success"  # the mark of a success that Airflow has noted
_FINISHED, _BEGUN_WITH, _CHANGED = "finished", "begun_with", "changed"


class Ledger:
    """
    One submission's ledger. Opening it writes nothing; an attempt that is going to send calls ``begin``.

    :param store: where to keep it; None for no memory across attempts
    :param mark: what changes when a person clears the task, and stays in a retry: ``ti.max_tries`` less ``retries``
    :param service: the URL that is submitted to: what one service has accepted, another has not
    """

    def __init__(self, store: Store | None, mark: int = 0, service: str = "") -> None:
        self._store = LedgerStore(store, f"imiconnect-{hashlib.sha256(service.encode()).hexdigest()[:8]}")
        self._mark = mark
        finished = self._store.note(_FINISHED)
        self._is_over = finished is not None and finished != mark
        if self._is_over:
            self._store.clear()
        self.was_begun = not self._store.is_empty  # by an earlier attempt
        self._claimed: set[str] = set()
        self.has_changed = False  # what is submitted, since an earlier attempt

    @property
    def is_kept(self) -> bool:
        """Whether a later attempt can read it."""
        return self._store.is_kept

    def begin(self, begun_with: str = "") -> None:
        """
        Begin an attempt that is going to send.

        An earlier success is taken back at once, for this attempt may fail without having anything else to store.

        :param begun_with: a digest of what is submitted, and of how
        """
        before = self._store.note(_BEGUN_WITH)
        self.has_changed = self.was_begun and before not in (None, begun_with)
        if before != begun_with:  # once it has changed, no later attempt is as the ledger was begun
            self._store.set_note(_BEGUN_WITH, _CHANGED if self.has_changed else begun_with)
        if self._store.note(_FINISHED) is None:
            return
        self._store.set_note(_FINISHED, None)
        if not self._is_over:  # what is over is replaced by the first intention
            self._store.sync()

    @property
    def accepted_batches(self) -> int:
        """How many batches earlier attempts have sent with success; raises as find does."""
        return sum(isinstance(entry, Accepted) for _, entry in self._store.entries())

    def unclaimed(self) -> list[Receipt]:
        """Return what earlier attempts have sent with success in batches that this one has not made."""
        entries = [entry for key, entry in self._store.entries() if key not in self._claimed]
        return [entry.receipt for entry in entries if isinstance(entry, Accepted)]

    def find(self, key: str) -> Entry | None:
        """
        Return what is known of a batch, None for one that was never intended.

        :raises IMIconnectRequestError: a part of the ledger is gone
        """
        self._claimed.add(key)
        return self._store.find(key)

    def intend(self, key: str) -> None:
        """Store that the batch is about to be sent; returns when it is stored."""
        is_new = self._store.find(key) is None
        if is_new:
            self._store.put(key, Intended())
        try:
            self._store.sync()
        except BaseException:
            if is_new:
                self._store.put(key, None)  # it will not be sent
            raise

    def accept(self, key: str, receipt: Receipt, *, resent: bool) -> None:
        """Note the service's answer; it is stored with the next intention, or by flush."""
        self._store.put(key, Accepted(receipt, resent))

    def split(self, key: str, *, resent: bool) -> None:
        """Note that the batch was refused as a whole, and that its halves stand for it from now on."""
        self._store.put(key, Split(resent))

    def withdraw(self, key: str) -> None:
        """Forget the intention: the service has not processed the batch."""
        self._store.put(key, None)

    def flush(self) -> None:
        """Store what is not stored yet."""
        self._store.sync()

    def finish(self, mark: int | str | None = None) -> None:
        """
        Store the success: when a person clears the task after it, everything is to be sent again.

        :param mark: SUCCESS where Airflow has noted it too; by default this attempt's
        """
        self._store.set_note(_FINISHED, self._mark if mark is None else mark)
        self._store.sync()
