"""MongoDB's Extended JSON: values that its exports write as an object, such as ``{"$oid": "60f6…"}``."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_OFFSET = re.compile(r"([+-]\d\d):?(\d\d)$")
_UUID_SUBTYPES = ("03", "04", "3", "4")


def extended_value(value: Mapping[object, object]) -> object:
    """Return the value that the object represents, or the object itself if it is not Extended JSON."""
    if len(value) == 1:
        ((key, content),) = value.items()
        reader = _READERS.get(key) if isinstance(key, str) else None
        if reader is not None:
            with suppress(ValueError, TypeError, ArithmeticError, LookupError):
                return reader(content)
    return value


def _text(content: object) -> object:
    if not isinstance(content, str):
        raise TypeError
    return content


def _whole(content: object) -> object:
    return int(str(_text(content)))


def _number(content: object) -> object:
    return Decimal(str(_text(content)))


def _date(content: object) -> object:
    """Read milliseconds since 1970, or text; text that is not a date is returned as it is."""
    if isinstance(content, Mapping):
        content = extended_value(content)
    if isinstance(content, int) and not isinstance(content, bool):
        return _EPOCH + timedelta(milliseconds=content)
    text = str(_text(content))
    with suppress(ValueError):
        return datetime.fromisoformat(_OFFSET.sub(r"\1:\2", text.replace("Z", "+00:00")))
    return text


def _binary(content: object) -> object:
    if not isinstance(content, Mapping) or content["subType"] not in _UUID_SUBTYPES:
        raise TypeError
    return UUID(bytes=base64.b64decode(str(_text(content["base64"])), validate=True))


_READERS: Mapping[str, Callable[[object], object]] = {
    "$oid": _text,
    "$uuid": _text,
    "$symbol": _text,
    "$numberInt": _whole,
    "$numberLong": _whole,
    "$numberDouble": _number,
    "$numberDecimal": _number,
    "$date": _date,
    "$binary": _binary,
    "$undefined": lambda _: None,
}
