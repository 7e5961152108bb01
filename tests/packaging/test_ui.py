"""make ui: it starts an Airflow that really runs DAGs, and leaves nothing behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import local_airflow
import pytest
import ui


@pytest.fixture
def taken_port():
    with socket.socket() as listener:
        listener.bind((ui.HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def free_port():
    with socket.socket() as probe:
        probe.bind((ui.HOST, 0))
        return probe.getsockname()[1]


def test_a_taken_port_is_named_with_the_way_out(monkeypatch, taken_port):
    monkeypatch.setenv("PORT", str(taken_port))
    with pytest.raises(local_airflow.DemoError, match=rf"Port {taken_port} .*make ui PORT={taken_port + 1}"):
        ui.port_from("PORT", 8080)


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1"])
def test_what_is_no_port_is_refused(monkeypatch, text):
    monkeypatch.setenv("PORT", text)
    with pytest.raises(local_airflow.DemoError, match=f"PORT={text} is not a port"):
        ui.port_from("PORT", 8080)


def test_secrets_are_made_once(monkeypatch, tmp_path):
    monkeypatch.setattr(ui, "HOME", tmp_path / "home")
    first = ui.secret_settings()
    assert ui.secret_settings() == first
    assert (tmp_path / "home" / "secrets.json").stat().st_mode & 0o077 == 0


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def eventually(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def signals():
    """The handlers that stop() changes, put back."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
def test_a_part_that_does_not_go_is_ended_with_all_its_children(monkeypatch, tmp_path):
    monkeypatch.setattr(ui, "STOP_TIMEOUT", 0.3)
    children = tmp_path / "children"
    script = f"trap '' TERM; sleep 60 & echo $! > '{children}.new' && mv '{children}.new' '{children}'; wait; sleep 60"
    process = subprocess.Popen(["/bin/sh", "-c", script], start_new_session=True)
    assert eventually(children.exists)
    child = int(children.read_text())
    assert is_running(child)

    ui.stop([ui.Part("stubborn", process, tmp_path / "log")])

    assert process.poll() is not None
    assert eventually(lambda: not is_running(child))


def ask(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


@pytest.fixture
def pages(tmp_path):
    """The pages, started as make ui starts them, on ports of their own; what they printed is in the file."""
    port, simulator_port = free_port(), free_port()
    output = tmp_path / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, str(Path(ui.__file__))],
            env={
                **os.environ,
                "PORT": str(port),
                "SIMULATOR_PORT": str(simulator_port),
                "UI_HOME": str(tmp_path / "ui"),
            },
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        assert eventually(lambda: "Press Ctrl-C to stop." in output.read_text() or process.poll() is not None, 200)
        assert process.poll() is None, output.read_text()
        yield process, f"http://{ui.HOST}:{port}/api/v2", output
    finally:
        process.terminate()
        process.wait(30)


def as_the_test_button_sends(connection):
    return {name: value or (0 if name == "port" else "") for name, value in connection.items() if name != "team_name"}


TASKS = ("new_users", "submit", "wait", "report")


@pytest.mark.slow
def test_the_pages_run_a_dag_and_end_without_leaving_anything(pages):
    process, api, output = pages
    [connection] = ask(f"{api}/connections")["connections"]
    tested = ask(f"{api}/connections/test", as_the_test_button_sends(connection))
    run = ask(f"{api}/dags/imiconnect_from_task/dagRuns", {"logical_date": None})
    url = f"{api}/dags/imiconnect_from_task/dagRuns/{run['dag_run_id']}"

    assert (connection["connection_id"], connection["conn_type"]) == ("imiconnect_default", "imiconnect")
    assert tested["status"], tested
    assert eventually(lambda: ask(url)["state"] in ("success", "failed"), 120)
    tasks = ask(f"{url}/taskInstances")["task_instances"]
    assert {task["task_id"]: task["state"] for task in tasks} == dict.fromkeys(TASKS, "success")

    process.send_signal(signal.SIGTERM)
    assert process.wait(40) == 0
    assert output.read_text().endswith("Stopped.\n")
    with pytest.raises(OSError, match="refused"):
        ask(f"{api}/version")
