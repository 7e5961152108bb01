"""
A whole Airflow without pages: scheduler, LocalExecutor, API server and DAG processor in a folder of its own.

What is asked while tasks run is read from the database, which is faster and disturbs less than the API.
"""

import contextlib
import functools
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import psutil
import requests

PROJECT = Path(__file__).resolve().parents[2]
PARTS = {"api-server": (), "scheduler": ("--skip-serve-logs",), "dag-processor": ()}
TRIGGERER = {"triggerer": ("--skip-serve-logs",)}
START_SECONDS = 180
STOP_SECONDS = 8
HEARTBEAT_TIMEOUT = 8


class AirflowError(Exception):
    """Airflow did not do what it must; the message holds the ends of its logs."""


def wait_until(condition, seconds, what, pause=0.02):
    """Return the first true value of the condition."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AirflowError(f"{what}: not within {seconds} s")
        time.sleep(pause)
    return value


def free_port():
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Headless:
    """
    Use it in a ``with`` statement: every process is ended after it, whatever happened in it.

    :param home: AIRFLOW_HOME, the logs and the temporary files; nothing is written elsewhere
    :param dags: the folder of the DAG files
    :param environment: further environment variables, such as AIRFLOW_CONN_IMICONNECT_DEFAULT
    :param triggerer: whether there is one
    """

    def __init__(self, home, dags, environment, *, triggerer=False):
        self._options = PARTS | (TRIGGERER if triggerer else {})
        self.home = Path(home)
        self.dags = Path(dags)
        self.database = self.home / "airflow.db"
        self._port = free_port()
        self._url = f"http://127.0.0.1:{self._port}"
        self._environment = {**_without_airflow(os.environ), **self._settings(), **environment}
        self._parts = {}
        self._api = requests.Session()
        self._api.trust_env = False

    def _settings(self):
        secret = "made-for-one-run-of-the-tests-" * 3
        return {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__API__BASE_URL": self._url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self._port),
            "AIRFLOW__API__SECRET_KEY": secret,
            "AIRFLOW__API_AUTH__JWT_SECRET": secret,
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self._url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.database}",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(HEARTBEAT_TIMEOUT),
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "1",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "PYTHONPATH": str(PROJECT),
            "TMPDIR": str(self.home / "tmp"),
        }

    # -- starting and stopping --

    def __enter__(self):
        (self.home / "tmp").mkdir(parents=True, exist_ok=True)
        try:
            self._run("db-migrate", "db", "migrate")
            for name in self._options:
                self.start(name)
            wait_until(self._is_ready, START_SECONDS, "Airflow is ready", pause=0.3)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self, part):
        """Start a part, also one that was killed."""
        self._parts[part] = self._start(part, part, *self._options[part])

    def kill(self, part):
        """Kill a part and all that it has started, with -9."""
        leader = self._parts.pop(part)
        for pid in [pid for pid in psutil.pids() if _session_of(pid) == leader.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        leader.wait()

    def _start(self, log, *command):
        with (self.home / f"{log}.log").open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "airflow", *command],
                cwd=self.home,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a session of its own tells its processes, orphans too, from all others
            )

    def _run(self, log, *command):
        process = self._parts[log] = self._start(log, *command)
        if process.wait(START_SECONDS):
            raise AirflowError(f"airflow {' '.join(command)} failed:\n{self.logs()}")
        del self._parts[log]

    def _is_ready(self):
        for name, process in self._parts.items():
            if process.poll() is not None:
                raise AirflowError(f"Airflow's {name} has ended with status {process.returncode}.\n{self.logs()}")
        wanted = {dag for path in self.dags.glob("*.py") for dag in re.findall(r'DAG\("(\w+)"', path.read_text())}
        with contextlib.suppress(requests.RequestException):
            health = self._ask("GET", "monitor/health")
            if all(health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor")):
                return wanted <= {dag["dag_id"] for dag in self._ask("GET", "dags")["dags"]}
        return False

    def stop(self):
        """End every process: ask first, then kill what is left of their sessions, by its id."""
        self._api.close()
        for process in self._parts.values():
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in self._parts.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self._parts.values():
            process.wait()
        wait_until(lambda: not self.processes(), STOP_SECONDS, "Airflow's processes have ended")

    def processes(self):
        """Return the ids of all living processes that this Airflow has started."""
        sessions = {process.pid for process in self._parts.values()}
        return [pid for pid in psutil.pids() if _session_of(pid) in sessions and _is_alive(pid)]

    def cpu_seconds(self, part):
        """Return what a part and its living children have used so far."""
        process = psutil.Process(self._parts[part].pid)
        times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
        return sum(used.user + used.system for used in times)

    # -- asking --

    def trigger(self, dag_id, conf):
        """Start a run; return its id."""
        now = datetime.now(timezone.utc).isoformat()
        return self._ask("POST", f"dags/{dag_id}/dagRuns", {"logical_date": now, "conf": conf})["dag_run_id"]

    def clear(self, dag_id, run_id, *task_ids, **options):
        """Clear tasks of a run, as a person does on the page; ``keep_task_state=True`` ticks the box of Airflow 3.4."""
        body = {"dry_run": False, "dag_run_id": run_id, "task_ids": task_ids, "only_failed": False, **options}
        self._ask("POST", f"dags/{dag_id}/clearTaskInstances", body)

    def clear_run(self, dag_id, run_id):
        """Clear all tasks of a run, as a person does on the run's page."""
        self._ask("POST", f"dags/{dag_id}/dagRuns/{run_id}/clear", {"dry_run": False})

    def clear_by_command(self, dag_id, run_id):
        """Clear all tasks of a run with ``airflow tasks clear``."""
        date = self._ask("GET", f"dags/{dag_id}/dagRuns/{run_id}")["logical_date"]
        self._run("clear", "tasks", "clear", "--yes", "--start-date", date, "--end-date", date, dag_id)

    def mark_failed(self, dag_id, run_id, task_id):
        """Mark a task failed, as a person does on the page."""
        self._ask("PATCH", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}", {"new_state": "failed"})

    def xcom(self, dag_id, run_id, task_id, map_index=-1):
        """Return what a task returned."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        return self._ask("GET", f"{path}?stringify=false&map_index={map_index}")["value"]

    def run_state(self, dag_id, run_id):
        """Return the state of a run."""
        [(state,)] = self._select("SELECT state FROM dag_run WHERE dag_id = ? AND run_id = ?", dag_id, run_id)
        return state

    def wait_for_run(self, dag_id, run_id, seconds):
        """Wait until a run has ended; return its state."""

        def ended():
            state = self.run_state(dag_id, run_id)
            return state if state in ("success", "failed") else None

        return wait_until(ended, seconds, f"run {run_id} has ended", pause=0.1)

    def states(self, dag_id, run_id):
        """Return the state of each task instance of a run, by task id and map index."""
        index = "region_index" if self._is_3_4 else "map_index"
        where = "dag_id = ? AND run_id = ? ORDER BY try_number"
        sql = f"SELECT task_id, {index}, state FROM task_instance WHERE {where}"
        return {(task_id, index): state for task_id, index, state in self._select(sql, dag_id, run_id)}

    def task(self, dag_id, run_id, task_id):
        """Return (state, number of the try, process id) of a task."""
        where = "dag_id = ? AND run_id = ? AND task_id = ? ORDER BY try_number DESC LIMIT 1"
        sql = f"SELECT state, try_number, pid FROM task_instance WHERE {where}"
        [row] = self._select(sql, dag_id, run_id, task_id)
        return row

    def ends(self, dag_id, run_id):
        """Return when each task instance of a run has ended, in seconds since 1970."""
        sql = "SELECT end_date FROM task_instance WHERE dag_id = ? AND run_id = ?"
        moments = [datetime.fromisoformat(end) for (end,) in self._select(sql, dag_id, run_id)]
        return [moment.replace(tzinfo=timezone.utc).timestamp() for moment in moments]

    def triggers(self):
        """Return how many trigger rows there are."""
        [(count,)] = self._select("SELECT count(*) FROM trigger")
        return count

    def store(self, dag_id, run_id, task_id):
        """Return the task's task_state_store as it is in the database."""
        sql = "SELECT key, value FROM task_state_store WHERE dag_id = ? AND run_id = ? AND task_id = ?"
        return {key: json.loads(value) for key, value in self._select(sql, dag_id, run_id, task_id)}

    def task_log(self, run_id, task_id, lines=30):
        """Return the ends of the logs of a task's tries."""
        return _ends(sorted(self.home.glob(f"logs/**/run_id={run_id}/task_id={task_id}/**/*.log")), lines)

    def logs(self, lines=30):
        """Return the ends of the logs of the parts."""
        return _ends(sorted(self.home.glob("*.log")), lines)

    @functools.cached_property
    def _is_3_4(self):
        """Since Airflow 3.4 each attempt of a task has a row of its own, and another column for the map index."""
        return bool(self._select("SELECT 1 FROM pragma_table_info('task_instance') WHERE name = 'region_index'"))

    def _ask(self, method, path, body=None):
        answer = self._api.request(method, f"{self._url}/api/v2/{path}", json=body, timeout=30)
        if not answer.ok:
            raise AirflowError(f"{method} {path}: {answer.status_code} {answer.text[:2000]}")
        return answer.json()

    def _select(self, sql, *values):
        with contextlib.closing(sqlite3.connect(f"{self.database.as_uri()}?mode=ro", uri=True, timeout=30)) as database:
            return database.execute(sql, values).fetchall()


def _without_airflow(environment):
    return {name: value for name, value in environment.items() if not name.startswith(("AIRFLOW_", "_AIRFLOW_"))}


def _session_of(pid):
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _is_alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _ends(paths, lines):
    ends = []
    for path in paths:
        text = path.read_text(encoding="utf-8", errors="replace").splitlines()
        ends += [f"--- the end of {path.parent.name}/{path.name}", *map(_readable, text[-lines:])]
    return "\n".join(ends)


def _readable(line):
    """Return what a person wants of a task's log line, which is JSON."""
    try:
        entry = json.loads(line)
        return " ".join(str(entry[name]) for name in ("timestamp", "level", "event", "error_detail") if name in entry)
    except (ValueError, TypeError):
        return line
