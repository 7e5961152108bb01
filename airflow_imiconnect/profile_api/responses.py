"""The responses of the Profile API: judged statements -> a receipt, the status of a transaction, or an error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from airflow_imiconnect.errors import IMIconnectRequestError
from airflow_imiconnect.profile_api import request_errors
from airflow_imiconnect.profile_api.bodies import Body, read_bodies
from airflow_imiconnect.profile_api.codes import Reading, row_of
from airflow_imiconnect.profile_api.error_texts import SOMETHING_ELSE
from airflow_imiconnect.profile_api.requests import Request, Response
from airflow_imiconnect.profile_api.results import Receipt, RecordResult, TransactionStatus
from airflow_imiconnect.profile_api.verdicts import STATUS, WRITE, Fate, Statement, is_queued_in_words, judged

_ACCEPTED = 202  # HTTP: accepted, and perhaps not done yet


def read_receipt(request: Request, response: Response) -> Receipt:
    """
    Read the response to a write.

    :raises IMIconnectError: of the class that says what to do; ambiguous where the server may have processed it
    """
    bodies = read_bodies(response.body, response.hide)
    if not bodies:
        raise request_errors.of_status(request, response)
    statements = judged(bodies, WRITE, len(request.records) or None)
    answered = [statement for statement in statements if _is_answered(statement)]
    _check_customers(request, response, bodies)
    if not answered:
        raise request_errors.of_code(request, response, bodies[0])
    transids = tuple(dict.fromkeys(statement.body.transid for statement in answered if statement.body.transid))
    is_queued = any(_is_queued(statement, response) for statement in answered)
    if is_queued and not transids:
        raise request_errors.unreadable(request, response, "the response names no transaction")
    results = [result for statement in statements for result in (*statement.body.results, *_refusals(statement))]
    return Receipt(transids, "queued" if is_queued else "finished", _as_sent(request, results))


def read_status(request: Request, response: Response, transid: str, records: int | None = None) -> TransactionStatus:
    """
    Read the response to a request for the status of a transaction.

    :param records: how many records were submitted in it, where that is known
    :raises IMIconnectError: of the class that says what to do; never for 7600, which means waiting (contract 5)
    """
    return _status(request, response, read_bodies(response.body, response.hide), transid, records)


def read_test(request: Request, response: Response, transid: str) -> None:
    """
    Read the response to a test: only the service says, of an id that nobody has, that there is no result (contract 5).

    :raises IMIconnectError: the connection does not work, or something else answers
    """
    bodies = read_bodies(response.body, response.hide)
    _status(request, response, bodies, transid, None)
    if any(row_of(body.code).reading is not Reading.WAITING or body.results for body in bodies):
        reason = "something answered about a transaction that does not exist; it may not be IMIconnect"
        raise IMIconnectRequestError(
            f"IMIconnect {request.subject} failed: {reason}. {SOMETHING_ELSE}", http_status=response.status
        )


def _status(
    request: Request, response: Response, bodies: Sequence[Body], transid: str, records: int | None
) -> TransactionStatus:
    if not bodies:
        raise request_errors.of_status(request, response, transid)
    statements = judged(bodies, STATUS, records)
    for statement in statements:
        if not _tells(statement):
            raise request_errors.of_code(request, response, statement.body, transid)
    results = tuple(result for body in bodies for result in body.results)
    _check_transaction(request, response, bodies, transid, records)
    unnamed: Counter[str] = Counter()
    for statement in statements:
        unnamed[statement.body.code] += _unnamed_failures(statement)
    counts = bodies[0] if len(bodies) == 1 else None
    return TransactionStatus(
        transid,
        "waiting" if any(map(_is_waiting, statements)) else "partial" if _fails(statements, unnamed) else "succeeded",
        results,
        +unnamed,
        counts.total_count if counts else None,
        counts.failure_count if counts else None,
        any(Fate.OPEN in statement.fates for statement in statements),
    )


# -- the response to a write --


def _is_answered(statement: Statement) -> bool:
    """Tell whether it speaks of records; what does not is the refusal of the whole request."""
    if statement.takes_any:
        return True
    return not statement.has_rest and row_of(statement.body.code).reading not in _WHOLE


_WHOLE = (Reading.TRY_AGAIN, Reading.SLOWER, Reading.AUTHENTICATION)  # never because of what a record holds


def _is_queued(statement: Statement, response: Response) -> bool:
    """Tell whether there is something to wait for."""
    body, rest, fates = statement.body, statement.rest, statement.fates
    if Fate.WAITING in fates or (rest is Fate.WAITING and statement.takes_any):
        return True
    if Fate.OPEN in fates:
        is_partial = row_of(body.code).reading is Reading.PARTIAL
        return bool(body.transid) or not (is_partial and body.results)
    return response.status == _ACCEPTED and bool(body.transid) and statement.takes_any


def _refusals(statement: Statement) -> tuple[RecordResult, ...]:
    """Return a refusal for each record that is refused without being named: what was not taken stays visible."""
    body, rest = statement.body, statement.rest
    refusal = RecordResult("", body.code, body.description)
    if not body.results:
        return (refusal,) if rest is Fate.FAILED else ()
    is_refused = rest is Fate.FAILED or (rest is Fate.OPEN and not body.transid)
    return (refusal,) * (statement.unnamed or 0) if is_refused else ()


def _check_customers(request: Request, response: Response, bodies: Sequence[Body]) -> None:
    """Refuse to believe a response that speaks of other records than the request: it may be another request's."""
    named = Counter(_alike(result.customer_id) for body in bodies for result in body.results)
    sent = Counter(_alike(record.customer_id) for record in request.records)
    del named[""]
    is_strange = bool(sent) and bool(named - sent or sum(len(body.results) for body in bodies) > len(request.records))
    counts = [body.total_count for body in bodies if body.total_count and not body.results]
    if is_strange or (len(bodies) == 1 and sent and counts and counts != [len(request.records)]):
        transid = next((body.transid for body in bodies if body.transid), None)
        reason = "the response speaks of other records than were sent" + (
            f" (transaction {transid})" if transid else ""
        )
        raise request_errors.unreadable(request, response, reason, transid)


def _as_sent(request: Request, results: Sequence[RecordResult]) -> tuple[RecordResult, ...]:
    """Return the results with the customers' ids as they were sent, where the service writes them in another way."""
    sent = {record.customer_id for record in request.records}
    if not sent or all(result.customer_id in sent or not result.customer_id for result in results):
        return tuple(results)
    written = {_alike(customer_id): customer_id for customer_id in sent}
    return tuple(
        result
        if result.customer_id in sent
        else result._replace(customer_id=written.get(_alike(result.customer_id), result.customer_id))
        for result in results
    )


def _alike(customer_id: str) -> str:
    return customer_id.strip().casefold()


# -- the status of a transaction --


def _tells(statement: Statement) -> bool:
    """Tell whether a status can be read; under a code that refuses only where results speak for the records."""
    reading = row_of(statement.body.code).reading
    if reading in (Reading.TAKEN, Reading.QUEUED, Reading.PARTIAL, Reading.WAITING):
        return True
    if reading is Reading.PERMANENT:
        return bool(statement.named)
    return bool(statement.named) and statement.unnamed == 0 and statement.takes_any


def _is_waiting(statement: Statement) -> bool:
    body = statement.body
    # Contract 5: 7600, or QUEUED at the top, means waiting, also where results say more of some records.
    if row_of(body.code).reading is Reading.WAITING or (
        statement.rest is Fate.WAITING and is_queued_in_words(body.description)
    ):
        return True
    return not statement.fates.isdisjoint((Fate.WAITING, Fate.OPEN))


def _fails(statements: Sequence[Statement], unnamed: Counter[str]) -> bool:
    return bool(unnamed.total()) or any(Fate.FAILED in statement.named for statement in statements)


def _unnamed_failures(statement: Statement) -> int:
    """
    Return how many records failed in a finished transaction that no result names.

    Rule 2: under a code that refuses, and under 1002, all of them did; and one at least, unless a result names one that
    failed, or results name all there are.
    """
    if statement.rest is not Fate.FAILED or (statement.named and statement.unnamed == 0):
        return 0
    return max(statement.unnamed or 0, 0 if Fate.FAILED in statement.named else statement.body.failure_count or 1)


def _check_transaction(
    request: Request, response: Response, bodies: Sequence[Body], transid: str, records: int | None
) -> None:
    """
    Refuse to believe a response about another transaction, or of more records than were submitted.

    Records that were refused at once are not counted in ``records``; a status may name them again, as failed.
    """
    if any(body.transid not in ("", transid) for body in bodies):
        raise request_errors.unreadable(request, response, "the response is about another transaction", transid)
    if records is not None and sum(result.taken for body in bodies for result in body.results) > records:
        raise request_errors.unreadable(
            request, response, "the response names more records than were submitted", transid
        )
