"""A look at the input without sending: the operator's dry run, and the command line."""

import json
import os
import pty
import re
import subprocess
import sys

import pytest
from support.stand_ins import APP, KEY, Ti, record, records

from airflow_imiconnect.cli.check import main
from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator

SECRET = "planted-value"
BAD = "customerId,status,channel\nC1,1,fb\n,1,fb\nC3,5,rt\nC4\nC5,7,rt\nC6,planted-value,rt\nC7,8,rt\n"


def look(ti=None, **arguments):
    return IMIconnectCreateAppProfileOperator(task_id="submit", dry_run=True, **arguments).execute({"ti": ti or Ti()})


# -- the operator --


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


# -- the command line --


@pytest.fixture
def files(tmp_path):
    (tmp_path / "bad.csv").write_text(BAD)
    (tmp_path / "good.jsonl").write_text("".join(json.dumps(item) + "\n" for item in records(250)))
    (tmp_path / "cut.json").write_text(json.dumps(records(3))[:-9])
    (tmp_path / "other.csv").write_text("crn;Mail;x\n1;planted-value;y\n")
    (tmp_path / "none.json").write_text("[]")
    return tmp_path


def check(capsys, *arguments):
    status = main(["check", *map(str, arguments)])
    printed = capsys.readouterr()
    assert SECRET not in printed.out + printed.err
    return status, printed.out, printed.err


def test_good_input(files, capsys):
    sent = "Attributes: status 250, channel 250\nWould be sent: 250 records in 3 requests (Twitter 250).\n"
    assert check(capsys, files / "good.jsonl") == (0, sent, "")
    assert check(capsys, files / "none.json") == (0, "Would be sent: 0 records in no request.\n", "")


def test_bad_records_are_grouped_counted_and_named(files, capsys):
    path = files / "bad.csv"
    report = (
        f"4 records: Attributes.status: must be 0 or 1\n    {path}, line 4; {path}, line 6; {path}, line 7; and 1 more\n"
        f"1 record: customerId: is missing or empty\n    {path}, line 3\n"
        f"1 record: the row has 1 cell, the header 3 columns: is it a title or a footer?\n    {path}, line 5\n"
        f"Warning: 1 record (Facebook) lacks psid, which the channel requires\n    {path}, line 2\n"
        "Attributes: status 251, channel 251\n"
        "Would be sent: 251 records of 257 in 6 requests (Twitter 250, Facebook 1).\n"
    )
    assert check(capsys, path, files / "good.jsonl", "--batch-size", 50) == (1, report, "")


def test_input_that_cannot_be_read_to_its_end(files, capsys):
    status, out, err = check(capsys, files / "good.jsonl", files / "cut.json")
    assert (status, "Would be sent: 252 records" in out) == (1, True)
    assert re.fullmatch(r"error: .*cut.json, line 1, column \d+: not valid JSON: .*\n", err)
    assert check(capsys, files / "nope.csv")[0] == 1


def test_how_tables_are_read_can_be_told(files, capsys):
    path = files / "other.csv"
    assert check(capsys, path)[0] == 1
    options = ["--customer-id-column", "crn", "--column", "Mail=email", "--column", "x=", "--attribute", "channel=fb"]
    status, out, err = check(capsys, path, *options)
    sent = "Attributes: email 1, channel 1\nWould be sent: 1 record in 1 request (Facebook 1).\n"
    assert (status, out[-len(sent) :], err) == (0, sent, "")
    assert check(capsys, path, *options, "--attribute", "status=1", "--strict")[0] == 1


@pytest.mark.parametrize(
    "arguments",
    [[], ["check"], ["check", "a", "--column", "x"], ["check", "a", "--delimiter", "ab"], ["check", "a", "--batch-size", "101"],
     ["check", "a", "--format", "xml"]],
)  # fmt: skip
def test_a_wrong_command_line_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_a_long_check_shows_a_bar_on_a_terminal(tmp_path):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(item) + "\n" for item in records(60_000)))
    terminal, screen = pty.openpty()
    hurry = (
        "import sys; from airflow_imiconnect.cli import check as line; line._PATIENCE = 0.0; line.main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", hurry, "check", str(tmp_path / "a.jsonl")]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=screen, env=environment) as process:
        os.close(screen)
        shown = b""
        while True:
            try:
                shown += os.read(terminal, 65536)
            except OSError:  # the process has ended
                break
        out = process.stdout.read()
    os.close(terminal)
    assert out.endswith(b"\nWould be sent: 60,000 records in 600 requests (Twitter 60,000).\n")
    assert re.search(rb"[\d,]+ records checked, 0 wrong .*\d+%", shown)
    assert KEY.encode() not in shown
