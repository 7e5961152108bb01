"""Records that can be read only once, and the nameless file that keeps them."""

import gc
import os
import signal
import stat
import subprocess
import sys
import tempfile
import tracemalloc
from collections import OrderedDict
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from support.commands import without_logs
from support.stand_ins import record, records

from airflow_imiconnect.attributes import TwitterAttributes
from airflow_imiconnect.errors import IMIconnectInvalidRecordError, IMIconnectTransientError
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.profile import AppProfile
from airflow_imiconnect.records.sources.lists import ListSource
from airflow_imiconnect.records.sources.options import ReadOptions
from airflow_imiconnect.records.spool import Spool, SpooledRecords, SpooledTable, Unkept
from airflow_imiconnect.records.validation import check_records


class Colour(Enum):
    RED = "red"


class Level(int, Enum):
    TOP = 3


class Mine:
    """A user's own type, which no attribute can be."""


class Torn:
    """A user's own type that can be written, and not read again."""

    def __reduce__(self):
        return int, ("planted-value",)


MOMENT = datetime(2018, 8, 26, 12, 26, 3, 789_000)  # noqa: DTZ001 - as most databases have them
VALUES = {
    "text": "Zoë\n\u2028 tab\t",
    "empty": "",
    "none": None,
    "true": True,
    "false": False,
    "whole": 7,
    "long": 10**40,
    "too long": 10**500,
    "float": 5.0,
    "small": 1e-7,
    "large": 1e23,
    "nan": float("nan"),
    "infinite": float("inf"),
    "decimal": Decimal("1234567890.10"),
    "whole decimal": Decimal("5.00"),
    "decimal nan": Decimal("NaN"),
    "fraction": Fraction(1, 4),
    "date": date(2020, 2, 29),
    "naive": MOMENT,
    "utc": MOMENT.replace(tzinfo=timezone.utc),
    "offset": MOMENT.replace(tzinfo=timezone(timedelta(hours=5, minutes=30))),
    "zone": MOMENT.replace(tzinfo=ZoneInfo("Europe/Paris")),
    "second of two": datetime(2018, 10, 28, 2, 30, tzinfo=ZoneInfo("Europe/Paris"), fold=1),
    "time": time(12, 0),
    "span": timedelta(days=1),
    "uuid": UUID("12345678-1234-5678-1234-567812345678"),
    "bytes": b"text",
    "bytearray": bytearray(b"text"),
    "memoryview": memoryview(b"text"),
    "binary": b"\xff\xfe",
    "enum": Colour.RED,
    "number enum": Level.TOP,
    "np.int64": np.int64(2**53 + 1),
    "np.float32": np.float32(1.1),
    "np.bool": np.bool_(True),
    "np.str": np.str_("x"),
    "np.datetime64": np.datetime64("2020-01-01T00:00:00.123456789"),
    "np.nat": np.datetime64("NaT"),
    "extended json": {"$date": "2018-04-02T07:25:22.660Z"},
    "extended number": MappingProxyType({"$numberLong": "12"}),
    "object": {"a": 1},
    "list": [1],
    "set": {1},
    "surrogate": "\ud83d",
    "mine": Mine(),
}
OPEN = Path("/proc/self/fd")


def outcome(source):
    """Return what would be sent, and what is wrong with the rest."""
    problems = []
    checked = check_records(source, on_problem=lambda _, error: problems.append((error.field, error.reason)))
    return [(each.customer_id, dict(each.attributes)) for each in checked], problems


@pytest.mark.parametrize("channel", ["fb", "wechat"])
@pytest.mark.parametrize("name", ["nick", "last_opened", "status"])
@pytest.mark.parametrize("kind", VALUES)
def test_a_value_becomes_the_same_string_as_in_a_list(kind, name, channel):
    attributes = {"channel": channel, name: VALUES[kind]}
    items = [{"customerId": "C1", "Attributes": attributes}, {"customerId": "C2", **attributes}]
    assert outcome(SpooledRecords(iter(items))) == outcome(ListSource(items))


@pytest.mark.parametrize("kind", VALUES)
def test_an_id_becomes_the_same_string_as_in_a_list(kind):
    items = [{"customerId": VALUES[kind], "status": "1"}]
    assert outcome(SpooledRecords(iter(items))) == outcome(ListSource(items))


def items_of_all_kinds():
    yield AppProfile(customerId="C1", Attributes={"status": "1"})
    yield {"customerId": "C2", "Attributes": TwitterAttributes(status="1", twitterid="7")}
    yield OrderedDict(customerId="C3", name="x")
    yield MappingProxyType({"customerId": "C4", "name": "x"})
    yield [record(5), record(6)]
    yield "no record"
    yield None
    yield (1, 2)


def test_records_of_all_kinds_are_as_in_a_list():
    found = outcome(SpooledRecords(items_of_all_kinds()))
    assert found == outcome(ListSource(list(items_of_all_kinds())))
    assert [customer for customer, _ in found[0]] == ["C1", "C2", "C3", "C4", "C5", "C6"]


def test_what_the_disk_cannot_keep_is_one_refused_record():
    circle = record(2)
    circle["Attributes"]["self"] = circle
    with Path(os.devnull).open() as opened:
        items = [record(1), circle, record(3, file=opened), record(4, name=Torn()), lambda: 1, record(6)]
        source = SpooledRecords(iter(items))
    assert [customer for customer, _ in outcome(source)[0]] == ["C1", "C6"]
    bad = [raw for raw in source if raw.problem]
    assert [raw.position for raw in bad] == [f"records, item {number}" for number in (2, 3, 4, 5)]
    assert {raw.problem for raw in bad} == {
        "holds a value that cannot be kept on disk: give texts, numbers, booleans and dates"
    }


def test_it_is_read_again_from_the_beginning():
    source = SpooledRecords(iter(records(3)))
    assert source.fraction == 0
    first = iter(source)
    assert next(first).position == "records, item 1"
    assert source.fraction == pytest.approx(1 / 3)
    assert [raw.record for raw in source] == records(3)
    assert [raw.record for raw in source] == records(3)
    assert source.fraction == 1


def test_a_record_that_is_changed_after_it_was_yielded_stays_as_it_was():
    def function():
        row = {"customerId": "C1", "name": "a"}
        yield row
        row["customerId"] = "C2"
        yield row

    assert [customer for customer, _ in outcome(SpooledRecords(function()))[0]] == ["C1", "C2"]


def test_flat_rows_are_read_by_the_options_and_what_is_odd_is_noted():
    notes = Notes()
    rows = [{"Kunde": 1, "E-Mail": "a@example.com", "x": "-"}, {"Kunde": 2, "E-Mail": "-"}]
    options = ReadOptions("Kunde", {"E-Mail": "email", "x": None, "y": None}, {"channel": "rt"}, ["-"])
    source = SpooledRecords(iter(rows), options)
    assert [raw.record for raw in source.read(notes)] == [
        {"customerId": 1, "Attributes": {"email": "a@example.com", "channel": "rt"}},
        {"customerId": 2, "Attributes": {"channel": "rt"}},
    ]
    assert list(notes) == ["columns names y, which no row has (records)"]


def test_the_exception_of_a_function_is_raised_as_it_is():
    def function():
        yield record(1)
        raise OSError(28, "the function's own")

    with pytest.raises(OSError, match="the function's own"):
        SpooledRecords(function())


# -- the version --


VERSION = """
import sys
from datetime import datetime
from decimal import Decimal
from airflow_imiconnect.attributes import TwitterAttributes
from airflow_imiconnect.records.profile import AppProfile
from airflow_imiconnect.records.spool import SpooledRecords
profile = AppProfile(customerId="1", Attributes={"a": "1", "b": "2"})
model = {"customerId": "2", "Attributes": TwitterAttributes(status="1", twitterid="7", twitter_name="x")}
print(SpooledRecords([profile, model, {"customerId": Decimal("1.0"), "seen": datetime(2020, 1, 1)}]).version)
"""


def test_the_version_is_the_same_in_another_process():
    found = {
        subprocess.run(
            [sys.executable, "-c", VERSION],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1


def test_the_version_does_not_tell_one_object_from_two_that_are_equal():
    text, other = str(10**9), str(10**9)
    assert text is not other
    one = SpooledTable(["customerId", "a", "b"], [("C1", text, text)])
    two = SpooledTable(["customerId", "a", "b"], [("C1", text, other)])
    assert one.version == two.version


def test_the_version_tells_other_content_from_this():
    rows = [("C1", 1), ("C2", 2)]
    usual = ReadOptions()
    versions = [
        SpooledTable(["customerId", "a"], rows, usual).version,
        SpooledTable(["customerId", "a"], rows[::-1], usual).version,
        SpooledTable(["customerId", "a"], rows[:1], usual).version,
        SpooledTable(["customerId", "a"], [("C1", "1"), ("C2", 2)], usual).version,
        SpooledTable(["customerId", "b"], rows, usual).version,
        SpooledTable(["customerId", "a"], rows, ReadOptions(null_values=["1"])).version,
    ]
    assert len(set(versions)) == len(versions)
    assert all(len(version) == 16 for version in versions)


# -- tables --


def test_rows_are_read_as_those_of_a_table():
    table = SpooledTable(
        ["customerId", "name", "name", "Attributes"],
        [(1, "a", "b", {"status": 1}), (2, None, "", '{"status": 0}'), (3, "c", "d", "no object")],
        ReadOptions(columns={"name#2": "nick"}),
    )
    assert len(table) == 3
    assert [(raw.position, raw.record, raw.problem) for raw in table] == [
        ("sql, row 1", {"customerId": 1, "Attributes": {"name": "a", "nick": "b", "status": 1}}, None),
        ("sql, row 2", {"customerId": 2, "Attributes": {"status": 0}}, None),
        ("sql, row 3", None, "Attributes: must be an object of attributes, or the JSON text of one"),
    ]


@pytest.mark.parametrize(
    ("names", "options", "words"),
    [
        (["id", "name"], {}, "sql: customerId: the column of the customer ids is missing.*The columns are: id, name"),
        (["customerId", "name", "name"], {}, "sql: name: the column stands there twice.*'name#2': None"),
        (["customerId", "x"], {"columns": {"y": "z"}}, "sql: y: columns names it, there is no such column"),
        (["customerId", ""], {}, "sql: a column has no name"),
    ],
)
def test_wrong_columns_are_an_error_before_any_row_is_read(names, options, words):
    def rows():
        raise AssertionError
        yield

    with pytest.raises(IMIconnectInvalidRecordError, match=words):
        SpooledTable(names, rows(), ReadOptions(**options))


# -- the file --


def test_the_file_has_no_name_and_is_nobody_elses(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spool = Spool(["planted-value"] * 1000)
    about = os.fstat(spool._file.fileno())
    assert (stat.S_IMODE(about.st_mode), about.st_nlink, about.st_uid) == (0o600, 0, os.geteuid())
    assert about.st_size > 10_000
    assert tmp_path.stat().st_dev == about.st_dev
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_closed_with_the_spool():
    source = SpooledRecords(iter(records(10)))
    descriptor = source._spool._file.fileno()
    del source
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_the_file_is_closed_when_a_function_fails():
    gc.collect()  # what other tests have left open
    before = len(list(OPEN.iterdir()))
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            Spool(1 / (3 - number) for number in range(9))
    gc.collect()
    assert len(list(OPEN.iterdir())) == before


KILLED = """
import sys, time
from airflow_imiconnect.records.spool import Spool
def values():
    for number in range(100_000):
        yield {"customerId": number, "name": "planted-value"}
    print("written", flush=True)
    time.sleep(60)
Spool(values())
"""


def test_nothing_is_left_after_a_kill(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], env=os.environ | {"TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "written\n"
        assert list(tmp_path.iterdir()) == []
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []


FULL = """
import resource, sys
from airflow_imiconnect.records.spool import SpooledRecords
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
try:
    SpooledRecords({"customerId": number, "name": "planted-value" * 10} for number in range(100_000))
except Exception as error:
    print(type(error).__name__, error, error.__cause__, error.__suppress_context__)
"""


def test_a_full_disk_is_an_error_that_names_the_folder(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FULL],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == (
        f"IMIconnectTransientError The records cannot be kept in the folder for temporary files, {tmp_path}: File too "
        "large. Nothing was sent. Make room there, or set TMPDIR to a folder with more. None True\n"
    )
    assert without_logs(done.stderr) == ""


def test_a_folder_that_is_gone_is_an_error_that_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(IMIconnectTransientError, match=rf"{tmp_path}/gone: No such file or directory\. Nothing was"):
        Spool([1])


def test_memory_stays_flat():
    def peak(count):
        tracemalloc.start()
        spool = Spool({"customerId": number, "name": "x" * 100} for number in range(count))
        assert sum(not isinstance(value, Unkept) for value in spool) == count
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(100)
    assert peak(50_000) < peak(500) + 100_000
