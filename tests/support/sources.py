"""Reading for tests: what a file holds, or what is wrong with it."""

import pytest

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.records.sources.file_source import FileSource
from airflow_imiconnect.records.sources.options import ReadOptions
from airflow_imiconnect.records.validation import check_records


def read(path, file_format="auto", **options):
    return list(FileSource([path], file_format, ReadOptions(**options)))


def records(path, **options):
    return [raw.record for raw in read(path, **options)]


def checked(path, **options):
    """Return the records that can be sent, and what is wrong with the others."""
    problems = []
    source = FileSource([path], options=ReadOptions(**options))
    return list(check_records(source, on_problem=lambda _, error: problems.append(str(error)))), problems


def error_of(path, **options):
    with pytest.raises(IMIconnectInvalidRecordError) as caught:
        list(check_records(FileSource([path], options=ReadOptions(**options))))
    assert str(caught.value).startswith(str(path))
    assert "planted" not in str(caught.value).removeprefix(str(path))
    return str(caught.value).removeprefix(str(path))
