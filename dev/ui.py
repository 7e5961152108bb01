"""
A complete Airflow with its web UI, and the IMIconnect simulator, until Ctrl-C. Run it with ``make ui``.

Both listen on 127.0.0.1 only, so there is no login. PORT and SIMULATOR_PORT choose other ports.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import traceback
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import local_airflow as local

from airflow_imiconnect.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "127.0.0.1"
HOME = Path(os.environ.get("UI_HOME") or local.PROJECT / ".demo" / "ui")
LOG = HOME / "ui.log"
APP_ID = "a_636035705699961900"
PARTS = {  # without their log servers, which would listen on all addresses
    "api-server": (),
    "scheduler": ("--skip-serve-logs",),
    "dag-processor": (),
    "triggerer": ("--skip-serve-logs",),
}
START_TIMEOUT = 180
STOP_TIMEOUT = 15


@dataclass(frozen=True)
class Part:
    """An Airflow process started by this script, the leader of its own process group."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path


def port_from(variable: str, default: int) -> int:
    """Return the port that the user chose, or the default, after checking that it is free."""
    text = os.environ.get(variable) or str(default)
    if not text.isdigit() or not 0 < int(text) < 1 << 16:
        raise local.DemoError(f"{variable}={text} is not a port: use a number from 1 to 65535.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, int(text)))
        except OSError as error:
            raise local.DemoError(
                f"Port {text} is unavailable ({error.strerror}). Choose another one: make ui {variable}={int(text) + 1}"
            ) from None
    return int(text)


def airflow_settings(port: int) -> dict[str, str]:
    """Return the settings in which this Airflow differs from the defaults."""
    url = f"http://{HOST}:{port}"
    return {
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",  # a task's end may be noticed only this much later
    }


def secret_settings() -> dict[str, str]:
    """Return the secrets that the parts share; generated once, because the database contains encrypted values."""
    file = HOME / "secrets.json"
    if not file.exists():
        HOME.mkdir(parents=True, exist_ok=True)
        made = {
            "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(64),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        }
        file.touch(mode=0o600)
        file.write_text(json.dumps(made), encoding="utf-8")
    return json.loads(file.read_text(encoding="utf-8"))


@contextmanager
def started_parts() -> Iterator[list[Part]]:
    """Start all parts of Airflow, and stop them at the end, whatever happens."""
    parts: list[Part] = []
    try:
        for name, options in PARTS.items():
            log = HOME / f"{name}.log"
            with log.open("wb") as output:
                command = [sys.executable, "-m", "airflow", name, *options]
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
                )
            parts.append(Part(name, process, log))
        yield parts
    finally:
        stop(parts)


def stop(parts: list[Part]) -> None:
    """Stop the parts: terminate them, then kill what is left of their process groups."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave a part running
    for part in parts:
        if part.process.poll() is None:
            part.process.terminate()
    deadline = time.monotonic() + STOP_TIMEOUT
    for part in parts:
        with suppress(subprocess.TimeoutExpired):
            part.process.wait(max(0.1, deadline - time.monotonic()))
        kill_group(part.process)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a part's process group: workers that outlive it, or the part itself if it hangs."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # no process is left; macOS raises the second one
        return
    process.wait()


def check_alive(parts: list[Part]) -> None:
    """Raise an error if a part has exited by itself."""
    for part in parts:
        if part.process.poll() is not None:
            raise local.DemoError(
                f"Airflow's {part.name} has exited with status {part.process.returncode}; the end of its log:\n\n"
                f"{local.last_lines(part.log)}"
            )


def ask(url: str) -> dict[str, Any]:
    """Return the JSON at a URL of the local Airflow, or {} while it does not respond."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            return json.load(answer)
    except (OSError, ValueError):
        return {}


def is_ready(url: str) -> bool:
    """Return whether all parts are healthy and the example DAGs are listed."""
    health = ask(f"{url}/api/v2/monitor/health")
    parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
    if not all((health.get(part) or {}).get("status") == "healthy" for part in parts):
        return False
    return ask(f"{url}/api/v2/dags").get("total_entries", 0) >= len(list(local.DAGS.glob("*.py")))


def wait_until_ready(url: str, parts: list[Part]) -> None:
    """Wait until the web UI really works."""
    deadline = time.monotonic() + START_TIMEOUT
    while not is_ready(url):
        check_alive(parts)
        if time.monotonic() > deadline:
            raise local.DemoError(f"Airflow is not ready after {START_TIMEOUT} s. Its logs are in {HOME}/*.log")
        time.sleep(0.5)


def welcome(url: str, simulator_url: str) -> str:
    """Return the text that says where everything is."""
    return f"""
  Airflow      {url}   no login needed
               Dags > imiconnect_from_file > Trigger
  Connection   {url}/connections   {local.CONN_ID} points at the simulator
  IMIconnect   {simulator_url}   the simulator: its requests and profiles
  Logs         {HOME}/*.log

Press Ctrl-C to stop."""


def serve(port: int, simulator_port: int, terminal: TextIO) -> NoReturn:
    """Run Airflow and the simulator until this process is interrupted."""
    local.isolate(HOME, airflow_settings(port) | secret_settings())
    url = f"http://{HOST}:{port}"
    with Simulator(apps=(APP_ID,), port=simulator_port, latency=0.1, queue_time=10) as simulator:
        local.prepare_database()
        local.store_connection(simulator.connection)
        with started_parts() as parts:
            wait_until_ready(url, parts)
            print(welcome(url, simulator.url), file=terminal)
            while True:
                check_alive(parts)
                time.sleep(1)


def main() -> int:
    """Serve until Ctrl-C, SIGTERM or a closed terminal; return the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    terminal = local.divert_chatter(LOG)
    try:
        port, simulator_port = port_from("PORT", 8080), port_from("SIMULATOR_PORT", 8085)
        if port == simulator_port:
            raise local.DemoError("PORT and SIMULATOR_PORT must be two different ports.")  # noqa: TRY301 - reported below
        print("Starting Airflow and the IMIconnect simulator; this takes about half a minute ...", file=terminal)
        serve(port, simulator_port, terminal)
    except KeyboardInterrupt:
        print("\nStopped.", file=terminal)
        return 0
    except local.DemoError as error:
        print(f"error: {error}", file=terminal)
    except Exception as error:  # noqa: BLE001 - whatever happened, the user needs the cause and the log, not a traceback
        traceback.print_exc()
        print(f"{local.last_lines(LOG)}\n\nerror: {error}\nThe lines above are the end of {LOG}.", file=terminal)
        print(f"If another version of Airflow created its home, remove it: rm -r '{HOME}'", file=terminal)
    return 1


if __name__ == "__main__":
    sys.exit(main())
