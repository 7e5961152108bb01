"""What the paths of a command line lead to: files of any storage, and pipes."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import groupby

from airflow_imiconnect.cli.pipes import KeptPipe, is_pipe, shown
from airflow_imiconnect.errors import IMIconnectError, IMIconnectInvalidRecordError, IMIconnectRequestError
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.sources.file_source import FORMATS, FileSource
from airflow_imiconnect.records.sources.files.compression import SUFFIXES
from airflow_imiconnect.records.sources.files.input_file import FORMAT_OF_SUFFIX, LOCAL
from airflow_imiconnect.records.sources.options import ReadOptions
from airflow_imiconnect.records.sources.raw import RawRecord
from airflow_imiconnect.tasks.reading.storage import files_source, storage_path

_MAGIC = "*?["
_ENDINGS = tuple(ending + packed for ending in FORMAT_OF_SUFFIX for packed in ("", *SUFFIXES))


class Input:
    """
    The records of several sources, in their order.

    :param parts: of files, or of pipes
    """

    def __init__(self, parts: Sequence[FileSource]) -> None:
        self._parts = parts

    def read(self, notes: Notes) -> Iterator[RawRecord]:
        """Yield each record with its position; raises IMIconnectInvalidRecordError if a file cannot be read."""
        for part in self._parts:
            yield from part.read(notes)

    @property
    def fraction(self) -> float:
        """How much of it has been read, from 0 to 1."""
        return sum(part.fraction for part in self._parts) / len(self._parts)


@contextmanager
def opened(paths: Sequence[str], file_format: str, options: ReadOptions, rejects: str | None) -> Iterator[Input]:
    """
    Read pipes to their end, and look for files.

    :param paths: files, folders, patterns, URLs, pipes, and ``-`` for standard input
    :param file_format: as for FileSource
    :param rejects: where rejects will be written; the paths must not take it in
    :raises IMIconnectInvalidRecordError: there is no such file, or a pipe cannot be read
    """
    _check_paths(paths, file_format)
    with ExitStack() as kept:
        parts = [
            FileSource([_filled(path, kept) for path in part], file_format, options)
            if are_pipes
            else files_source(list(part), file_format, options, rejects)
            for are_pipes, part in groupby(dict.fromkeys(paths), is_pipe)
        ]
        yield Input(parts)


def _filled(path: str, kept: ExitStack) -> KeptPipe:
    pipe = kept.enter_context(KeptPipe(path))
    pipe.fill()
    return pipe


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
        if remote and not _is_of_disk(error):
            raise _out_of_reach(remote, error) from None
        if isinstance(error, OSError):
            where = error.filename or ", ".join(shown(path) for path in paths if path)
            raise IMIconnectRequestError(f"{where}: {error.strerror or type(error).__name__}") from None
        raise


def _is_of_disk(error: Exception) -> bool:
    return isinstance(error, OSError) and (error.filename is not None or error.errno == errno.ENOSPC)


def _out_of_reach(paths: Sequence[str], error: Exception) -> IMIconnectRequestError:
    return IMIconnectRequestError(
        f"{', '.join(paths)}: the storage is out of reach ({type(error).__name__}): check the network and the "
        "credentials; a URL may name a connection that has them: s3://conn_id@bucket/key"
    )
