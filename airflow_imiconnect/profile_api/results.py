"""What the service says of what was submitted, as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple


class RecordResult(NamedTuple):
    """
    What the service says of one record.

    :param customer_id: the record's customerId; empty where the service names none
    :param code: the service's code, ``"1000"`` for a record that was taken
    :param description: the service's words; they may quote the record's values
    """

    customer_id: str
    code: str
    description: str

    @property
    def taken(self) -> bool:
        """Whether the record is queued or done, as against refused or failed (contract 6)."""
        return self.code in ("1000", "1001")


class Receipt(NamedTuple):
    """
    What the service answers to a write (contract 5).

    :param transids: the transactions to poll, as a rule one
    :param state: "queued", or "finished" when there is nothing to wait for
    :param results: what it says of each record, where it does
    """

    transids: tuple[str, ...]
    state: Literal["queued", "finished"]
    results: tuple[RecordResult, ...] = ()

    @property
    def transid(self) -> str:
        """The first transaction; empty where the work is finished and the service gave none."""
        return self.transids[0] if self.transids else ""

    @property
    def refused(self) -> tuple[RecordResult, ...]:
        """The records that were not taken."""
        return failed(self.results)


class Transaction(NamedTuple):
    """
    A transaction to wait for.

    :param transid: its id
    :param operation: the name of the operation that was submitted, by which its results are judged
    :param records: how many records it holds; None where that is not known
    :param resent: whether its batch may have been processed before: there "already so" is not a failure (contract 7)
    :param places: of its batch among the valid records of the source: the first one, and the one after the last; None
        if they are not known
    """

    transid: str
    operation: str = "create"
    records: int | None = None
    resent: bool = False
    places: tuple[int, int] | None = None


@dataclass(frozen=True)
class TransactionStatus:
    """
    How far a transaction is (contract 5).

    :param transid: the transaction
    :param state: "waiting" (7600, QUEUED, or what became of a record is open), "succeeded", or "partial": finished,
        and at least one record failed
    :param results: what the service says of each record, where it does
    :param unnamed_failures: how many records failed that no result names, by the code that says so
    :param total_count: the service's own count of records
    :param failure_count: its count of failed ones; it is wrong in the vendor's own examples
    :param is_open: whether the service calls it finished, and does not tell what became of every record: "waiting"
    """

    transid: str
    state: Literal["waiting", "succeeded", "partial"]
    results: tuple[RecordResult, ...] = ()
    unnamed_failures: Mapping[str, int] = field(default_factory=dict)
    total_count: int | None = None
    failure_count: int | None = None
    is_open: bool = False

    @property
    def failed(self) -> tuple[RecordResult, ...]:
        """The records that failed and are named."""
        return failed(self.results)

    @property
    def records(self) -> int:
        """How many records it holds, as far as the service says."""
        return max(len(self.results) + sum(self.unnamed_failures.values()), self.total_count or 0)


def failed(results: Iterable[RecordResult]) -> tuple[RecordResult, ...]:
    """Return the results of records that were not taken."""
    return tuple(result for result in results if not result.taken)
