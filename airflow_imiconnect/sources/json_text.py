"""A whole JSON text -> values, or line, column and reason of what is wrong with it."""

from __future__ import annotations

import json
import sys
from decimal import Decimal

from airflow_imiconnect.attributes import RepeatedKey


def _object(pairs: list[tuple[str, object]]) -> object:
    """Read a JSON object; where a key stands twice, one of its values would be lost."""
    members = dict(pairs)
    return members if len(members) == len(pairs) else RepeatedKey(pairs)


def _number(text: str) -> float | Decimal:
    """Read a number with a fraction or an exponent; one of more digits than a float holds keeps them all."""
    return float(text) if len(text) <= _EXACT else Decimal(text)


_EXACT = sys.float_info.dig
JSON = json.JSONDecoder(object_pairs_hook=_object, parse_float=_number)


def json_problem(error: ValueError | RecursionError) -> tuple[int, int, str]:
    """Return line, column and reason; the reason holds nothing of the text."""
    if isinstance(error, RecursionError):
        return 1, 1, "no valid JSON: nested too deep"
    if not isinstance(error, json.JSONDecodeError):
        return 1, 1, "no valid JSON: a number is too long"
    hint = ""
    if error.doc.startswith("ISODate(", error.pos):
        hint = ". ISODate(…) is the Mongo shell's: write the date as a text"
    elif error.msg == "Extra data" and error.lineno > 1:
        hint = ". If each line is a record of its own, this is JSON Lines: set file_format='jsonl'"
    return error.lineno, error.colno, f"no valid JSON: {error.msg}{hint}"
