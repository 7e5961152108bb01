"""The outcome: what became of the records of transactions, summed up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import islice

from airflow_imiconnect.errors import IMIconnectRecordsFailedError
from airflow_imiconnect.profile_api.codes import known_words
from airflow_imiconnect.profile_api.lacking import with_lacking
from airflow_imiconnect.profile_api.operations import OPERATIONS
from airflow_imiconnect.profile_api.results import RecordResult, Transaction, TransactionStatus
from airflow_imiconnect.records.failed_records import FailedRecord, FailedRecords, records_failed

_LISTED_RECORDS = 100
_NAMED_RECORDS = 5


class Outcome:
    """
    What became of transactions. In memory are counts only; the failed records stand on disk.

    :param transactions: all that there are to be finished
    :param tolerated_codes: codes that fail no task
    """

    def __init__(self, transactions: Sequence[Transaction], tolerated_codes: Collection[str] = ()) -> None:
        self._transactions = {transaction.transid: transaction for transaction in transactions}
        self._tolerated = tolerated_codes
        self.failures: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()  # created, existing, …: how records came to be as asked
        self.failed_records = FailedRecords(transactions)  # in the order of the transactions

    def add(self, status: TransactionStatus) -> None:
        """Count a finished transaction, in whatever order they finish."""
        transaction = self._transactions[status.transid]
        failed = list(_failed(status, transaction))
        if failed:
            # First: should the disk be full, nothing is counted, and the transaction is polled again.
            self.failed_records.add(status.transid, failed)
        failures = Counter([record.code for record in failed]) + Counter(status.unnamed_failures)
        already = len(status.failed) - len(failed)
        records = status.records if transaction.records is None else transaction.records
        self.failures += failures
        self._count(transaction, max(0, records - failures.total() - already), already)

    def add_succeeded(self, transids: Collection[str], records: int) -> None:
        """Count transactions in which no record failed, and how many records these hold in all."""
        transactions = [self._transactions[transid] for transid in transids]
        for transaction in transactions:
            self._count(transaction, transaction.records or 0)
            records -= transaction.records or 0
        if transactions and records > 0:  # in those of which it is not known how many they hold
            self._count(next((each for each in transactions if each.records is None), transactions[0]), records)

    def _count(self, transaction: Transaction, done: int, already: int = 0) -> None:
        operation = OPERATIONS[transaction.operation]
        self.counts[operation.done] += done
        self.counts[operation.already] += already

    @property
    def transactions(self) -> int:
        """How many transactions there are."""
        return len(self._transactions)

    @property
    def succeeded(self) -> int:
        """How many records are now as asked."""
        return self.counts.total()

    @property
    def failed(self) -> int:
        """How many records failed."""
        return self.failures.total()

    @property
    def untolerated(self) -> int:
        """How many failed with a code that is not tolerated."""
        return sum(count for code, count in self.failures.items() if code not in self._tolerated)

    def to_json(self, rejects: str | None) -> dict[str, object]:
        """Return the sensor's result: the counts, and the first 100 failed records."""
        names = [name for row in OPERATIONS.values() for name in (row.done, row.already)]
        return {
            "transactions": self.transactions,
            "records": self.succeeded + self.failed,
            "succeeded": self.succeeded,
            **{name: self.counts[name] for name in names},
            "failed": self.failed,
            "failures": dict(self.failures),
            "failed_records": [
                {
                    "customerId": item.customer_id,
                    "code": item.code,
                    "description": with_lacking(known_words(item.code, item.description), item.lacks),
                    "transid": item.transid,
                }
                for item in islice(self.failed_records, _LISTED_RECORDS)
            ],
            "rejects": rejects,
        }

    def error(self, rejects: str | None) -> IMIconnectRecordsFailedError:
        """Return the error that names counts by code, and the first few customer ids."""
        first = list(islice(self.failed_records, _NAMED_RECORDS))
        records = self.succeeded + self.failed
        return records_failed(f"{self.failed} of {records} records failed in IMIconnect", self.failures, first, rejects)

    def __str__(self) -> str:
        parts = [f"{count} {name}" for name, count in self.counts.items() if count]
        return ", ".join([*parts, f"{self.failed} failed"])


def _failed(status: TransactionStatus, transaction: Transaction) -> Iterator[FailedRecord]:
    """Yield the failed records; contract 7: "already so" in a batch that was sent twice is not a failure."""
    if not status.failed:
        return
    named, before = Counter(result.customer_id for result in status.results), Counter[str]()
    for result in status.results:
        customer_id, code, description = result
        if not (result.taken or _was_so(result, transaction)):
            yield FailedRecord(customer_id, code, description, status.transid, before[customer_id], named[customer_id])
        before[customer_id] += 1


def _was_so(result: RecordResult, transaction: Transaction) -> bool:
    return transaction.resent and result.code == OPERATIONS[transaction.operation].already_so
