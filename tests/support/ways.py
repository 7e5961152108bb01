"""The ways in which a row comes in: each makes a source of records of one row, as a dict of column names to values."""

import csv
import io
import json
from decimal import Decimal

import pandas as pd
import polars as pl
import pyarrow as pa
from pyarrow import parquet

from airflow_imiconnect.records.sources.file_source import FileSource
from airflow_imiconnect.records.sources.lists import ListSource
from airflow_imiconnect.records.sources.tables.frames import FrameSource
from airflow_imiconnect.records.spool import SpooledRecords, SpooledTable
from airflow_imiconnect.tasks.reading.sql import query_source

NOTHING = type(None)
TEXTS = {str, NOTHING}
OF_SQLITE = {*TEXTS, bool, int, float, bytes}
OF_JSON = {*TEXTS, bool, int, float, Decimal, dict}
CONNECTION = "ways"
_MYSQL = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def json_text(value):
    """Return a value as JSON, a Decimal with all of its digits."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)}: {json_text(each)}" for name, each in value.items()) + "}"
    return str(value) if isinstance(value, Decimal) else json.dumps(value)


def _file(folder, name, text, options, file_format="auto"):
    (folder / name).write_bytes(text.encode())
    return FileSource([folder / name], file_format, options)


def _json(row, folder, options):
    return _file(folder, "a.json", f"[{json_text(row)}]", options)


def _json_lines(row, folder, options):
    return _file(folder, "a.jsonl", f"{json_text(row)}\n", options)


def _csv(row, folder, options):
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([row, row.values()])
    return _file(folder, "a.csv", text.getvalue(), options)


def _mysql(row, folder, options):
    cells = ["\\N" if cell is None else cell.translate(_MYSQL) for cell in row.values()]
    return _file(folder, "a.tsv", "\t".join(row) + "\n" + "\t".join(cells) + "\n", options, "mysql")


def _parquet(row, folder, options):
    parquet.write_table(pa.table(_columns(row)), folder / "a.parquet")
    return FileSource([folder / "a.parquet"], options=options)


def _sql(row, _, options):
    names = ", ".join(f'? AS "{name}"' for name in row)
    return query_source(f"SELECT {names}", CONNECTION, list(row.values()), options)


def _columns(row):
    return {name: [value] for name, value in row.items()}


# The kinds of values that a way can hold, None for any; and the way.
_ROWS = {
    "list": (None, lambda row, _, options: ListSource([row], options)),
    "spooled records": (None, lambda row, _, options: SpooledRecords(iter([row]), options)),
    "spooled table": (None, lambda row, _, options: SpooledTable(list(row), [tuple(row.values())], options)),
    "JSON": (OF_JSON, _json),
    "JSON Lines": (OF_JSON, _json_lines),
    "CSV": (TEXTS, _csv),
    "mysql": (TEXTS, _mysql),
    "SQLite": (OF_SQLITE, _sql),
    "Parquet": (None, _parquet),
    "Arrow": (None, lambda row, _, options: FrameSource(pa.table(_columns(row)), options)),
    "pandas": (None, lambda row, _, options: FrameSource(pd.DataFrame(_columns(row)), options)),
    "polars": (None, lambda row, _, options: FrameSource(pl.DataFrame(_columns(row)), options)),
}
_OBJECTS = ("list", "spooled records", "JSON", "JSON Lines")  # the vendor's form of a record as it stands
_STRUCTS = ("spooled table", "Parquet", "Arrow", "pandas", "polars")  # a column of objects
_JSON_FILES = ("JSON", "JSON Lines")


def _nested(row):
    attributes = dict(row)
    return {"customerId": attributes.pop("customerId"), "Attributes": attributes}


def _nested_text(row):
    record = _nested(row)
    return record | {"Attributes": json_text(record["Attributes"])}


def _unusual(row):
    """Add an attribute without a value, of a kind that no quick way of reading takes."""
    return row | {"nothing": float("nan")}


def _ways(names, suffix, change, kinds=None):
    return {f"{name}, {suffix}": _way(*_ROWS[name], change, kinds) for name in names}


def _way(kinds, make, change, other_kinds):
    return other_kinds or kinds, lambda row, folder, options: make(change(row), folder, options)


FLAT = _ROWS | _ways(_JSON_FILES, "unusual rows", _unusual)
AS_OBJECTS = _ways(_OBJECTS, "vendor's form", _nested) | _ways(
    _JSON_FILES, "vendor's form, unusual", lambda row: _nested(_unusual(row))
)
AS_STRUCTS = _ways(_STRUCTS, "objects", _nested)
AS_TEXT = _ways(_ROWS, "JSON text", _nested_text, OF_JSON)
ALL = FLAT | AS_OBJECTS | AS_STRUCTS | AS_TEXT
