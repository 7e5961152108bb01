"""Values that can be read only once, kept on the worker's disk: records are checked, then sent, and read again."""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from typing import IO, Any, NamedTuple, TypeVar

from pydantic import BaseModel

from airflow_imiconnect.errors import IMIconnectTransientError, one_line
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.profile import AppProfile
from airflow_imiconnect.records.sources.lists import as_mapping, one_or_many
from airflow_imiconnect.records.sources.options import ReadOptions
from airflow_imiconnect.records.sources.raw import RawRecord
from airflow_imiconnect.records.sources.tables.columns import BAD_CELLS, Columns, problem_of
from airflow_imiconnect.records.sources.tables.rows import Rows

_T = TypeVar("_T")
_LENGTH = struct.Struct(">Q")
_BUFFER = 1024 * 1024  # bytes
_SQL = "sql"  # where rows of a query are, for errors


class Spooled:
    """
    Records that came once, and can be read again.

    :param values: are read to their end; what they raise is raised here
    :param options: how they are read
    :param parts: what the content does not tell
    """

    def __init__(self, values: Iterable[object], options: ReadOptions, *parts: object) -> None:
        self._spool = Spool(values)
        self._options = options
        self._parts = parts

    def read(self, notes: Notes) -> Iterator[RawRecord]:
        """Yield each record with its position."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[RawRecord]:
        """Yield each record, where nobody asks for notes."""
        return self.read(Notes())

    def __len__(self) -> int:
        return len(self._spool)

    @property
    def fraction(self) -> float:
        """How much of it has been read, from 0 to 1."""
        return self._spool.fraction

    @property
    def version(self) -> str:
        """A digest of the content, and of how it is read."""
        return hashlib.sha256(repr((self._spool.version, self._options, *self._parts)).encode()).hexdigest()[:16]


class SpooledRecords(Spooled):
    """
    Records that a function yields: one AppProfile, dict or flat row each.

    :param records: are read to their end; what they raise is raised here
    :param options: how flat rows are read
    :raises IMIconnectTransientError: the disk is full
    """

    def __init__(self, records: Iterable[object], options: ReadOptions | None = None) -> None:
        super().__init__(map(as_mapping, records), options or ReadOptions())

    def read(self, notes: Notes) -> Iterator[RawRecord]:
        """Yield each record with its number, 1 for the first: ``records, item 7``."""
        rows = Rows(self._options, notes)
        for number, value in enumerate(self._spool, start=1):
            position = f"records, item {number}"
            if isinstance(value, Unkept):
                yield RawRecord(position, None, value.problem)
            else:
                yield from one_or_many(position, value, rows)
        rows.finish("records")


class SpooledTable(Spooled):
    """
    Rows of a query.

    :param names: of the columns
    :param rows: as many cells each; they are read to their end, and what they raise is raised here
    :param options: how they are read
    :raises IMIconnectInvalidRecordError: the columns cannot be right
    :raises IMIconnectTransientError: the disk is full
    """

    def __init__(
        self, names: Sequence[str], rows: Iterable[Sequence[object]], options: ReadOptions | None = None
    ) -> None:
        options = options or ReadOptions()
        Columns(names, _SQL, options, Notes())  # raises before the first of what may be millions of rows
        super().__init__(rows, options, names)
        self._names = names

    def read(self, notes: Notes) -> Iterator[RawRecord]:
        """Yield the record of each row, with its number, 1 for the first: ``sql, row 7``."""
        columns = Columns(self._names, _SQL, self._options, notes)
        for number, cells in enumerate(self._spool, start=1):
            yield _of_row(f"{_SQL}, row {number}", cells, columns)


def _of_row(position: str, cells: Sequence[object] | Unkept, columns: Columns) -> RawRecord:
    if isinstance(cells, Unkept):
        return RawRecord(position, None, cells.problem)
    try:
        return RawRecord(position, columns.record(cells))
    except BAD_CELLS as error:
        return RawRecord(position, None, problem_of(error))


class Unkept(NamedTuple):
    """Replaces a value that the disk cannot keep: the others around it are still there."""

    problem: str


_UNKEPT = Unkept("holds a value that cannot be kept on disk: give texts, numbers, booleans and dates")


class Spool:
    """
    Values in a temporary file, each with its types, in the order in which they came.

    The file has no name: nobody but its owner can open it (0600), and nothing of it is left when the spool is dropped,
    or when the process ends, even by a kill. It is in the folder for temporary files (``TMPDIR``), and as large as the
    values are. Only one value at a time is held in memory.

    :param values: are read to their end; what they raise is raised here
    :raises IMIconnectTransientError: the disk is full, or the folder cannot be written
    """

    def __init__(self, values: Iterable[object]) -> None:
        self._file = _temporary_file()
        weakref.finalize(self, _close, self._file)
        self._digest = hashlib.sha256()
        self._pickle = _Pickle()
        self._count = self._read = 0
        for value in values:
            self._add(self._pickle.of(value))
        self._store(b"", flush=True)

    def __iter__(self) -> Iterator[Any]:
        """Yield each value, or Unkept in its place. One reading at a time: a new one ends those before it."""
        self._file.seek(0)
        for self._read in range(1, self._count + 1):  # noqa: B020 - for fraction
            (length,) = _LENGTH.unpack(self._file.read(_LENGTH.size))
            yield _unpickled(self._file.read(length))

    def __len__(self) -> int:
        return self._count

    @property
    def fraction(self) -> float:
        """How much of it has been read, from 0 to 1."""
        return self._read / max(1, self._count)

    @property
    def version(self) -> str:
        """A digest of the content."""
        return self._digest.hexdigest()[:16]

    def _add(self, data: bytes) -> None:
        self._digest.update(data)
        self._store(_LENGTH.pack(len(data)) + data)
        self._count += 1

    def _store(self, data: bytes, *, flush: bool = False) -> None:
        try:
            self._file.write(data)
            if flush:
                self._file.flush()
        except OSError as error:
            raise _disk_error(error) from None


class _Pickle:
    """
    Turns one value after another into bytes: equal values into equal bytes, whichever process does it.

    Pickle keeps every type as it is, and what it reads here is what this process has written.
    """

    def __init__(self) -> None:
        self._bytes = io.BytesIO()
        self._pickler = _Pickler(self._bytes, protocol=5)
        self._pickler.fast = True  # else the bytes would tell which equal texts are one object

    def of(self, value: object) -> bytes:
        self._bytes.seek(0)
        self._bytes.truncate()
        try:
            self._pickler.dump(value)
        except Exception:  # noqa: BLE001 - a circle, an open file, or a user's object, which may raise anything
            return pickle.dumps(_UNKEPT, protocol=5)
        return self._bytes.getvalue()


class _Pickler(pickle.Pickler):
    """Knows what pickle cannot keep, or keeps in no fixed order."""

    def reducer_override(self, value: Any) -> Any:  # noqa: ANN401 - as pickle has it
        if isinstance(value, Enum):
            return _same, (value.value,)
        if isinstance(value, AppProfile):
            return _same, (value.to_wire(),)
        if isinstance(value, BaseModel):
            return _same, (value.model_dump(exclude_none=True),)
        if isinstance(value, memoryview):
            return _same, (bytes(value),)
        if isinstance(value, Mapping):
            return _same, (dict(value),)
        return NotImplemented


def _same(value: _T) -> _T:
    return value


def _unpickled(data: bytes) -> object:
    try:
        return pickle.loads(data)  # noqa: S301 - from a file that nobody else can open
    except Exception:  # noqa: BLE001 - a user's type that cannot be made again
        return _UNKEPT


def _temporary_file() -> IO[bytes]:
    try:
        return tempfile.TemporaryFile(buffering=_BUFFER, prefix="imiconnect-")
    except OSError as error:
        raise _disk_error(error) from None


def _disk_error(error: OSError) -> IMIconnectTransientError:
    with suppress(OSError):  # there may be no such folder at all
        where = one_line(tempfile.gettempdir())
        return IMIconnectTransientError(
            f"The records cannot be kept in the folder for temporary files, {where}: {error.strerror or 'it fails'}. "
            "Nothing was sent. Make room there, or set TMPDIR to a folder with more."
        )
    return IMIconnectTransientError("There is no folder for temporary files: set TMPDIR. Nothing was sent.")


def _close(file: IO[bytes]) -> None:
    with suppress(OSError):  # the disk is full
        file.close()
