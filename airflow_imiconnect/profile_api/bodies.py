"""The bytes of a response -> typed values. Both of the documented shapes, and nothing of any other (contract 5)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from airflow_imiconnect.errors import one_line
from airflow_imiconnect.profile_api.results import RecordResult

_MAX_RESULTS = 1000  # a request holds at most 100 records; a user may have several devices
_MOST_RECORDS = 10**9
_LONGEST_CODE = 16  # a code has four digits
_LONGEST_TRANSID = 200  # a transid is a UUID
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UNREADABLE = -1  # a count that is there, and is not one

_Text = str | int | None
_Number = str | int | float | bool | None


class Body(NamedTuple):
    """
    What one statement of the service says, before it is judged.

    A count is None where there is none, and UNREADABLE where it is not a number of records.
    """

    code: str
    description: str
    transid: str
    results: tuple[RecordResult, ...]
    total_count: int | None
    failure_count: int | None
    success_count: int | None


class _Result(msgspec.Struct):
    code: str | int
    customerId: _Text = None  # noqa: N815 - the service's own name
    customerid: _Text = None
    description: _Text = None


class _Item(msgspec.Struct):
    code: str | int
    description: _Text = None
    transid: _Text = None
    Results: list[_Result] | None = None
    TotalCount: _Number = None
    FailureCount: _Number = None
    SuccessCount: _Number = None


class _Wrapped(msgspec.Struct):
    response: _Item | list[_Item]


_DECODE = msgspec.json.Decoder(_Item | list[_Item]).decode
_DECODE_WRAPPED = msgspec.json.Decoder(_Wrapped).decode


def read_bodies(body: bytes, hide: str = "") -> tuple[Body, ...]:
    """
    Return the statements of a response: one as a rule, several where ``response`` is a list.

    :param hide: the profile key, which nothing that comes out may repeat

    The result is empty where no code can be read, or where a part of it is not of the documented type.
    """
    try:
        items = _items(body.removeprefix(_BYTE_ORDER_MARK))
        return tuple(_body(item, hide) for item in items)
    except (ValueError, RecursionError, msgspec.MsgspecError):  # the latter are ValueErrors in newer versions only
        return ()


def _items(body: bytes) -> Sequence[_Item]:
    try:
        found = _decoded(body)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        found = _decoded(_repaired(body))
    return found if isinstance(found, list) else [found]


def _decoded(body: bytes) -> _Item | list[_Item]:
    try:
        found: _Item | list[_Item] = _DECODE(body)
    except msgspec.ValidationError:
        found = _DECODE_WRAPPED(body).response
    return found


def _repaired(body: bytes) -> bytes:
    """Return the text with each unpaired surrogate replaced, which the standard library reads and msgspec does not."""
    text = json.dumps(json.loads(body, parse_int=str, parse_float=str), ensure_ascii=False)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _body(item: _Item, hide: str) -> Body:
    results = item.Results or ()
    if len(results) > _MAX_RESULTS:
        raise ValueError("more results than a request has records")
    return Body(
        _code(item.code, hide),
        _text(item.description, hide),
        _transid(item.transid, hide),
        tuple([_result(result, hide) for result in results]),
        _count(item.TotalCount),
        _count(item.FailureCount),
        _count(item.SuccessCount),
    )


def _result(item: _Result, hide: str) -> RecordResult:
    customer_id = item.customerid if item.customerId is None else item.customerId
    return RecordResult(
        _hidden("" if customer_id is None else str(customer_id), hide),
        _code(item.code, hide),
        _text(item.description, hide),
    )


def _code(value: str | int, hide: str) -> str:
    """Return a code as text; the service writes a string, a number is taken as well; what holds the key is none."""
    code = str(value).strip()
    if not (code.isascii() and code.isalnum() and len(code) <= _LONGEST_CODE) or (hide and hide in code):
        raise ValueError("not a code")
    return code


def _transid(value: _Text, hide: str) -> str:
    """Return a transaction id; what could not stand in a message, a path or a ledger, or holds the key, is none."""
    transid = "" if value is None else str(value).strip()
    is_text = transid.isascii() and transid.isprintable()
    is_id = is_text and len(transid) <= _LONGEST_TRANSID and not (hide and hide in transid)
    return transid if is_id and transid not in (".", "..") else ""


def _text(value: _Text, hide: str) -> str:
    """Return the service's words in one short line."""
    if not value:
        return "" if value is None else str(value)
    text = str(value)
    if text in _USUAL:
        return text
    return one_line(_hidden(text, hide))


_USUAL = frozenset({"Queued", "QUEUED", "SUCCESS"})


def _hidden(text: str, hide: str) -> str:
    return text.replace(hide, "***") if hide and hide in text else text


def _count(value: _Number) -> int | None:
    """Return a count, None where there is none, and UNREADABLE for what is not a number of records."""
    if value is None or value == "":
        return None
    try:
        number = float(UNREADABLE) if isinstance(value, bool) else float(value)
    except (ValueError, OverflowError):
        return UNREADABLE
    return int(number) if number.is_integer() and 0 <= number < _MOST_RECORDS else UNREADABLE
