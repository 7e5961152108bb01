"""The records that failed, however many: on disk, in a temporary database, which goes with the object."""

from __future__ import annotations

import json
import sqlite3
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from airflow_imiconnect.errors import IMIconnectRecordsFailedError, one_line
from airflow_imiconnect.profile_api.codes import CODES, UNDOCUMENTED
from airflow_imiconnect.profile_api.lacking import lacking
from airflow_imiconnect.profile_api.results import Transaction
from airflow_imiconnect.records.validation import CheckedRecord

_NAMED_RECORDS = 5
_ANYWHERE = (0, 2**62)

_TABLES = """
PRAGMA journal_mode = OFF;
CREATE TABLE failed (
    transaction_number INTEGER, number INTEGER, customer_id TEXT, code TEXT, description TEXT,
    nth INTEGER, named INTEGER, lacks TEXT, PRIMARY KEY (transaction_number, number)
) WITHOUT ROWID;
CREATE TABLE content (customer_id TEXT, place INTEGER, position TEXT, attributes TEXT);
CREATE INDEX content_of ON content (customer_id, place);
BEGIN;
"""


class FailedRecord(NamedTuple):
    """
    A record that the service did not create.

    :param transid: the transaction it was in
    :param nth: how many results of this transaction name the customer before this one does
    :param named: how many of them name the customer
    :param lacks: which required attributes it lacks, where one is missing (7003) and the record is known
    """

    customer_id: str
    code: str
    description: str
    transid: str
    nth: int = 0
    named: int = 1
    lacks: str = ""


class FailedRecords:
    """
    Failed records, in the order of their transactions, whatever the order in which they are added.

    Nothing is created before the first one. What does not fit into some megabytes of memory goes to a file that has no
    name, so that nobody else can open it, and that is gone when the process ends.

    :param transactions: the transactions that records may have failed in
    """

    def __init__(self, transactions: Sequence[Transaction]) -> None:
        self._transactions = transactions
        self._numbers: dict[str, int] = {}
        self._database: sqlite3.Connection | None = None

    def add(self, transid: str, records: Iterable[FailedRecord]) -> None:
        """Add those of one transaction. Adding them again, after a full disk say, changes nothing."""
        database = self._database or self._open()
        transaction = self._numbers[transid]
        database.executemany(
            "INSERT OR REPLACE INTO failed VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            ((transaction, number, *record[:3], *record[4:]) for number, record in enumerate(records)),
        )

    def __iter__(self) -> Iterator[FailedRecord]:
        for _, record in self._rows():
            yield record

    def _rows(self) -> Iterator[tuple[tuple[int, int], FailedRecord]]:
        """Yield each with its key: the numbers of its transaction, and in it."""
        if self._database is not None:
            for number, nth_of_all, customer_id, code, description, *rest in self._database.execute(
                "SELECT * FROM failed"
            ):
                transid = self._transactions[number].transid
                yield (number, nth_of_all), FailedRecord(customer_id, code, description, transid, *rest)

    def with_records(self, records: Iterable[CheckedRecord]) -> Iterator[tuple[FailedRecord, CheckedRecord | None]]:
        """
        Yield each failed record with what was sent for it.

        The service names records by customerId alone. If a batch names a customer more than once (with several
        devices), the order of the results tells which record is meant, provided that they name the customer as often
        (contract 15); otherwise it is None. From then on, each knows which required attributes its record lacks.

        :param records: the source, read again from its beginning; not read at all if nothing failed
        """
        database = self._database
        if database is None:
            return
        database.execute("CREATE INDEX failed_of ON failed (customer_id)")
        for place, record in enumerate(records):
            if database.execute("SELECT 1 FROM failed WHERE customer_id = ?", record[1:2]).fetchone():
                values = (record.customer_id, place, record.position, json.dumps(dict(record.attributes)))
                database.execute("INSERT INTO content VALUES (?, ?, ?, ?)", values)
        for key, failed in self._rows():
            transaction = self._transactions[key[0]]
            found = _content(database, failed, transaction.places)
            if found and (lacks := lacking(failed.code, transaction.operation, found.attributes)):
                failed = failed._replace(lacks=lacks)  # noqa: PLW2901 - the same one, better known
                database.execute(
                    "UPDATE failed SET lacks = ? WHERE (transaction_number, number) = (?, ?)", (lacks, *key)
                )
            yield failed, found

    def _open(self) -> sqlite3.Connection:
        self._numbers = {transaction.transid: number for number, transaction in enumerate(self._transactions)}
        # It is used by one thread after another: the one that asks, and the one that waits for it.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self._database.close)
        self._database.executescript(_TABLES)
        return self._database


def _content(
    database: sqlite3.Connection, failed: FailedRecord, places: tuple[int, int] | None
) -> CheckedRecord | None:
    """Return the customer's record in the batch that the result stands for."""
    query = "SELECT position, attributes FROM content WHERE customer_id = ? AND place >= ? AND place < ? ORDER BY place"
    found = database.execute(query, (failed.customer_id, *(places or _ANYWHERE))).fetchmany(failed.named + 1)
    if len(found) != failed.named:
        return None
    position, attributes = found[failed.nth]
    return CheckedRecord(position, failed.customer_id, json.loads(attributes))


def records_failed(
    start: str, failures: Mapping[str, int], records: Sequence[FailedRecord], rejects: str | None
) -> IMIconnectRecordsFailedError:
    """Return the error for records that the service did not take, at once or later."""
    by_code = ", ".join(
        f"{code} x {count} ({CODES.get(code, UNDOCUMENTED).meaning})" for code, count in sorted(failures.items())
    )
    first = ", ".join(
        f"{one_line(item.customer_id)} ({', '.join(filter(None, (item.code, item.lacks)))})"
        for item in records[:_NAMED_RECORDS]
    )
    return IMIconnectRecordsFailedError(
        f"{start}: {by_code}."
        + (f" First customer ids: {first}." if first else "")
        + (f" All of them: {rejects}." if rejects else " Set rejects_path to keep all of them in a file."),
        failures=dict(failures),
        customer_ids=tuple(item.customer_id for item in records[:_NAMED_RECORDS]),
    )
