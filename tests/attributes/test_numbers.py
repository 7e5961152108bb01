"""Numbers as text, and numbers that would never end."""

import tracemalloc
from decimal import Decimal
from fractions import Fraction

import pytest

from airflow_imiconnect.attributes import RecordProblem, number_to_string, to_strings


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (-7, "-7"),
        (5.0, "5"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (1e23, "100000000000000000000000"),
        (1e-7, "0.0000001"),
        (9007199254740993.0, "9007199254740992"),
        (Decimal("5.50"), "5.50"),
        (Decimal("1001.0000000000"), "1001"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0E+999999999"), "0"),
        (Decimal("-12345678901234567.89"), "-12345678901234567.89"),
        (Fraction(1, 4), "0.25"),
        (10**399, "1" + "0" * 399),
        (Decimal("1e399"), "1" + "0" * 399),
        (1.7976931348623157e308, "17976931348623157" + "0" * 292),
        (5e-324, "0." + "0" * 323 + "5"),
    ],
)
def test_numbers_are_written_out(number, text):
    assert number_to_string(number) == text


@pytest.mark.parametrize("number", [float("inf"), Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity"), "1", None, 1j])
def test_what_is_not_a_finite_number_has_no_text(number):
    assert number_to_string(number) is None


class Endless(int):
    """A number of a user's own type, whose text is an error."""

    def __str__(self):
        raise OSError("planted")

    __repr__ = __format__ = __str__


class Silent:
    def __str__(self):
        raise KeyError("planted")

    __repr__ = __str__


class Liar(Decimal):
    def is_finite(self):
        raise SystemError("planted")


BOMBS = [10**401, -(10**5000), 1 << 40_000_000, Decimal("1.0e300000000"), Decimal("1e-300000000"), Decimal("9" * 401)]


@pytest.mark.parametrize("number", BOMBS, ids=range(len(BOMBS)))
def test_a_number_of_more_than_400_digits_is_refused_by_name(number):
    tracemalloc.start()
    with pytest.raises(RecordProblem, match=r"^x: is a number of more than 400 digits$"):
        to_strings({"x": number})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("value", [Silent(), Liar(5)])
def test_a_value_of_a_users_type_that_raises_is_refused_by_name(value):
    with pytest.raises(RecordProblem, match="^x: ") as caught:
        to_strings({"x": value})
    assert "planted" not in str(caught.value)


def test_a_users_number_is_written_as_the_number_it_is():
    assert to_strings({"x": Endless(5)}) == {"x": "5"}
