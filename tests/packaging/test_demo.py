"""make demo must not be content with what Airflow says: the simulator has the last word."""

import io
from types import SimpleNamespace

import demo
import pytest
from local_airflow import Outcome

SUBMITTED = {"records": 250, "accepted": 250, "transids": ["a", "b", "c"]}
WAITED = {"succeeded": 250, "failed": 0}


def simulator_holding(profiles, creates=3):
    calls = [SimpleNamespace(kind="create", time=float(number)) for number in range(creates)]
    return SimpleNamespace(calls=calls, profiles={demo.APP_ID: dict.fromkeys(range(profiles))})


def report(simulator, submitted=SUBMITTED, waited=WAITED):
    terminal = io.StringIO()
    agreed = demo.report(Outcome("success", {}, {"submit": submitted, "wait": waited}), simulator, terminal)
    return agreed, terminal.getvalue()


def test_it_is_content_when_both_agree():
    agreed, text = report(simulator_holding(250))
    assert agreed
    assert "Where to look next" in text


@pytest.mark.parametrize(
    ("simulator", "submitted", "waited"),
    [
        (simulator_holding(249), SUBMITTED, WAITED),
        (simulator_holding(250, creates=4), SUBMITTED, WAITED),
        (simulator_holding(250), SUBMITTED | {"records": 251}, WAITED),
        (simulator_holding(250), SUBMITTED, WAITED | {"failed": 1}),
    ],
    ids=["a profile is missing", "a call too many", "a record too many", "a failure that was none"],
)
def test_it_fails_when_they_disagree(simulator, submitted, waited):
    agreed, text = report(simulator, submitted, waited)
    assert not agreed
    assert "but the simulator counts" in text
    assert "The demo failed" in text
