import json
from pathlib import Path

import pytest
from support.sources import error_of, read

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.records.sources.file_source import FileSource
from airflow_imiconnect.records.sources.lists import ListSource
from airflow_imiconnect.records.sources.raw import RawRecord
from airflow_imiconnect.records.validation import check_records

DATA = Path(__file__).parents[2] / "data"
CHANNELS = ["facebook", "twitter", "wechat", "in_app", "push"]
RECORD = {"customerId": "C1", "Attributes": {"status": "1"}}
SECRET = "planted-value"


# -- the vendor's examples --


@pytest.mark.parametrize(
    ("channel", "place"),
    [
        ("facebook", "line 10, column 7"),
        ("twitter", "line 19, column 1"),
        ("wechat", "line 5, column 27"),
        ("in_app", "line 8, column 12"),
        ("push", "line 8, column 7"),
    ],
)
def test_the_examples_as_printed_are_refused_with_line_and_column(channel, place):
    path = DATA / "as_printed" / f"{channel}.json"
    assert place in error_of(path)


def test_an_isodate_gets_a_hint():
    assert "Mongo shell" in error_of(DATA / "as_printed" / "wechat.json")


@pytest.mark.parametrize("channel", CHANNELS)
def test_the_examples_mended_are_read_unchanged(channel):
    path = DATA / "mended" / f"{channel}.json"
    assert [raw.record for raw in read(path)] == json.loads(path.read_text())["Records"]


# -- shapes --


def test_a_key_that_stands_twice_spoils_its_record_alone(write):
    good = json.dumps(RECORD)
    path = write(
        "a.jsonl",
        '{"customerId": "1", "customerId": "2", "Attributes": {}}\n{"customerId": "1", "Attributes": {"a": "1", "a": "2"}}\n'
        + good,
    )
    problems = []
    kept = list(check_records(FileSource([path]), on_problem=lambda _, error: problems.append(str(error))))
    assert len(kept) == 1
    assert problems == [
        f"{path}, line 1: a record must be an object, not an object that has a key twice",
        f"{path}, line 2: Attributes: must be an object of attributes, not an object that has a key twice",
    ]


def test_a_raw_record_shows_its_place_and_not_its_values():
    assert repr(RawRecord("a.csv, line 2", {"customerId": SECRET})) == "RawRecord('a.csv, line 2')"


@pytest.mark.parametrize("document", [{"Records": [RECORD]}, {"records": [RECORD]}, [RECORD], RECORD])
def test_json_is_an_envelope_a_list_or_one_record(write, document):
    path = write("a.json", json.dumps(document))
    assert [raw[:3] for raw in read(path)] == [(f"{path}, record 1", RECORD, None)]


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "A.JSONL"])
def test_json_lines(write, name):
    path = write(name, f"{json.dumps(RECORD)}\n\n  \r\n{json.dumps(RECORD)}\r\n{json.dumps(RECORD)}")
    assert [raw.position for raw in read(path)] == [f"{path}, line 1", f"{path}, line 4", f"{path}, line 5"]
    assert {json.dumps(raw.record) for raw in read(path)} == {json.dumps(RECORD)}


def test_csv_rows_become_records_and_empty_cells_are_left_out(write):
    path = write("a.csv", 'customerId,status, name \r\nC1,1,"a, ""b""\nc"\r\n\r\nC2,,x\r\n')
    assert [raw[:2] for raw in read(path)] == [
        (f"{path}, line 2", {"customerId": "C1", "Attributes": {"status": "1", "name": 'a, "b"\nc'}}),
        (f"{path}, line 5", {"customerId": "C2", "Attributes": {"name": "x"}}),
    ]


def test_the_id_column_can_be_named_and_customerid_is_then_an_attribute(write):
    path = write("a.csv", "crn,customerId\nC1,9\n")
    assert read(path, customer_id_column="crn")[0].record == {"customerId": "C1", "Attributes": {"customerId": "9"}}


def test_csv_takes_the_prose_spelling_of_the_id(write):
    assert read(write("a.csv", "customerid,x\nC1,1\n"))[0].record == {"customerId": "C1", "Attributes": {"x": "1"}}


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.json", json.dumps([RECORD])), ("a.jsonl", json.dumps(RECORD)), ("a.csv", "customerId,status\nC1,1")],
)
def test_a_byte_order_mark_is_no_part_of_the_content(write, name, content):
    assert read(write(name, b"\xef\xbb\xbf" + content.encode()))[0].record == RECORD


def test_the_format_can_be_given(write):
    assert read(write("a.txt", json.dumps(RECORD)), file_format="jsonl")[0].record == RECORD


def test_a_source_reads_several_files_in_order_and_more_than_once(write):
    source = FileSource([write("b.json", json.dumps([RECORD])), write("a.csv", "customerId\nC2\n")])
    first, second = list(source), list(source)
    assert first == second
    assert [raw.record["customerId"] for raw in first] == ["C1", "C2"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", "[]"),
        ("a.json", '{"Records": []}'),
        ("a.csv", "customerId,x\n"),
        ("a.jsonl", ""),
        ("a.jsonl", "\n\n"),
    ],
)
def test_a_file_may_hold_no_records(write, name, content):
    assert read(write(name, content)) == []


def test_a_rejects_file_is_an_input(write):
    line = {"position": "records[3]", "stage": "refused", "code": "7003", "record": RECORD}
    path = write("a.jsonl", json.dumps(line) + "\n" + json.dumps(line | {"record": None}) + "\n")
    first, second = read(path)
    assert first.record == RECORD
    assert "holds no record" in second.problem


# -- bad input --


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("a.json", b"", ": the file is empty"),
        ("a.json", b" \n", ": the file is empty"),
        ("a.csv", b"", ": the file is empty"),
        ("a.csv", b"\xef\xbb\xbf", ": the file is empty"),
        ("a.dat", b"x", ": the name does not tell the format"),
        ("a.jsonl", b'\n{"a": "\xe9planted-value"}', ", line 2, column 8: not UTF-8"),
        ("a.csv", b"customerId,x\nC1,1\nC2,\xc3\xa9\xe9planted-value\n", ", line 3, column 5: not UTF-8"),
        ("a.csv", "customerId\nC1\n".encode("utf-16-le"), ", line 1, column 2: the text is not UTF-8 but utf-16-le"),
        ("a.json", b"[\x00", "set encoding='utf-16-le'"),
        ("a.json", b'[{"a": "planted-value"', ", line 1, column 23: not valid JSON"),
        ("a.json", b"7", ": the file must hold a list of records, this is a number"),
        ("a.json", b'"planted-value"', ": the file must hold a list of records, this is a text"),
        ("a.json", b'{"a": "planted-value"}', ": the file must hold a list of records or"),
        ("a.json", b'{"Records": {"a": 1}}', ".Records: the file must hold a list"),
        ("a.json", b'[{"customerId": "C1", "Attributes": {}}', ", line 1, column 40: not valid JSON"),
        (
            "a.json",
            b'{"customerId": "1", "x": 1}\n{"customerId": "2", "x": 1}\n',
            "this is JSON Lines: set file_format='jsonl'",
        ),
        ("a.json", b'{"Records": [], "Records": []}', "this is an object that has a key twice"),
        ("a.json", b'{"Records": [], "records": []}', "not another object"),
        ("a.json", b'{"Records": [], "customerId": "x"}', "not another object"),
        ("a.csv", b"id,status\n1,planted-value\n", ", line 1: customerId: the column of the customer ids is missing"),
        ("a.csv", b"customerId,x,x\n1,2,3\n", ", line 1: x: the column stands there twice"),
        ("a.csv", b"customerId,,x\n1,2,3\n", ", line 1: a column has no name"),
        ("a.csv", b'customerId,x\nC1,"planted-value\n\n', ", line 2: not valid CSV"),
        ("a.csv", b'customerId,x\nC1,"planted-value"x\n', ", line 2: not valid CSV"),
        ("a.csv", b"customerId,x\nC1," + b"x" * 1_100_000, ", line 2: the line is longer"),
    ],
)
def test_bad_files_are_named_with_their_place(write, name, content, place):
    assert place in error_of(write(name, content))


def test_a_missing_file_and_a_directory(tmp_path):
    assert "there is no such file" in error_of(tmp_path / "no.csv")
    (tmp_path / "folder.csv").mkdir()
    assert "there is no such file" in error_of(DATA / "mended" / "push.json" / "x.csv")
    assert "this is a directory" in error_of(tmp_path / "folder.csv")


@pytest.mark.parametrize(
    ("name", "content", "position", "problem"),
    [
        ("a.json", '[{"a": "\udce9planted-value"},\n', "line 1, column 9", "not UTF-8 from here on"),
        ("a.json", "[" + "[" * 100_000 + "]" * 100_000 + ",\n", "record 1", "nested too deep"),
        ("a.jsonl", '{"customerId": "C1",\n', "line 1, column 21", "not valid JSON"),
        ("a.jsonl", '{"x":' + "[" * 100_000, "line 1, column 1", "nested too deep"),
        ("a.csv", "customerId,x\nC1\n", "line 2", "the row has 1 cell, the header 2 columns"),
        ("a.csv", "customerId,x\nC1,2,3\n", "line 2", "the row has 3 cells, the header 2 columns"),
    ],
)
def test_one_bad_line_leaves_the_others_readable(write, name, content, position, problem):
    good = {"a.jsonl": json.dumps(RECORD), "a.json": f"{json.dumps(RECORD)}]", "a.csv": "C9,1"}[name]
    path = write(name, f"{content.rstrip()}\n{good}\n".encode("utf-8", "surrogateescape"))
    bad, last = read(path)
    assert bad.position == f"{path}, {position}"
    assert problem in bad.problem
    assert last.problem is None


# -- lists --


@pytest.mark.parametrize("records", [[RECORD], (RECORD,), {"Records": [RECORD]}, RECORD])
def test_a_list_source(records):
    assert list(ListSource(records)) == [RawRecord("records[0]", RECORD)]


@pytest.mark.parametrize("records", ["text", b"x", 7, {"a": 1}, {"Records": "x"}, iter([])])
def test_what_is_no_list_is_refused(records):
    with pytest.raises(IMIconnectInvalidRecordError, match="must be a list of records"):
        ListSource(records)
