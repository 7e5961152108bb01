"""Folders of Delta Lake, Iceberg and Hudi, which also hold files that are no longer part of the table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_imiconnect.errors import IMIconnectInvalidRecordError

_SIGNS = (
    (re.compile(r"(^|/)_delta_log(/|$)"), "Delta Lake"),
    (re.compile(r"(^|/)metadata/[^/]*\.metadata\.json$"), "Iceberg"),
    (re.compile(r"(^|/)\.hoodie(/|$)"), "Hudi"),
)


def check_is_no_table(base: ObjectStoragePath, names: Iterable[str]) -> None:
    """
    Refuse a folder that is such a table, or a part of one.

    :param base: the folder, of a pattern the one in front of it
    :param names: of files in it and below
    :raises IMIconnectInvalidRecordError: it is one; says how to export the rows
    """
    start = len(base.path.rstrip("/")) + 1
    for kind in _kinds(name[start:] for name in (*names, *_names_beside(base))):
        raise IMIconnectInvalidRecordError(
            str(base),
            f"this is a table of {kind}: its folder also holds files that are no longer part of the table. Export the "
            "rows with the system that keeps the table, for example as Parquet to a folder of their own, or read them "
            "with sql",
        )
    for folder in _folders_of_table(base):
        check_is_no_table(folder, ())


def _kinds(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        yield from (kind for sign, kind in _SIGNS if sign.search(name))


def _folders_of_table(base: ObjectStoragePath) -> Iterator[ObjectStoragePath]:
    """Yield the folder that holds the partition's folders name=value, where the base is one of these."""
    if "=" in base.name:
        yield base.parent


def _names_beside(folder: ObjectStoragePath) -> list[str]:
    try:
        names: list[str] = folder.fs.ls(folder.path, detail=False)
        metadata = [name for name in names if name.rstrip("/").endswith("/metadata")]
        return names + [name for each in metadata for name in folder.fs.ls(each, detail=False)]
    except OSError:  # it may not be listed, though what is below may
        return []
