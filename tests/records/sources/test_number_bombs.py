"""A number that would fill the memory is one refused record, whatever the way in."""

import json
import tracemalloc
from collections import UserDict
from decimal import Decimal

import pyarrow as pa
import pytest
from pyarrow import parquet
from support.sources import checked, read

from airflow_imiconnect.attributes.values import RecordProblem
from airflow_imiconnect.records.profile import read_record
from airflow_imiconnect.records.rejects import RejectsFile
from airflow_imiconnect.records.sources.lists import ListSource
from airflow_imiconnect.records.validation import check_records
from airflow_imiconnect.tasks.reading.storage import storage_path

GOOD = {"customerId": "C9", "Attributes": {"status": "1"}}
TOO_LONG = "is a number of more than 400 digits"
NUMBERS = {
    "a fraction and a great exponent": "1.0" + "0" * 50 + "1e300000000",
    "a great exponent": "1e300000000",
    "a great negative exponent": "-1E-300000000",
    "an exponent of twenty digits": "1e99999999999999999999",
    "five hundred digits": "1" * 500,
    "a fraction of five hundred digits": "0." + "1" * 500,
    "half a million digits": "1" * 500_000,
    "half a million digits of a fraction": "1." + "1" * 500_000,
}


@pytest.fixture(autouse=True)
def _little_memory():
    """See that no test needs more than some megabytes."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


@pytest.mark.parametrize("field", ["customerId", "Attributes.x"])
@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_in_json_it_spoils_its_record_alone(write, name, number, field):
    bad = f'{{"customerId": {number if field == "customerId" else 1}, "Attributes": {{"x": {number}}}}}'
    good = json.dumps(GOOD)
    path = write(name, f"[{good},\n{bad},\n{good}]" if name == "a.json" else f"{good}\n{bad}\n{good}\n")
    kept, problems = checked(path)
    assert [record.customer_id for record in kept] == ["C9", "C9"]
    assert problems == [f"{path}, {'record' if name == 'a.json' else 'line'} 2: {field}: {TOO_LONG}"]


@pytest.mark.parametrize("document", ["{}", '{{"Records": {}}}', '{{"customerId": {}, "Attributes": {{}}}}'])
def test_in_the_place_of_records_it_is_an_error_with_its_file(write, document):
    number = "1" * 1_000_000
    try:
        kept, problems = checked(write("a.json", document.format(number)))
    except ValueError as error:
        pytest.fail(f"a bare {type(error).__name__}")
    except Exception as error:  # noqa: BLE001 - its text is what counts
        kept, problems = [], [str(error)]
    assert not kept
    assert "a.json" in problems[0]
    assert number[:20] not in problems[0]


def test_a_record_longer_than_any_is_named_and_not_read_on(write):
    with pytest.raises(Exception, match="a.json, line 2, column 1: a record is longer than 1048576 bytes"):
        checked(write("a.json", "[\n" + "1" * 3_000_000 + "]"))


def test_the_digits_are_looked_at_a_few_times_each(write, monkeypatch):
    """However long the number, what is read of it is copied in blocks that double: the work stays linear."""
    from airflow_imiconnect.records.sources.json_text.window import Window  # noqa: PLC0415 - what is measured

    sizes = []
    grow = Window.grow
    monkeypatch.setattr(Window, "grow", lambda self: (sizes.append(len(self.data)), grow(self))[1])
    checked(write("a.json", "[" + "1" * 1_000_000 + "]"))
    assert sum(sizes) < 3_000_000


def test_a_cell_of_a_csv_table_is_text_and_stays_it(write):
    kept, problems = checked(write("a.csv", "customerId,x\nC1,1e300000000\n"))
    assert [dict(record.attributes) for record in kept] == [{"x": "1e300000000"}]
    assert not problems


def test_the_longest_decimals_of_parquet_are_written_out(tmp_path):
    longest = Decimal("9" * 76)
    tiny = pa.array([Decimal(1).scaleb(-76)], pa.decimal256(76, 76))
    table = pa.table({"customerId": pa.array([longest], pa.decimal256(76, 0)), "tiny": tiny})
    parquet.write_table(table, tmp_path / "a.parquet")
    kept, problems = checked(tmp_path / "a.parquet")
    assert not problems
    assert [(record.customer_id, dict(record.attributes)) for record in kept] == [
        ("9" * 76, {"tiny": "0." + "0" * 75 + "1"})
    ]


class Wild:
    """An object that misbehaves whatever is done with it."""

    def __str__(self):
        raise KeyError("planted")

    __repr__ = __hash__ = __bool__ = __len__ = __iter__ = __eq__ = __str__


class WildMapping(UserDict):
    def items(self):
        raise OSError("planted")

    __iter__ = keys = items


def of_attribute(value):
    return {"customerId": "C1", "Attributes": {"x": value}}


OBJECTS = {
    "10**5000": (of_attribute(10**5000), f"Attributes.x: {TOO_LONG}"),
    "10**5000 as an id": ({"customerId": 10**5000, "Attributes": {}}, f"customerId: {TOO_LONG}"),
    "a great Decimal": (of_attribute(Decimal("1.0e300000000")), f"Attributes.x: {TOO_LONG}"),
    "a great Decimal as an id": ({"customerId": Decimal("1e999999"), "Attributes": {}}, f"customerId: {TOO_LONG}"),
    "a wild object": (of_attribute(Wild()), "Attributes.x: "),
    "a wild id": ({"customerId": Wild(), "Attributes": {}}, "customerId"),
    "wild attributes": ({"customerId": "C1", "Attributes": WildMapping(a=1)}, "cannot be read"),
    "a wild record": (WildMapping(customerId="C1"), "cannot be read"),
    "a wild record of no kind": (Wild(), "a record must be an object"),
    "a wild key": ({**GOOD, (Silent := type("Silent", (), {"__str__": Wild.__str__}))(): 1}, "cannot be read"),
}


@pytest.mark.parametrize("case", OBJECTS)
def test_an_object_from_python_spoils_its_record_alone(case):
    bad, reason = OBJECTS[case]
    problems = []
    kept = list(check_records(ListSource([GOOD, bad, GOOD]), on_problem=lambda _, error: problems.append(str(error))))
    assert [record.customer_id for record in kept] == ["C9", "C9"]
    (problem,) = problems
    assert problem.startswith("records[1]: ")
    assert reason in problem
    assert "planted" not in problem


@pytest.mark.parametrize("case", [*OBJECTS, "a circle"])
def test_its_line_is_written_to_the_rejects_whatever_it_is(tmp_path, case):
    circle = {}
    circle["circle"] = circle
    bad = OBJECTS[case][0] if case in OBJECTS else circle
    path = storage_path(tmp_path / "r.jsonl")
    with RejectsFile(path) as rejects:
        rejects.add("invalid", position="p1", record=bad)
        rejects.add("invalid", position="p2", record=GOOD)
    first, second = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert first["position"] == "p1"
    assert second["record"] == GOOD


def test_a_number_that_is_too_long_is_named_in_the_rejects(write, tmp_path):
    (raw,) = read(write("a.jsonl", f'{{"customerId": "C1", "Attributes": {{"x": {"1" * 500}}}}}'))
    with RejectsFile(storage_path(tmp_path / "r.jsonl")) as rejects:
        rejects.add("invalid", record=raw.record)
    written = json.loads((tmp_path / "r.jsonl").read_text())["record"]
    assert written == {"customerId": "C1", "Attributes": {"x": {"unreadable": "a number of more than 400 digits"}}}
    (again,) = read(write("again.jsonl", json.dumps(written)))
    with pytest.raises(RecordProblem, match="nested values are not allowed"):
        read_record(again.record)
