"""
The trigger's event: small, whatever the number of records, and plain JSON.

``{"state": "finished", "digest": "5f1c…", "records": 200, "partial": "4"}``: all have finished; ``records`` counts
those of the transactions without a failure, and ``partial`` holds, in hex, a bit for each transaction with one: here
the third. The worker polls these again; the digest tells whether it has the same ids.
``{"state": "timeout", "waiting": 2, "first": ["5f1c…", …]}``: the deadline has come.
``{"state": "error", "error": "IMIconnectAuthenticationError", "message": …, "code": …}``: polling again cannot help.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from airflow_imiconnect import errors
from airflow_imiconnect.errors import IMIconnectError, IMIconnectRequestError
from airflow_imiconnect.profile_api.results import Transaction, TransactionStatus

_NAMED_TRANSIDS = 5
_ERROR_FIELDS = ("code", "description", "http_status", "transid")


class UnknownOutcomeError(IMIconnectError):
    """The waiting is over, and the outcome is not known: no task may be green or skipped for it."""


class Tally:
    """Counts finished transactions: how many records there were, and in which ones a record failed."""

    def __init__(self, transactions: Sequence[Transaction]) -> None:
        self._transactions = {transaction.transid: transaction for transaction in transactions}
        self.records = 0
        self.partial: set[str] = set()

    @property
    def transids(self) -> Sequence[str]:
        """The ids of all transactions."""
        return tuple(self._transactions)

    def add(self, status: TransactionStatus) -> None:
        """Count a finished transaction; its results are forgotten."""
        if status.state == "partial":
            self.partial.add(status.transid)
            return
        records = self._transactions[status.transid].records
        self.records += status.records if records is None else records


class Finished(NamedTuple):
    """
    All transactions have finished.

    :param records: how many records those without a failure hold
    :param partial: the transactions with one
    """

    records: int
    partial: list[str]


class TimedOut(NamedTuple):
    """The deadline came first: how many transactions have not finished, and the first of them."""

    waiting: int
    first: list[str]

    @classmethod
    def of(cls, transids: Iterable[str]) -> TimedOut:
        """Return it for transactions that have not finished."""
        left = list(transids)
        return cls(len(left), left[:_NAMED_TRANSIDS])


def finished(tally: Tally) -> dict[str, Any]:
    """Return the payload for the end of all transactions."""
    bits = sum(1 << index for index, transid in enumerate(tally.transids) if transid in tally.partial)
    return {
        "state": "finished",
        "digest": _digest(tally.transids),
        "records": tally.records,
        "partial": format(bits, "x"),
    }


def timed_out(left: TimedOut) -> dict[str, Any]:
    """Return the payload for the deadline."""
    return {"state": "timeout", **left._asdict()}


def failed(error: IMIconnectError) -> dict[str, Any]:
    """Return the payload for an error."""
    message, fields = str(error), {name: getattr(error, name) for name in _ERROR_FIELDS}
    if str(fields["description"]) not in message:  # what a message leaves out may quote a record
        fields["description"] = None
    return {"state": "error", "error": type(error).__name__, "message": message, **fields}


def read(payload: object, transids: Sequence[str]) -> Finished | TimedOut:
    """
    Read a payload.

    :param transids: those that the trigger was to wait for
    :raises IMIconnectError: the error that it carries; or the payload is not one of the above
    """
    try:
        return _read(payload, transids)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as problem:
        raise UnknownOutcomeError(
            f"Unrecognised trigger event ({type(problem).__name__}): whether the transactions have finished is not "
            "known. Do the workers and the triggerer run the same version of airflow-imiconnect? Another attempt polls "
            "again."
        ) from None


def _read(payload: Any, transids: Sequence[str]) -> Finished | TimedOut:  # noqa: ANN401 - it comes from elsewhere
    state = payload["state"]
    if state == "finished":
        if payload["digest"] != _digest(transids):
            raise UnknownOutcomeError(
                "transids changed between deferral and resume: does it render to another value, or in another order, "
                "each time? Whether these transactions have finished is not known."
            )
        bits = int(payload["partial"], 16)
        indexes = [index for index in range(bits.bit_length()) if bits >> index & 1]
        return Finished(int(payload["records"]), [transids[index] for index in indexes])
    if state == "timeout":
        return TimedOut(int(payload["waiting"]), [str(transid) for transid in payload["first"]])
    if state == "error":
        raise _error(payload)
    raise ValueError("an unknown state")


def _digest(transids: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(transids).encode()).hexdigest()[:16]


def _error(payload: dict[str, Any]) -> IMIconnectError:
    cls: type[IMIconnectError] = getattr(errors, payload["error"])
    if not issubclass(cls, IMIconnectError):
        raise TypeError("not an error of this package")
    fields = {name: payload.get(name) for name in _ERROR_FIELDS}
    try:
        return cls(payload["message"], **fields)
    except TypeError:  # an error with arguments of its own: whether it may pass is what counts
        kind = IMIconnectRequestError if issubclass(cls, errors.IMIconnectPermanentError) else IMIconnectError
        return kind(payload["message"], **fields)
