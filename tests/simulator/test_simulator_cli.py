"""python -m airflow_imiconnect.simulator as a program of its own."""

import json
import re
import shlex
import signal
import socket
import subprocess
import sys

import pytest
import requests

from airflow_imiconnect.simulator import DEFAULT_APPS

COMMAND = [sys.executable, "-W", "error", "-m", "airflow_imiconnect.simulator"]


def start(*options):
    return subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(*options):
    return subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=30, check=False)


def read_welcome(process):
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C" in line:
            break
    return "".join(lines)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop(number):
    process = start("--port", "0", "--key", "k-1", "--app", "a_1", "--app", "a_2", "--queue-time", "none",
                    "--fault", "2=7006", "--fault", "status:1=http_502_html", "--fault", "3=hang_after")  # fmt: skip
    try:
        said = read_welcome(process)
        url = re.search(r"http://127\.0\.0\.1:\d+", said)[0]
        connection = json.loads(shlex.split(said[said.index("export") :])[1].partition("=")[2])
        assert connection == {"conn_type": "imiconnect", "host": url, "password": "k-1", "extra": {"app_id": "a_1"}}
        assert "a_1, a_2" in said

        profiles = f"{url}/resources/v2/customerappprofile/a_2"
        body = {"Records": [{"customerId": "C1", "Attributes": {"status": "1", "name": "Anil"}}]}
        send = {"json": body, "headers": {"key": "k-1"}, "timeout": 5}
        assert requests.post(profiles, **send).json()["description"] == "SUCCESS"
        assert requests.post(profiles, **send).json()["code"] == "7006"
        assert (
            requests.get(f"{url}/resources/v2/profile/status/T", headers={"key": "k-1"}, timeout=5).status_code == 502
        )
        with pytest.raises(requests.Timeout):
            requests.post(profiles, **{**send, "timeout": 0.1})
        assert "a_2" in requests.get(url, timeout=5).text
    finally:
        process.send_signal(number)
        rest, errors = process.communicate(timeout=10)
    assert (process.returncode, rest, errors) == (0, "", "")


def test_the_defaults():
    process = start("--port", "0")
    said = read_welcome(process)
    process.terminate()
    assert process.communicate(timeout=10) == ("", "")
    assert ", ".join(DEFAULT_APPS) in said


def test_help_tells_every_option_and_fault():
    done = run("--help")
    assert done.returncode == 0
    for word in "--host --port --key --app --latency --queue-time --rate --fault --shape --strict --whole-call reset_after down[:SECONDS]".split():
        assert word in done.stdout


def test_a_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--port", str(port))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert "in use" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--fault 3", "'3' is not a REQUEST=KIND pair"),
        ("--host 0.0.0.0", "no TLS"),
    ],
)
def test_a_bad_option_is_one_line_and_status_2(options, message):
    done = run(*options.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--fault 3=nope", "Unknown fault 'nope'"), ("--port 80a", "'80a' is not a whole number"),
        ("--fault 0=7006", "REQUEST=KIND"), ("--fault delete:1=7006", "REQUEST=KIND"), ("--fault x=7006", "REQUEST=KIND"),
        ("--fault 1=down:x", "number of seconds"), ("--latency soon", "not a number"), ("--latency -1", "latency"),
        ("--queue-time soon", "not a number"), ("--rate 0", "rate"), ("--shape round", "shape"), ("--port 70000", "port"),
        ("--key ''", "key"), ("--app a/b", "apps"), ("--host example.org", "no TLS"), ("--nope", "nope"),
    ],
)  # fmt: skip
def test_bad_options(options, message, capsys):
    from airflow_imiconnect.simulator.__main__ import main  # noqa: PLC0415 - a program, not a module to have about

    with pytest.raises(SystemExit) as ended:
        main(shlex.split(options))
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert message in said.err
    assert (said.out, said.err.count("\n")) == ("", 1)
