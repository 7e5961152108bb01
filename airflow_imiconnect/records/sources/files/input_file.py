"""One input file: opened, decompressed, and the same each time it is read."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any, Protocol

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.records.sources.files.compression import SUFFIXES, BinaryFile, unpacked
from airflow_imiconnect.records.sources.files.encodings import as_utf8, is_utf8, likely_utf16
from airflow_imiconnect.records.sources.files.fingerprint import Fingerprint, Watched
from airflow_imiconnect.records.sources.files.kinds import check_is_text
from airflow_imiconnect.records.sources.options import UTF8

FORMAT_OF_SUFFIX = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}
LOCAL = ("", "file", "local")  # protocols of this machine's disks
BLOCK = 64 * 1024
_START = 4096  # bytes that show what a file is
_KINDS = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
_KERNELS = (Path("/proc"), Path("/sys"))  # their files may be endless, or change while they are read


class SourcePath(Protocol):
    """The part of ObjectStoragePath and of pathlib.Path that is used here."""

    @property
    def name(self) -> str:
        """The last part of the path."""

    def is_dir(self) -> bool:
        """Return whether it is a folder."""

    def stat(self) -> Any:  # noqa: ANN401 - each storage has its own type
        """Return an object with ``st_size`` and ``st_mtime``."""

    def open(self, mode: str) -> IO[Any]:
        """Open the file."""


class InputFile:
    """
    A file that may be read more than once.

    :param path: where it is
    :param file_format: "json", "jsonl", "csv", "mysql" or "parquet", or "auto": by the suffix
    :param encoding: of its text; a byte order mark wins over "utf-8"
    """

    def __init__(self, path: SourcePath, file_format: str = "auto", encoding: str = UTF8) -> None:
        self._path = path
        self._format = file_format
        self._encoding = encoding
        self._fingerprint = Fingerprint(str(path))
        self.where = str(path)

    @property
    def format(self) -> str:
        """Its format; raises IMIconnectInvalidRecordError if the suffix is unknown."""
        if self._format != "auto":
            return self._format
        name = self._path.name.lower()
        for ending in SUFFIXES:
            name = name.removesuffix(ending)
        for ending, file_format in FORMAT_OF_SUFFIX.items():
            if name.endswith(ending):
                return file_format
        with self._opened():
            endings = ", ".join(FORMAT_OF_SUFFIX)
        raise IMIconnectInvalidRecordError(
            self.where, f"the name does not tell the format (it would end in {endings}): set file_format"
        )

    @property
    def version(self) -> object:
        """The version that was read, or else the current one; None if the file does not exist."""
        with suppress(OSError):
            return self._fingerprint.version or _version(self._path)
        return None

    @property
    def size(self) -> int:
        """Its size on the disk or in the storage."""
        return int(self._path.stat().st_size)

    @property
    def bytes_read(self) -> int:
        """How many bytes have been read."""
        return self._fingerprint.bytes_read

    @contextmanager
    def open(self) -> Iterator[BinaryFile]:
        """
        Open it as the stored bytes.

        :raises IMIconnectInvalidRecordError: there is no such file, it may not be read, or it has changed
        """
        with self._opened() as raw:
            self._fingerprint.begin(_version(self._path))
            with io.BufferedReader(Watched(raw, self._fingerprint), BLOCK) as file:
                yield file

    @contextmanager
    def open_text(self) -> Iterator[BinaryFile]:
        """
        Open it as UTF-8, decompressed and without its byte order mark.

        :raises IMIconnectInvalidRecordError: as open does; or it holds no text, or text in another encoding
        """
        with self.open() as stored, unpacked(stored) as file:
            start = file.peek(_START)[:_START]
            check_is_text(self.where, start)
            if is_utf8(self._encoding) and (likely := likely_utf16(start)):
                where = f"{self.where}, line 1, column {1 + (likely == 'utf-16-le')}"
                reason = f"the text is not UTF-8 but {likely}, it seems: set encoding={likely!r}"
                raise IMIconnectInvalidRecordError(where, reason)
            yield as_utf8(file, self._encoding)

    def begin(self) -> None:
        """Get ready to be read; raises IMIconnectInvalidRecordError if it cannot be a file, or has changed."""
        self._check_kind()
        if self._fingerprint.version is not None:
            try:
                self._fingerprint.begin(_version(self._path))
            except FileNotFoundError:
                raise self._fingerprint.changed() from None

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        self._check_kind()
        try:
            if self._path.is_dir():
                raise IMIconnectInvalidRecordError(self.where, "this is a directory, it must be a file")
            raw = self._path.open("rb")
        except (FileNotFoundError, NotADirectoryError):
            raise IMIconnectInvalidRecordError(self.where, "there is no such file") from None
        except PermissionError:
            raise IMIconnectInvalidRecordError(self.where, "the file may not be read: permission denied") from None
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENAMETOOLONG):
                raise
            raise IMIconnectInvalidRecordError(self.where, f"the file cannot be opened: {error.strerror}") from None
        except (ImportError, ValueError) as error:  # the storage's provider is not installed, or the name is not a path
            raise IMIconnectInvalidRecordError(self.where, f"the file cannot be opened: {error}") from None
        with raw:
            yield raw

    def _check_kind(self) -> None:
        """Refuse what is not a regular file of this machine: opening a pipe blocks, and reading a device never ends."""
        if getattr(self._path, "protocol", "") in LOCAL:
            kind = _other_kind(getattr(self._path, "path", None) or str(self._path))
            if kind:
                raise IMIconnectInvalidRecordError(self.where, f"this is {kind}, it must be a regular file")


def _other_kind(path: str) -> str | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - a Path would change the spelling
    except (OSError, ValueError):  # an error where the file is opened
        return None
    kind = stat.S_IFMT(found.st_mode)
    if kind != stat.S_IFREG:
        return _KINDS.get(kind, "a device")
    return "a file of the kernel" if found.st_dev in _kernel_devices() else None


@cache
def _kernel_devices() -> frozenset[int]:
    return frozenset(root.stat().st_dev for root in _KERNELS if root.is_dir())


def _version(path: SourcePath) -> object:
    found = path.stat()
    tag = found.get("ETag") if isinstance(found, Mapping) else None  # the version in an object storage
    return found.st_size, found.st_mtime, tag
