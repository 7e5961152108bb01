"""Reading for tests: what a file holds, or what is wrong with it."""

import pytest

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.sources import FileSource, TableOptions


def read(path, file_format="auto", **options):
    return list(FileSource([path], file_format, TableOptions(**options)))


def records(path, **options):
    return [raw.record for raw in read(path, **options)]


def error_of(path, **options):
    with pytest.raises(IMIconnectInvalidRecordError) as caught:
        read(path, **options)
    assert str(caught.value).startswith(str(path))
    assert "planted" not in str(caught.value).removeprefix(str(path))
    return str(caught.value).removeprefix(str(path))
