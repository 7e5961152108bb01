"""The file of records that were not taken, with reason and position. It is itself an input: mend it, submit it."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from types import TracebackType
from typing import IO, Any, Literal, Protocol

from pydantic import BaseModel

from airflow_imiconnect.attributes import RepeatedKey
from airflow_imiconnect.batches import CheckedRecord
from airflow_imiconnect.errors import IMIconnectRequestError
from airflow_imiconnect.failures import FailedRecord
from airflow_imiconnect.models import AppProfile

LOCAL = ("", "file", "local")  # as fsspec calls this machine's disks
Stage = Literal["invalid", "refused", "failed"]


class RejectsPath(Protocol):
    """As much of ObjectStoragePath as is used here."""

    @property
    def protocol(self) -> str:
        """``file`` or nothing for a local disk, ``s3`` and the like for object storage."""

    @property
    def path(self) -> str:
        """The path within its storage."""

    def open(self, mode: str) -> IO[Any]:
        """Open the file."""


class RejectsFile:
    """
    Writes JSON Lines: position, stage, code, description, transid, customerId, and the record where it is at hand.

    Nothing is created before the first reject. On a local disk the lines go to a file beside the target, readable by
    its owner only, which takes the target's name when all is written; object storage shows a file only when it is
    closed. So no reader ever meets half a file, nor half a line.

    :param path: where to; None only counts
    :param owner: what tells the task from others that may write beside it; the same for all its tries
    :param keep: whether what the file holds already stays in front of what is added
    """

    def __init__(self, path: RejectsPath | None, owner: str = "", *, keep: bool = False) -> None:
        self._keep = keep
        self.count = 0
        self._path = path
        self._owner = hashlib.sha256(owner.encode()).hexdigest()[:12]
        self._file: IO[bytes] | None = None
        self._broken = False

    def __enter__(self) -> RejectsFile:  # noqa: PYI034 - Self came with Python 3.11
        """
        See that there is a place for rejects, before anything is sent.

        :raises IMIconnectRequestError: there is none
        """
        if self._path is not None and self._path.protocol in LOCAL:
            folder = os.path.dirname(self._path.path)  # noqa: PTH120 - it takes the path's own spelling
            try:
                os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - as above
            except OSError as error:
                raise _no_place(self._path, str(error.strerror)) from None
            if os.path.isdir(self._path.path):  # noqa: PTH112 - as above
                raise _no_place(self._path, "this is a directory")
            if not os.access(folder, os.W_OK):
                raise _no_place(self._path, "permission denied")
        return self

    def add(
        self,
        stage: Stage,
        *,
        customer_id: str | None = None,
        code: str | None = None,
        description: str | None = None,
        position: str | None = None,
        transid: str | None = None,
        record: object = None,
    ) -> None:
        """Write one line. ``stage`` tells who did not take it: us, the service at once, or the service later."""
        self.count += 1
        if self._path is None:
            return
        if self._file is None:
            self._file = self._create(self._path)
        line = {
            "position": position,
            "stage": stage,
            "code": code,
            "description": description,
            "transid": transid,
            "customerId": customer_id,
            "record": record,
        }
        try:
            self._file.write(json.dumps(line, default=_plain, skipkeys=True).encode() + b"\n")
        except BaseException:
            self._broken = True  # half a line may stand there by now
            raise

    def add_failed(self, failed: FailedRecord, record: CheckedRecord | None = None) -> None:
        """Write the line of a record that the service did not create in the end."""
        self.add(
            "failed",
            customer_id=failed.customer_id,
            code=failed.code,
            description=failed.description,
            transid=failed.transid,
            position=record.position if record else None,
            record=record.to_wire() if record else None,
        )

    @property
    def uri(self) -> str | None:
        """The file's address, None when there was nothing to write."""
        if self._path is None or not self.count or self._broken:
            return None
        return str(self._path) if self._path.protocol else f"file://{self._path.path}"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None or self._path is None:
            return
        try:
            self._close(self._file, self._path)
        except OSError:
            self._broken = True
            if error is None:  # else what went wrong before is what counts
                raise

    def _close(self, file: IO[bytes], path: RejectsPath) -> None:
        if path.protocol not in LOCAL:
            file.close()
            return
        with file:
            file.flush()
            os.fsync(file.fileno())
        if not self._broken:
            os.replace(self._unfinished(path), path.path)  # noqa: PTH105 - it takes the path's own spelling

    def _create(self, path: RejectsPath) -> IO[bytes]:
        kept = _content(path) if self._keep else b""
        file = self._open(path)
        file.write(kept)
        return file

    def _open(self, path: RejectsPath) -> IO[bytes]:
        if path.protocol not in LOCAL:
            return path.open("wb")
        unfinished = self._unfinished(path)
        with suppress(FileNotFoundError):
            os.unlink(unfinished)  # noqa: PTH108 - as above
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        return os.fdopen(descriptor, "wb")

    def _unfinished(self, path: RejectsPath) -> str:
        return f"{path.path}.{self._owner}.unfinished"


def _content(path: RejectsPath) -> bytes:
    try:
        with path.open("rb") as file:
            return bytes(file.read())
    except FileNotFoundError:
        return b""


def _plain(value: object) -> object:
    """Write what JSON does not know: models as they are sent, anything else as text."""
    if isinstance(value, AppProfile):
        return value.to_wire()
    if isinstance(value, RepeatedKey):
        return value.pairs
    return value.model_dump(exclude_none=True) if isinstance(value, BaseModel) else str(value)


def _no_place(path: RejectsPath, reason: str) -> IMIconnectRequestError:
    return IMIconnectRequestError(f"rejects_path {path.path} cannot be written: {reason}. Nothing was sent.")
