"""Parquet tables."""

import builtins
import datetime as dt
import tracemalloc
from decimal import Decimal

import pyarrow as pa
import pytest
from pyarrow import parquet
from support.sources import error_of, read, records

from airflow_imiconnect.errors import IMIconnectRequestError
from airflow_imiconnect.records.sources.file_source import FileSource
from airflow_imiconnect.records.validation import check_records


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
    assert error_of(path).startswith(": no Parquet, or damaged")
    path.write_bytes(whole[: len(whole) // 2] + b"\xff" * 400 + whole[len(whole) // 2 + 400 :])
    assert ", after row " in error_of(path) or "damaged" in error_of(path)
    path.write_bytes(b"planted")
    assert error_of(path).startswith(": no Parquet, or damaged")


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
