"""Converts a value to the string that the service expects (contract 4)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timezone
from decimal import Decimal
from enum import Enum
from numbers import Real
from typing import Any
from uuid import UUID

from airflow_imiconnect.attributes.extended_json import extended_value
from airflow_imiconnect.attributes.numbers import MOST_DIGITS, NumberTooLongError, TooLongNumber, number_to_string

# Contract 4: Facebook, Twitter and In-App write dates as 2018-08-26 12:26:03; WeChat, and these attributes of any
# channel, as 2018-04-02T07:25:22.660Z.
_ISO_DATES = frozenset({"last_opened", "last_upgraded", "created_on", "updated_on"})
_FLAGS = ("0", "1")  # False and True in status, verified and connectStatus
_DOUBLE = 8  # bytes of a Python float


class RecordProblem(ValueError):  # noqa: N818 - the caller adds the file and line; it is not the final error
    """
    A record that can never be valid.

    :param name: the field, or None for the record as a whole
    :param reason: what is wrong with it; never its value
    """

    def __init__(self, name: str | None, reason: str) -> None:
        super().__init__(f"{name}: {reason}" if name else reason)
        self.name = name
        self.reason = reason


class RepeatedKey:
    """Replaces a JSON object that has a key twice: it is unclear which value is meant."""

    def __init__(self, pairs: Sequence[tuple[str, object]] = ()) -> None:
        self.pairs = pairs  # for the rejects file, where a person corrects them


class Unreadable:
    """Replaces a table's value that Python cannot represent."""


def kind_of(value: object) -> str:
    """Return the kind of a value in JSON's terms, without the value."""
    if value is None:
        return "null"
    for kinds, words in _KINDS:
        if isinstance(value, kinds):
            return words
    return f"a {type(value).__name__}"


_KINDS: tuple[tuple[Any, str], ...] = (  # the first match counts
    (RepeatedKey, "an object that has a key twice"),
    (Unreadable, "a value that cannot be read: a date out of range, or text that is not UTF-8"),
    (TooLongNumber, f"a number of more than {MOST_DIGITS} digits"),
    (bool, "a boolean"),
    (str, "a text"),
    (Real | Decimal, "a number"),
    (Mapping, "an object"),
    ((set, frozenset), "a set"),
    ((list, tuple), "a list"),
)


def value_to_string(name: str, value: object, *, is_wechat: bool) -> str | None:
    """
    Return an attribute's value as text, or None if it is missing.

    :param is_wechat: whether to write dates in WeChat's format
    :raises RecordProblem: the value cannot be an attribute
    """
    kind = type(value)
    if kind is str or value is None:  # most values are of one of these four types
        return value  # type: ignore[return-value]
    if kind is bool:
        return _FLAGS[bool(value)]
    try:
        if kind is int:
            return number_to_string(value)
        return _to_string(name, value, is_wechat=is_wechat)
    except RecordProblem:
        raise
    except NumberTooLongError as error:
        raise RecordProblem(name, str(error)) from None
    except Exception:  # noqa: BLE001 - a date out of range, or a user's type, which may raise anything
        raise RecordProblem(name, f"is a {type(value).__name__} that cannot be written as text") from None


def _to_string(name: str, value: object, *, is_wechat: bool) -> str | None:
    value = plain_value(value)
    if is_missing(value):
        return None
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return _FLAGS[value]
    if isinstance(value, date):
        return _date_to_string(name, value, is_wechat=is_wechat)
    if isinstance(value, UUID):
        return str(value)
    text = number_to_string(value)
    if text is None:
        raise RecordProblem(name, f"is {kind_of(value)}: {_why_not(value)}")
    return text


def plain_value(value: Any) -> object:  # noqa: ANN401 - a user's value
    """Return the plain Python value of an Enum, a numpy scalar, a binary column, or MongoDB's Extended JSON."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, Mapping):
        return extended_value(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return _text_of(bytes(value))
    if getattr(value, "ndim", None) == 0:  # a numpy scalar
        return _of_numpy(value)
    return value


def _text_of(value: bytes) -> object:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return Unreadable()


def _of_numpy(value: Any) -> object:  # noqa: ANN401 - numpy need not be installed
    """Return the corresponding Python value; otherwise nanoseconds become bare numbers, and float32 gains digits."""
    kind = value.dtype.kind
    if kind == "m":
        raise TypeError("a time span cannot be an attribute")
    if kind == "M":
        return value.astype("datetime64[us]").item()
    if kind == "f" and value.dtype.itemsize < _DOUBLE:
        return Decimal(str(value))
    return value.item()


def is_missing(value: object) -> bool:
    """Return whether it is null, or the NaN, NaT or NA with which tables mark an empty cell."""
    if isinstance(value, Decimal | float):
        return math.isnan(value)
    return value is None or type(value).__name__ in ("NaTType", "NAType")


def _why_not(value: object) -> str:
    if isinstance(value, Mapping | list | tuple | set | frozenset | RepeatedKey):
        return "nested values are not allowed, attributes are flat"
    if isinstance(value, Real | Decimal):
        return "it must be finite"
    return "it must be a text, a number, a boolean or a date"


def _date_to_string(name: str, value: date, *, is_wechat: bool) -> str:
    moment = value if isinstance(value, datetime) else datetime.combine(value, time())
    if moment.tzinfo is not None:
        moment = moment.astimezone(timezone.utc).replace(tzinfo=None)
    if is_wechat or name in _ISO_DATES:
        return moment.isoformat(timespec="milliseconds") + "Z"
    return moment.isoformat(" ", timespec="seconds")
