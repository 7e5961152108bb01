"""Parquet tables."""

import builtins
import datetime as dt
import json
import re
import tracemalloc
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from support.sources import checked, error_of, read, records

from airflow_imiconnect.errors import IMIconnectRequestError
from airflow_imiconnect.records.sources.file_source import FileSource
from airflow_imiconnect.records.validation import check_records

CASES = Path(__file__).parents[2] / "data" / "cases"


@pytest.fixture
def table(tmp_path):
    def _table(columns, **options):
        path = tmp_path / "a.parquet"
        parquet.write_table(pa.table(columns), path, **options)
        return path

    return _table


def test_rows_become_records_and_nulls_are_left_out(table):
    path = table({"customerId": ["C1", "C2"], "name": ["Ana", None], "city": ["", "Rio"]})
    assert [raw.position for raw in read(path)] == [f"{path}, row 1", f"{path}, row 2"]
    assert records(path) == [
        {"customerId": "C1", "Attributes": {"name": "Ana"}},
        {"customerId": "C2", "Attributes": {"city": "Rio"}},
    ]


def test_every_kind_of_column_becomes_the_strings_that_are_sent(table):
    moment = dt.datetime(2018, 8, 26, 12, 26, 3, 250_000)  # noqa: DTZ001 - as tables have it
    path = table(
        {
            "customerId": [7],
            "status": [True],
            "zero": [0],
            "float": [5.0],
            "decimal": [Decimal("1.50")],
            "createdOn": [moment],
            "day": [moment.date()],
            "nano": pa.array([1535286363250000001], pa.timestamp("ns")),
            "zone": pa.array([moment], pa.timestamp("us", "Europe/Madrid")),
            "word": pa.array(["x"]).dictionary_encode(),
        }
    )
    (record,) = check_records(FileSource([path]))
    assert record.customer_id == "7"
    assert record.attributes == {
        "status": "1", "zero": "0", "float": "5", "decimal": "1.50", "createdOn": "2018-08-26 12:26:03",
        "day": "2018-08-26 00:00:00", "nano": "2018-08-26 12:26:03", "zone": "2018-08-26 12:26:03", "word": "x",
    }  # fmt: skip


@pytest.mark.parametrize("compression", ["snappy", "zstd", "gzip", "none"])
def test_many_row_groups_and_the_usual_compressions(table, compression):
    path = table({"crn": [str(n) for n in range(2500)]}, row_group_size=700, compression=compression)
    assert [record["customerId"] for record in records(path, customer_id_column="crn")] == [str(n) for n in range(2500)]


def test_columns_are_named_as_in_csv(table):
    path = table({"customerId": ["C1"], "E-Mail": ["a@example.com"], "x": ["1"]})
    assert records(path, columns={"E-Mail": "email", "x": None}, attributes={"channel": "rt"}) == [
        {"customerId": "C1", "Attributes": {"email": "a@example.com", "channel": "rt"}}
    ]
    assert error_of(table({"id": ["1"]})).startswith(": customerId: the column of the customer ids is missing")


def test_nested_columns_are_problems_of_their_records(table):
    problems = []
    path = table({"customerId": ["C1"], "x": [{"y": "planted"}]})
    assert list(check_records(FileSource([path]), on_problem=lambda _, error: problems.append(str(error)))) == []
    assert problems == [
        f"{path}, row 1: Attributes.x: is an object: nested values are not allowed, attributes are flat"
    ]


def problems_of(path):
    problems = []
    kept = list(check_records(FileSource([path]), on_problem=lambda _, error: problems.append(str(error))))
    return [record.customer_id for record in kept], [problem.removeprefix(f"{path}, ") for problem in problems]


@pytest.mark.parametrize(
    "bad",
    [
        pa.array([0, 10_000_000], pa.date32()),
        pa.array([0, 2**62], pa.timestamp("us")),
        pa.array([1_000, 1], pa.duration("ns")).cast(pa.duration("ns")),
        pa.Array.from_buffers(pa.string(), 2, pa.array([b"ok", b"\xff\xfe"], pa.binary()).buffers()),
    ],
    ids=["date", "timestamp", "duration", "text"],
)
def test_what_python_cannot_hold_is_a_problem_of_its_row(table, bad):
    path = table({"customerId": ["C1", "C2"], "x": bad})
    kept, problems = problems_of(path)
    assert "row 2: Attributes.x: is a " in problems[-1]
    assert kept in (["C1"], [])


def test_a_file_of_rows_that_are_no_records_is_refused_unread(table):
    path = table({"customerId": ["C1"], "x": ["planted" * 15_000_000]})
    tracemalloc.start()
    assert error_of(path).startswith(": the row is longer than")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000


def test_a_row_that_is_too_long_is_a_problem_of_its_own(table):
    kept, problems = problems_of(table({"customerId": ["C1", "C2", "C3"], "x": ["a", "planted" * 300_000, "b"]}))
    assert kept == ["C1", "C3"]
    assert problems == ["row 2: the row is longer than 1048576 bytes, which no record is"]


def test_damaged_files_are_told_with_their_place(table):
    path = table(
        {"customerId": [f"planted{n:06d}" for n in range(50_000)]}, row_group_size=10_000, use_dictionary=False
    )
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert error_of(path).startswith(": not Parquet, or damaged")
    path.write_bytes(whole[: len(whole) // 2] + b"\xff" * 400 + whole[len(whole) // 2 + 400 :])
    assert re.match(r", after row \d+: not Parquet, or damaged \(\w+\)$", error_of(path))
    path.write_bytes(b"planted")
    assert error_of(path).startswith(": not Parquet, or damaged")


@pytest.mark.parametrize(
    ("name", "customer_id", "attributes"),
    [
        ("whole_number_as_decimal", "1001", {"status": "1"}),
        ("float32", "C1", {"status": "1", "timezone": "5.3"}),
        ("struct_attributes", "C1", {"status": "1"}),
        ("binary_text", "C1", {"status": "1"}),
    ],
)
def test_files_of_other_systems(name, customer_id, attributes):
    ((record,), problems) = checked(CASES / f"{name}.parquet")
    assert (record.customer_id, record.attributes, problems) == (customer_id, attributes, [])


def attribute_of(path):
    """Return what column x of each row becomes; None if it is left out."""
    kept, problems = checked(path)
    assert problems == []
    return [record.attributes.get("x") for record in kept]


NAN = float("nan")


@pytest.mark.parametrize(
    ("kind", "values", "texts"),
    [
        (pa.float32(), [5.3, 3.0, None, NAN], ["5.3", "3", None, None]),
        (pa.float32(), [1e20, 16777216, 0.1, -0.25], ["100000000000000000000", "16777216", "0.1", "-0.25"]),
        (pa.float16(), [np.float16(5.3), np.float16(3), None, np.float16(NAN)], ["5.3", "3", None, None]),
        (pa.float16(), list(np.float16([0.1, 65504, 6e-8, -1.5])), ["0.1", "65500", "0.00000006", "-1.5"]),
        (pa.dictionary(pa.int8(), pa.float32()), [5.3, None, 1.0, 5.3], ["5.3", None, "1", "5.3"]),
        (pa.decimal128(38, 10), [Decimal(7), None, Decimal("1.5"), Decimal(0)], ["7", None, "1.5000000000", "0"]),
        *(
            (kind, [b"a", b"", None, "é".encode()], ["a", None, None, "é"])
            for kind in (pa.binary(), pa.large_binary(), pa.dictionary(pa.int8(), pa.binary()))
        ),
        (pa.binary(2), [b"ab", None, "é".encode(), b"cd"], ["ab", None, "é", "cd"]),
        *(
            (kind, ["a", "", None, "é"], ["a", None, None, "é"])
            for kind in (pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string()))
        ),
    ],
    ids=str,
)
def test_columns_of_every_type_are_the_texts_that_a_person_would_write(table, kind, values, texts):
    assert attribute_of(table({"customerId": ["C1", "C2", "C3", "C4"], "x": pa.array(values, kind)})) == texts


def test_each_float16_is_the_shortest_number_that_denotes_it(table):
    stored = np.arange(1, 0x7C00, 97, dtype="uint16").view("float16")
    written = attribute_of(
        table({"customerId": [f"C{n}" for n in range(len(stored))], "x": pa.array(stored, pa.float16())})
    )
    assert list(np.float16(written)) == list(stored)
    assert max(len(text.strip("0").replace(".", "").strip("0")) for text in written) <= 5


WORDS = pa.dictionary(pa.int8(), pa.string())


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), WORDS], ids=str)
def test_rows_that_are_text_alone_take_the_short_way(table, kind):
    def _are_plain(values):
        return [raw.is_plain for raw in read(table({"customerId": ["C1", "C2"], "x": pa.array(values, kind)}))]

    assert _are_plain(["a", None]) == [True, True]
    assert _are_plain(["a", "\x00"]) == [False, False]
    path = table({"customerId": ["C1"], "x": pa.array([0], pa.int8())})
    assert [raw.is_plain for raw in read(path)] == [False]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.dictionary(pa.int8(), pa.binary())], ids=str)
def test_bytes_that_are_not_text_are_a_problem_of_their_row(table, kind):
    kept, problems = problems_of(table({"customerId": ["C1", "C2"], "x": pa.array([b"ok", b"\xff\xfe"], kind)}))
    assert kept == ["C1"]
    words = "is a value that cannot be read: a date out of range, or text that is not UTF-8"
    (problem,) = problems
    assert problem.startswith(f"row 2: Attributes.x: {words}: ")


def test_an_empty_cell_beside_bytes_that_are_not_text_is_left_out(table):
    path = table({"customerId": ["C1", "C2", "C3"], "x": pa.array([b"\xff\xfe", b"", b"a"], pa.binary())})
    kept, _ = checked(path)
    assert [(record.customer_id, record.attributes) for record in kept] == [("C2", {}), ("C3", {"x": "a"})]


def test_nanoseconds_need_no_pandas(table):
    (record,) = records(table({"customerId": ["C1"], "x": pa.array([1535286363250000001], pa.timestamp("ns"))}))
    assert type(record["Attributes"]["x"]) is dt.datetime


STRUCT = pa.struct(
    [("status", pa.string()), ("timezone", pa.float32()), ("name", pa.binary()), ("x", pa.timestamp("ns"))]
)
MEMBERS = {"status": "1", "timezone": 5.3, "name": None, "x": dt.datetime(2018, 8, 26, 12, 26, 3)}  # noqa: DTZ001
SENT = {"status": "1", "timezone": "5.3", "x": "2018-08-26 12:26:03"}


@pytest.mark.parametrize(
    ("cells", "sent"),
    [
        (pa.array([MEMBERS, None], STRUCT), SENT),
        (pa.array([[("timezone", 5.3), ("x", None)], None], pa.map_(pa.string(), pa.float32())), {"timezone": "5.3"}),
        (pa.array([json.dumps({"status": 1, "x": None}), None]), {"status": "1"}),
        (pa.array([json.dumps({"status": 1, "x": None}).encode(), b""], pa.binary()), {"status": "1"}),
    ],
    ids=["struct", "map", "json", "json in bytes"],
)
def test_a_column_named_attributes_holds_the_vendors_record(table, cells, sent):
    kept, problems = checked(table({"customerId": ["C1", "C2"], "Attributes": cells, "channel": ["fb", "fb"]}))
    assert problems == []
    assert [record.attributes for record in kept] == [{**sent, "channel": "fb"}, {"channel": "fb"}]


NOT_AN_OBJECT = "row 2: Attributes: must be an object of attributes, or the JSON text of one"


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        (pa.array(["{}", '{"planted']), NOT_AN_OBJECT),
        (pa.array(["{}", '["planted"]']), NOT_AN_OBJECT),
        (pa.array(["{}", '{"channel": "planted"}']), "row 2: channel: is given twice, in a column and in Attributes"),
        (pa.array([[], [("a", "planted"), ("a", "x")]], pa.map_(pa.string(), pa.string())), NOT_AN_OBJECT),
    ],
    ids=["broken", "list", "twice", "key twice"],
)
def test_attributes_that_cannot_be_right_are_a_problem_of_their_row(table, cells, problem):
    kept, problems = problems_of(table({"customerId": ["C1", "C2"], "Attributes": cells, "channel": ["fb", "fb"]}))
    assert (kept, problems) == (["C1"], [problem])


@pytest.mark.parametrize(
    ("cell", "kind", "words"),
    [
        ([5.3], pa.list_(pa.float32()), "is a list"),
        ([("a", "planted")], pa.map_(pa.string(), pa.string()), "is an object"),
        ({"a": {"b": "planted"}}, pa.struct([("a", pa.struct([("b", pa.string())]))]), "is an object"),
    ],
    ids=["list", "map", "struct"],
)
def test_nested_cells_are_a_problem_of_their_row(table, cell, kind, words):
    kept, problems = problems_of(table({"customerId": ["C1", "C2"], "x": pa.array([None, cell], kind)}))
    assert kept == ["C1"]
    assert problems == [f"row 2: Attributes.x: {words}: nested values are not allowed, attributes are flat"]


def test_a_long_row_within_attributes_is_a_problem_of_its_own(table):
    cells = [{"x": "a"}, {"x": "planted" * 300_000}, None]
    kept, problems = problems_of(table({"customerId": ["C1", "C2", "C3"], "Attributes": cells}))
    assert kept == ["C1", "C3"]
    assert problems == ["row 2: the row is longer than 1048576 bytes, which no record is"]


def test_null_values_are_left_out(table):
    path = table({"customerId": ["C1"], "x": ["NULL"], "y": pa.array([b"NULL"], pa.binary())})
    assert records(path, null_values=("NULL",)) == [{"customerId": "C1", "Attributes": {}}]


def test_without_pyarrow_it_says_what_to_install(table, monkeypatch):
    path = table({"customerId": ["C1"]})
    really = builtins.__import__

    def without(name, *arguments):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return really(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(IMIconnectRequestError, match=r"pip install 'airflow-imiconnect\[parquet\]'"):
        read(path)
