"""
One input file: opened, decompressed, and the same each time that it is read.

An input that must be checked before anything is sent is read twice. What comes the second time is held against what
came the first time, block by block, before anyone sees it: a file that changes meanwhile is noticed, and not sent.
"""

from __future__ import annotations

import errno
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache, partial
from importlib import import_module
from typing import IO, Any, Protocol, TypeAlias, cast

from airflow_imiconnect.errors import IMIconnectInvalidRecordError, IMIconnectRequestError
from airflow_imiconnect.sources.raw import MAX_RECORD_BYTES

FORMAT_OF_SUFFIX = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
BinaryFile: TypeAlias = "io.BufferedReader[Any]"
BLOCK = 64 * 1024
_COMPRESSIONS = (".gz", ".zst")
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"  # the rest of how a frame of Zstandard begins that holds no data
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


class SourcePath(Protocol):
    """As much of ObjectStoragePath, and of pathlib.Path, as is used here."""

    @property
    def name(self) -> str:
        """The last part of the path."""

    def is_dir(self) -> bool:
        """Tell a folder from a file."""

    def stat(self) -> Any:  # noqa: ANN401 - storages have results of their own
        """Return what has ``st_size`` and ``st_mtime``."""

    def open(self, mode: str) -> IO[Any]:
        """Open the file."""


class InputFile:
    """
    A file, which may be read more than once.

    :param path: where it is
    :param file_format: "json", "jsonl", "csv" or "parquet", or "auto": by the ending of the name
    """

    def __init__(self, path: SourcePath, file_format: str = "auto") -> None:
        self._path = path
        self._format = file_format
        self._fingerprint = _Fingerprint(str(path))
        self.where = str(path)
        self.bytes_read = 0

    @property
    def format(self) -> str:
        """Its format; raises IMIconnectInvalidRecordError where the name does not tell it."""
        if self._format != "auto":
            return self._format
        name = self._path.name.lower()
        for ending in _COMPRESSIONS:
            name = name.removesuffix(ending)
        for ending, file_format in FORMAT_OF_SUFFIX.items():
            if name.endswith(ending):
                return file_format
        endings = ", ".join(FORMAT_OF_SUFFIX)
        raise IMIconnectInvalidRecordError(
            self.where, f"the name does not tell the format (it would end in {endings}): set file_format"
        )

    @property
    def version(self) -> object:
        """What tells this version of the file from others: as it was read, or as it is now where it was not."""
        return self._fingerprint.version or _version(self._path)

    @property
    def size(self) -> int:
        """Its bytes on the disk or in the storage."""
        return int(self._path.stat().st_size)

    @contextmanager
    def open(self, *, again: bool = False) -> Iterator[BinaryFile]:
        """
        Open it as bytes, as they are stored.

        :param again: to look for the place of an error, besides the reading proper: nothing is compared then
        :raises IMIconnectInvalidRecordError: there is no such file, it may not be read, or it has changed
        """
        with self._opened() as raw:
            if not again:
                self.bytes_read = 0
                self._fingerprint.begin(_version(self._path))
            with io.BufferedReader(_Watched(raw, None if again else self), BLOCK) as file:
                yield file

    @contextmanager
    def open_text(self, *, again: bool = False) -> Iterator[BinaryFile]:
        """
        Open it as bytes that hold UTF-8, decompressed, behind its byte order mark; raises as open does.

        Gzip and Zstandard are known by their first bytes: a storage may unpack what is called ``.gz``.
        """
        with self.open(again=again) as stored, _unpacked(stored) as file:
            start = file.peek(3)[:3]
            if start.startswith(_UTF16_BOMS):
                raise IMIconnectInvalidRecordError(self.where, "the file is UTF-16; save it as UTF-8")
            if start == _UTF8_BOM:
                file.read(3)
            yield file

    def begin(self) -> None:
        """Get ready to be read; raises IMIconnectInvalidRecordError where the file is another one than before."""
        self.bytes_read = 0
        if self._fingerprint.version is not None:
            try:
                self._fingerprint.begin(_version(self._path))
            except FileNotFoundError:
                raise self.changed() from None

    def changed(self) -> IMIconnectInvalidRecordError:
        """Return the error for a file that is another one by now."""
        return self._fingerprint.changed()

    def note(self, block: memoryview) -> None:
        """Take note of what is read next; raises IMIconnectInvalidRecordError where it was something else before."""
        self._fingerprint.note(block)
        self.bytes_read += len(block)

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        try:
            if self._path.is_dir():
                raise IMIconnectInvalidRecordError(self.where, "this is a directory, a file is wanted")
            raw = self._path.open("rb")
        except (FileNotFoundError, NotADirectoryError):
            raise IMIconnectInvalidRecordError(self.where, "there is no such file") from None
        except PermissionError:
            raise IMIconnectInvalidRecordError(self.where, "the file may not be read: permission denied") from None
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENAMETOOLONG):
                raise
            raise IMIconnectInvalidRecordError(self.where, f"the file cannot be opened: {error.strerror}") from None
        except (ImportError, ValueError) as error:  # a storage whose provider is not installed, a name that is no path
            raise IMIconnectInvalidRecordError(self.where, f"the file cannot be opened: {error}") from None
        with raw:
            yield raw


class _Fingerprint:
    """What a file was when it was read first."""

    def __init__(self, where: str) -> None:
        self._where = where
        self.version: object = None
        self._blocks: list[int] = []
        self._next = 0

    def begin(self, version: object) -> None:
        if self.version not in (None, version):
            raise self.changed()
        self.version, self._next = version, 0

    def note(self, block: memoryview) -> None:
        checksum = zlib.crc32(block)
        if self._next == len(self._blocks):
            self._blocks.append(checksum)
        elif self._blocks[self._next] != checksum:
            raise self.changed()
        self._next += 1

    def changed(self) -> IMIconnectInvalidRecordError:
        return IMIconnectInvalidRecordError(
            self._where, "the file has changed since it was checked; what has changed was not sent"
        )


class _Watched(io.RawIOBase):
    """The stored bytes, noted as they pass; ``watcher`` is None for reading aside."""

    def __init__(self, raw: IO[bytes], watcher: InputFile | None) -> None:
        self._raw = raw
        self._watcher = watcher

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._raw.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - whatever BufferedReader hands over
        try:
            block = self._raw.read(len(buffer))
        except OSError as error:
            # So s3fs says that there is another version by now, or none any more.
            if self._watcher and (error.errno == errno.EBUSY or isinstance(error, FileNotFoundError)):
                raise self._watcher.changed() from None
            raise
        if self._watcher is not None:
            self._watcher.note(memoryview(block))
        buffer[: len(block)] = block
        return len(block)


def _version(path: SourcePath) -> object:
    stat = path.stat()
    tag = stat.get("ETag") if isinstance(stat, Mapping) else None  # object storages tell versions apart by it
    return stat.st_size, stat.st_mtime, tag


def _unpacked(stored: BinaryFile) -> BinaryFile:
    start = stored.peek(4)[:4]
    if start.startswith(_GZIP):
        return cast("BinaryFile", gzip.GzipFile(fileobj=stored, mode="rb"))
    if start == _ZSTD or (start[1:] == _SKIPPABLE and 0x50 <= start[0] <= 0x5F):  # noqa: PLR2004 - sixteen kinds of these
        module = _zstd()
        if module is None:
            raise missing_package("Zstandard files need the package backports.zstd", "zstd")
        return cast("BinaryFile", module.open(stored, "rb"))
    return stored


@cache
def _zstd() -> Any:  # noqa: ANN401 - a module, of Python itself from 3.14 on; None where there is none
    for name in ("compression.zstd", "backports.zstd"):
        with suppress(ImportError):
            return import_module(name)
    return None


def damage_errors() -> tuple[type[Exception], ...]:
    """Return what reading a damaged compressed file may raise."""
    module = _zstd()
    return (EOFError, zlib.error, gzip.BadGzipFile, *([module.ZstdError] if module else []))


def missing_package(what: str, extra: str) -> IMIconnectRequestError:
    """Return the error that says which extra of this package is to be installed."""
    return IMIconnectRequestError(f"{what}: pip install 'airflow-imiconnect[{extra}]'")


def decode(data: bytes, where: str, first_line: int = 1) -> str:
    """Return the text; raises IMIconnectInvalidRecordError with line and column where it is not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line_start = data.rfind(b"\n", 0, error.start) + 1
        line = first_line + data.count(b"\n", 0, error.start)
        column = len(data[line_start : error.start].decode("utf-8", "replace")) + 1
        raise IMIconnectInvalidRecordError(
            f"{where}, line {line}, column {column}", "not UTF-8 from here on; save the file as UTF-8"
        ) from None


def lines(file: BinaryFile) -> Iterator[bytes | None]:
    """Yield each line with its end; None stands for one that is too long, which is passed over unread."""
    read = partial(file.readline, MAX_RECORD_BYTES + 1)
    for line in iter(read, b""):
        if len(line) <= MAX_RECORD_BYTES:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = read()  # noqa: PLW2901 - the rest of the same line
        yield None


TOO_LONG = f"the line is longer than {MAX_RECORD_BYTES} bytes, which no record is"


def empty(where: str) -> IMIconnectInvalidRecordError:
    """Return the error for a file without content."""
    return IMIconnectInvalidRecordError(where, "the file is empty")
