"""Decodes the text of one JSON value, for JSON documents and JSON Lines alike."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from typing import Annotated, Any, TypeAlias

import msgspec

from airflow_imiconnect.attributes import RepeatedKey
from airflow_imiconnect.attributes.numbers import MOST_DIGITS, TooLongNumber

_USUAL = msgspec.json.Decoder(dict[str, str | dict[str, str]])
_Whole: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # the digits of longer ones are counted
_USUAL_ROW = msgspec.json.Decoder(dict[str, str | _Whole | bool | None])
_BACKSLASH, _DELETE = b"\\\x7f"
_EXACT = sys.float_info.dig  # digits that a float holds


def usual_record(data: bytes) -> dict[str, Any] | None:
    """
    Decode a record as nearly all are, of strings only and without a repeated key; None for any other.

    Each string has two quotes. A repeated key or an escaped quote would mean more quotes than the strings of the result
    have; if there are not more, nothing was lost.
    """
    try:
        record = _USUAL.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    customer_id = record.get("customerId") or record.get("customerid")
    attributes = record.get("Attributes") or record.get("attributes")
    if type(customer_id) is not str or type(attributes) is not dict or len(record) > 2:  # noqa: PLR2004 - these two
        return None
    texts = 3 + 2 * len(attributes)
    return record if data.count(b'"') == 2 * texts else None


def usual_row(data: bytes) -> dict[str, str | int | None] | None:
    """Decode a row of texts, whole numbers, booleans and nulls only, without a repeated key; None for any other."""
    try:
        row = _USUAL_ROW.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    texts = len(row) + sum(type(value) is str for value in row.values())
    return row if data.count(b'"') == 2 * texts else None  # as above


def is_plain(data: bytes) -> bool:
    """Return whether its strings cannot contain a forbidden character: those need an escape, or are not ASCII."""
    return data.isascii() and _BACKSLASH not in data and _DELETE not in data


def decode_json(text: str) -> object:
    """Decode any JSON value; raises JSONDecodeError, or RecursionError if it is nested too deep."""
    return _JSON.decode(text)


def json_problem(error: json.JSONDecodeError | RecursionError) -> tuple[int, int, str]:
    """Return line, column and reason; the reason contains nothing of the text."""
    if isinstance(error, RecursionError):
        return 1, 1, "not valid JSON: nested too deep"
    hint = ""
    if error.doc.startswith("ISODate(", error.pos):
        hint = ". ISODate(…) is the Mongo shell's: write the date as a text"
    return error.lineno, error.colno, f"not valid JSON: {error.msg}{hint}"


def _object(pairs: list[tuple[str, object]]) -> object:
    """Return a JSON object, or a RepeatedKey: a dict would lose one of its values."""
    members = dict(pairs)
    return members if len(members) == len(pairs) else RepeatedKey(pairs)


def _number(text: str) -> float | Decimal | TooLongNumber:
    """Return a number with a fraction or an exponent; if a float would lose digits, a Decimal."""
    if len(text) <= _EXACT and "e" not in text and "E" not in text:
        return float(text)
    try:
        return Decimal(text) if len(text) <= 2 * MOST_DIGITS else TooLongNumber()
    except ArithmeticError:  # an exponent of twenty digits
        return TooLongNumber()


def _whole_number(text: str) -> int | TooLongNumber:
    return int(text) if len(text) <= MOST_DIGITS else TooLongNumber()


_JSON = json.JSONDecoder(object_pairs_hook=_object, parse_float=_number, parse_int=_whole_number)
