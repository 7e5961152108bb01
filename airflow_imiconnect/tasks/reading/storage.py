"""Where input and rejects are: what a user writes -> paths of any storage, and the sources that read them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from airflow.providers.common.compat.sdk import ObjectStoragePath
from fsspec.utils import glob_translate

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.records.sources.file_source import FileSource
from airflow_imiconnect.records.sources.files.input_file import LOCAL
from airflow_imiconnect.records.sources.files.listing import Listing
from airflow_imiconnect.records.sources.lists import ListSource
from airflow_imiconnect.records.sources.options import ReadOptions
from airflow_imiconnect.records.sources.raw import Source
from airflow_imiconnect.records.sources.tables.frames import FrameSource, is_frame
from airflow_imiconnect.records.unfinished_file import SUFFIX
from airflow_imiconnect.tasks.context import unrendered
from airflow_imiconnect.tasks.reading.lakehouse import check_is_no_table

_MAGIC = "*?["
_FOLDER_MARK = "_$folder$"  # Hadoop's
_HIDDEN = (".", "_")  # .crc, _SUCCESS and the like, which other systems put beside their files
_PROVIDERS = {
    "s3": "amazon[s3fs]",
    "s3a": "amazon[s3fs]",
    "s3n": "amazon[s3fs]",
    "gs": "google",
    "gcs": "google",
    "abfs": "microsoft-azure",
    "abfss": "microsoft-azure",
    "adl": "microsoft-azure",
    "wasb": "microsoft-azure",
}
_SAME_PROTOCOL = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}


def records_source(records: object, options: ReadOptions) -> Source:
    """Return the source of a list or a frame, or of what Jinja has made of one; raises IMIconnectInvalidRecordError."""
    if records is None:
        raise IMIconnectInvalidRecordError("records, path or sql", "the upstream task returned nothing")
    return FrameSource(records, options) if is_frame(records) else ListSource(unrendered(records), options)


def files_source(path: object, file_format: str, options: ReadOptions, rejects_path: object = None) -> FileSource:
    """
    Return the source of one path or of several: files, folders, patterns.

    :param rejects_path: where rejects will be written; the paths must not take it in, nor once it exists
    :raises IMIconnectInvalidRecordError: it names no file
    """
    paths = [storage_path(path) for path in _paths(unrendered(path))]
    if rejects_path and any(_takes_in(path, storage_path(rejects_path)) for path in paths):
        raise IMIconnectInvalidRecordError(str(rejects_path), "rejects_path is in the input: write it elsewhere")
    return FileSource(list_files(paths), file_format, options)


def _paths(value: object) -> list[object]:
    paths = list(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes) else [value]
    if not paths or any(path is None or not str(path).strip() for path in paths):
        raise IMIconnectInvalidRecordError("path", "it names no file")
    return paths


def storage_path(path: object) -> ObjectStoragePath:
    """
    Return the path to open: a URL (``file://``, ``s3://conn_id@bucket/key``), or a file of this machine.

    :raises IMIconnectInvalidRecordError: no installed provider knows the URL's scheme
    """
    if isinstance(path, ObjectStoragePath):
        return path
    text = os.fsdecode(path) if isinstance(path, os.PathLike | bytes) else str(path)
    try:
        # The functions of os.path keep a text a text: a Path would fold the slashes of a URL.
        found = ObjectStoragePath(text if "://" in text else os.path.abspath(os.path.expanduser(text)))  # noqa: PTH100, PTH111
        _ = found.fs  # a provider that is missing shows here
    except (ImportError, ValueError) as error:
        provider = _PROVIDERS.get(text.partition("://")[0])
        advice = f"pip install 'apache-airflow-providers-{provider}'" if provider else str(error)
        raise IMIconnectInvalidRecordError(text, f"no such storage is known here: {advice}") from None
    return found


def list_files(paths: Iterable[object]) -> Listing:
    """
    List the files that are meant, each once: in the order of ``paths``, and of names within a folder or a pattern.

    A folder means all files in it and below; ``*``, ``?``, ``[…]`` and ``**`` make a pattern. Within both, what is
    hidden is passed over: a file, or a folder, whose name begins with a dot or an underscore.

    :raises IMIconnectInvalidRecordError: a folder or a pattern with no file, or one that is a lakehouse's table
    """
    files: dict[tuple[str | None, str, str], ObjectStoragePath] = {}
    found: set[str] = set()
    passed_over: list[tuple[str, str]] = []
    for path in map(storage_path, paths):
        path.fs.invalidate_cache()  # what came since it was last listed counts
        below = _files_below(path, passed_over)
        found.update(map(str, below or ()))
        for file in [path] if below is None else below:
            files.setdefault((_conn_id(file), *_identity(file)), file)  # another connection may be another storage
    return Listing(list(files.values()), found, passed_over)


def _conn_id(path: ObjectStoragePath) -> str | None:
    """Return a path's connection, which Airflow 3.1 keeps in another place."""
    conn_id: str | None = getattr(path, "conn_id", None) or path.storage_options.get("conn_id")
    return conn_id


def _files_below(path: ObjectStoragePath, passed_over: list[tuple[str, str]]) -> list[ObjectStoragePath] | None:
    """Return the files of a folder or a pattern; None for the path of a file."""
    if _is_pattern(path):
        base, pattern = _split(path)
        listed, nothing = path.fs.glob(path.path, detail=True), "no file fits this pattern"
    elif path.is_dir():
        base, pattern = path, ""
        listed, nothing = path.fs.find(path.path, detail=True), "there is no file in this folder"
    else:
        return None
    check_is_no_table(base, listed)
    files = _below(base, listed, pattern, passed_over)
    if not files:
        raise IMIconnectInvalidRecordError(str(path), nothing)
    return files


def _is_pattern(path: ObjectStoragePath) -> bool:
    return any(sign in path.path for sign in _MAGIC) and not path.exists()


def _takes_in(path: ObjectStoragePath, file: ObjectStoragePath) -> bool:
    """Return whether a path is a file, or a folder or a pattern that includes it, whether the file exists or not."""
    base, pattern = _split(path) if _is_pattern(path) else (path, "")
    (storage, start), (other, name) = _identity(base), _identity(file)
    part = name.removeprefix(start.rstrip("/") + "/")
    if storage != other or part == name or _is_hidden(part, pattern):
        return (storage, start) == (other, name)
    return not pattern or re.match(glob_translate(pattern), part) is not None


def _split(path: ObjectStoragePath) -> tuple[ObjectStoragePath, str]:
    """Return the folder in front of a pattern, and the pattern."""
    base = path
    while any(sign in base.path for sign in _MAGIC):
        base = base.parent
    return base, path.path[len(base.path) :].strip("/")


def _below(
    base: ObjectStoragePath, listed: Mapping[str, Any], pattern: str, passed_over: list[tuple[str, str]]
) -> list[ObjectStoragePath]:
    start = base.path.rstrip("/") + "/"
    # Consoles show folders in an object storage by empty objects of the same name.
    folders = {name[:index] for name in listed for index, sign in enumerate(name) if sign == "/"}
    files = []
    for name in sorted(_files_among(listed, base.fs, (os.path.realpath(base.path),))):
        part = name.removeprefix(start)
        if name.endswith(_FOLDER_MARK) or name.rstrip("/") in folders:
            passed_over.append(("an object that stands for a folder is passed over", name))
        elif _is_hidden(part, pattern):
            passed_over.append(("a name that begins with a dot or an underscore is passed over", name))
        elif part and not part.endswith(SUFFIX):
            files.append(base / part)
    return files


def _files_among(found: Mapping[str, Any], storage: Any, linked: tuple[str, ...]) -> Iterator[str]:  # noqa: ANN401
    """Yield the names of files; links are followed, those to a folder too, but no pipe and no circle of links is."""
    for name, about in found.items():
        if about["type"] == "file" or (about.get("islink") and storage.isfile(name)):
            yield name
        elif about.get("islink") and storage.isdir(name) and (target := os.path.realpath(name)) not in linked:
            yield from _files_among(storage.find(name, detail=True), storage, (*linked, target))


def _is_hidden(name: str, pattern: str) -> bool:
    """Tell whether the name, or a folder in it, is hidden, and the pattern does not ask for such names."""
    asked_for = any(part.startswith(_HIDDEN) for part in pattern.split("/"))
    return not asked_for and any(part.startswith(_HIDDEN) for part in name.split("/"))


def _identity(path: ObjectStoragePath) -> tuple[str, str]:
    if path.protocol in LOCAL:
        with suppress(ValueError):  # a null character, which is an error where the file is opened
            return "", os.path.realpath(path.path)
    return _SAME_PROTOCOL.get(path.protocol, path.protocol), path.path
