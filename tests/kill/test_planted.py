"""The search finds what it is made to find, wherever it stands."""

import base64
import contextlib
import gzip
import sqlite3
import zlib

import pytest
from support.planted import places_of

WORD = "planted-word-4711"
NESTED = f'{{"a": "{WORD}"}}'.encode()


@pytest.mark.parametrize(
    "content",
    [
        NESTED,
        NESTED.decode().encode("utf-16-le"),
        NESTED.hex().encode(),
        gzip.compress(NESTED, mtime=0),
        zlib.compress(NESTED),
        *(base64.b64encode(b"x" * before + NESTED) for before in range(3)),
    ],
)
def test_found_in_a_file(tmp_path, content):
    (tmp_path / "a" / ".b").mkdir(parents=True)
    (tmp_path / "a" / ".b" / "c").write_bytes(content)
    assert places_of(tmp_path, "another", WORD) == [(WORD, str(tmp_path / "a" / ".b" / "c"))]


@pytest.fixture
def database(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "some.db")) as made:
        made.execute("PRAGMA journal_mode = wal")
        made.execute("CREATE TABLE t (c)")
        made.commit()
        yield made


@pytest.mark.parametrize("value", [WORD, f"x{WORD}x".encode(), zlib.compress(NESTED), gzip.compress(NESTED, mtime=0)])
def test_found_in_a_database(database, tmp_path, value):
    database.execute("INSERT INTO t VALUES (?)", (value,))
    database.commit()
    assert (WORD, "t.c") in places_of(tmp_path, WORD)


def test_found_in_a_long_value_that_the_database_cuts_in_pieces(database, tmp_path):
    for before in range(8_000, 8_000 + 4_200, len(WORD) // 2):
        database.execute("INSERT INTO t VALUES (?)", ("x" * before + WORD,))
        database.commit()
        assert (WORD, "t.c") in places_of(tmp_path, WORD)
        database.execute("DELETE FROM t")
        database.commit()


def test_nothing_is_found_where_nothing_is(database, tmp_path):
    database.execute("INSERT INTO t VALUES ('planted'), (1.5), (NULL)")
    database.commit()
    (tmp_path / "file").write_bytes(b"planted-word")
    assert places_of(tmp_path, WORD) == []
