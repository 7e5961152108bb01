"""The errors of a request: a row of the code table, an HTTP status or a lost connection -> an exception."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime

from airflow_imiconnect.errors import (
    IMIconnectAmbiguousError,
    IMIconnectAuthenticationError,
    IMIconnectError,
    IMIconnectRateLimitError,
    IMIconnectRequestError,
    IMIconnectTransientError,
)
from airflow_imiconnect.profile_api.bodies import Body
from airflow_imiconnect.profile_api.codes import (
    HTTP_STATUSES,
    TEST_ADVICE,
    TOO_LARGE,
    UNREADABLE,
    Reading,
    Row,
    is_known,
    row_of,
)
from airflow_imiconnect.profile_api.error_texts import CHECK_HOST
from airflow_imiconnect.profile_api.lacking import lacking_in_request
from airflow_imiconnect.profile_api.requests import Request, Response

_ERRORS: Mapping[Reading, type[IMIconnectError]] = {
    Reading.TRY_AGAIN: IMIconnectTransientError,
    Reading.SLOWER: IMIconnectRateLimitError,
    Reading.LOST: IMIconnectAmbiguousError,
    Reading.AUTHENTICATION: IMIconnectAuthenticationError,
}  # every other reading: IMIconnectRequestError
_PASSING = (Reading.TRY_AGAIN, Reading.SLOWER, Reading.LOST)
_DIGITS_OF_A_CODE = 4
_MAYBE = "The server may have processed the request"


def of_code(request: Request, response: Response, body: Body, transid: str | None = None) -> IMIconnectError:
    """Return the error that the service's code stands for."""
    row = row_of(body.code)
    status_row = _row_of_status(response.status)
    if _is_a_gateways(body.code) and _is_a_gateways_status(status_row):
        return of_status(request, response, transid)
    description = body.description if _may_be_shown(body.description, request, response, row) else ""
    words = f"{row.meaning} (code {body.code}{f': {description}' if description else ''})"
    return _error(request, response, row, body._replace(description=description), words, transid)


def of_status(request: Request, response: Response, transid: str | None = None) -> IMIconnectError:
    """Return the error for a response without a readable code: there the HTTP status counts (contract 6)."""
    row = _row_of_status(response.status)
    return _error(request, response, row, None, f"{row.meaning} (HTTP {response.status})", transid)


def unreadable(request: Request, response: Response, reason: str, transid: str | None = None) -> IMIconnectError:
    """Return the error for a response that cannot be the service's response to this request."""
    return _error(request, response, UNREADABLE, None, reason, transid)


def no_response(request: Request, reason: str, *, sent: bool, advice: str = "") -> IMIconnectTransientError:
    """
    Return the error for a request that got no response, or not a whole one.

    :param reason: what the network said, without a header or a body in it
    :param sent: whether the server may have received the request
    :param advice: what the user can do about it
    """
    advice = advice and f" {advice}"
    if sent and request.is_write:
        return IMIconnectAmbiguousError(
            f"IMIconnect {request.subject} was sent, and its response was lost: {reason}. {_MAYBE}.{advice}"
        )
    return IMIconnectTransientError(f"IMIconnect {request.subject} got no response: {reason}.{advice}")


def cannot_send(request: Request, reason: str, advice: str = CHECK_HOST) -> IMIconnectRequestError:
    """Return the error for a request that can never leave this machine, or never reach a server it may trust."""
    return IMIconnectRequestError(f"IMIconnect {request.subject} could not be sent: {reason}. {advice}")


def may_be_one_records_fault(error: IMIconnectError) -> bool:
    """Tell whether a request was refused as a whole for what may be wrong with one of its records."""
    return error.code is not None and row_of(error.code).per_record


def _error(
    request: Request, response: Response, row: Row, body: Body | None, words: str, transid: str | None
) -> IMIconnectError:
    cls = _ERRORS.get(row.reading, IMIconnectRequestError)
    advice = TEST_ADVICE.get(row.reading, row.advice) if request.is_test else row.advice
    if cls is IMIconnectAmbiguousError:
        words += f". {_MAYBE}" if request.is_write else ""
        cls = cls if request.is_write else IMIconnectTransientError
    lacks = lacking_in_request(body.code, request.operation, request.records) if body else ""
    return cls(
        " ".join(filter(None, (f"IMIconnect {request.subject} failed: {words}.", lacks, advice))),
        code=body.code if body else None,
        description=(body.description if body else None) or None,
        http_status=response.status,
        transid=transid or (body.transid if body else None) or None,
        retry_after=_retry_after(response),
    )


def _may_be_shown(description: str, request: Request, response: Response, row: Row) -> bool:
    """Tell the service's words from such as may quote a record or the key: in part, in any case, written otherwise."""
    if is_known(row, description):
        return True
    if not (request.is_write or request.is_test):
        return False  # which values there are is not known
    said, key, values = _squashed(description), _squashed(response.hide), [_squashed(text) for text in request.values]
    beginnings = {word[:_TELLING] for text in request.values for word in _WORD.findall(text.casefold())}
    secrets = {part for part in beginnings if len(part) == _TELLING}
    secrets |= {key[start : start + _PART_OF_KEY] for start in range(max(1, len(key) - _PART_OF_KEY + 1)) if key}
    words = [word for word in map(_squashed, _WORD.findall(description)) if len(word) > _TELLING]
    return not any(secret in said for secret in secrets) and not any(word in text for text in values for word in words)


def _squashed(text: str) -> str:
    return "".join(_WORD.findall(text.casefold())).replace("_", "")


_WORD = re.compile(r"\w+")
_TELLING = 3  # characters; less tells of nobody
_PART_OF_KEY = 5


def _is_a_gateways(code: str) -> bool:
    """Tell 504 and 101504, in which gateways write their own errors, from the service's codes, all of four digits."""
    return len(code) != _DIGITS_OF_A_CODE or not code.isdigit()


def _is_a_gateways_status(row: Row) -> bool:
    """Tell whether the HTTP status says more than a code that the service does not have."""
    return row is TOO_LARGE or (row is not UNREADABLE and row.reading in _PASSING)


def _row_of_status(status: int) -> Row:
    return next((row for statuses, row in HTTP_STATUSES if status in statuses), UNREADABLE)


def _retry_after(response: Response) -> float | None:
    """Return the Retry-After header in seconds, given as seconds or as an HTTP date."""
    text = next((value.strip() for name, value in response.headers.items() if name.lower() == "retry-after"), "")
    if text.isascii() and text.isdigit():
        return min(float(text), 1e9)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return max(0.0, moment.timestamp() - response.received_at)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
