"""The records that failed, however many: on disk, in a temporary database, which goes with the object."""

from __future__ import annotations

import json
import sqlite3
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from airflow_imiconnect.batches import CheckedRecord

_TABLES = """
PRAGMA journal_mode = OFF;
CREATE TABLE failed (
    place INTEGER, number INTEGER, customer_id TEXT, code TEXT, description TEXT, PRIMARY KEY (place, number)
) WITHOUT ROWID;
CREATE TABLE content (customer_id TEXT, position TEXT, attributes TEXT);
CREATE INDEX content_of ON content (customer_id);
BEGIN;
"""
_UNCERTAIN = """
DELETE FROM content WHERE customer_id IN (
    SELECT customer_id FROM content GROUP BY customer_id
    HAVING count(*) != (SELECT count(*) FROM failed WHERE failed.customer_id = content.customer_id)
)
"""


class FailedRecord(NamedTuple):
    """A record that the service did not create, and the transaction it was in."""

    customer_id: str
    code: str
    description: str
    transid: str


class Failures:
    """
    Failed records, in the order of their transactions, whatever the order in which they are added.

    Nothing is created before the first one. What does not fit into some megabytes of memory goes to a file that has no
    name, so that nobody else can open it, and that is gone when the process ends.

    :param transids: the transactions that records may have failed in
    """

    def __init__(self, transids: Sequence[str]) -> None:
        self._transids = transids
        self._places: dict[str, int] = {}
        self._database: sqlite3.Connection | None = None

    def add(self, transid: str, records: Iterable[FailedRecord]) -> None:
        """Add those of one transaction. Adding them again, after a full disk say, changes nothing."""
        database = self._database or self._open()
        place = self._places[transid]
        database.executemany(
            "INSERT OR REPLACE INTO failed VALUES (?, ?, ?, ?, ?)",
            ((place, number, *record[:3]) for number, record in enumerate(records)),
        )

    def __iter__(self) -> Iterator[FailedRecord]:
        if self._database is not None:
            rows = self._database.execute("SELECT customer_id, code, description, place FROM failed")
            for customer_id, code, description, place in rows:
                yield FailedRecord(customer_id, code, description, self._transids[place])

    def with_records(self, records: Iterable[CheckedRecord]) -> Iterator[tuple[FailedRecord, CheckedRecord | None]]:
        """
        Yield each failed record with what was sent for it.

        The service names records by customerId alone: where the source holds one more often than it failed (a person
        with several devices), nothing tells which of them it was, and None stands there.

        :param records: the source, read again from its beginning; not read at all when nothing failed
        """
        database = self._database
        if database is None:
            return
        database.execute("CREATE INDEX failed_of ON failed (customer_id)")
        for record in records:
            if database.execute("SELECT 1 FROM failed WHERE customer_id = ?", record[1:2]).fetchone():
                values = (record.customer_id, record.position, json.dumps(dict(record.attributes)))
                database.execute("INSERT INTO content VALUES (?, ?, ?)", values)
        database.execute(_UNCERTAIN)
        for failed in self:
            yield failed, _take(database, failed.customer_id)

    def _open(self) -> sqlite3.Connection:
        self._places = {transid: place for place, transid in enumerate(self._transids)}
        # It is used by one thread after another: the one that asks, and the one that waits for it.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self._database.close)
        self._database.executescript(_TABLES)
        return self._database


def _take(database: sqlite3.Connection, customer_id: str) -> CheckedRecord | None:
    """Return the content of the customer's first record that is left, and remove it."""
    query = "SELECT rowid, position, attributes FROM content WHERE customer_id = ? ORDER BY rowid LIMIT 1"
    found = database.execute(query, (customer_id,)).fetchone()
    if found is None:
        return None
    rowid, position, attributes = found
    database.execute("DELETE FROM content WHERE rowid = ?", (rowid,))
    return CheckedRecord(position, customer_id, json.loads(attributes))
