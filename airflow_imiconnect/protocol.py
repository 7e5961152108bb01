"""
The Profile API without I/O: values in, an HTTP call out; an HTTP answer in, values or an error out.

Whether an answer means accepted, waiting, finished, try again or stop is decided here and nowhere else, by the tables
of codes.py. The hook and the trigger only carry calls and answers.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import quote

from airflow_imiconnect.answers import Body, read_bodies
from airflow_imiconnect.codes import (
    CHECK_HOST,
    CODES,
    HTTP_STATUSES,
    SOMETHING_ELSE,
    TEST_ADVICE,
    UNDOCUMENTED,
    UNREADABLE,
    Reading,
    Row,
)
from airflow_imiconnect.errors import (
    IMIconnectAmbiguousError,
    IMIconnectAuthenticationError,
    IMIconnectError,
    IMIconnectRateLimitError,
    IMIconnectRequestError,
    IMIconnectTransientError,
)
from airflow_imiconnect.hosts import BASE_PATH
from airflow_imiconnect.models import Receipt, RecordResult, TransactionStatus

MAX_RECORDS_PER_CALL = 100  # contract 3: above it 7012, and nothing is done
MAX_ANSWER_BYTES = 1024 * 1024  # an answer for 100 records is some 20 KB; whoever sends more is not IMIconnect


class Operation(NamedTuple):
    """A kind of write. A new one is a new row below (contract 3)."""

    name: str
    method: str
    path: str


CREATE = Operation("create", "POST", "/customerappprofile/{app_id}")


@dataclass(frozen=True)
class Call:
    """
    One HTTP call, but for the host and the headers.

    :param method: "GET" or "POST"
    :param path: begins with ``/resources/v2``
    :param body: JSON, or None
    :param subject: what it is about, for messages: ``create for app a_1`` or ``status of 5f1c…``
    :param records: how many records it submits; 0 for not known
    :param values: what no message may repeat: the attributes' values; read only when there is a message to write
    :param is_test: whether a person only wants to know if the connection is right
    """

    method: str
    path: str
    subject: str
    body: bytes | None = field(default=None, repr=False)
    records: int = 0
    values: Iterable[str] = field(default=(), repr=False)
    is_test: bool = False

    @property
    def is_write(self) -> bool:
        """Whether a lost answer leaves open if it happened."""
        return self.method != "GET"


@dataclass(frozen=True)
class Answer:
    """
    One HTTP answer.

    :param status: the HTTP status
    :param headers: only ``Retry-After`` is read
    :param body: as received, decompressed
    :param received_at: seconds since 1970, to read a Retry-After that is a date
    :param hide: the profile key: should a description repeat it, it goes no further
    """

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    received_at: float = field(default_factory=time.time)
    hide: str = field(default="", repr=False)


def write_call(operation: Operation, app_id: str, body: bytes, records: int = 0, values: Iterable[str] = ()) -> Call:
    """Return the call that submits one batch: ``body`` is the envelope ``{"Records": […]}`` as JSON."""
    path = BASE_PATH + operation.path.format(app_id=_segment(app_id, "app_id"))
    return Call(operation.method, path, f"{operation.name} for app {app_id}", body, records, values)


def status_call(transid: str) -> Call:
    """Return the call that asks how far a transaction is."""
    return Call("GET", f"{BASE_PATH}/profile/status/{_segment(transid, 'transid')}", f"status of {transid}")


def test_call(transid: str, base_url: str) -> Call:
    """Return the call that tests a connection: the status of an id that nobody has, which 7600 answers (contract 5)."""
    return replace(status_call(transid), subject=f"test of {base_url}", is_test=True)


def _segment(value: str, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise IMIconnectRequestError(f"{name} is empty: nothing was called.")
    if value in (".", ".."):
        raise IMIconnectRequestError(f"{name} is {value!r}, which is no id: nothing was called.")
    return quote(value, safe="")


def read_receipt(call: Call, answer: Answer) -> Receipt:
    """
    Read the answer to a write.

    :raises IMIconnectError: of the class that says what to do; ambiguous where it may have happened
    """
    bodies = read_bodies(answer.body, answer.hide)
    if not bodies:
        raise _error_of_status(call, answer)
    taken = [body for body in bodies if _says_taken(body, call.records)]
    if not taken:
        raise _error_of_code(call, answer, bodies[0])
    transids = tuple(dict.fromkeys(body.transid for body in taken if body.transid))
    unnamed = max(0, call.records - len(bodies[0].results)) if len(bodies) == 1 else 0
    queued = any(_is_queued(body, answer, unnamed) for body in taken)
    if queued and not transids:
        raise _error(call, answer, UNREADABLE, taken[0], "the service's answer names no transaction")
    results = tuple(result for body in bodies for result in (*body.results, *_refusals(body, unnamed)))
    return Receipt(transids[0] if transids else "", "queued" if queued else "finished", results, transids[1:])


def read_status(call: Call, answer: Answer, transid: str) -> TransactionStatus:
    """
    Read the answer to a status call.

    :raises IMIconnectError: of the class that says what to do; never for 7600, which means waiting (contract 5)
    """
    bodies = read_bodies(answer.body, answer.hide)
    if not bodies:
        raise _error_of_status(call, answer, transid)
    for body in bodies:
        if not _says_what_became_of_them(body):
            raise _error_of_code(call, answer, body, transid)
    results = tuple(result for body in bodies for result in body.results)
    if any(_is_waiting(body) for body in bodies):
        return TransactionStatus(transid, "waiting", results)
    unnamed: Counter[str] = Counter()
    for body in bodies:
        unnamed[body.code] += _unnamed_failures(body)
    is_partial = unnamed.total() or any(not result.taken for result in results)
    counts = bodies[0] if len(bodies) == 1 else None
    return TransactionStatus(
        transid,
        "partial" if is_partial else "succeeded",
        results,
        +unnamed,
        counts.total_count if counts else None,
        counts.failure_count if counts else None,
    )


def read_test(call: Call, answer: Answer, transid: str) -> None:
    """
    Read the answer to a test: only the service says, of an id that nobody has, that there is no result (contract 5).

    :raises IMIconnectError: the connection is not right, or something else answers
    """
    read_status(call, answer, transid)
    bodies = read_bodies(answer.body, answer.hide)
    if any(_row(body.code).reading is not Reading.WAITING or body.results for body in bodies):
        reason = "something answered about a transaction that does not exist; it may not be IMIconnect"
        raise IMIconnectRequestError(f"{_start(call)} failed: {reason}. {SOMETHING_ELSE}", http_status=answer.status)


def no_answer(call: Call, reason: str, *, sent: bool, advice: str = "") -> IMIconnectTransientError:
    """
    Return the error for a call that got no answer, or not a whole one.

    :param reason: what the network said, without a header or a body in it
    :param sent: whether the service may have received it
    :param advice: what the user can do about it
    """
    advice = advice and f" {advice}"
    if sent and call.is_write:
        return IMIconnectAmbiguousError(
            f"{_start(call)} sent, but its answer was lost: {reason}. It may have happened.{advice}"
        )
    return IMIconnectTransientError(f"{_start(call)} got no answer: {reason}.{advice}")


def cannot_call(call: Call, reason: str, advice: str = CHECK_HOST) -> IMIconnectRequestError:
    """Return the error for a call that can never leave this machine, or never reach a server it may trust."""
    return IMIconnectRequestError(f"{_start(call)} could not be made: {reason}. {advice}")


def may_be_one_records_fault(error: IMIconnectError) -> bool:
    """Tell whether a call was refused as a whole for what may be wrong with one of its records."""
    return error.code is not None and CODES.get(error.code, UNDOCUMENTED).per_record


def _row(code: str) -> Row:
    return CODES.get(code, UNDOCUMENTED)


def _says_taken(body: Body, records: int = 0) -> bool:
    """
    Contract 5: believe Results; where there are none, believe the code.

    Where the code refuses, and the Results name some of the records and none as taken, the code speaks for the others.
    """
    reading = _row(body.code).reading
    if reading is Reading.TRY_AGAIN:
        return any(result.taken for result in body.results)
    return reading in (Reading.TAKEN, Reading.PARTIAL) or (
        reading is Reading.PERMANENT
        and bool(body.results)
        and (len(body.results) >= records or any(result.taken for result in body.results))
    )


def _refusals(body: Body, unnamed: int) -> tuple[RecordResult, ...]:
    """
    Return a refusal for each record that is refused without being named: what the service did not take stays visible.

    Contract 5: Results are believed, for those that they name; for the others the code speaks.
    """
    refusal = RecordResult("", body.code, body.description)
    if not body.results:
        return () if _says_taken(body) else (refusal,)
    accepts_the_rest = _row(body.code).reading is Reading.TAKEN or (_is_partial_code(body) and body.transid)
    return () if accepts_the_rest else (refusal,) * unnamed


def _is_queued(body: Body, answer: Answer, unnamed: int) -> bool:
    """Tell whether there is something left to wait for after a write."""
    taken = [result for result in body.results if result.taken]
    if answer.status == _ACCEPTED and body.transid and taken:
        return True
    if any(not _says_success(result, default=_says_success(body)) for result in taken):
        return True
    the_rest_is_taken = not body.results or (unnamed and not _refusals(body, unnamed))
    return bool(the_rest_is_taken) and (answer.status == _ACCEPTED or not _says_success(body))


_ACCEPTED = 202  # HTTP: accepted, and still in the queue


def _says_what_became_of_them(body: Body) -> bool:
    """Tell whether a status can be read; with a code for "try again" only where Results name all records."""
    reading = _row(body.code).reading
    if reading is Reading.TRY_AGAIN:
        return _says_taken(body) and _unnamed(body) == 0
    return reading is Reading.WAITING or _says_taken(body)


def _is_waiting(body: Body) -> bool:
    reading = _row(body.code).reading
    if reading is Reading.WAITING:
        return True
    if reading is Reading.TAKEN and _says_queued(body):  # contract 5, also where Results say more of some records
        return True
    if body.results:
        return any(result.taken and _is_not_yet_done(result) for result in body.results)
    return _is_not_yet_done(body)


def _is_not_yet_done(item: Body | RecordResult) -> bool:
    # 1001 has no other documented meaning than "queued"; 1000 without words is the status call's success.
    return _says_queued(item) or (item.code == "1001" and not _says_success(item))


def _unnamed_failures(body: Body) -> int:
    """
    Return how many records failed in a finished transaction that its Results do not name.

    Contract 5: for those that they do not name the code speaks. A refusal is of all of them, a partial success of as
    many as are counted; either is of one at least, unless Results name one that failed, or all there are.
    """
    named, unnamed = sum(not result.taken for result in body.results), _unnamed(body)
    is_partial = _is_partial_code(body)
    if unnamed is None and is_partial:
        unnamed = 0  # without a count, a partial success is taken to name all of its records, a refusal is not
    if _row(body.code).reading is Reading.TAKEN or (body.results and unnamed == 0):
        return 0
    counted = (body.failure_count or 0) - named if is_partial else unnamed or 0
    return max(counted, 0 if named else 1)


def _unnamed(body: Body) -> int | None:
    """Return how many records its Results do not name; None where it does not say how many there are."""
    return None if body.total_count is None else max(0, body.total_count - len(body.results))


def _is_partial_code(body: Body) -> bool:
    return _row(body.code).reading is Reading.PARTIAL


def _says_success(item: Body | RecordResult, *, default: bool = False) -> bool:
    if not item.description:
        return default
    return item.description.upper().startswith("SUCCESS") and not _says_queued(item)


def _says_queued(item: Body | RecordResult) -> bool:
    return "QUEUED" in item.description.upper()


def _error_of_code(call: Call, answer: Answer, body: Body, transid: str | None = None) -> IMIconnectError:
    row = _row(body.code)
    if _is_a_gateways(body.code) and _is_passing(answer.status):
        return _error_of_status(call, answer, transid)
    description = _without_values(body.description, call, row)
    words = f"{row.meaning} (code {body.code}{f': {description}' if description else ''})"
    return _error(call, answer, row, body, words, transid)


def _without_values(description: str, call: Call, row: Row) -> str:
    """Return the service's words as a message may hold them: what is wrong with a record may be told by its values."""
    if row.per_record and not call.is_write:
        return ""  # it is not known which values there are
    for value in sorted(set(call.values), key=len, reverse=True):
        if len(value) >= _TELLING:
            description = description.replace(value, "***")
    return description


_TELLING = 4  # a shorter value, "1" or "en", tells of nobody, and would leave no word whole


def _is_a_gateways(code: str) -> bool:
    """Tell 504 and 101504, in which gateways write their own errors, from the service's codes, all of four digits."""
    return len(code) != 4 or not code.isdigit()  # noqa: PLR2004 - as above


def _is_passing(status: int) -> bool:
    return any(status in statuses and row.reading in _PASSING for statuses, row in HTTP_STATUSES)


_PASSING = (Reading.TRY_AGAIN, Reading.SLOWER, Reading.LOST)


def _row_of_status(status: int) -> Row:
    return next((row for statuses, row in HTTP_STATUSES if status in statuses), UNREADABLE)


def _error_of_status(call: Call, answer: Answer, transid: str | None = None) -> IMIconnectError:
    row = _row_of_status(answer.status)
    return _error(call, answer, row, None, f"{row.meaning} (HTTP {answer.status})", transid)


def _error(
    call: Call, answer: Answer, row: Row, body: Body | None, words: str, transid: str | None = None
) -> IMIconnectError:
    cls = _ERRORS.get(row.reading, IMIconnectRequestError)
    advice = TEST_ADVICE.get(row.reading, row.advice) if call.is_test else row.advice
    if cls is IMIconnectAmbiguousError:
        words += ". It may have happened" if call.is_write else ""
        cls = cls if call.is_write else IMIconnectTransientError
    return cls(
        f"{_start(call)} failed: {words}.{f' {advice}' if advice else ''}",
        code=body.code if body else None,
        description=body.description if body else None,
        http_status=answer.status,
        transid=transid or (body.transid if body else None) or None,
        retry_after=_retry_after(answer),
    )


_ERRORS: Mapping[Reading, type[IMIconnectError]] = {
    Reading.TRY_AGAIN: IMIconnectTransientError,
    Reading.SLOWER: IMIconnectRateLimitError,
    Reading.LOST: IMIconnectAmbiguousError,
    Reading.AUTHENTICATION: IMIconnectAuthenticationError,
    Reading.PERMANENT: IMIconnectRequestError,
}


def _start(call: Call) -> str:
    return f"IMIconnect {call.subject}"


def _retry_after(answer: Answer) -> float | None:
    """Return the Retry-After header in seconds, given as seconds or as an HTTP date."""
    text = next((value.strip() for name, value in answer.headers.items() if name.lower() == "retry-after"), "")
    if text.isascii() and text.isdigit():
        return min(float(text), 1e9)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return max(0.0, moment.timestamp() - answer.received_at)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
