"""What became of the transactions: which ones to ask about, and the answers summed up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from airflow_imiconnect.codes import CODES, UNDOCUMENTED
from airflow_imiconnect.errors import IMIconnectRecordsFailedError, IMIconnectRequestError
from airflow_imiconnect.failures import FailedRecord, Failures
from airflow_imiconnect.models import TransactionStatus
from airflow_imiconnect.texts import one_line

_LISTED_RECORDS = 100
_NAMED_RECORDS = 5
ALREADY_EXISTS = "7015"


class Transactions(NamedTuple):
    """
    The transactions to wait for.

    :param transids: in source order, each once
    :param resent: those whose batch may have been taken before: there 7015 means that it was (contract 7)
    """

    transids: tuple[str, ...]
    resent: frozenset[str]

    @classmethod
    def of(cls, value: object) -> Transactions:
        """
        Read one id, a list of ids, the operator's return value, or a list of those.

        :raises IMIconnectRequestError: it is none of these
        """
        transids: dict[str, None] = {}
        resent: set[str] = set()
        for item in [value] if isinstance(value, str | Mapping) else _items(value):
            if isinstance(item, Mapping):
                inner = cls.of(list(_items(item.get("transids"))))
                transids |= dict.fromkeys(inner.transids)
                resent |= {str(transid).strip() for transid in _items(item.get("resent") or ())}
            elif isinstance(item, str) and item.strip() and _is_text(item):
                transids[item.strip()] = None
            else:
                raise _no_transids()
        return cls(tuple(transids), frozenset(resent))


def _items(value: object) -> Iterable[object]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise _no_transids()
    return sorted(value, key=str) if isinstance(value, set | frozenset) else value


def _is_text(text: str) -> bool:
    """Tell a text from one that no encoding can write (half a character pair)."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _no_transids() -> IMIconnectRequestError:
    return IMIconnectRequestError(
        "transids must be an id, a list of ids, or what IMIconnectCreateAppProfileOperator returns "
        "(transids=submit.output): nothing was asked."
    )


class Outcome:
    """
    What became of transactions, summed up. In memory are counts only; the failed records stand on disk.

    :param transactions: all that there are to be finished; in the resent ones 7015 counts as created
    :param tolerated_codes: codes that fail no task
    """

    def __init__(self, transactions: Transactions, tolerated_codes: Collection[str] = ()) -> None:
        self.transactions = transactions
        self.records = 0
        self.failures: Counter[str] = Counter()
        self._tolerated = tolerated_codes
        self.failed_records = Failures(transactions.transids)  # in the order of the transactions

    def add(self, status: TransactionStatus) -> None:
        """Count a finished transaction, in whatever order they finish."""
        failed = list(_failed(status, self.transactions.resent))
        if failed:
            self.failed_records.add(status.transid, failed)  # first: a disk may be full, and nothing is counted then
        self.failures.update(record.code for record in failed)
        self.failures.update(status.unnamed_failures)
        self.records += status.records

    def add_succeeded(self, records: int) -> None:
        """Count the records of transactions in which none failed."""
        self.records += records

    @property
    def failed(self) -> int:
        """How many records failed."""
        return self.failures.total()

    @property
    def untolerated(self) -> int:
        """How many failed with a code that was not tolerated."""
        return sum(count for code, count in self.failures.items() if code not in self._tolerated)

    def to_json(self, rejects: str | None) -> dict[str, object]:
        """Return the sensor's result: the counts, and the first 100 failed records."""
        return {
            "transactions": len(self.transactions.transids),
            "records": self.records,
            "succeeded": self.records - self.failed,
            "failed": self.failed,
            "failures": dict(self.failures),
            "failed_records": [
                {
                    "customerId": item.customer_id,
                    "code": item.code,
                    "description": item.description,
                    "transid": item.transid,
                }
                for item in islice(self.failed_records, _LISTED_RECORDS)
            ],
            "rejects": rejects,
        }

    def error(self, rejects: str | None) -> IMIconnectRecordsFailedError:
        """Return the error that names counts by code, and the first few customer ids."""
        first = list(islice(self.failed_records, _NAMED_RECORDS))
        return records_failed(
            f"{self.failed} of {self.records} records failed in IMIconnect", self.failures, first, rejects
        )


def records_failed(
    start: str, failures: Mapping[str, int], records: Sequence[FailedRecord], rejects: str | None
) -> IMIconnectRecordsFailedError:
    """Return the error for records that the service did not take, at once or later."""
    by_code = ", ".join(
        f"{code} x {count} ({CODES.get(code, UNDOCUMENTED).meaning})" for code, count in sorted(failures.items())
    )
    first = ", ".join(f"{one_line(item.customer_id)} ({item.code})" for item in records[:_NAMED_RECORDS])
    return IMIconnectRecordsFailedError(
        f"{start}: {by_code}."
        + (f" First customer ids: {first}." if first else "")
        + (f" All of them: {rejects}." if rejects else " Set rejects_path to keep all of them in a file."),
        failures=dict(failures),
        customer_ids=tuple(item.customer_id for item in records[:_NAMED_RECORDS]),
    )


def _failed(status: TransactionStatus, resent: Collection[str]) -> Iterable[FailedRecord]:
    created_before = ALREADY_EXISTS if status.transid in resent else None
    for result in status.failed:
        if result.code != created_before:
            yield FailedRecord(result.customer_id, result.code, result.description, status.transid)
