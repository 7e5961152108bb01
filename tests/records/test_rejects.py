"""The rejects file: whole lines or none, whatever happens."""

import io
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tracemalloc
from contextlib import contextmanager
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum

import pytest
from support.sources import checked

from airflow_imiconnect.attributes import RepeatedKey
from airflow_imiconnect.errors import IMIconnectRequestError
from airflow_imiconnect.records.profile import read_record
from airflow_imiconnect.records.rejects import RejectsFile
from airflow_imiconnect.tasks.reading.storage import storage_path


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
    assert os.listdir(tmp_path) == ["rejects.jsonl"]  # noqa: PTH208 - hidden ones too


def test_a_disk_that_is_full_at_the_end_is_told(tmp_path):
    path = tmp_path / "rejects.jsonl"
    rejects = RejectsFile(Local(path))
    with pytest.raises(OSError, match="too large"), disk_with_room_for(10), rejects:
        rejects.add("invalid", position="p")  # it waits in a buffer
    assert not os.listdir(tmp_path)  # noqa: PTH208 - as above


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


# -- attempts that run at the same time, or were killed --


def positions(path):
    return [json.loads(line)["position"] for line in path.read_text().splitlines()]


def test_two_attempts_that_live_at_the_same_time_have_a_file_each(tmp_path):
    path = tmp_path / "rejects.jsonl"
    with RejectsFile(Local(path), "the task") as first:
        first.add("invalid", position="first 1")
        with RejectsFile(Local(path), "the task") as second:
            second.add("invalid", position="second 1")
            first.add("invalid", position="first 2")
        assert positions(path) == ["second 1"]
    assert positions(path) == ["first 1", "first 2"]
    assert os.listdir(tmp_path) == ["rejects.jsonl"]  # noqa: PTH208 - as above


KILLED = """
import os, sys
from airflow_imiconnect.records.unfinished_file import UnfinishedFile
UnfinishedFile(sys.argv[1], sys.argv[2]).write(b"planted")
print(flush=True)
sys.stdin.read()
"""


def test_what_a_killed_attempt_has_left_is_removed_by_the_next_one_of_its_task(tmp_path):
    path = tmp_path / "rejects.jsonl"
    killed = {
        owner: subprocess.Popen(
            [sys.executable, "-c", KILLED, path, owner], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for owner in ("the task", "another task")
    }
    for process in killed.values():
        process.stdout.readline()
    assert len(os.listdir(tmp_path)) == 2  # noqa: PTH208 - as above
    for process in killed.values():
        process.send_signal(signal.SIGKILL)
        process.communicate()
    with RejectsFile(Local(path), "the task"):
        pass  # with or without rejects
    (left,) = os.listdir(tmp_path)  # noqa: PTH208 - as above
    assert left.startswith(".")
    assert left.endswith(".unfinished")
    with RejectsFile(Local(path), "another task"):
        assert not os.listdir(tmp_path)  # noqa: PTH208 - as above


def test_kept_lines_are_copied_and_not_held_in_memory(tmp_path):
    path = tmp_path / "rejects.jsonl"
    path.write_bytes(b'{"position": "before"}\n' * 1_000_000)
    rejects = RejectsFile(Local(path), keep=True)
    rejects._path.open = path.open
    tracemalloc.start()
    with rejects:
        rejects.add("invalid", position="p")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000
    content = path.read_bytes()
    assert content.count(b"\n") == 1_000_001
    assert json.loads(content.splitlines()[-1])["position"] == "p"


# -- a target that does not fit is refused before anything is sent --


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.bind(str(path))


def make_link(path):
    (path.parent / "elsewhere").write_text("x")
    path.symlink_to("elsewhere")


NO_PLACES = {
    "a directory": (os.mkdir, "this is a directory"),
    "a pipe": (os.mkfifo, "this is a pipe"),
    "a socket": (make_socket, "this is a socket"),
    "a link": (make_link, "this is a symbolic link"),
    "a link to nothing": (lambda path: path.symlink_to("nothing"), "this is a symbolic link"),
}


@pytest.mark.parametrize("kind", NO_PLACES)
def test_what_is_no_file_is_never_replaced(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make, reason = NO_PLACES[kind]
    path = tmp_path / "r.jsonl"
    make(path)
    before = os.lstat(path)
    with pytest.raises(IMIconnectRequestError, match=rf"^rejects_path {path} cannot be written: {reason}"):
        RejectsFile(Local(path)).__enter__()
    assert os.lstat(path) == before


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/dev/null", "this is a device"),
        ("/dev/null/r.jsonl", "cannot be written: "),
        ("{folder}/" + "x" * 300, "File name too long"),
        ("{folder}/" + "x" * 300 + "/r.jsonl", "File name too long"),
        ("{folder}/a\0b.jsonl", "a null character"),
        ("{folder}/a\0b/r.jsonl", "a null character"),
        ("{folder}/\ud83d.jsonl", "an unpaired surrogate"),
    ],
)
def test_a_path_that_can_never_be_written_is_told_at_once(tmp_path, path, reason):
    with pytest.raises(IMIconnectRequestError, match=reason) as caught:
        RejectsFile(Local(path.format(folder=tmp_path))).__enter__()
    assert "rejects_path" in str(caught.value)
    assert "\0" not in str(caught.value)


def test_a_name_as_long_as_the_disk_takes_is_written(tmp_path):
    path = tmp_path / ("x" * 255)
    with RejectsFile(Local(path)) as rejects:
        rejects.add("invalid", position="p")
    assert positions(path) == ["p"]


# -- a corrected line is read as the corrected source would be --


class Colour(Enum):
    RED = "red"


VALUES = {
    "text": "a",
    "whole": Decimal("1001.0000000000"),
    "long": Decimal("1234567890123456.0"),
    "exponent": Decimal("1E+5"),
    "float": 0.5,
    "colour": Colour.RED,
    "bytes": b"abc",
    "moment": datetime(2023, 12, 31, 23, tzinfo=timezone(timedelta(hours=1))),
    "last_opened": datetime(2024, 1, 1),  # noqa: DTZ001 - as a table holds it
    "day": date(2024, 1, 1),
    "missing": float("nan"),
    "flag": True,
}


@pytest.mark.parametrize("channel", ["rt", "wechat"])
@pytest.mark.parametrize("customer_id", [Decimal("1001.0000000000"), 1001, "1001", Colour.RED])
def test_a_line_that_is_corrected_is_sent_as_the_source_would_be(tmp_path, channel, customer_id):
    record = {"customerId": customer_id, "Attributes": {**VALUES, "channel": channel, "status": "7"}}
    with RejectsFile(storage_path(tmp_path / "rejects.jsonl")) as rejects:
        rejects.add("invalid", record=record)
    path = tmp_path / "rejects.jsonl"
    path.write_text(path.read_text().replace('"status": "7"', '"status": "1"'))
    record["Attributes"]["status"] = "1"
    ((_, *corrected),) = checked(path)[0]
    assert tuple(corrected) == read_record(record)


class Remote:
    """A storage that truncates a file when it is opened to be written, as SFTP does."""

    protocol = "sftp"
    path = "/rejects.jsonl"

    def __init__(self, content):
        self.content = content

    def open(self, mode):
        if mode == "rb":
            return io.BytesIO(self.content)
        self.content = b""
        return Upload(self)


class Upload(io.BytesIO):
    def __init__(self, remote):
        super().__init__()
        self.remote = remote

    def close(self):
        self.remote.content = self.getvalue()
        super().close()


def test_lines_are_kept_on_a_storage_that_truncates():
    remote = Remote(b'{"from": "before"}\n')
    with RejectsFile(remote, keep=True) as rejects:
        rejects.add("invalid", position="2")
        assert remote.content == b'{"from": "before"}\n'
    before, after = map(json.loads, remote.content.splitlines())
    assert (before, after["position"]) == ({"from": "before"}, "2")


def test_a_file_that_could_not_be_written_is_not_copied_to_a_storage():
    remote = Remote(b"before")
    rejects = RejectsFile(remote)
    with pytest.raises(OSError, match="too large"), rejects, disk_with_room_for(20_000):  # noqa: PT012 - the exit counts
        for number in range(100):
            rejects.add("invalid", position=str(number), description="x" * 1000)
    assert (remote.content, rejects.uri) == (b"before", None)
