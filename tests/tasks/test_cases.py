"""Files as other systems write them, each of a kind that goes wrong again and again: what is read, refused and noted."""

import json
import re
import uuid
from pathlib import Path

import pytest

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.sources.options import ReadOptions
from airflow_imiconnect.records.validation import check_records
from airflow_imiconnect.tasks.reading.storage import files_source, records_source

CASES = Path(__file__).parent.parent / "data" / "cases"
TWITTER = {"status": "1", "channel": "twitter"}
NULLS = ("NULL", "\\N", "nan", "#N/A")


def outcome(source):
    """Return the records that would be sent, what is wrong with the others, and the notes."""
    notes, problems = Notes(), []
    raw = source.read(notes)
    records = check_records(raw, on_problem=lambda _, error: problems.append(str(error)), notes=notes)
    return {record.customer_id: dict(record.attributes) for record in records}, problems, list(notes)


def read(name, file_format="auto", **options):
    records, problems, notes = outcome(files_source(CASES / name, file_format, ReadOptions(**options)))
    return records, [problem.replace(f"file://{CASES}/", "").replace(f"{CASES}/", "") for problem in problems], notes


def error_of(name, **options):
    with pytest.raises(IMIconnectInvalidRecordError) as caught:
        read(name, **options)
    return str(caught.value).replace(f"{CASES}/", "")


@pytest.mark.parametrize(
    ("name", "options", "records"),
    [
        ("excel_text_guards.csv", {}, {"00123": TWITTER, "'00124": TWITTER}),
        ("escaped_quotes.csv", {"escapechar": "\\"}, {
            "C1": {**TWITTER, "twitter_name": "DOMAIN\\user"}, "C2": {**TWITTER, "twitter_name": 'say "hi", ok'},
        }),
        ("text_booleans.csv", {}, {"C1": {**TWITTER, "verified": "1"}}),
        ("padded_ids.csv", {}, {"C1": TWITTER, "C2": TWITTER, "C3": TWITTER}),
        ("dotted_columns.csv", {}, {"C1": TWITTER}),
        ("more_columns_than_wanted.csv", {
            "customer_id_column": "Record ID", "columns": {"First Name": "twitter_name", "*": None},
        }, {"101": {"twitter_name": "Ann"}}),
        ("column_twice.csv", {"columns": {"Email": None}}, {"C1": TWITTER}),
        ("column_twice.csv", {"columns": {"Email#2": None}}, {"C1": {**TWITTER, "Email": "a@example.com"}}),
        ("column_twice.csv", {"columns": {"Email#1": None, "Email#2": "twitter_name"}}, {
            "C1": {**TWITTER, "twitter_name": "b@example.com"},
        }),
        ("cr_line_ends.csv", {}, {"C1": TWITTER}),
        ("utf16_with_mark.csv", {}, {"C1": TWITTER}),
        ("utf16_without_mark.csv", {"encoding": "utf-16-le"}, {"C1": {"status": "1"}}),
        ("windows_1252.csv", {"encoding": "windows-1252"}, {"C1": {**TWITTER, "twitter_name": "Jürgen"}}),
        ("trailing_delimiters.csv", {}, {"C1": TWITTER}),
        ("short_rows.csv", {}, {"C1": TWITTER}),
        ("title_lines.csv", {"skip_rows": 2}, {"C1": {**TWITTER, "twitter_name": "A"}}),
        ("flat_rows.jsonl", {"customer_id_column": "crn"}, {"C1": TWITTER}),
        ("null_words.csv", {"null_values": NULLS}, {f"C{n}": TWITTER for n in (1, 2, 3, 4)}),
        ("whole_number_as_float.jsonl", {}, {"4652750724851327": {"status": "1", "psid": "4652750724851327"}}),
        ("nan.json", {}, {"C1": {"status": "1"}}),
        ("whole_number_as_decimal.parquet", {}, {"1001": {"status": "1"}}),
        ("float32.parquet", {}, {"C1": {"status": "1", "timezone": "5.3"}}),
        ("binary_text.parquet", {}, {"C1": {"status": "1"}}),
        ("struct_attributes.parquet", {}, {"C1": {"status": "1"}}),
        ("folder_markers", {}, {"C1": {"status": "1"}}),
        ("partitions", {"columns": {"dt": None}}, {"C1": {"status": "1", "psid": "5", "channel": "fb"}}),
        ("partitions", {"columns": {"dt": "created_on"}}, {
            "C1": {"status": "1", "psid": "5", "channel": "fb", "created_on": "2026-11-01"},
        }),
    ],
)  # fmt: skip
def test_what_is_read(name, options, records):
    found, problems, _ = read(name, **options)
    assert found == records
    assert [problem for problem in problems if "customerId: is a word for a missing value" not in problem
            and "customerId: is missing" not in problem] == []  # fmt: skip


def test_mysqls_text_is_read_with_one_setting():
    records, problems, _ = read("mysql_outfile.tsv", "mysql")
    assert records == {"C1": TWITTER, "C2": {**TWITTER, "twitter_name": "line1\nline2"}}
    assert problems == []


@pytest.mark.parametrize(
    ("name", "options", "note"),
    [
        ("float_ids.csv", {}, "customerId is written as 1001.0"),
        ("excel_exponent_ids.csv", {}, "customerId is written as 1001.0 or 8.9E+10"),
        ("excel_text_guards.csv", {}, "customerId begins with an apostrophe"),
        ("excel_text_guards.csv", {}, 'cells are written as ="…"'),
        ("null_words.csv", {}, "twitter_name holds a word for a missing value"),
        ("padded_ids.csv", {}, "customerId: blanks or invisible characters"),
        ("upper_case_columns.csv", {"customer_id_column": "CUSTOMERID"},
         "column STATUS is not a known attribute; did you mean status?"),
        ("partitions", {}, "the folder dt=… is left out"),
        ("folder_markers", {}, "an object that stands for a folder is passed over"),
        ("empty_part", {}, "the file is empty, and passed over"),
        ("footer_one_column.csv", {}, "customerId holds a blank: is it a title or a footer?"),
    ],
)  # fmt: skip
def test_what_is_noted_and_sent(name, options, note):
    records, _, notes = read(name, **options)
    assert records
    (found,) = [each for each in notes if each.startswith(note)]
    assert re.search(r"\((.*(line|row) \d+|.*\$|.*csv|.*parquet)", found)


@pytest.mark.parametrize(
    ("name", "options", "sent", "problems"),
    [
        ("null_words.csv", {}, 4, ["null_words.csv, line 6: customerId: is a word for a missing value"]),
        ("nul_byte.csv", {}, 0, ["nul_byte.csv, line 2: Attributes.twitter_name: contains a control character (U+000"]),
        ("footer.csv", {}, 1, ["footer.csv, line 4: the row has 1 cell, the header 4 columns"]),
        ("joined_files.csv", {}, 2, ["joined_files.csv, line 3: the header row again"]),
        ("skip_one_bad_byte.csv", {}, 349, ["skip_one_bad_byte.csv, line 302, column 14: not UTF-8 from here on"]),
        ("skip_one_bad_quote.csv", {}, 349, [": not valid CSV: "]),
        ("escaped_quotes.csv", {}, 1, ["set escapechar='\\\\'"]),
        ("windows_1252.csv", {}, 0, ["column 15: not UTF-8 from here on; save the file as UTF-8, or set encoding: it is likely 'windows-1252'"]),
        ("extended_json.jsonl", {}, 0, ["extended_json.jsonl, line 1: _id: is not a field of a record"]),
    ],
)  # fmt: skip
def test_a_record_that_cannot_be_right_leaves_the_others(name, options, sent, problems):
    records, found, _ = read(name, **options)
    assert len(records) == sent
    assert len(found) == len(problems)
    assert all(problem in each for problem, each in zip(problems, found, strict=True))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("column_twice.csv", {}, "line 1: Email: the column stands there twice: leave both out with columns={'Email': None}, or one of them"),
        ("utf16_without_mark.csv", {}, "utf16_without_mark.csv, line 1, column 2: the text is not UTF-8 but utf-16-le"),
        ("title_lines.csv", {}, "line 3 (its columns: customerId, status, channel, twitter_name): set skip_rows=2"),
        ("table_format", {}, "table_format: this is a table of Delta Lake"),
        ("list_called_jsonl.jsonl", {}, "it is JSON: set file_format='json'"),
        ("zip_called_csv.csv", {}, "the file is a zip archive"),
        ("empty_part/part-00000.csv", {}, "part-00000.csv: the file is empty"),
        ("more_columns_than_wanted.csv", {}, "The columns are: Record ID, First Name, Salary, SSN"),
        ("struct_attributes.parquet", {"encoding": "utf-16"}, "encoding is given, which a file of the format parquet"),
        ("flat_rows.jsonl", {"delimiter": ";"}, "delimiter is given, which a file of the format jsonl has no use for"),
        ("flat_rows.jsonl", {"skip_rows": 2}, "skip_rows is given"),
    ],
)  # fmt: skip
def test_what_ends_the_reading_says_how_to_go_on(name, options, message):
    assert message in error_of(name, **options)


def test_the_columns_of_a_title_are_not_taken_for_names():
    assert "skip_rows=2" in error_of("title_lines.csv")
    assert "A" not in error_of("title_lines.csv").split("(its columns")[1].split(")")[0].split(", ")


def test_extended_json_is_a_row_where_the_options_speak_of_rows(tmp_path):
    path = tmp_path / "mongo.jsonl"
    path.write_text(
        '{"_id": {"$oid": "60f6"}, "n": {"$numberLong": "7"}, "at": {"$date": "2026-09-08T07:11:25.458Z"}}\n'
    )
    records, problems, _ = outcome(files_source(path, "auto", ReadOptions(customer_id_column="_id")))
    assert (records, problems) == ({"60f6": {"n": "7", "at": "2026-09-08 07:11:25"}}, [])


# -- without a file --


def test_a_uuid_is_an_id_as_it_is_an_attribute():
    value = uuid.uuid4()
    records, _, _ = outcome(records_source([{"customerId": value, "Attributes": {"x": value}}], ReadOptions()))
    assert records == {str(value): {"x": str(value)}}


def test_lists_of_lists_are_flattened_once():
    one = {"customerId": "C1", "Attributes": TWITTER}
    source = records_source(
        [[one], [], [{**one, "customerId": "C2"}, {"customerId": " ", "Attributes": {}}]], ReadOptions()
    )
    records, problems, _ = outcome(source)
    assert list(records) == ["C1", "C2"]
    assert problems == ["records[2][1]: customerId: is missing or empty"]
    _, problems, _ = outcome(records_source([[[one]]], ReadOptions()))
    (problem,) = problems
    assert problem.startswith("records[0]: this is a row without the names of its columns: return dicts")


def test_a_set_is_refused_as_a_set():
    with pytest.raises(IMIconnectInvalidRecordError, match="this is a set"):
        records_source({"C1"}, ReadOptions())


def test_a_file_that_came_after_an_earlier_listing_is_seen(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"customerId": "C1", "Attributes": TWITTER}))
    assert len(outcome(files_source(tmp_path, "auto", ReadOptions()))[0]) == 1
    (tmp_path / "b.jsonl").write_text(json.dumps({"customerId": "C2", "Attributes": TWITTER}))
    assert len(outcome(files_source(tmp_path, "auto", ReadOptions()))[0]) == 2
