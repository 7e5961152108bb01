"""
Records as they come: a list, or files -> a stream of (position, raw record).

A source can be read more than once, from its beginning. Paths are opened here, and made in the shell: whatever has
``open`` serves, so local disks and object storage are alike.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, NamedTuple, Protocol

from airflow_imiconnect.attributes import RepeatedKey, kind_of
from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.models import ATTRIBUTES, CUSTOMER_ID, SPELLINGS

FORMATS = ("auto", "json", "jsonl", "csv")
_FORMAT_OF_SUFFIX = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}
_ENVELOPE_KEYS = ("Records", "records")
_REJECT_KEYS = frozenset({"position", "stage", "code"})
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


class RawRecord(NamedTuple):
    """
    A record nobody has checked.

    :param position: where it stands, for errors and rejects: ``a.csv, line 7`` or ``records[12]``
    :param record: what stands there; the text of the line where that is no record at all
    :param problem: why it is none, so that the records around it can still be read
    """

    position: str
    record: object
    problem: str | None = None

    def __repr__(self) -> str:
        """Name the place, not the values."""
        return f"RawRecord({self.position!r})"


class SourcePath(Protocol):
    """As much of ObjectStoragePath, and of pathlib.Path, as is used here."""

    @property
    def suffix(self) -> str:
        """The ending of the name, with its dot."""

    def is_dir(self) -> bool:
        """Tell a folder from a file."""

    def open(self, mode: str) -> IO[Any]:
        """Open the file."""


class ListSource:
    """Records given as a list: one AppProfile or dict each, or the vendor's envelope around such a list."""

    def __init__(self, records: object) -> None:
        self._records = _records_of(records, "records", "records must be a list of records")

    def __iter__(self) -> Iterator[RawRecord]:
        """Yield each record with its index."""
        return (RawRecord(f"records[{index}]", record) for index, record in enumerate(self._records))


class FileSource:
    """
    Records in files, read one after another.

    :param paths: the files, opened anew each time that the source is read
    :param file_format: "json", "jsonl" or "csv", or "auto": by the ending of the name
    :param customer_id_column: the CSV column that holds the record's customerId; the others are attributes
    """

    def __init__(
        self, paths: Sequence[SourcePath], file_format: str = "auto", customer_id_column: str = CUSTOMER_ID
    ) -> None:
        self._paths = paths
        self._format = file_format
        self._customer_id_column = customer_id_column

    def __iter__(self) -> Iterator[RawRecord]:
        """
        Yield each record with its file and line, or its index in a JSON file.

        :raises IMIconnectInvalidRecordError: a file that is not there, is empty, or is not what it should be
        """
        for path in self._paths:
            yield from self._read(path)

    def _read(self, path: SourcePath) -> Iterator[RawRecord]:
        file_format = self._format if self._format != "auto" else _format_of(path)
        with _open(path) as file:
            if file_format == "json":
                yield from _read_json(file, str(path))
            elif file_format == "jsonl":
                yield from _read_json_lines(file, str(path))
            else:
                yield from _read_csv(file, str(path), self._customer_id_column)


def _format_of(path: SourcePath) -> str:
    try:
        return _FORMAT_OF_SUFFIX[path.suffix.lower()]
    except KeyError:
        endings = ", ".join(_FORMAT_OF_SUFFIX)
        raise IMIconnectInvalidRecordError(
            str(path), f"the name does not tell the format (it would end in {endings}): set file_format"
        ) from None


def _open(path: SourcePath) -> IO[bytes]:
    where = str(path)
    try:
        if path.is_dir():
            raise IMIconnectInvalidRecordError(where, "this is a directory, a file is wanted")
        return path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise IMIconnectInvalidRecordError(where, "there is no such file") from None
    except PermissionError:
        raise IMIconnectInvalidRecordError(where, "the file may not be read: permission denied") from None
    except (ImportError, ValueError) as error:  # a storage whose provider is not installed, a name that is no path
        raise IMIconnectInvalidRecordError(where, f"the file cannot be opened: {error}") from None


def _records_of(value: object, where: str, wanted: str) -> Iterable[object]:
    """Return the records in a list, in the vendor's envelope, or in a single record."""
    if isinstance(value, Mapping):
        envelope = [key for key in _ENVELOPE_KEYS if key in value]
        is_record = any(key in SPELLINGS for key in value)
        if is_record and not envelope:
            return [value]
        if is_record or len(envelope) != 1:
            raise IMIconnectInvalidRecordError(where, f'{wanted} or {{"Records": […]}}, not another object')
        value = value[envelope[0]]
        where = f"{where}.{envelope[0]}"
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise IMIconnectInvalidRecordError(where, f"{wanted}, this is {kind_of(value)}")
    return value


def _decode(data: bytes, where: str, first_line: int = 1) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line_start = data.rfind(b"\n", 0, error.start) + 1
        line = first_line + data.count(b"\n", 0, error.start)
        column = len(data[line_start : error.start].decode("utf-8", "replace")) + 1
        raise IMIconnectInvalidRecordError(
            f"{where}, line {line}, column {column}", "not UTF-8 from here on; save the file as UTF-8"
        ) from None


def _check_start(start: bytes, where: str) -> bytes:
    """Return the beginning of a file without its byte order mark."""
    if start.startswith(_UTF16_BOMS):
        raise IMIconnectInvalidRecordError(where, "the file is UTF-16; save it as UTF-8")
    return start.removeprefix(_UTF8_BOM)


def _empty(where: str) -> IMIconnectInvalidRecordError:
    return IMIconnectInvalidRecordError(where, "the file is empty")


def _read_json(file: IO[bytes], where: str) -> Iterator[RawRecord]:
    text = _decode(_check_start(file.read(), where), where)
    if not text.strip():
        raise _empty(where)
    try:
        document = _JSON.decode(text)
    except (ValueError, RecursionError) as error:
        line, column, reason = _json_problem(error)
        raise IMIconnectInvalidRecordError(f"{where}, line {line}, column {column}", reason) from None
    records = _records_of(document, where, "the file must hold a list of records")
    for index, record in enumerate(records, start=1):
        yield _raw(f"{where}, record {index}", record)


def _read_json_lines(file: IO[bytes], where: str) -> Iterator[RawRecord]:
    empty = True
    for number, line in enumerate(_lines(file, where), start=1):
        text = line.rstrip()
        if not text:
            continue
        empty = False
        try:
            yield _raw(f"{where}, line {number}", _JSON.decode(text))
        except (ValueError, RecursionError) as error:
            _, column, reason = _json_problem(error)
            yield RawRecord(f"{where}, line {number}, column {column}", text, reason)
    if empty:
        raise _empty(where)


def _object(pairs: list[tuple[str, object]]) -> object:
    """Read a JSON object; where a key stands twice, one of its values would be lost."""
    members = dict(pairs)
    return members if len(members) == len(pairs) else RepeatedKey()


_JSON = json.JSONDecoder(object_pairs_hook=_object)


def _raw(position: str, record: object) -> RawRecord:
    """Take the record out of a line of a rejects file: that file, mended, is an input again."""
    if not (isinstance(record, dict) and record.keys() >= _REJECT_KEYS):
        return RawRecord(position, record)
    if record.get("record") is None:
        return RawRecord(position, record, "this line of a rejects file holds no record to submit")
    return RawRecord(position, record["record"])


def _json_problem(error: ValueError | RecursionError) -> tuple[int, int, str]:
    """Return line, column and reason; the reason holds nothing of the text."""
    if isinstance(error, RecursionError):
        return 1, 1, "no valid JSON: nested too deep"
    if not isinstance(error, json.JSONDecodeError):
        return 1, 1, "no valid JSON: a number is too long"
    hint = ""
    if error.doc.startswith("ISODate(", error.pos):
        hint = ". ISODate(…) is the Mongo shell's: write the date as a text"
    elif error.msg == "Extra data" and error.lineno > 1:
        hint = ". If each line is a record of its own, this is JSON Lines: set file_format='jsonl'"
    return error.lineno, error.colno, f"no valid JSON: {error.msg}{hint}"


def _read_csv(file: IO[bytes], where: str, id_column: str) -> Iterator[RawRecord]:
    rows = _rows(file, where)
    header_line, first_row = next(rows, (0, []))
    if not first_row:
        raise _empty(where)
    header = _csv_header(first_row, f"{where}, line {header_line}", id_column)
    id_index = header.index(id_column)
    for line, row in rows:
        yield _csv_record(f"{where}, line {line}", header, row, id_index)


def _rows(file: IO[bytes], where: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank, with the line that it begins on: a cell may hold line ends."""
    rows = csv.reader(_lines(file, where), strict=True)
    while True:
        line = rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise IMIconnectInvalidRecordError(f"{where}, line {line}", f"no valid CSV: {error}") from None
        if row:
            yield line, row


def _csv_record(position: str, header: list[str], row: list[str], id_index: int) -> RawRecord:
    if len(row) != len(header):
        return RawRecord(position, row, f"the row has {len(row)} cells, the header {len(header)} columns")
    attributes = {name: cell for name, cell in zip(header, row, strict=True) if cell}
    attributes.pop(header[id_index], None)
    return RawRecord(position, {CUSTOMER_ID: row[id_index], ATTRIBUTES: attributes})


def _csv_header(row: list[str], position: str, id_column: str) -> list[str]:
    header = [name.strip() for name in row]
    if id_column == CUSTOMER_ID and id_column not in header:
        header = [CUSTOMER_ID if name == CUSTOMER_ID.lower() else name for name in header]
    if id_column not in header:
        raise IMIconnectInvalidRecordError(
            position, "the column of the customer ids is missing: name it in customer_id_column", field=id_column
        )
    if not all(header):
        raise IMIconnectInvalidRecordError(position, "a column has no name")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise IMIconnectInvalidRecordError(position, "the column stands there twice", field=twice[0])
    return header


def _lines(file: IO[bytes], where: str) -> Iterator[str]:
    for number, line in enumerate(file, start=1):
        yield _decode(_check_start(line, where) if number == 1 else line, where, number)
