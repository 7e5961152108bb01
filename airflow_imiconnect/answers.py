"""The bytes of an answer -> typed values. Both of the documented shapes, and nothing of any other (contract 5)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from airflow_imiconnect.models import RecordResult
from airflow_imiconnect.texts import one_line


@dataclass(frozen=True)
class Body:
    """What one answer says, before anyone has judged it."""

    code: str
    description: str
    transid: str
    results: tuple[RecordResult, ...]
    total_count: int | None
    failure_count: int | None


def read_bodies(body: bytes, hide: str = "") -> tuple[Body, ...]:
    """
    Return what the answer says: one Body as a rule, several where ``response`` is a list.

    :param hide: a text that no description may repeat, and no code
    Nothing comes back where no code can be read, or where a part of it is not of the documented type.
    """
    try:
        data = json.loads(body)
        if isinstance(data, dict) and "response" in data and "code" not in data:
            data = data["response"]
        items = data if isinstance(data, list) else [data]
        return tuple(_body(item, hide) for item in items)
    except (ValueError, TypeError, RecursionError):
        return ()


def _body(item: object, hide: str) -> Body:
    if not isinstance(item, dict):
        raise TypeError("not an object")
    return Body(
        code=_code(item.get("code"), hide),
        description=_text(item.get("description"), hide),
        transid=_identifier(item.get("transid")),
        results=tuple(_result(result, hide) for result in _list(item.get("Results"))),
        total_count=_count(item.get("TotalCount")),
        failure_count=_count(item.get("FailureCount")),
    )


def _result(item: object, hide: str) -> RecordResult:
    if not isinstance(item, dict):
        raise TypeError("not an object")
    customer_id = item.get("customerId", item.get("customerid"))
    return RecordResult(_identifier(customer_id), _code(item.get("code"), hide), _text(item.get("description"), hide))


def _list(value: object) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _code(value: object, hide: str) -> str:
    """Return a code as text; the service writes a string, a number is taken as well; what holds the key is none."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError("no code")
    code = str(value).strip()
    if not (code.isascii() and code.isalnum() and len(code) <= 16):  # noqa: PLR2004 - a code has four digits
        raise TypeError("no code")
    if hide and hide in code:
        raise TypeError("no code")
    return code


def _identifier(value: object) -> str:
    """Return an id as it is; a number is taken as well."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError("no id")
    text = str(value)
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")  # no half characters


def _text(value: object, hide: str) -> str:
    text = _identifier(value)
    return one_line(text.replace(hide, "***") if hide else text)


def _count(value: object) -> int | None:
    """Return a count where it is one: counts are for display only (contract 5)."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 9:  # noqa: PLR2004
        return int(value)
    return value if isinstance(value, int) and 0 <= value < 10**9 else None
