"""
What the trigger tells the task: small, whatever the number of records, and plain JSON.

``{"state": "finished", "digest": "5f1c…", "records": 200, "partial": "4"}``: all are finished; ``records`` counts those
of the transactions without a failure, and ``partial`` holds, in hex, a bit for each transaction with one: here the
third. The worker asks for these again; the digest of the ids tells whether it has the same ones in mind.
``{"state": "timeout", "waiting": 2, "first": ["5f1c…", …]}``: the deadline has come.
``{"state": "error", "error": "IMIconnectAuthenticationError", "message": …, "code": …}``: asking again cannot help.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from airflow_imiconnect import errors
from airflow_imiconnect.errors import IMIconnectError, IMIconnectRequestError
from airflow_imiconnect.models import TransactionStatus

NAMED_TRANSIDS = 5
_ERROR_FIELDS = ("code", "description", "http_status", "transid")


class UnknownOutcomeError(IMIconnectError):
    """The waiting is over, and what became of the transactions is not known: no task may be green or skipped for it."""


class Tally:
    """Counts finished transactions: how many records there were, and in which ones a record failed."""

    def __init__(self, transids: Sequence[str]) -> None:
        self.transids = transids
        self.records = 0
        self.partial: set[str] = set()

    def add(self, status: TransactionStatus) -> None:
        """Count a finished transaction; its results are forgotten."""
        if status.state == "partial":
            self.partial.add(status.transid)
        else:
            self.records += status.records


class Finished(NamedTuple):
    """All transactions are finished: the records of those without a failure, and the transactions with one."""

    records: int
    partial: list[str]


class TimedOut(NamedTuple):
    """The deadline came first: how many are still waited for, and the first of them."""

    waiting: int
    first: list[str]


def finished(tally: Tally) -> dict[str, Any]:
    """Return the payload for the end of all transactions."""
    bits = sum(1 << index for index, transid in enumerate(tally.transids) if transid in tally.partial)
    return {
        "state": "finished",
        "digest": _digest(tally.transids),
        "records": tally.records,
        "partial": format(bits, "x"),
    }


def timed_out(waiting: int, first: Sequence[str]) -> dict[str, Any]:
    """Return the payload for the deadline."""
    return {"state": "timeout", "waiting": waiting, "first": list(first)}


def failed(error: IMIconnectError) -> dict[str, Any]:
    """Return the payload for an error."""
    message, fields = str(error), {name: getattr(error, name) for name in _ERROR_FIELDS}
    if str(fields["description"]) not in message:  # what the message leaves out may be a record's values
        fields["description"] = None
    return {"state": "error", "error": type(error).__name__, "message": message, **fields}


def read(payload: object, transids: Sequence[str]) -> Finished | TimedOut:
    """
    Read a payload.

    :param transids: those that the trigger was to wait for
    :raises IMIconnectError: the error that it tells; or the payload is none of the above
    """
    try:
        return _read(payload, transids)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as problem:
        raise UnknownOutcomeError(
            f"The trigger's event is none that this task knows ({type(problem).__name__}): whether the transactions "
            "are finished is not known. Do the workers and the triggerer run the same version of airflow-imiconnect? "
            "Another try asks again."
        ) from None


def _read(payload: Any, transids: Sequence[str]) -> Finished | TimedOut:  # noqa: ANN401 - it comes from elsewhere
    state = payload["state"]
    if state == "finished":
        if payload["digest"] != _digest(transids):
            raise UnknownOutcomeError(
                "The transactions are others than those that the task was deferred with: has transids another value, "
                "or another order, each time that it is rendered? Whether these are finished is not known."
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
        raise TypeError("no error of this package")
    fields = {name: payload.get(name) for name in _ERROR_FIELDS}
    try:
        return cls(payload["message"], **fields)
    except TypeError:  # an error with arguments of its own: whether it may pass is what counts
        kind = IMIconnectRequestError if issubclass(cls, errors.IMIconnectPermanentError) else IMIconnectError
        return kind(payload["message"], **fields)
