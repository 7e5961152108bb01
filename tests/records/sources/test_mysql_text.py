"""The text of MySQL's SELECT … INTO OUTFILE and PostgreSQL's COPY."""

import pytest
from support.sources import read

from airflow_imiconnect.records.sources.tables.mysql_text import mysql_rows


def rows(text, delimiter="\t", quotechar=None):
    return list(mysql_rows(text.splitlines(keepends=True), delimiter, quotechar))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\tb\n", [["a", "b"]]),
        ("a\t\n", [["a", ""]]),
        ("\t\n", [["", ""]]),
        ("\\N\tb\n", [[None, "b"]]),
        ("x\\N\tb\n", [["xN", "b"]]),
        ("a\\\tb\tc\n", [["a\tb", "c"]]),
        ("a\\\nb\tc\n", [["a\nb", "c"]]),
        ("a\\nb\\t\\\\\tc\n", [["a\nb\t\\", "c"]]),
        ("a\\\\\nb\n", [["a\\"], ["b"]]),
        ("a\tb\r\nc\td\r\n", [["a", "b"], ["c", "d"]]),
        ("a\\0b\n", [["a\0b"]]),
        ("a\tb\n\\.\nafter\n", [["a", "b"]]),
        ("a\tb", [["a", "b"]]),
        ("a\tb\\", [["a", "b\\"]]),
        ("\n", [[]]),
    ],
)
def test_rows(text, expected):
    assert rows(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"a","b"\n', [["a", "b"]]),
        ('"a,b",c\n', [["a,b", "c"]]),
        ('"say \\"hi\\"",\\N\n', [['say "hi"', None]]),
        ('"say ""hi""",""\n', [['say "hi"', ""]]),
        ('"\\N",1\n', [["N", "1"]]),
        ('a "b" c,1\n', [['a "b" c', "1"]]),
        ('"a\\\nb",1\n', [["a\nb", "1"]]),
    ],
)
def test_rows_with_quotes_around_cells(text, expected):
    assert rows(text, ",", '"') == expected


def test_a_file_without_line_end_and_with_missing_cells(write):
    path = write("a.txt", "customerId\tx\ty\nC1\ta\\tb\nC2\t\\N\tc")
    assert [raw.record for raw in read(path, "mysql")] == [
        {"customerId": "C1", "Attributes": {"x": "a\tb"}},
        {"customerId": "C2", "Attributes": {"y": "c"}},
    ]
