"""What the paths of a command line lead to: files of any storage, and pipes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby

from airflow_imiconnect.cli.pipes import KeptPipe, is_pipe, shown
from airflow_imiconnect.errors import IMIconnectError, IMIconnectInvalidRecordError, IMIconnectRequestError
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.sources.file_source import FORMATS, FileSource
from airflow_imiconnect.records.sources.files.compression import SUFFIXES
from airflow_imiconnect.records.sources.files.input_file import FORMAT_OF_SUFFIX, LOCAL
from airflow_imiconnect.records.sources.options import ReadOptions
from airflow_imiconnect.records.sources.raw import RawRecord
from airflow_imiconnect.tasks.storage import files_source, storage_path

_MAGIC = "*?["
_ENDINGS = tuple(ending + packed for ending in FORMAT_OF_SUFFIX for packed in ("", *SUFFIXES))


class Input:
    """
    The records of all paths, in their order. Pipes are read to their end at once.

    :param paths: files, folders, patterns, URLs, pipes, and ``-`` for standard input
    :param file_format: as for FileSource
    :param rejects: where rejects will be written; the paths must not take it in
    :raises IMIconnectInvalidRecordError: there is no such file, or a pipe cannot be read
    """

    def __init__(self, paths: Sequence[str], file_format: str, options: ReadOptions, rejects: str | None) -> None:
        _check_paths(paths, file_format)
        self._parts = [
            FileSource(_kept(part), file_format, options)
            if are_pipes
            else files_source(list(part), file_format, options, rejects)
            for are_pipes, part in groupby(dict.fromkeys(paths), is_pipe)
        ]

    def read(self, notes: Notes) -> Iterator[RawRecord]:
        """Yield each record with its position; raises IMIconnectInvalidRecordError if a file cannot be read."""
        for part in self._parts:
            yield from part.read(notes)

    @property
    def fraction(self) -> float:
        """How much of it has been read, from 0 to 1."""
        return sum(part.fraction for part in self._parts) / len(self._parts)


def _kept(paths: Iterator[str]) -> list[KeptPipe]:
    return [KeptPipe(path) for path in paths]


def _check_paths(paths: Sequence[str], file_format: str) -> None:
    """Raise IMIconnectInvalidRecordError for a path that leads to nothing, before a pipe is waited for."""
    for path in paths:
        if not is_pipe(path) and _is_missing(path):
            raise IMIconnectInvalidRecordError(path, "there is no such file")
    for path in filter(is_pipe, paths):
        if file_format == "auto" and not path.lower().endswith(_ENDINGS):
            reason = f"a pipe does not tell its format: set file_format ({', '.join(FORMATS[1:])})"
            raise IMIconnectInvalidRecordError(shown(path), reason)


def _is_missing(path: str) -> bool:
    found = storage_path(path)
    if any(sign in found.path for sign in _MAGIC):  # a pattern, or else an error where the file is opened
        return False
    with suppress(PermissionError, ValueError):  # as above
        if found.protocol not in LOCAL:
            return not found.exists()
        try:
            os.stat(found.path)  # noqa: PTH116 - a Path would change the spelling
        except (FileNotFoundError, NotADirectoryError):
            return True
    return False


@contextmanager
def storage_errors(paths: Sequence[str | None]) -> Iterator[None]:
    """
    Say in one line what a storage cannot do: each has errors of its own, whose words may hold anything.

    :param paths: what may be opened
    :raises IMIconnectRequestError: for an error of a storage that is not this machine's disk, or of the disk
    """
    remote = [path for path in paths if path and "://" in path]
    try:
        yield
    except IMIconnectError:
        raise
    except Exception as error:
        if remote:
            raise _out_of_reach(remote, error) from None
        if isinstance(error, OSError):
            where = error.filename or ", ".join(shown(path) for path in paths if path)
            raise IMIconnectRequestError(f"{where}: {error.strerror or type(error).__name__}") from None
        raise


def _out_of_reach(paths: Sequence[str], error: Exception) -> IMIconnectRequestError:
    return IMIconnectRequestError(
        f"{', '.join(paths)}: the storage is out of reach ({type(error).__name__}): check the network and the "
        "credentials; a URL may name a connection that has them: s3://conn_id@bucket/key"
    )
