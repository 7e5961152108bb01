"""What an operator is handed to submit -> a source of records."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.paths import input_files, same_file, storage_path
from airflow_imiconnect.sources import FileSource, ListSource, TableOptions
from airflow_imiconnect.tasks import unrendered

Source = FileSource | ListSource


def records_source(records: object) -> ListSource:
    """Return the source of a list, or of what Jinja has made of one; raises IMIconnectInvalidRecordError."""
    if records is None:
        raise IMIconnectInvalidRecordError("records or path", "the upstream task returned nothing")
    return ListSource(unrendered(records))


def files_source(path: object, file_format: str, options: TableOptions, rejects_path: object = None) -> FileSource:
    """
    Return the source of one path or of several: files, folders, patterns.

    :param rejects_path: where rejects will be written, which must not be an input
    :raises IMIconnectInvalidRecordError: it names no file
    """
    files = input_files(_paths(unrendered(path)))
    if rejects_path and any(same_file(file, storage_path(rejects_path)) for file in files):
        raise IMIconnectInvalidRecordError(str(rejects_path), "rejects_path is an input: it would be overwritten")
    return FileSource(files, file_format, options)


def _paths(value: object) -> list[object]:
    paths = list(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes) else [value]
    if not paths or any(path is None or not str(path).strip() for path in paths):
        raise IMIconnectInvalidRecordError("path", "it names no file")
    return paths
