"""What became of the transactions: which ones to ask about, and the answers summed up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from airflow_imiconnect.errors import IMIconnectRecordsFailedError, IMIconnectRequestError
from airflow_imiconnect.models import TransactionStatus, one_line
from airflow_imiconnect.protocol import CODES, UNDOCUMENTED

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
                resent |= {str(transid) for transid in _items(item.get("resent") or ())}
            elif isinstance(item, str) and item.strip():
                transids[item.strip()] = None
            else:
                raise _no_transids()
        return cls(tuple(transids), frozenset(resent))


def _items(value: object) -> Iterable[object]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise _no_transids()
    return value


def _no_transids() -> IMIconnectRequestError:
    return IMIconnectRequestError(
        "transids must be an id, a list of ids, or what IMIconnectCreateAppProfileOperator returns "
        "(transids=submit.output): nothing was asked."
    )


class FailedRecord(NamedTuple):
    """A record that the service did not create, and the transaction it was in."""

    customer_id: str
    code: str
    description: str
    transid: str


class Outcome:
    """
    The answers of finished transactions, summed up.

    :param statuses: finished ones, in the order of their transids
    :param resent: transactions in which 7015 counts as created
    :param tolerated_codes: codes that fail no task
    """

    def __init__(
        self,
        statuses: Sequence[TransactionStatus],
        resent: Collection[str] = frozenset(),
        tolerated_codes: Collection[str] = frozenset(),
    ) -> None:
        self._tolerated = tolerated_codes
        self.transactions = len(statuses)
        self.records = sum(_records(status) for status in statuses)
        self.failed_records = [failed for status in statuses for failed in _failed(status, resent)]
        self.failures = Counter(failed.code for failed in self.failed_records)
        for status in statuses:
            self.failures[_PARTIAL] += _unnamed_failures(status)
        self.failures += Counter()  # drops the zeros

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
            "transactions": self.transactions,
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
                for item in self.failed_records[:_LISTED_RECORDS]
            ],
            "rejects": rejects,
        }

    def error(self, rejects: str | None) -> IMIconnectRecordsFailedError:
        """Return the error that names counts by code, and the first few customer ids."""
        return records_failed(
            f"{self.failed} of {self.records} records failed in IMIconnect", self.failures, self.failed_records, rejects
        )


_PARTIAL = "1002"


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


def _records(status: TransactionStatus) -> int:
    return len(status.results) or max(status.total_count or 0, _unnamed_failures(status))


def _unnamed_failures(status: TransactionStatus) -> int:
    """Count for a partial success that names no records: at least one failed (contract 5: counts are for display)."""
    if status.results or status.state != "partial":
        return 0
    return max(1, status.failure_count or 0)
