"""What a submission is, as it travels through XCom: from the operator to the sensor, and over a deferral."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from airflow_imiconnect.errors import IMIconnectRequestError
from airflow_imiconnect.profile_api.operations import CREATE, OPERATIONS
from airflow_imiconnect.profile_api.results import Transaction


@dataclass(frozen=True)
class Submission:
    """
    What was submitted.

    :param operation: the operation's name
    :param app_id: the tenant's app
    :param records: how many records there were
    :param accepted: how many of them the service has accepted, those that were as asked before included
    :param invalid: how many could never be right, and were not sent
    :param refused: how many the service refused at once
    :param existing: how many were as asked before, of those in batches that may have been processed twice
    :param transactions: those to wait for, in source order
    :param resent: the transactions whose batch may have been processed before
    :param notes: what was odd about the input, and sent all the same, with counts and places
    :param rejects: where the records are that were not taken
    :param more: what a task adds: ``outcome`` or ``dry_run``
    """

    operation: str
    app_id: str
    records: int = 0
    accepted: int = 0
    invalid: int = 0
    refused: int = 0
    existing: int = 0
    transactions: tuple[Transaction, ...] = ()
    resent: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rejects: str | None = None
    more: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON, what a person wants to know first."""
        return {
            "operation": self.operation,
            "app_id": self.app_id,
            "records": self.records,
            "accepted": self.accepted,
            "invalid": self.invalid,
            "refused": self.refused,
            "existing": self.existing,
            "notes": list(self.notes),
            "rejects": self.rejects,
            **(self.more or {}),
            "resent": list(self.resent),
            "transids": [transaction.transid for transaction in self.transactions],
            "transaction_records": [transaction.records for transaction in self.transactions],
            "transaction_places": [each.places and list(each.places) for each in self.transactions],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Submission:
        """
        Read what ``to_json`` wrote, also that of version 0.1.

        :raises IMIconnectRequestError: it is something else
        """
        operation = str(value.get("operation") or CREATE.name)
        resent = _ids(value.get("resent") or ())
        transids = _ids(value.get("transids"))
        sizes, places = (_of_each(value.get(f"transaction_{name}"), transids) for name in ("records", "places"))
        transactions = {
            transid: Transaction(transid, operation, _size(size), transid in resent, _places(place))
            for transid, size, place in zip(transids, sizes, places, strict=True)
        }
        counts: dict[str, Any] = {name: value.get(name) or 0 for name in _COUNTS}
        return cls(
            operation,
            str(value.get("app_id") or ""),
            **counts,
            transactions=tuple(transactions.values()),
            resent=tuple(resent),
            notes=_notes(value.get("notes")),
            rejects=value.get("rejects"),
        )

    def with_outcome(self, outcome: Mapping[str, Any], rejects: str | None) -> Submission:
        """Return the submission of a task that has waited."""
        return replace(self, rejects=rejects, more={"outcome": outcome})


_COUNTS = ("records", "accepted", "invalid", "refused", "existing")


def _notes(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list | tuple) else ()


def _size(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def transactions_of(value: object, operation: str = CREATE.name) -> tuple[Transaction, ...]:
    """
    Return the transactions of one id, of a list of ids, of an operator's return value, or of a list of those.

    :param operation: by which ids that come alone are judged
    :raises IMIconnectRequestError: it is none of these
    """
    found: dict[str, Transaction] = {}
    for item in [value] if isinstance(value, str | Mapping) else _items(value):
        if isinstance(item, Mapping):
            new = Submission.from_json(item).transactions
        else:
            new = tuple(Transaction(transid, operation) for transid in _ids([item]))
        for transaction in new:
            found.setdefault(transaction.transid, transaction)
    if any(transaction.operation not in OPERATIONS for transaction in found.values()):
        raise _no_transactions()
    return tuple(found.values())


def _of_each(values: object, transids: Sequence[str]) -> Sequence[object]:
    """Return a value for each transaction, None for all if an earlier version or a task of the user's made the XCom."""
    is_whole = isinstance(values, Sequence) and len(values) == len(transids)
    return cast("Sequence[object]", values) if is_whole else (None,) * len(transids)


def _places(value: object) -> tuple[int, int] | None:
    first, last = value if isinstance(value, list | tuple) and len(value) == 2 else (None, None)  # noqa: PLR2004 - a range
    return (first, last) if isinstance(first, int) and isinstance(last, int) else None


def _ids(value: object) -> list[str]:
    ids = [item.strip() if isinstance(item, str) else "" for item in _items(value)]
    if not all(transid and _is_text(transid) for transid in ids):
        raise _no_transactions()
    return ids


def _items(value: object) -> Iterable[object]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise _no_transactions()
    return sorted(value, key=str) if isinstance(value, set | frozenset) else value


def _is_text(text: str) -> bool:
    """Tell a text from one that no encoding can write (an unpaired surrogate)."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _no_transactions() -> IMIconnectRequestError:
    return IMIconnectRequestError(
        "transids must be an id, a list of ids, or what IMIconnectCreateAppProfileOperator returns "
        "(transids=submit.output): nothing was polled."
    )
