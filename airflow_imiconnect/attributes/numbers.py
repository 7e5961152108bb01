"""Converts a number to text (contract 4): integers without a fraction, no exponent, and a bounded number of digits."""

from __future__ import annotations

import math
from decimal import Decimal
from numbers import Integral, Real

MOST_DIGITS = 400  # when written out; the longest float has some 340
_LIMIT = 10**MOST_DIGITS
_EXACT_FLOAT = 1e15  # below it, an integral float is exact


class TooLongNumber:
    """Replaces a number in JSON that has too many digits to be read."""


class NumberTooLongError(ValueError):
    """A number has more digits than any attribute may have."""

    def __init__(self) -> None:
        super().__init__(f"is a number of more than {MOST_DIGITS} digits")


def number_to_string(value: object) -> str | None:
    """
    Return a finite number as text, None for anything else.

    5.0 becomes "5", because tables convert integer columns to floats as soon as one cell is empty, and databases return
    integers as Decimals with a fraction of zeros.

    :raises NumberTooLongError: written out, it would have more than 400 digits
    """
    if type(value) is int:  # most numbers are
        return _whole_to_string(value)
    if isinstance(value, TooLongNumber):
        raise NumberTooLongError
    if isinstance(value, float):
        return _float_to_string(float(value))
    if isinstance(value, Integral):
        return _whole_to_string(int(value))
    if isinstance(value, Decimal):
        return _decimal_to_string(value)
    if isinstance(value, Real) and math.isfinite(value):
        return _float_to_string(float(value))
    return None


def _float_to_string(value: float) -> str | None:
    if not math.isfinite(value):
        return None
    if value.is_integer() and -_EXACT_FLOAT < value < _EXACT_FLOAT:
        return str(int(value))
    return _decimal_to_string(Decimal(repr(value)))  # 1e23 with the digits of its repr, not of its binary value


def _whole_to_string(value: int) -> str:
    if not -_LIMIT < value < _LIMIT:
        raise NumberTooLongError
    return str(value)


def _decimal_to_string(value: Decimal) -> str | None:
    if not value.is_finite():
        return None
    if not value:
        return "0"
    if not -MOST_DIGITS <= value.adjusted() < MOST_DIGITS or -_exponent(value) > MOST_DIGITS:
        raise NumberTooLongError
    whole = int(value)
    return str(whole) if whole == value else format(value, "f")


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0
