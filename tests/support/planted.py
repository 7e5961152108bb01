"""The search for planted words in all that an Airflow has left: files and database, plain, encoded or compressed."""

import base64
import contextlib
import gzip
import sqlite3
import zlib


def places_of(home, *words):
    """Return (word, place) for each file under a folder, and each column of its databases, that holds a word."""
    found = []
    for path in sorted(home.rglob("*")):
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):  # what a living Airflow takes away meanwhile
            content = path.read_bytes()
            found += [(word, str(path)) for word in _words_in(content, words)]
            if content.startswith(b"SQLite format 3"):
                found += _columns_with(path, words)
    return found


def _columns_with(path, words):
    """Look at the values themselves: a long one may be cut in two in the file."""
    found = set()
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30)) as database:
        database.text_factory = bytes
        tables = [name.decode() for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            rows = database.execute(f'SELECT * FROM "{table}"')
            columns = [column[0] for column in rows.description]
            for row in rows:
                for column, value in zip(columns, row, strict=True):
                    content = value if isinstance(value, bytes) else str(value).encode()
                    found.update((word, f"{table}.{column}") for word in _words_in(content, words))
    return sorted(found)


def _words_in(content, words):
    content += _unpacked(content)
    return [word for word in words if any(form in content for form in _forms(word))]


def _forms(word):
    """Return how a word may stand: plain, in UTF-16, in hex, and in Base64 behind 0, 1 or 2 bytes of something else."""
    raw = word.encode()
    forms = [raw, word.encode("utf-16-le"), raw.hex().encode(), raw.hex().upper().encode()]
    for before in range(3):
        size = (len(raw) + before) // 3 * 3 - before  # the characters of what follows would hang on the next byte
        coded = base64.b64encode(b"\0" * before + raw[:size])[(0, 2, 3)[before] :]
        forms += [coded, coded.replace(b"+", b"-").replace(b"/", b"_")]
    return forms


def _unpacked(content):
    with contextlib.suppress(OSError, EOFError, zlib.error):
        return gzip.decompress(content)
    with contextlib.suppress(zlib.error):
        return zlib.decompress(content)
    return b""
