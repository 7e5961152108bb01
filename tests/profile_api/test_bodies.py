"""Bytes -> typed values: what is read, what is left out, what makes a body unreadable."""

import json

import pytest

from airflow_imiconnect.profile_api.bodies import UNREADABLE, read_bodies
from airflow_imiconnect.profile_api.results import RecordResult

KEY = "planted-key"


def read(hide="", **fields):
    """Read one statement with the code 1000 and these fields; None where it cannot be read."""
    bodies = read_bodies(json.dumps({"code": "1000", **fields}).encode(), hide)
    return bodies[0] if bodies else None


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("7003", "7003"), (7003, "7003"), (" 7003\n", "7003"), ("E42", "E42"), ("x" * 16, "x" * 16), ("x" * 17, None),
        ("70 03", None), ("70-03", None), ("", None), ("\u0667\u0660\u0660\u0663", None), ("é", None), (f"{KEY}", None), ("key", "key"),
    ],
)  # fmt: skip
def test_a_code_is_a_short_word(code, text):
    body = read(KEY, code=code)
    assert (body and body.code) == text


def test_a_code_that_holds_the_key_is_none():
    assert read("secret", code="xsecretx") is None
    assert read("secret", Results=[{"code": "xsecretx"}]) is None


@pytest.mark.parametrize(
    ("transid", "text"),
    [
        ("T1", "T1"), (" T1 ", "T1"), (7, "7"), (None, ""), ("t" * 200, "t" * 200), ("t" * 201, ""), (".", ""), ("..", ""),
        ("...", "..."), ("é", ""), ("a\nb", ""), (f"x{KEY}x", ""),
    ],
)  # fmt: skip
def test_a_transid_is_an_id_or_nothing(transid, text):
    assert read(KEY, transid=transid).transid == text


@pytest.mark.parametrize(
    ("count", "number"),
    [
        (5, 5), (0, 0), ("5", 5), ("0", 0), (999_999_999, 999_999_999), (10**9, UNREADABLE), ("999999999", 999_999_999),
        ("1000000000", UNREADABLE), (-1, UNREADABLE), ("-1", UNREADABLE), (True, UNREADABLE), (False, UNREADABLE), (5.5, UNREADABLE),
        (5.0, 5), (" 5 ", 5), ("5.0", 5), ("1e400", UNREADABLE), ("nan", UNREADABLE), ("", None),
        (None, None), ("five", UNREADABLE),
    ],
)  # fmt: skip
def test_a_count_is_a_number_or_nothing(count, number):
    body = read(TotalCount=count, FailureCount=3)
    assert (body.total_count, body.failure_count) == (number, 3)
    assert read(FailureCount=count).failure_count == number


@pytest.mark.parametrize(
    ("description", "text"),
    [
        (None, ""), ("", ""), (0, "0"), (7, "7"), ("Queued", "Queued"), ("a\nb", "a b"), (f"wrong {KEY}!", "wrong ***!"),
        ("x" * 1000, "x" * 300),
    ],
)  # fmt: skip
def test_a_description_is_one_short_line(description, text):
    body = read(KEY, description=description, Results=[{"code": "1000", "description": description}])
    assert (body.description, body.results[0].description) == (text, text)


def test_the_usual_words_are_as_they_are_whatever_the_key():
    assert read("SUCC", description="SUCCESS").description == "SUCCESS"


@pytest.mark.parametrize(
    ("result", "customer_id"),
    [
        ({"customerId": "C1"}, "C1"), ({"customerid": "C1"}, "C1"), ({"customerId": "C1", "customerid": "C2"}, "C1"),
        ({"customerId": None, "customerid": "C2"}, "C2"), ({"customerId": 7}, "7"), ({}, ""), ({"customerId": ""}, ""),
        ({"customerId": f"C-{KEY}"}, "C-***"),
    ],
)  # fmt: skip
def test_the_customers_id_in_either_spelling(result, customer_id):
    body = read(KEY, Results=[{"code": 7003, "description": "x", **result}])
    assert body.results == (RecordResult(customer_id, "7003", "x"),)


def test_more_results_than_there_can_be_are_not_read():
    assert len(read(Results=[{"code": "1000"}] * 1000).results) == 1000
    assert read(Results=[{"code": "1000"}] * 1001) is None


@pytest.mark.parametrize("results", [None, []])
def test_no_results_are_none(results):
    assert read(Results=results).results == ()


ONE, TWO = {"code": "1000"}, {"code": "1001"}


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        (ONE, ["1000"]), ([ONE, TWO], ["1000", "1001"]), ({"response": ONE}, ["1000"]),
        ({"response": [ONE, TWO]}, ["1000", "1001"]), ([], []), ({"response": {"response": ONE}}, []),
        ([ONE, {"code": "-"}], []),
    ],
)  # fmt: skip
def test_one_statement_or_several(body, codes):
    assert [each.code for each in read_bodies(json.dumps(body).encode())] == codes


@pytest.mark.parametrize(
    ("raw", "description"),
    [
        (b'\xef\xbb\xbf{"code": "1000", "description": "a"}', "a"),
        (b'{"code": "1000", "description": "a\\ud83dz"}', "a\ufffdz"),
        (b'{"code": "1000", "description": "a\\udc00z"}', "a\ufffdz"),
        (b'{"code": "1000", "description": "\\uD83D\\uDE00 \\ud83d"}', "\U0001f600 \ufffd"),
        (b'{"code": "1000", "description": "\\\\ud83d \\" \\u00e9 \\ud83d"}', '\\ud83d " é \ufffd'),
        (b'{"response": {"code": "1000", "description": "a\\ud83dz"}}', "a\ufffdz"),
    ],
)
def test_what_other_readers_take_is_read_too(raw, description):
    assert [(body.code, body.description) for body in read_bodies(raw)] == [("1000", description)]


@pytest.mark.parametrize(
    "raw", [b'{"code": "1000"}\xef\xbb\xbf', b'{"code": "1000"', b'\xef\xbb\xbf{"code": "1000"', b""]
)
def test_what_is_no_json_is_not_read(raw):
    assert read_bodies(raw) == ()
