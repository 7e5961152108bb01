"""A long task tells how far it is, at a steady pace."""

import logging
import re
import threading
import time

import pytest

from airflow_imiconnect.tasks import progress
from airflow_imiconnect.tasks.progress import Progress, in_words


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0.1)


def lines(caplog):
    return [entry.getMessage() for entry in caplog.records]


def test_lines_come_at_a_steady_pace_whatever_the_task_does(quick, caplog):
    caplog.set_level(logging.INFO)
    with Progress(logging.getLogger("task"), lambda: "7 records", lambda: 0.25):
        time.sleep(0.56)
    time.sleep(0.2)
    assert 2 <= len(lines(caplog)) <= 5
    assert re.fullmatch(r"7 records: 25% of the input, about \d s left\.", lines(caplog)[0])
    assert not [thread for thread in threading.enumerate() if thread.name == "imiconnect-progress"]


def test_a_short_task_tells_nothing(caplog):
    caplog.set_level(logging.INFO)
    with Progress(logging.getLogger("task"), lambda: "7 records", lambda: 0.25):
        pass
    assert lines(caplog) == []


def test_what_cannot_be_told_just_now_disturbs_nobody(quick, caplog):
    caplog.set_level(logging.INFO)
    answers = iter([0.0])
    with Progress(logging.getLogger("task"), lambda: "7 records", lambda: next(answers)):
        time.sleep(0.35)
    assert lines(caplog) == ["7 records: 0% of the input."]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (89, "89 s"), (300, "5 min"), (3600, "1 h 0 min"), (7800, "2 h 10 min")]
)
def test_times_are_told_as_people_do(seconds, words):
    assert in_words(seconds) == words
