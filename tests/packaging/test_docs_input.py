"""docs/input.md: each example is run, and each option has one with a file that needs it."""

import argparse
import ast
import inspect
import json
import re
import shlex
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.stand_ins import APP, Ti

from airflow_imiconnect.cli.arguments import _add_all
from airflow_imiconnect.cli.command_line import main
from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.sources.file_source import FORMATS
from airflow_imiconnect.records.sources.options import ROWS, ReadOptions
from airflow_imiconnect.records.validation import check_records
from airflow_imiconnect.tasks.reading.reading_operator import ReadingOperator
from airflow_imiconnect.tasks.reading.sql import query_source
from airflow_imiconnect.tasks.reading.storage import files_source, records_source
from airflow_imiconnect.tasks.records_operator import RecordsOperator

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "input.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(
    r"^```(?P<kind>\w*)(?: (?P<name>\S+))?\n(?P<text>.*?)^```$|^#+ (?P<heading>[^\n]+)$", re.DOTALL | re.MULTILINE
)
READING = [field.name for field in fields(ReadOptions) if field.name != "partitions"]
OPTIONS = ["file_format", *READING, "strict", "on_invalid", "rejects_path"]
LIBRARIES = {"pd": pd, "pl": pl, "pa": pa}


class Example(NamedTuple):
    """Files, the arguments to read them, and what comes of it: records, what is told, and lines of other files."""

    heading: str
    files: dict[str, str]
    arguments: str
    records: list[dict[str, object]]
    told: list[str]
    written: dict[str, str]


class Outcome(NamedTuple):
    records: list[dict[str, object]]
    told: list[str]
    rejects: list[dict[str, object]]


def is_arguments(text):
    try:
        call = ast.parse(text, mode="eval").body
    except SyntaxError:
        return False
    return isinstance(call, ast.Call) and ast.unparse(call.func) == "submit"


def sections():
    heading, blocks = "", []
    for found in BLOCK.finditer(PAGE):
        if found["heading"]:
            yield heading, blocks
            heading, blocks = found["heading"].strip("`"), []
        else:
            blocks.append((found["kind"], found["name"], found["text"]))
    yield heading, blocks


def examples():
    for heading, blocks in sections():
        files, example = {}, None
        for kind, name, text in blocks:
            if kind == "python" and not name and is_arguments(text):
                example = Example(heading, dict(files), text, [], [], {})
                yield example
            elif name and example and f'"{name}"' in example.arguments and name not in example.files:
                example.written[name] = text
            elif name:
                files = {name: text} if example else {**files, name: text}
                example = None
            elif example and kind == "json":
                example.records.extend(json.loads(text))
            elif example and kind == "text":
                example.told.extend(text.splitlines())


EXAMPLES = list(examples())
COMMANDS = [
    (text, {name: content for _, name, content in blocks if name})
    for _, blocks in sections()
    for kind, _, text in blocks
    if kind == "console"
]
PROGRAMS = [
    text
    for _, blocks in sections()
    for kind, name, text in blocks
    if kind == "python" and not name and not is_arguments(text)
]


def arguments_of(example):
    return eval(example.arguments, {"submit": dict, **LIBRARIES})


def write_files(files, folder, encoding="utf-8"):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".parquet"):
            pq.write_table(eval(text, dict(LIBRARIES)), path)
        else:
            path.write_bytes(text.encode(encoding))


def source_of(arguments, folder):
    options = ReadOptions(**{name: arguments[name] for name in READING if name in arguments})
    if "path" in arguments:
        return files_source(folder / arguments["path"], arguments.get("file_format", "auto"), options)
    if "sql" in arguments:
        return query_source(arguments["sql"], arguments["sql_conn_id"], arguments.get("sql_parameters"), options)
    return records_source(arguments["records"], options)


def checked(arguments, folder):
    """Return the records, and what is told, as the operator would."""
    notes, problems = Notes(), []
    skips = arguments.get("on_invalid") == "skip"
    on_problem = (lambda _, error: problems.append(str(error))) if skips else None
    try:
        raw = source_of(arguments, folder).read(notes)
        found = list(check_records(raw, strict=arguments.get("strict", False), on_problem=on_problem, notes=notes))
    except IMIconnectInvalidRecordError as error:
        return [], [str(error)]
    return [record.to_wire() for record in found], [*notes, *problems]


def dry_run(arguments, folder):
    """Return how many records the operator would send; an error means that it sends none."""
    places = {name: str(folder / arguments[name]) for name in ("path", "rejects_path") if name in arguments}
    operator = IMIconnectCreateAppProfileOperator(task_id="submit", app_id=APP, dry_run=True, **arguments | places)
    try:
        return operator.execute({"ti": Ti()})["dry_run"]["records"]
    except IMIconnectInvalidRecordError:
        return 0


def outcome(arguments, folder):
    rejects = folder / arguments.get("rejects_path", "rejects.jsonl")
    rejects.unlink(missing_ok=True)
    records, told = checked(arguments, folder)
    assert dry_run(arguments, folder) == len(records)
    lines = rejects.read_text(encoding="utf-8") if rejects.exists() else ""
    plain = [text.replace(f"file://{folder}/", "").replace(f"{folder}/", "") for text in (*told, lines)]
    return Outcome(records, plain[:-1], list(map(json.loads, plain[-1].splitlines())))


@pytest.fixture(autouse=True)
def connections(connect, monkeypatch):
    connect()
    monkeypatch.setenv("AIRFLOW_CONN_CRM", json.dumps({"conn_type": "sqlite", "host": ":memory:"}))


def name_of(example):
    return f"{example.heading}: {' '.join(example.arguments.split())}"


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_an_example_is_read_as_the_page_says(example, tmp_path):
    arguments = arguments_of(example)
    write_files(example.files, tmp_path, arguments.get("encoding", "utf-8"))
    rejects = [json.loads(line) for text in example.written.values() for line in text.splitlines()]
    assert outcome(arguments, tmp_path) == Outcome(example.records, example.told, rejects)


@pytest.mark.parametrize("example", [each for each in EXAMPLES if each.heading in OPTIONS], ids=name_of)
def test_an_example_needs_its_options(example, tmp_path):
    arguments = arguments_of(example)
    write_files(example.files, tmp_path, arguments.get("encoding", "utf-8"))
    usual = outcome(arguments, tmp_path)
    for name in [name for name in arguments if name in OPTIONS]:
        without = {key: value for key, value in arguments.items() if key != name}
        assert outcome(without, tmp_path) != usual, name


@pytest.mark.parametrize("option", OPTIONS)
def test_each_option_has_an_example(option):
    assert [example for example in EXAMPLES if example.heading == option and option in arguments_of(example)]


def test_each_argument_that_tells_what_is_read_is_on_the_page():
    names = [name for name in inspect.signature(ReadingOperator).parameters if name != "kwargs"]
    assert [name for name in names if f"`{name}`" not in PAGE and f"`{name}=" not in PAGE] == []


@pytest.mark.parametrize("operator", [ReadingOperator, RecordsOperator])
def test_each_argument_is_in_the_docstring_and_in_the_readme(operator):
    names = [name for name in inspect.signature(operator).parameters if name != "kwargs"]
    written = IMIconnectCreateAppProfileOperator.__doc__
    assert [name for name in names if f":param {name}:" not in written] == []
    assert [name for name in names if f"`{name}`" not in README and name != "imiconnect_conn_id"] == []


def test_each_key_of_the_result_is_in_the_docstring_and_in_the_readme():
    result = IMIconnectCreateAppProfileOperator(task_id="submit", app_id=APP, records=[], dry_run=True).execute(
        {"ti": Ti()}
    )
    names = {*result, *result["dry_run"]}
    assert {name for name in names if f'"{name}"' not in IMIconnectCreateAppProfileOperator.__doc__} == set()
    assert {name for name in result if f'"{name}"' not in README} == set()


def test_which_format_uses_which_option():
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE.partition("## Options")[2].partition("###")[0], re.MULTILINE)
    given = {"columns": {"a": "b"}, "attributes": {"a": "b"}, "null_values": ["-"], "skip_rows": 1}
    columns = ["json", "jsonl", "csv", "mysql", "parquet", ROWS]
    assert {*columns, "auto"} == {*FORMATS, ROWS}
    assert [name for name, _ in rows] == READING
    for name, cells in rows:
        options = ReadOptions(**{name: given.get(name, "x")})
        assert cells.split(" | ") == ["no" if name in options.unusable(each) else "yes" for each in columns], name


def test_each_flag_of_the_check_is_on_the_page():
    parser = argparse.ArgumentParser()
    _add_all(parser)
    flags = {flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")} - {"--help"}
    rows = re.findall(r"^\| `.*$", PAGE.partition("## The check command")[2], re.MULTILINE)
    assert {flag for flag in flags if not re.search(rf"`{flag}(?![\w-])", "\n".join(rows))} == set()


@pytest.mark.parametrize(("command", "files"), COMMANDS, ids=[command.split("\n")[0] for command, _ in COMMANDS])
def test_a_command_prints_what_the_page_shows(command, files, tmp_path, monkeypatch, capfd):
    write_files(files, tmp_path)
    monkeypatch.chdir(tmp_path)
    line, _, printed = command.partition("\n")
    main(shlex.split(line)[2:])
    assert capfd.readouterr().out.replace(str(tmp_path), "/data") == printed


def test_the_readme_shows_the_same_check():
    assert COMMANDS[0][0] in README


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_a_dag_of_the_page_is_parsed(program):
    exec(compile(program, "docs/input.md", "exec"), {})


def test_the_page_links_to_its_own_sections():
    anchors = [
        re.sub(r"[^\w\- ]", "", found["heading"].lower()).replace(" ", "-")
        for found in BLOCK.finditer(PAGE)
        if found["heading"]
    ]
    assert len(anchors) == len(set(anchors))
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= set(anchors)
