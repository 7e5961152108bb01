"""
Compares the content of a file that is read again with what was read first.

An input that must be checked before anything is sent is read twice. Each block is compared before it is used, so a file
that has changed in between is not sent.
"""

from __future__ import annotations

import errno
import io
import zlib
from typing import IO, Any

from airflow_imiconnect.errors import IMIconnectInvalidRecordError


class Fingerprint:
    """
    The version and the checksums of a file when it was first read.

    :param where: its name, for errors
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self.version: object = None
        self.bytes_read = 0
        self._blocks: list[int] = []
        self._next = 0

    def begin(self, version: object) -> None:
        """Begin to read; raises IMIconnectInvalidRecordError if the version differs from before."""
        if self.version not in (None, version):
            raise self.changed()
        self.version, self._next, self.bytes_read = version, 0, 0

    def note(self, block: memoryview) -> None:
        """Note the block that is read next; raises IMIconnectInvalidRecordError if it differs from before."""
        checksum = zlib.crc32(block)
        if self._next == len(self._blocks):
            self._blocks.append(checksum)
        elif self._blocks[self._next] != checksum:
            raise self.changed()
        self._next += 1
        self.bytes_read += len(block)

    def changed(self) -> IMIconnectInvalidRecordError:
        """Return the error for a file that has changed."""
        return IMIconnectInvalidRecordError(
            self._where, "the file has changed since it was checked; what has changed was not sent"
        )


class Watched(io.RawIOBase):
    """
    The stored bytes, noted in the fingerprint as they are read.

    :param raw: the opened file
    :param fingerprint: of the file
    """

    def __init__(self, raw: IO[bytes], fingerprint: Fingerprint) -> None:
        self._raw = raw
        self._fingerprint = fingerprint

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return whether the file is seekable."""
        return self._raw.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to another place."""
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._raw.tell()

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any buffer
        """Read the next bytes; raises IMIconnectInvalidRecordError if they differ from before."""
        try:
            block = self._raw.read(len(buffer))
        except OSError as error:
            # s3fs reports a new version, or a deleted file, this way.
            if error.errno == errno.EBUSY or isinstance(error, FileNotFoundError):
                raise self._fingerprint.changed() from None
            raise
        self._fingerprint.note(memoryview(block))
        buffer[: len(block)] = block
        return len(block)
