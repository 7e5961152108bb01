"""Hive's folders name=value: a column whose value is the same in a whole file, and stands in the file's path."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import unquote

from airflow_imiconnect.attributes.known import KNOWN
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.sources.options import ReadOptions

_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def with_partitions(options: ReadOptions, where: str, notes: Notes) -> ReadOptions:
    """
    Return the options for one file.

    :param where: its path
    :param notes: partitions that are left out: they are not known attributes, and ``columns`` does not name them
    """
    partitions = _partitions(where)
    if not partitions:
        return options
    for name in partitions:
        if name not in KNOWN and name not in options.columns:
            notes.add(f"the folder {name}=… is left out, for it is not a known attribute; columns sends it", where)
    return replace(options, partitions=partitions)


def _partitions(where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for folder in where.split("/")[:-1]:
        name, sign, value = folder.partition("=")
        if name and sign:
            found[unquote(name)] = "" if value == _NO_VALUE else unquote(value)
    return found
