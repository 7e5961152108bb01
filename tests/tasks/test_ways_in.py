"""A value becomes the same profile whichever way it comes in: lists, files, queries, functions and frames."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest
from support import ways

from airflow_imiconnect.records.sources.file_source import FileSource
from airflow_imiconnect.records.sources.lists import ListSource
from airflow_imiconnect.records.sources.options import ReadOptions
from airflow_imiconnect.records.spool import SpooledRecords
from airflow_imiconnect.records.validation import check_records

NAN = float("nan")
MOMENT = dt.datetime(2018, 8, 26, 12, 26, 3, 250_999)  # noqa: DTZ001 - as tables have it
MADRID = MOMENT.replace(tzinfo=dt.timezone(dt.timedelta(hours=2)))
UID = UUID("12345678-1234-5678-1234-567812345678")
WECHAT = {"nick": "n"}
DAY = dt.date(2020, 2, 29)


class Case(NamedTuple):
    value: Any
    text: str | None  # what is sent; None if the attribute is left out
    name: str = "x"
    others: dict = {}  # noqa: RUF012 - never changed


CASES = [
    Case("Ana", "Ana"),
    Case("Zoë 你好 \U0001f600", "Zoë 你好 \U0001f600"),
    Case('say "hi", it\'s; a\\b', 'say "hi", it\'s; a\\b'),
    Case("{a: [1]}", "{a: [1]}"),
    Case("a\tb\nc\r\nd", "a\tb\nc\r\nd"),
    Case("a\u2028b\x85c", "a\u2028b\x85c"),
    Case(" padded\xa0", " padded\xa0"),
    Case("007", "007"),
    Case("5.0", "5.0"),
    Case("TRUE", "TRUE"),
    Case("false", "false"),
    Case("TRUE", "1", "status"),
    Case("false", "0", "verified"),
    Case(" True ", "1", "connectStatus"),
    Case("NULL", "NULL"),
    Case("nan", "nan"),
    Case(None, None),
    Case(None, None, "status"),
    Case(True, "1"),
    Case(False, "0"),
    Case(True, "1", "status"),
    Case(False, "0", "verified"),
    Case(0, "0"),
    Case(-7, "-7"),
    Case(1234567890123456789, "1234567890123456789"),
    Case(-(2**63), "-9223372036854775808"),
    Case(5.0, "5"),
    Case(-0.0, "0"),
    Case(5.3, "5.3"),
    Case(1e-7, "0.0000001"),
    Case(1e23, "100000000000000000000000"),
    Case(4652750724851327.0, "4652750724851327"),
    Case(1.0, "1", "status"),
    Case(NAN, None),
    Case(np.float32(5.3), "5.3"),
    Case(np.float16(5.3), "5.3"),
    Case(np.float32(7), "7"),
    Case(np.float64(5.3), "5.3"),
    Case(np.int64(2**53 + 1), "9007199254740993"),
    Case(np.uint8(1), "1", "status"),
    Case(np.bool_(True), "1"),
    Case(np.str_("x"), "x"),
    Case(np.datetime64("2018-08-26T12:26:03.250999"), "2018-08-26 12:26:03"),
    Case(np.datetime64("2018-08-26T12:26:03.250999000", "ns"), "2018-08-26 12:26:03"),
    Case(Decimal("5.00"), "5"),
    Case(Decimal("1.25"), "1.25"),
    Case(Decimal("1234567890123456789.10"), "1234567890123456789.10"),
    Case(Decimal("-0.00"), "0"),
    Case(DAY, "2020-02-29 00:00:00"),
    Case(DAY, "2020-02-29T00:00:00.000Z", "created_on"),
    Case(MOMENT, "2018-08-26 12:26:03"),
    Case(MOMENT, "2018-08-26T12:26:03.250Z", "last_opened"),
    Case(MOMENT, "2018-08-26T12:26:03.250Z", others=WECHAT),
    Case(MADRID, "2018-08-26 10:26:03"),
    Case(MADRID, "2018-08-26T10:26:03.250Z", others=WECHAT),
    Case(UID, str(UID)),
    Case(b"Zo\xc3\xab", "Zoë"),
    Case({"$oid": "60f6"}, "60f6"),
    Case({"$numberLong": "1234567890123456789"}, "1234567890123456789"),
    Case({"$numberDecimal": "1.50"}, "1.50"),
    Case({"$date": "2018-04-02T07:25:22.660Z"}, "2018-04-02 07:25:22"),
    Case({"$date": "2018-04-02T07:25:22.660Z"}, "2018-04-02T07:25:22.660Z", others=WECHAT),
]
IDS = [
    ("C1", "C1"),
    (" C1\xa0", "C1"),
    ("C 1", "C 1"),
    ("007", "007"),
    ("7.0", "7.0"),
    (1001, "1001"),
    (-7, "-7"),
    (1234567890123456789, "1234567890123456789"),
    (7.0, "7"),
    (4652750724851327.0, "4652750724851327"),
    (Decimal("1001.00"), "1001"),
    (Decimal(1234567890123456789), "1234567890123456789"),
    (np.int64(7), "7"),
    (np.float32(7), "7"),
    (UID, str(UID)),
    (b"C1", "C1"),
    ({"$oid": "60f6"}, "60f6"),
]
# What a package itself cannot make, or makes another value of.
LACKING = {
    "Arrow, objects": UUID,
    "Parquet, objects": UUID,
    "polars, objects": (UUID, np.generic),
    "polars": np.datetime64,
}
NO_IDS = [None, "", " ", NAN]


def has_uuids():
    try:
        return bool(pa.array([UID]))
    except pa.ArrowInvalid:
        return False


def holds(kinds, way, value):
    """Return whether a way in can hold a value at all."""
    if kinds is not None:
        return type(value) in kinds
    if isinstance(value, UUID) and way in ("Arrow", "Parquet"):
        return has_uuids()
    return not any(way.startswith(name) and isinstance(value, lacking) for name, lacking in LACKING.items())


def pairs(values, of_ways=ways.ALL):
    """Return each value with each of the ways that can hold it, as parameters of a test."""
    return [
        pytest.param(value, make, id=f"{way}: {_shown(value)}")
        for value in values
        for way, (kinds, make) in of_ways.items()
        if holds(kinds, way, _content(value))
    ]


def _content(value):
    return value[0] if isinstance(value, tuple) else value


def _shown(value):
    return ascii(value[::2] if isinstance(value, Case) else _content(value))


@pytest.fixture(autouse=True)
def database(tmp_path, monkeypatch):
    settings = {"conn_type": "sqlite", "host": str(tmp_path / "ways.sqlite")}
    monkeypatch.setenv(f"AIRFLOW_CONN_{ways.CONNECTION.upper()}", json.dumps(settings))


def outcome(source):
    """Return what would be sent, and what is wrong with the rest."""
    problems = []
    checked = check_records(source, on_problem=lambda _, error: problems.append(f"{error.field}: {error.reason}"))
    return [(each.customer_id, dict(each.attributes)) for each in checked], problems


@pytest.mark.parametrize(("case", "way"), pairs(CASES))
def test_a_value_is_the_same_text(case, way, tmp_path):
    row = {"customerId": "C1", case.name: case.value, **case.others}
    sent = case.others if case.text is None else {case.name: case.text, **case.others}
    assert outcome(way(row, tmp_path, ReadOptions())) == ([("C1", sent)], [])


@pytest.mark.parametrize(("value", "way"), pairs(IDS, ways.FLAT | ways.AS_OBJECTS | ways.AS_STRUCTS))
def test_an_id_is_the_same_text(value, way, tmp_path):
    customer_id, text = value
    assert outcome(way({"customerId": customer_id, "x": "a"}, tmp_path, ReadOptions())) == ([(text, {"x": "a"})], [])


@pytest.mark.parametrize(("value", "way"), pairs(NO_IDS, ways.FLAT | ways.AS_OBJECTS | ways.AS_STRUCTS))
def test_an_id_is_missing(value, way, tmp_path):
    found = outcome(way({"customerId": value, "x": "a"}, tmp_path, ReadOptions()))
    assert found == ([], ["customerId: is missing or empty"])


@pytest.mark.parametrize(("value", "way"), pairs([""], ways.FLAT | ways.AS_STRUCTS | ways.AS_TEXT))
def test_an_empty_text_is_left_out_of_a_table(value, way, tmp_path):
    found = outcome(way({"customerId": "C1", "x": value, "y": "b"}, tmp_path, ReadOptions()))
    assert found == ([("C1", {"y": "b"})], [])


@pytest.mark.parametrize(("value", "way"), pairs([""], ways.AS_OBJECTS))
def test_an_empty_text_is_sent_in_the_vendors_form(value, way, tmp_path):
    found = outcome(way({"customerId": "C1", "x": value, "y": "b"}, tmp_path, ReadOptions()))
    assert found == ([("C1", {"x": "", "y": "b"})], [])


@pytest.mark.parametrize(("value", "way"), pairs(["NULL", "\\N"]))
def test_a_null_value_is_left_out(value, way, tmp_path):
    found = outcome(way({"customerId": "C1", "x": value, "y": "b"}, tmp_path, ReadOptions(null_values=["NULL", "\\N"])))
    assert found == ([("C1", {"y": "b"})], [])


# -- Attributes as JSON text --


@pytest.mark.parametrize(("value", "way"), pairs(["no object", "[1]", '{"planted'], ways.FLAT))
def test_a_text_that_is_not_an_object_is_one_refused_record(value, way, tmp_path):
    found = outcome(way({"customerId": "C1", "Attributes": value}, tmp_path, ReadOptions()))
    assert found == ([], ["None: Attributes: must be an object of attributes, or the JSON text of one"])


@pytest.mark.parametrize(("value", "way"), pairs([b'{"status": 1}'], ways.FLAT))
def test_json_text_in_a_binary_column(value, way, tmp_path):
    found = outcome(way({"customerId": "C1", "Attributes": value}, tmp_path, ReadOptions()))
    assert found == ([("C1", {"status": "1"})], [])


@pytest.mark.parametrize(("value", "way"), pairs([b"\xff{}"], ways.FLAT))
def test_a_binary_column_that_is_not_text_is_one_refused_record(value, way, tmp_path):
    sent, problems = outcome(way({"customerId": "C1", "Attributes": value}, tmp_path, ReadOptions()))
    assert (sent, problems) == ([], ["None: Attributes: must be an object of attributes, or the JSON text of one"])


@pytest.mark.parametrize(("value", "way"), pairs(['{"status": 1, "channel": "fb"}'], ways.FLAT))
def test_json_text_beside_columns_and_options(value, way, tmp_path):
    row = {"customerId": "C1", "psid": "7", "attributes": value}
    assert outcome(way(row, tmp_path, ReadOptions())) == ([("C1", {"psid": "7", "status": "1", "channel": "fb"})], [])
    options = ReadOptions(columns={"channel": None}, attributes={"locale": "en"}, null_values=["7"])
    assert outcome(way(row, tmp_path, options)) == ([("C1", {"status": "1", "locale": "en"})], [])


@pytest.mark.parametrize(("value", "way"), pairs(['{"status": 1, "status": 0}'], ways.FLAT))
def test_json_text_with_a_repeated_key_is_one_refused_record(value, way, tmp_path):
    sent, problems = outcome(way({"customerId": "C1", "Attributes": value}, tmp_path, ReadOptions()))
    assert sent == []
    assert len(problems) == 1


def test_json_text_in_a_corrected_line_of_a_rejects_file():
    record = {"customerId": "C1", "Attributes": '{"status": 1}'}
    line = {"position": "records[3]", "stage": "invalid", "code": "7003", "record": record}
    assert outcome(ListSource([line, line | {"record": {"customerId": "C2", "status": "0"}}])) == (
        [("C1", {"status": "1"}), ("C2", {"status": "0"})],
        [],
    )


@pytest.mark.parametrize("source", [ListSource, lambda records: SpooledRecords(iter(records))])
def test_rows_of_either_form_stand_beside_each_other(source):
    records = [
        {"customerId": "C1", "Attributes": {"status": ""}},
        {"customerId": "C2", "Attributes": '{"status": ""}'},
        {"customerId": "C3", "Attributes": {"status": ""}},
        {"customerId": "C4", "status": ""},
        {"customerId": "C5", "status": "1"},
    ]
    assert outcome(source(records)) == (
        [("C1", {"status": ""}), ("C2", {}), ("C3", {"status": ""}), ("C4", {}), ("C5", {"status": "1"})],
        [],
    )


# -- JSON files --

FORMS = {
    "flat": '{{"customerId": "{}", "x": {}}}',
    "vendor": '{{"customerId": "{}", "Attributes": {{"x": {}}}}}',
    "unusual flat": '{{"customerId": "{}", "x": {}, "n": NaN}}',
    "unusual vendor": '{{"customerId": "{}", "Attributes": {{"x": {}, "n": null}}}}',
}


@pytest.fixture(params=FORMS.values(), ids=FORMS)
def form(request):
    return request.param


@pytest.fixture(params=["json", "jsonl"])
def file_of(request, tmp_path):
    def write(records):
        text = "\n".join(records) if request.param == "jsonl" else f"[{', '.join(records)}]"
        (tmp_path / f"a.{request.param}").write_text(text)
        return FileSource([tmp_path / f"a.{request.param}"])

    return write


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775808", "9223372036854775808"),
        ("-9223372036854775809", "-9223372036854775809"),
        ("1" * 400, "1" * 400),
        ("-0", "0"),
        ("1.10", "1.1"),
        ("12345678901234567890.10", "12345678901234567890.10"),
        ("0.1000000000000000055", "0.1000000000000000055"),
        ("1e23", "100000000000000000000000"),
        ("4652750724851327.0", "4652750724851327"),
        ("NaN", None),
        ("null", None),
        ("true", "1"),
        ('"\\ud83d\\ude00 \\u0022 \\/"', '\U0001f600 " /'),
    ],
)
def test_json_keeps_what_is_written(number, text, form, file_of):
    found = outcome(file_of([form.format("C1", number), form.format("C2", '"b"')]))
    assert found == ([("C1", {} if text is None else {"x": text}), ("C2", {"x": "b"})], [])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ('"\\ud83d"', "contains an unpaired surrogate (truncated emoji?)"),
        ('"\\u0000"', "contains a control character (U+0000)"),
        ("1" * 401, "is a number of more than 400 digits"),
        ('"\x7f"', "contains a control character (U+007F)"),
    ],
)
def test_what_json_can_write_and_a_profile_cannot_hold_is_one_refused_record(value, reason, form, file_of):
    found = outcome(file_of([form.format("C1", '"a"'), form.format("C2", value), form.format("C3", '"b"')]))
    assert found == ([("C1", {"x": "a"}), ("C3", {"x": "b"})], [f"Attributes.x: {reason}"])


def test_a_repeated_key_is_one_refused_record(form, file_of):
    found, problems = outcome(file_of([form.format("C1", '1, "x": 2'), form.format("C2", '"b"')]))
    assert found == [("C2", {"x": "b"})]
    assert ["key twice" in problem for problem in problems] == [True]
