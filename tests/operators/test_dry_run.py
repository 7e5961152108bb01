"""A look at the input without sending: the operator's dry run."""

import json
import re

import pytest
from support.stand_ins import APP, Ti, record, records

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator

SECRET = "planted-value"
BAD = "customerId,status,channel\nC1,1,fb\n,1,fb\nC3,5,rt\nC4\nC5,7,rt\nC6,planted-value,rt\nC7,8,rt\n"


def look(ti=None, **arguments):
    return IMIconnectCreateAppProfileOperator(task_id="submit", dry_run=True, **arguments).execute({"ti": ti or Ti()})


def test_a_dry_run_sends_nothing_and_says_what_would_be_sent(sim, everything_logged):
    result = look(records=[*records(249), record("F", channel="fb")])
    assert result == json.loads(json.dumps(result))
    assert result == {
        "operation": "create", "app_id": APP, "records": 250, "accepted": 0, "invalid": 0, "refused": 0, "existing": 0,
        "transids": [], "transaction_records": [], "transaction_places": [], "resent": [], "rejects": None, "notes": [],
        "dry_run": {
            "records": 250, "calls": 3, "channels": {"Twitter": 249, "Facebook": 1},
            "attributes": {"status": 250, "channel": 250},
            "lacking": {"Facebook": {"psid": {"count": 1, "first": ["records[249]"]}}},
            "duplicates": {"count": 0, "first": []},
        },
    }  # fmt: skip
    assert not sim.calls
    assert "Would be sent: 250 records in 3 requests (Twitter 249, Facebook 1)." in everything_logged.text


def test_a_dry_run_tells_all_that_is_wrong_at_once_and_fails_as_the_run_would(sim, tmp_path, everything_logged):
    (tmp_path / "a.csv").write_text(BAD)
    ti = Ti()
    with pytest.raises(IMIconnectInvalidRecordError, match=r"a.csv, line 4: Attributes.status.*6 of 7 cannot be sent"):
        look(ti, path=str(tmp_path / "a.csv"), rejects_path=str(tmp_path / "rejects.jsonl"))
    assert ti.pushed["return_value"]["dry_run"]["records"] == 1
    assert len((tmp_path / "rejects.jsonl").read_text().splitlines()) == 6
    assert re.search(r"4 records: Attributes.status: must be 0 or 1", everything_logged.text)
    assert SECRET not in everything_logged.text
    assert not sim.calls


def test_a_dry_run_that_skips_succeeds(sim, tmp_path):
    (tmp_path / "a.csv").write_text(BAD)
    result = look(path=str(tmp_path / "a.csv"), on_invalid="skip")
    assert (result["records"], result["invalid"], result["dry_run"]["records"]) == (7, 6, 1)


def test_a_dry_run_needs_no_key_where_the_app_is_named(connect):
    connect(password="")
    assert look(records=records(1), app_id=APP)["dry_run"]["calls"] == 1


def test_a_dry_run_leaves_the_ledger_alone(sim):
    store = {}
    operator = IMIconnectCreateAppProfileOperator(task_id="submit", dry_run=True, records=records(1))
    operator.execute({"ti": Ti(), "task_state_store": store})
    assert store == {}
