"""What the library says of its arguments, in the words of the command line."""

import ast
import re
from pathlib import Path

import pytest

import airflow_imiconnect
from airflow_imiconnect.cli.flags import FLAGS, NotesInFlags, error_in_flags, in_flags
from airflow_imiconnect.errors import IMIconnectInvalidRecordError, IMIconnectRequestError

PACKAGE = Path(airflow_imiconnect.__file__).parent
TASKS = [PACKAGE / "tasks" / name for name in ("arguments.py", "reading/lakehouse.py", "reading/storage.py")]
FLOORS = [*(PACKAGE / "records").rglob("*.py"), *(PACKAGE / "attributes").rglob("*.py"), *TASKS]
# A default's name in a signature or a docstring is not an error's text; those of a keyword or an f-string's field are.
ARGUMENT = re.compile(r"(?<![\w./-])(?:" + "|".join(FLAGS) + r")=['\"{(\[\d\w…]")


@pytest.mark.parametrize(
    ("library", "command"),
    [
        ("name it in customer_id_column. ", "name it in --customer-id-column. "),
        ("set skip_rows=2", "set --skip-rows 2"),
        ("it seems: set encoding='utf-16-le'", "it seems: set --encoding utf-16-le"),
        ("set encoding: it is likely 'windows-1252'", "set --encoding: it is likely 'windows-1252'"),
        ("not in the encoding that encoding names", "not in the encoding that --encoding names"),
        ("leave one out with columns={'Email#2': None}", "leave one out with --column 'Email#2='"),
        ("leave one out with columns={'it's': None}", "leave one out with --column 'it'\"'\"'s='"),
        ("leave it out with columns={'': None}", "leave it out with --column ="),
        ("leave the column out with columns={…: None}", "leave the column out with --column COLUMN="),
        ("columns={'First Name': 'name', '*': None}", "--column 'First Name=name' --column '*='"),
        ("columns names it, there is no such column", "--column names it, there is no such column"),
        ("columns gives two columns this name", "--column gives two columns this name"),
        ('columns: "*" stands for the others', '--column: "*" stands for the others'),
        ("attributes gives it, and a column does", "--attribute gives it, and a column does"),
        ("set attributes={'channel': 'fb'}", "set --attribute channel=fb"),
        ("cells, set escapechar='\\\\'", "cells, set --escapechar '\\'"),
        ("set delimiter='\\t'", "set --delimiter tab"),
        ("set quotechar=\"'\"", "set --quotechar ''\"'\"''"),
        ("delimiter, quotechar and escapechar must differ", "--delimiter, --quotechar and --escapechar must differ"),
        ("set file_format='json'", "set --format json"),
        ("the name does not tell the format: set file_format", "the name does not tell the format: set --format"),
        ("encoding is given, which parquet has no use for", "--encoding is given, which parquet has no use for"),
        ("set null_values", "set --null-value"),
        ("null_values=('NULL', '\\\\N') leaves them out", "--null-value NULL --null-value '\\N' leaves them out"),
        ("strict=True finds it first", "--strict finds it first"),
        ("lower batch_size", "lower --batch-size"),
        ("rejects_path is in the input", "--rejects is in the input"),
        ("on_invalid='skip' sends the others", "the operator's on_invalid='skip' sends the others"),
        ("a table of Delta Lake: export it, or read them with sql", "a table of Delta Lake: export it, or read them with the operator's sql"),
        ("an SQLite database: read it with sql", "an SQLite database: read it with the operator's sql"),
    ],
)  # fmt: skip
def test_arguments_become_flags(library, command):
    assert in_flags(library) == command
    assert in_flags(command) == command


@pytest.mark.parametrize(
    "text",
    [
        "the row has 1 cells, the header 3 columns",
        "must be an object of attributes",
        "a list of records",
        "the path of a file",
        "the text has an encoding of its own",
        "The columns are: skip_rows, columns gives, encoding='x', file_format",
        "seems to be on line 3 (its columns: skip_rows, null_values)",
        "Attributes.encoding=utf-8",
    ],
)
def test_other_words_stay(text):
    assert in_flags(text) == text


def test_only_the_reason_is_translated():
    error = IMIconnectInvalidRecordError("/data/skip_rows=2/a.csv, line 1", "set skip_rows=3", field="file_format")
    assert error_in_flags(error) == "/data/skip_rows=2/a.csv, line 1: file_format: set --skip-rows 3"
    assert error_in_flags(IMIconnectRequestError("rejects_path a cannot be written")) == "--rejects a cannot be written"


def test_notes_are_translated_and_their_places_are_not():
    notes = NotesInFlags()
    notes.add("columns names x, which no row has", "columns={}/a.csv")
    notes.at = "skip_rows=2/a.csv, line 3"
    notes.here("a word that null_values does not have")
    assert list(notes) == [
        "--column names x, which no row has (columns={}/a.csv)",
        "a word that --null-value does not have (skip_rows=2/a.csv, line 3)",
    ]


def texts(path):
    """Yield the texts in a module that are not docstrings; what an f-string fills in is a 1."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parts = {id(value) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for value in node.values}
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(value.value if isinstance(value, ast.Constant) else "1" for value in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts | docstrings:
            yield node.value


def test_no_text_of_the_library_names_an_argument_that_is_not_translated():
    named = [text for path in FLOORS for text in texts(path) if ARGUMENT.search(text) and " " in text]
    assert len(named) >= 5
    assert not [text for text in named if ARGUMENT.search(in_flags(text))]
    with_underscore = [name for name in FLAGS if "_" in name]
    spoken = [text for path in FLOORS for text in texts(path) if " " in text]
    assert not [text for text in map(in_flags, spoken) for name in with_underscore if name in text]
