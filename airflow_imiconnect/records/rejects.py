"""The file of rejected records, with reason and position. Once corrected, it is itself an input."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import IO, Any, Literal, Protocol

from pydantic import BaseModel

from airflow_imiconnect.attributes import RepeatedKey, Unreadable, kind_of
from airflow_imiconnect.attributes.channels import WECHAT, find_channel
from airflow_imiconnect.attributes.numbers import TooLongNumber
from airflow_imiconnect.attributes.values import RecordProblem, value_to_string
from airflow_imiconnect.errors import IMIconnectRequestError, one_line
from airflow_imiconnect.profile_api.lacking import with_lacking
from airflow_imiconnect.records.failed_records import FailedRecord
from airflow_imiconnect.records.profile import AppProfile
from airflow_imiconnect.records.sources.files.input_file import LOCAL
from airflow_imiconnect.records.unfinished_file import UnfinishedFile, remove_leftovers, unfit_target
from airflow_imiconnect.records.validation import CheckedRecord

Stage = Literal["invalid", "refused", "failed"]


class RejectsPath(Protocol):
    """The part of ObjectStoragePath that is used here."""

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
    Writes JSON Lines: position, stage, code, description, transid, customerId, and the record if it is known.

    Nothing is created before the first reject, and the file takes its name only when all is written: on a local disk
    by ``UnfinishedFile``, in any other storage by copying a temporary file there. The record's values are written as
    they would be sent, so that a corrected line is read as the source would be; what cannot be sent stays as it is.

    :param path: where to; None only counts
    :param owner: identifies the task; the same for all its attempts
    :param keep: whether the current content of the file stays in front of what is added
    """

    def __init__(self, path: RejectsPath | None, owner: str = "", *, keep: bool = False) -> None:
        self._keep = keep
        self.count = 0
        self._path = path
        self._owner = owner
        self._file: IO[bytes] | UnfinishedFile | None = None  # a temporary file, unless it is on a local disk
        self._broken = False

    def __enter__(self) -> RejectsFile:  # noqa: PYI034 - Self came with Python 3.11
        """
        Check that the file can be written, before anything is sent.

        :raises IMIconnectRequestError: it cannot
        """
        if self._path is not None and self._path.protocol in LOCAL:
            if problem := unfit_target(self._path.path):
                where = one_line(self._path.path)
                raise IMIconnectRequestError(f"rejects_path {where} cannot be written: {problem}. Nothing was sent.")
            remove_leftovers(self._path.path, self._owner)
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
        """Write one line. ``stage`` says who rejected it: this package, the service at once, or later."""
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
            self._file.write(_json(line) + b"\n")
        except BaseException:
            self._broken = True  # half a line may stand there by now
            raise

    def add_failed(self, failed: FailedRecord, record: CheckedRecord | None = None) -> None:
        """Write the line of a record that the service did not create in the end."""
        self.add(
            "failed",
            customer_id=failed.customer_id,
            code=failed.code,
            description=with_lacking(failed.description, failed.lacks),
            transid=failed.transid,
            position=record.position if record else None,
            record=record.to_wire() if record else None,
        )

    @property
    def uri(self) -> str | None:
        """The file's URI, None if nothing was written."""
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

    def _close(self, file: IO[bytes] | UnfinishedFile, path: RejectsPath) -> None:
        if isinstance(file, UnfinishedFile):
            file.discard() if self._broken else file.close()
            return
        with file:
            if not self._broken:
                file.seek(0)
                with path.open("wb") as target:
                    shutil.copyfileobj(file, target)

    def _create(self, path: RejectsPath) -> IO[bytes] | UnfinishedFile:
        file = UnfinishedFile(path.path, self._owner) if path.protocol in LOCAL else tempfile.TemporaryFile()  # noqa: SIM115 - closed by _close
        if self._keep:
            with suppress(FileNotFoundError), path.open("rb") as kept:
                shutil.copyfileobj(kept, file)
        return file


def _json(line: dict[str, object]) -> bytes:
    """Return the line as JSON; without the record if this contains something that cannot be written."""
    try:
        return json.dumps(line | {"record": _as_sent(line["record"])}, default=_plain, skipkeys=True).encode()
    except Exception:  # noqa: BLE001 - an endless number, a circle, or a user's object, which may raise anything
        return json.dumps(line | {"record": None}).encode()


def _as_sent(record: object) -> object:
    """Return a record with its values as they would be sent; what JSON has, or can never be sent, stays as it is."""
    if not isinstance(record, Mapping):
        return record
    is_wechat = _is_wechat(record)
    return {name: _field_as_sent(name, value, is_wechat=is_wechat) for name, value in record.items()}


def _field_as_sent(name: object, value: object, *, is_wechat: bool) -> object:
    if isinstance(value, Mapping):
        return {key: _value_as_sent(key, each, is_wechat=is_wechat) for key, each in value.items()}
    return _value_as_sent(name, value, is_wechat=is_wechat)


def _value_as_sent(name: object, value: object, *, is_wechat: bool) -> object:
    if value is None or type(value) in (str, int, bool, list):
        return value
    try:
        return value_to_string(str(name), value, is_wechat=is_wechat)
    except RecordProblem:
        return value


def _is_wechat(record: Mapping[Any, Any]) -> bool:
    with suppress(Exception):  # a user's object may raise anything
        return find_channel(next(value for value in record.values() if isinstance(value, Mapping))) is WECHAT
    return False


def _plain(value: object) -> object:
    """Convert what JSON does not know: models as they are sent, anything else as text."""
    if isinstance(value, AppProfile):
        return value.to_wire()
    if isinstance(value, RepeatedKey):
        return value.pairs
    if isinstance(value, Unreadable | TooLongNumber):
        return {"unreadable": kind_of(value)}  # an object, for a text would be sent, should nobody correct it
    return value.model_dump(exclude_none=True) if isinstance(value, BaseModel) else str(value)
