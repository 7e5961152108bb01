"""The rejects file: whole lines or none, whatever happens."""

import json
import resource
from contextlib import contextmanager

import pytest

from airflow_imiconnect.attributes import RepeatedKey
from airflow_imiconnect.rejects import RejectsFile


class Local:
    """A local path as ObjectStoragePath shows it."""

    def __init__(self, path, protocol=""):
        self.path = str(path)
        self.protocol = protocol


@contextmanager
def disk_with_room_for(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_what_was_there_and_no_half_line(tmp_path):
    path = tmp_path / "rejects.jsonl"
    path.write_text('{"from": "before"}\n')
    rejects = RejectsFile(Local(path))
    with pytest.raises(OSError, match="too large"), rejects, disk_with_room_for(20_000):  # noqa: PT012 - the exit counts
        for number in range(100):
            rejects.add("invalid", position=str(number), description="x" * 1000)
    assert path.read_text() == '{"from": "before"}\n'
    assert rejects.uri is None


def test_a_disk_that_is_full_at_the_end_is_told(tmp_path):
    path = tmp_path / "rejects.jsonl"
    rejects = RejectsFile(Local(path))
    with pytest.raises(OSError, match="too large"), disk_with_room_for(10), rejects:
        rejects.add("invalid", position="p")  # it waits in a buffer
    assert not path.exists()


def test_what_went_wrong_before_is_not_replaced_by_a_full_disk(tmp_path):
    rejects = RejectsFile(Local(tmp_path / "rejects.jsonl"))
    with pytest.raises(KeyError), disk_with_room_for(10), rejects:  # noqa: PT012 - as above
        rejects.add("invalid", position="p")
        raise KeyError


@pytest.mark.parametrize("protocol", ["", "file", "local"])
def test_only_its_owner_may_read_it(tmp_path, protocol):
    path = tmp_path / "rejects.jsonl"
    with RejectsFile(Local(path, protocol)) as rejects:
        rejects.add("invalid", position="p")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_record_with_a_key_that_stands_twice_can_be_mended(tmp_path):
    path = tmp_path / "rejects.jsonl"
    with RejectsFile(Local(path)) as rejects:
        rejects.add("invalid", record=RepeatedKey([("customerId", "1"), ("customerId", "2")]))
    assert json.loads(path.read_text())["record"] == [["customerId", "1"], ["customerId", "2"]]
