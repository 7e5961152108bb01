"""The check command: what it reads, what it says of it, and how it ends."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.commands import COMMAND, run, shell
from support.stand_ins import KEY, records

from airflow_imiconnect import __version__
from airflow_imiconnect.cli.command_line import main

SECRET = "planted-value"
BAD = "customerId,status,channel\nC1,1,fb\n,1,fb\nC3,5,rt\nC4\nC5,7,rt\nC6,planted-value,rt\nC7,8,rt\n"


@pytest.fixture
def files(tmp_path):
    (tmp_path / "bad.csv").write_text(BAD)
    (tmp_path / "good.jsonl").write_text("".join(json.dumps(item) + "\n" for item in records(250)))
    (tmp_path / "cut.json").write_text(json.dumps(records(3))[:-9])
    (tmp_path / "other.csv").write_text("crn;Mail;x\n1;planted-value;y\n")
    (tmp_path / "none.json").write_text("[]")
    return tmp_path


def check(capfd, *arguments):
    status = main(["check", *map(str, arguments)])
    printed = capfd.readouterr()
    assert SECRET not in printed.out + printed.err
    return status, printed.out, printed.err


# -- text --


def test_good_input(files, capfd):
    sent = "Attributes: status 250, channel 250\nWould be sent: 250 records in 3 requests (Twitter 250).\n"
    assert check(capfd, files / "good.jsonl") == (0, sent, "")
    assert check(capfd, files / "none.json") == (0, "Would be sent: 0 records in no request.\n", "")


def test_bad_records_are_grouped_counted_and_named(files, capfd):
    path = files / "bad.csv"
    report = (
        f"4 records: Attributes.status: must be 0 or 1\n    {path}, line 4; {path}, line 6; {path}, line 7; and 1 more\n"
        f"1 record: customerId: is missing or empty\n    {path}, line 3\n"
        f"1 record: the row has 1 cell, the header 3 columns: is it a title or a footer?\n    {path}, line 5\n"
        f"Warning: 1 record (Facebook) lacks psid, which the channel requires\n    {path}, line 2\n"
        "Attributes: status 251, channel 251\n"
        "Would be sent: 251 records of 257 in 6 requests (Twitter 250, Facebook 1).\n"
    )
    assert check(capfd, path, files / "good.jsonl", "--batch-size", 50) == (1, report, "")


def test_nothing_would_be_sent_of_an_input_that_cannot_be_read_to_its_end(files, capfd):
    status, out, err = check(capfd, files / "bad.csv", files / "cut.json")
    assert status == 1
    assert "Would be sent" not in out + err
    assert "4 records: Attributes.status: must be 0 or 1" in out
    assert "Warning: 1 record (Facebook) lacks psid" in out
    assert "9 records were read before an error ended the reading." in out
    assert re.fullmatch(r"error: .*cut.json, line 1, column \d+: not valid JSON: .*\n", err)


def test_a_missing_path_is_named_before_anything_else(files, capfd):
    missing = files / "nope.parquet"
    said = (1, "", f"error: {missing}: there is no such file\n")
    assert check(capfd, files / "good.jsonl", missing) == said
    assert check(capfd, missing, "--encoding", "latin-1", "--skip-rows", 1) == said
    assert check(capfd, files / "none.json" / "x.csv")[2].endswith("there is no such file\n")


def test_a_pattern_and_a_folder(files, capfd):
    status, out, _ = check(capfd, files / "*.jsonl")
    assert (status, "250 records" in out) == (0, True)
    assert check(capfd, files / "*.nope")[2] == f"error: {files}/*.nope: no file fits this pattern\n"
    (files / "folder").mkdir()
    (files / "folder" / "a.csv").write_text("customerId,channel\nC1,fb\n")
    assert "1 record in 1 request" in check(capfd, files / "folder")[1]


def test_how_rows_are_read_can_be_told(files, capfd):
    path = files / "other.csv"
    assert check(capfd, path)[0] == 1
    options = ["--customer-id-column", "crn", "--column", "Mail=email", "--column", "x=", "--attribute", "channel=fb"]
    status, out, err = check(capfd, path, *options)
    assert (status, err) == (0, "")
    assert "Would be sent: 1 record in 1 request (Facebook 1)" in out
    assert check(capfd, path, *options, "--attribute", "status=1", "--strict")[0] == 1


def first_record(files, capfd, content, *arguments, name="a.csv"):
    """Return the first record as the file of rejects has it, for what is refused is written as it was read."""
    path = files / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (files / "r.jsonl").unlink(missing_ok=True)
    check(capfd, path, "--attribute", "status=9", "--rejects", files / "r.jsonl", *arguments)
    return json.loads((files / "r.jsonl").read_text().splitlines()[0])["record"]["Attributes"]


def test_new_options_reach_the_reader(files, capfd):
    table = "customerId,email,extra,\nC1,NULL,x,\n"
    assert first_record(files, capfd, table, "--column", "=")["email"] == "NULL"
    assert first_record(files, capfd, table, "--null-value", "NULL", "--null-value", "x") == {"status": "9"}
    assert first_record(files, capfd, table, "--column", "email=twitter_name", "--column", "*=") == {
        "twitter_name": "NULL", "status": "9",
    }  # fmt: skip
    assert first_record(files, capfd, "Report\nat noon\n" + table, "--skip-rows", 2)["extra"] == "x"
    latin = "customerId,email\nC1,é\n".encode("latin-1")
    assert first_record(files, capfd, latin, "--encoding", "latin-1")["email"] == "é"
    quoted = 'customerId,email\nC1,"say \\"hi\\", ok"\n'
    assert first_record(files, capfd, quoted, "--escapechar", "\\")["email"] == 'say "hi", ok'
    assert first_record(files, capfd, table.replace(",", "\t"), "--delimiter", "tab")["extra"] == "x"


def test_a_column_whose_name_has_an_equals_sign(files, capfd):
    assert first_record(files, capfd, "customerId,a=b\nC1,x\n", "--column", "a=b=email")["email"] == "x"


def test_errors_speak_of_flags(files, capfd):
    def said(content, *arguments, name="a.csv"):
        (files / name).write_bytes(content)
        status, out, err = check(capfd, files / name, *arguments)
        assert status == 1
        return out + err

    assert "set --skip-rows 2" in said(b"Report\nat noon\ncustomerId,channel\nC1,fb\n")
    assert "set --encoding utf-16-le" in said("customerId,channel\nC1,fb\n".encode("utf-16-le"))
    assert "--column 'Email#2='" in said(b"customerId,Email,Email\nC1,a,b\n")
    assert "with --column =" in said(b"customerId,,channel\nC1,a,b\n")
    assert "set --escapechar '\\'" in said(b'customerId,email\nC1,"say \\"hi\\", ok"\n')
    assert "set --format json" in said(b'[{"customerId": "C1", "Attributes": {}}]', name="a.jsonl")
    assert "set --format" in said(b"x", name="a.dat")
    assert "in --customer-id-column" in said(b"crn,channel\nC1,fb\n")
    assert "set --encoding" in said("customerId,channel\nC1,é\n".encode("latin-1"))
    assert "--skip-rows is given" in said(b'{"customerId": "C1"}', "--skip-rows", "1", name="b.jsonl")


def test_unnamed_and_repeated_columns_can_be_left_out_as_the_errors_say(files, capfd):
    (files / "a.csv").write_text("customerId,,channel,channel\nC1,a,fb,x\n")
    assert check(capfd, files / "a.csv", "--column", "=", "--column", "channel#2=")[0] == 0


# -- JSON --


def test_json(files, capfd):
    path = files / "bad.csv"
    status, out, err = check(capfd, path, files / "good.jsonl", "--json", "--batch-size", 50)
    report = json.loads(out)
    assert (status, err) == (1, "")
    assert set(report) == {"records", "invalid", "problems", "notes", "rejects", "dry_run", "error"}
    assert (report["records"], report["invalid"], report["error"], report["rejects"]) == (257, 6, None, None)
    assert report["dry_run"]["records"] == 251
    assert report["dry_run"]["calls"] == 6
    assert report["dry_run"]["attributes"] == {"status": 251, "channel": 251}
    assert report["problems"][0] == {
        "problem": "customerId: is missing or empty", "count": 1, "first": [f"{path}, line 3"],
    }  # fmt: skip


def test_json_after_an_error(files, capfd):
    status, out, _ = check(capfd, files / "good.jsonl", files / "cut.json", "--json")
    report = json.loads(out)
    assert (status, report["records"], report["dry_run"]) == (1, 252, None)
    assert "cut.json, line 1, column" in report["error"]
    missing = json.loads(check(capfd, files / "nope.csv", "--json")[1])
    assert missing["error"] == f"{files}/nope.csv: there is no such file"
    assert missing["records"] == 0


def test_notes_are_told_in_both_forms(files, capfd):
    (files / "a.csv").write_text("customerId,channel,STATUS\nC1,fb,1\n")
    note = "column STATUS is not a known attribute; did you mean status?"
    status, out, _ = check(capfd, files / "a.csv")
    assert status == 0
    assert f"Note: {note}" in out
    (told,) = (
        each for each in json.loads(check(capfd, files / "a.csv", "--json")[1])["notes"] if "STATUS" in str(each)
    )
    assert note in str(told)


# -- rejects --


def test_rejects(files, capfd):
    target = files / "out" / "rejects.jsonl"
    status, out, _ = check(capfd, files / "bad.csv", "--rejects", target)
    assert status == 1
    assert f"The records that cannot be sent are in file://{target}.\n" in out
    lines = [json.loads(line) for line in target.read_text().splitlines()]
    assert len(lines) == 6
    assert target.stat().st_mode & 0o077 == 0
    assert lines[1] == {
        "position": f"{files}/bad.csv, line 4", "stage": "invalid", "code": None, "transid": None, "customerId": None,
        "description": "Attributes.status: must be 0 or 1",
        "record": {"customerId": "C3", "Attributes": {"status": "5", "channel": "rt"}},
    }  # fmt: skip
    assert (
        json.loads(check(capfd, files / "bad.csv", "--rejects", target, "--json")[1])["rejects"] == f"file://{target}"
    )


def test_rejects_are_kept_where_an_error_ends_the_reading(files, capfd):
    check(capfd, files / "bad.csv", files / "cut.json", "--rejects", files / "r.jsonl")
    assert len((files / "r.jsonl").read_text().splitlines()) == 6


def test_no_file_of_rejects_without_a_reject(files, capfd):
    status, out, _ = check(capfd, files / "good.jsonl", "--rejects", files / "r.jsonl")
    assert (status, "cannot be sent are in" in out) == (0, False)
    assert not (files / "r.jsonl").exists()


def test_rejects_that_cannot_be_written_or_are_in_the_input(files, capfd):
    (files / "folder").mkdir()
    status, out, err = check(capfd, files / "bad.csv", "--rejects", files / "folder")
    assert (status, out) == (1, "")
    assert err.startswith(f"error: --rejects {files}/folder cannot be written: this is a directory")
    status, out, err = check(capfd, files, "--rejects", files / "r.jsonl")
    assert (status, out) == (1, "")
    assert "--rejects is in the input: write it elsewhere" in err


# -- the command line --


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "required: COMMAND"),
        (["check"], "required: PATH"),
        (["check", "a", "--column", "x"], "--column: 'x' is not COLUMN=ATTRIBUTE"),
        (["check", "a", "--column", "*=x"], '--column: "*" stands for all other columns'),
        (["check", "a", "--column", "x=a", "--column", "x=b"], "--column: 'x' is given more than once"),
        (["check", "a", "--attribute", "planted-value"], "--attribute: it must be NAME=VALUE"),
        (["check", "a", "--attribute", "=planted-value"], "--attribute: it must be NAME=VALUE"),
        (["check", "a", "--delimiter", "ab"], "'ab' is not one character"),
        (
            ["check", "a", "--delimiter", "|", "--quotechar", "|"],
            "--delimiter, --quotechar and --escapechar must differ",
        ),
        (["check", "a", "--batch-size", "101"], "must be 1 to 100"),
        (["check", "a", "--skip-rows", "-1"], "--skip-rows"),
        (["check", "a", "--skip-rows", "x"], "--skip-rows: must be a whole number"),
        (["check", "a", "--encoding", "klingon"], "--encoding must be the name of an encoding"),
        (["check", "a", "--rejects", "-"], "--rejects: it must be the path of a file"),
        (["check", "a", "--format", "xml"], "--format: invalid choice"),
    ],
)
def test_a_wrong_command_line_ends_with_2(arguments, said, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert SECRET not in printed.err
    assert printed.out == ""


@pytest.mark.parametrize("arguments", [["--version"], ["check", "--version"]])
def test_version(arguments):
    assert run(*arguments) == (0, f"airflow-imiconnect {__version__}\n", "")


def test_the_console_script_is_the_same_command(files):
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    module, name = re.search(r'^airflow-imiconnect = "(.*):(.*)"$', project, re.MULTILINE).groups()
    code = f"import sys; from {module} import {name}; sys.argv[0] = 'airflow-imiconnect'; sys.exit({name}())"
    done = subprocess.run(
        [sys.executable, "-c", code, "check", str(files / "bad.csv")], capture_output=True, check=False
    )
    assert done.returncode == 1
    assert b"4 records: Attributes.status: must be 0 or 1" in done.stdout
    done = subprocess.run([sys.executable, "-c", code, "check"], capture_output=True, check=False)
    assert (done.returncode, done.stderr.startswith(b"usage: airflow-imiconnect check")) == (2, True)


# -- streams and signals --


def test_who_reads_the_report_may_stop(files):
    for number in range(3):
        (files / f"{number}.csv").write_text(BAD)
    status, out, err = shell(f'set -o pipefail; "$@" {files}/[0-9].csv | true')
    assert (status, out, err) == (1, "", "")
    assert shell(f'set -o pipefail; "$@" {files}/good.jsonl 2>&1 | true') == (0, "", "")


def test_closed_streams(files):
    assert shell(f'"$@" {files}/good.jsonl >&-') == (0, "", "")
    assert shell(f'"$@" {files}/nope.csv 2>&-') == (1, "", "")


def test_a_path_that_the_terminal_cannot_show(files):
    path = os.fsencode(files) + b"/\xff\xc3\xa9.csv"
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 - the name is not text
        file.write(BAD)
    done = subprocess.run(
        [*COMMAND, "check", path], capture_output=True, env=os.environ | {"PYTHONIOENCODING": "ascii"}, check=False
    )
    assert (done.returncode, done.stderr) == (1, b"")
    assert rb"\udcff\xe9.csv, line 3" in done.stdout


def ended(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_a_check_that_is_interrupted_while_it_reads_ends_with_130(tmp_path):
    os.mkfifo(tmp_path / "p.csv")
    command = [*COMMAND, "check", tmp_path / "p.csv"]
    with subprocess.Popen(command, stdout=-1, stderr=-1) as process, (tmp_path / "p.csv").open("wb"):  # waits for it
        process.send_signal(signal.SIGINT)
        assert ended(process) == (130, b"", b"Interrupted.\n")


def test_a_check_that_is_interrupted_while_it_loads_ends_with_130(files):
    code = "import sys; from airflow_imiconnect.cli.command_line import run; print('up', flush=True); sys.exit(run())"
    command = [sys.executable, "-c", code, "check", str(files / "good.jsonl")]
    with subprocess.Popen(command, stdout=-1, stderr=-1) as process:
        assert process.stdout.readline() == b"up\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert ended(process) == (130, b"", b"Interrupted.\n")


def test_a_long_check_shows_a_bar_on_a_terminal(tmp_path):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(item) + "\n" for item in records(60_000)))
    terminal, screen = pty.openpty()
    hurry = "import sys; from airflow_imiconnect.cli import bar, command_line; bar._PATIENCE = 0.0; command_line.run()"
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
    assert b"Would be sent: 60,000 records in 600 requests (Twitter 60,000)" in out
    assert re.search(rb"[\d,]+ records checked, 0 wrong .*\d+%", shown)
    assert KEY.encode() not in shown
