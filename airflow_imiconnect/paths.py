"""Where input and rejects are: what a user writes -> ObjectStoragePath; folders and patterns -> the files in them."""

from __future__ import annotations

import os
from collections.abc import Iterable

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.rejects import LOCAL

_MAGIC = "*?["
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


def input_files(paths: Iterable[object]) -> list[ObjectStoragePath]:
    """
    Return the files that are meant, each once: in the order of ``paths``, and of names within a folder or a pattern.

    A folder means all files in it and below; ``*``, ``?``, ``[…]`` and ``**`` make a pattern. Within both, what is
    hidden is left out: a file, or a folder, whose name begins with a dot or an underscore.

    :raises IMIconnectInvalidRecordError: a folder or a pattern with no file
    """
    files: dict[str, ObjectStoragePath] = {}
    for path in paths:
        for file in _files_at(storage_path(path)):
            files.setdefault(str(file), file)
    return list(files.values())


def _files_at(path: ObjectStoragePath) -> list[ObjectStoragePath]:
    if any(sign in path.path for sign in _MAGIC) and not path.exists():
        base, pattern = _split(path)
        found = [name for name in path.fs.glob(path.path) if not path.fs.isdir(name)]
        files = _below(base, found, pattern)
        nothing = "no file fits this pattern"
    elif path.is_dir():
        files = _below(path, path.fs.find(path.path))
        nothing = "there is no file in this folder"
    else:
        return [path]
    if not files:
        raise IMIconnectInvalidRecordError(str(path), nothing)
    return files


def _split(path: ObjectStoragePath) -> tuple[ObjectStoragePath, str]:
    """Return the folder in front of a pattern, and the pattern."""
    base = path
    while any(sign in base.path for sign in _MAGIC):
        base = base.parent
    return base, path.path[len(base.path) :].strip("/")


def _below(base: ObjectStoragePath, names: Iterable[str], pattern: str = "") -> list[ObjectStoragePath]:
    start = base.path.rstrip("/") + "/"
    parts = (name.removeprefix(start) for name in sorted(names))
    return [base / part for part in parts if part and not _is_hidden(part, pattern)]


def _is_hidden(name: str, pattern: str) -> bool:
    """Tell whether the name, or a folder in it, is hidden, and the pattern does not ask for such names."""
    asked_for = any(part.startswith(_HIDDEN) for part in pattern.split("/"))
    return not asked_for and any(part.startswith(_HIDDEN) for part in name.split("/"))


def same_file(first: ObjectStoragePath, second: ObjectStoragePath) -> bool:
    """Tell whether two paths lead to one file."""
    if first.protocol in LOCAL and second.protocol in LOCAL:
        return os.path.realpath(first.path) == os.path.realpath(second.path)
    return (first.protocol, first.path) == (second.protocol, second.path)
