"""One value, one profile, whichever way it comes in."""

import csv
import io
import json
import sqlite3
from contextlib import closing
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_imiconnect.errors import IMIconnectError
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.sources.options import ReadOptions
from airflow_imiconnect.records.spool import SpooledRecords
from airflow_imiconnect.records.validation import check_records
from airflow_imiconnect.tasks.reading.sql import query_source
from airflow_imiconnect.tasks.reading.storage import files_source, records_source

EAST = timezone(timedelta(hours=2))
ID = UUID("12345678-1234-5678-1234-567812345678")
# name of the attribute, value, what is sent; None where nothing is
TEXTS = [
    ("x", "Jürgen \U0001f600", "Jürgen \U0001f600"),
    ("x", 'say "hi", it\'s; ok | end', 'say "hi", it\'s; ok | end'),
    ("x", "a\tb\nc", "a\tb\nc"),
    ("x", " padded ", " padded "),
    ("x", "back\\slash\\n", "back\\slash\\n"),
    ("x", "TRUE", "TRUE"),
    ("verified", "TRUE", "1"),
    ("status", "false", "0"),
    ("x", "NULL", "NULL"),
    ("x", "NaN", "NaN"),
    ("x", "007", "007"),
    ("x", "1.0", "1.0"),
    ("x", "2026-01-02", "2026-01-02"),
]
SCALARS = [
    ("x", None, None),
    ("x", True, "1"),
    ("verified", False, "0"),
    ("x", 0, "0"),
    ("x", -7, "-7"),
    ("x", 1234567890123456789, "1234567890123456789"),
    ("x", 5.3, "5.3"),
    ("x", 4652750724851327.0, "4652750724851327"),
    ("x", 1e23, "100000000000000000000000"),
    ("x", -0.0, "0"),
    ("status", 1.0, "1"),
    ("x", float("nan"), None),
]
OBJECTS = [
    ("x", Decimal("1001.0000000000"), "1001"),
    ("x", Decimal("12.340"), "12.340"),
    ("x", date(2026, 1, 2), "2026-01-02 00:00:00"),
    ("x", datetime(2026, 1, 2, 3, 4, 5, 678000), "2026-01-02 03:04:05"),  # noqa: DTZ001 - databases have these
    ("x", datetime(2026, 1, 2, 3, 4, 5, tzinfo=EAST), "2026-01-02 01:04:05"),
    ("created_on", datetime(2026, 1, 2, 3, 4, 5, 678000), "2026-01-02T03:04:05.678Z"),  # noqa: DTZ001 - as above
    ("x", b"bytes", "bytes"),
]
PYTHONS = [
    ("x", ID, str(ID)),
    ("x", np.float32(5.3), "5.3"),
    ("x", np.int64(7), "7"),
    ("x", np.bool_(True), "1"),
]  # fmt: skip
JSONS = [
    ("x", {"$oid": "60f6"}, "60f6"),
    ("x", {"$numberLong": "7"}, "7"),
    ("x", {"$date": "2026-01-02T03:04:05.678Z"}, "2026-01-02 03:04:05"),
]


def rows(name, value):
    return [{"customerId": "C1", name: value}, {"customerId": "C2", name: value}]


def vendors(name, value):
    return [{"customerId": row["customerId"], "Attributes": {name: row[name]}} for row in rows(name, value)]


def listed(records, _):
    return records_source(records, ReadOptions())


def yielded(records, _):
    return SpooledRecords(iter(records))


def a_file(name, content, file_format="auto"):
    def write(records, folder):
        data = content(records)
        (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))
        return files_source(folder / name, file_format, ReadOptions())

    return write


def as_csv(records):
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def as_mysql(records):
    escaped = {"\\": "\\\\", "\t": "\\t", "\n": "\\n"}
    lines = [records[0], *(row.values() for row in records)]
    return "".join(
        "\t".join("".join(escaped.get(sign, sign) for sign in cell) for cell in line) + "\n" for line in lines
    )


def as_parquet(records):
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records), file)
    return file.getvalue()


def framed(make):
    return lambda records, _: records_source(make(records), ReadOptions())


def queried(records, folder):
    name = next(key for key in records[0] if key != "customerId")
    with closing(sqlite3.connect(folder / "people.db")) as database, database:
        database.execute(f'CREATE TABLE people (customerId, "{name}")')
        database.executemany("INSERT INTO people VALUES (?, ?)", [tuple(row.values()) for row in records])
    return query_source("SELECT * FROM people ORDER BY customerId", "people", None, ReadOptions())


LISTS = {"a list of rows": (rows, listed), "a list": (vendors, listed), "a function": (rows, yielded)}
FRAMES = {
    "pandas": (rows, framed(pd.DataFrame)),
    "polars": (rows, framed(pl.DataFrame)),
    "Arrow": (rows, framed(pa.Table.from_pylist)),
    "Parquet": (rows, a_file("a.parquet", as_parquet)),
    "Parquet of the vendor's form": (vendors, a_file("a.parquet", as_parquet)),
}
JSON_FILES = {
    "JSON": (vendors, a_file("a.json", json.dumps)),
    "JSON rows": (rows, a_file("a.json", lambda records: json.dumps({"Records": records}))),
    "JSON in UTF-8": (vendors, a_file("a.json", lambda records: json.dumps(records, ensure_ascii=False))),
    "JSON Lines": (vendors, a_file("a.jsonl", lambda records: "\n".join(map(json.dumps, records)))),
    "JSON Lines of rows": (rows, a_file("a.jsonl", lambda records: "\n".join(map(json.dumps, records)))),
    "JSON text of Attributes": (
        lambda name, value: [row | {"Attributes": json.dumps(row["Attributes"])} for row in vendors(name, value)],
        listed,
    ),
}
TABLES = {
    "CSV": (rows, a_file("a.csv", as_csv)),
    "CSV with JSON text": (
        lambda name, value: [row | {"Attributes": json.dumps(row["Attributes"])} for row in vendors(name, value)],
        a_file("a.csv", as_csv),
    ),
    "MySQL": (rows, a_file("a.tsv", as_mysql, "mysql")),
}
PYTHON_TEXTS = {
    "JSON text in bytes": (
        lambda name, value: [
            row | {"Attributes": json.dumps(row["Attributes"]).encode()} for row in vendors(name, value)
        ],
        listed,
    )
}
QUERY = {"a query": (rows, queried)}
TABLE = [
    *((way, case) for case in TEXTS for way in LISTS | FRAMES | JSON_FILES | TABLES | PYTHON_TEXTS | QUERY),
    *((way, case) for case in SCALARS for way in LISTS | FRAMES | JSON_FILES | QUERY),
    *((way, case) for case in OBJECTS for way in LISTS | FRAMES),
    *((way, case) for case in PYTHONS for way in LISTS),
    *((way, case) for case in JSONS for way in LISTS | JSON_FILES),
]
WAYS = LISTS | FRAMES | JSON_FILES | TABLES | PYTHON_TEXTS | QUERY


@pytest.fixture(autouse=True)
def _people(tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_PEOPLE", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "people.db")}))


@pytest.mark.parametrize(("way", "case"), TABLE, ids=lambda each: each if isinstance(each, str) else ascii(each[:2]))
def test_a_value_gives_the_same_profile_whichever_way_it_comes_in(way, case, tmp_path):
    name, value, sent = case
    records, source = WAYS[way]
    found = list(check_records(source(records(name, value), tmp_path).read(Notes())))
    assert [(record.customer_id, record.attributes) for record in found] == [
        (customer_id, {} if sent is None else {name: sent}) for customer_id in ("C1", "C2")
    ]


IDS = [("C1", "C1"), (" C1 ", "C1"), (17, "17"), (4652750724851327.0, "4652750724851327"), (Decimal("17.00"), "17")]


@pytest.mark.parametrize(("value", "sent"), IDS, ids=ascii)
@pytest.mark.parametrize("way", LISTS | FRAMES | JSON_FILES)
def test_an_id_is_the_same_whichever_way_it_comes_in(way, value, sent, tmp_path):
    if isinstance(value, Decimal) and way in JSON_FILES:
        value = float(value)
    records, source = WAYS[way]
    one = records("x", "1")[0] | {"customerId": value}
    (found,) = check_records(source([one], tmp_path).read(Notes()))
    assert (found.customer_id, found.attributes) == (sent, {"x": "1"})


@pytest.mark.parametrize("way", JSON_FILES)
def test_half_a_surrogate_pair_is_one_refused_record(way, tmp_path):
    records, source = WAYS[way]
    items = [*records("x", "\ud83d")[:1], *records("x", "ok")[1:]]
    if way == "JSON in UTF-8":
        items = json.loads(json.dumps(items))
    problems = []
    try:
        raw = source(items, tmp_path).read(Notes())
        found = list(check_records(raw, on_problem=lambda _, error: problems.append(str(error))))
    except IMIconnectError as error:
        pytest.fail(str(error))
    assert ([record.customer_id for record in found], len(problems)) == (["C2"], 1)
