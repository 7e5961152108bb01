"""Lines of text in a file, of bounded length."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.records.sources.files.compression import BinaryFile
from airflow_imiconnect.records.sources.files.encodings import UNDECODABLE
from airflow_imiconnect.records.sources.raw import MAX_RECORD_BYTES

TOO_LONG = f"the line is longer than {MAX_RECORD_BYTES} bytes, which no record is"
_LIKELY = ("windows-1252", "latin-1")
_BLOCK = 64 * 1024


def not_utf8(data: bytes) -> str:
    """Return what is wrong with text that is not UTF-8, and what to do about it."""
    if UNDECODABLE in data:
        return "not in the encoding that encoding names, from here on"
    return f"not UTF-8 from here on; save the file as UTF-8, or set encoding: it is likely {_likely(data)!r}"


def _likely(data: bytes) -> str:
    for encoding in _LIKELY:
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return _LIKELY[-1]


def lines(file: BinaryFile) -> Iterator[bytes | None]:
    """Yield each line with its end, or None for one that is too long, which is skipped."""
    start = file.peek(_BLOCK)
    if b"\r" in start and b"\n" not in start:
        yield from _lines_of_old_macs(file)
        return
    read = partial(file.readline, MAX_RECORD_BYTES + 1)
    for line in iter(read, b""):
        if len(line) <= MAX_RECORD_BYTES:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = read()  # noqa: PLW2901 - the rest of the same line
        yield None


def _lines_of_old_macs(file: BinaryFile) -> Iterator[bytes | None]:
    """Yield the lines of a file whose lines end in a carriage return alone."""
    rest, is_long = b"", False
    for block in iter(partial(file.read, _BLOCK), b""):
        *whole, rest = (rest + block).split(b"\r")
        for line in whole:
            yield None if is_long or len(line) > MAX_RECORD_BYTES else line + b"\r"
            is_long = False
        if len(rest) > MAX_RECORD_BYTES:
            rest, is_long = b"", True
    if rest or is_long:
        yield None if is_long else rest


class EmptyFileError(IMIconnectInvalidRecordError):
    """A file without content, which should have a header row or a document."""

    def __init__(self, where: str) -> None:
        super().__init__(where, "the file is empty")
