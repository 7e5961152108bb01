"""What waiting costs: one trigger for ten thousand transactions; and on a running Airflow, beside mapped HttpSensors."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lean import KEY, lean_service
from report import Limit, Report
from support.headless import Headless

HERE = Path(__file__).parent
COUNT, FEW, MAPPED = 10_000, 100, 200
LATENCY, CONCURRENCY, POLL_INTERVAL = 0.005, 8, 5.0
FIRST, LAST = 3.0, 8.0  # seconds after the first question in which the transactions finish
ROUNDS = 3
ABOUT = (
    f"Waiting: {COUNT} transactions that finish {FIRST:g} to {LAST:g} s after the first question, {LATENCY * 1000:g} ms a "
    f"status call, {CONCURRENCY} in flight, a poll interval of {POLL_INTERVAL:g} s. The delay is from the last "
    "transaction's end to the trigger's event; cpu is the process's, a call; the gap is a loop of asyncio.sleep(0.1)."
)
BESIDE = (
    "The same on a running Airflow: deferred, and HttpSensor mapped over the transactions. Wall is the run's time; told "
    "is from the last transaction's end to the last answer that says so, end to the task's end."
)
USUAL = {"AIRFLOW__CORE__PARALLELISM": "8", "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "32"}


def run():
    """Measure one trigger in a process of its own, in turns with bare httpx; then the whole on an Airflow."""
    with tempfile.TemporaryDirectory(prefix="imiconnect-bench-") as folder, lean_service(LATENCY) as service:
        bench = _Alone(service, Path(folder))
        rows = [bench.round(number) for number in range(ROUNDS)]
        few = bench.trigger("few", FEW)
        beside = _on_airflow(service, Path(folder))
    a_transaction = (statistics.median(row["memory KB"] for row in rows) - few["grown"] / 1024) / (COUNT - FEW)
    late = 2 * POLL_INTERVAL + 2
    limits = [
        Limit("seconds from the last end to the event", max(row["delay s"] for row in rows), late),
        Limit("seconds from the last end to the task's end", max(row["end s"] for row in beside[:2]), late),
        Limit("median of cpu a call, trigger : httpx", statistics.median(row["ratio"] for row in rows), 1.5),
        Limit("KB of memory a transaction", a_transaction, 2),
        Limit("ms of the longest gap beside it", max(row["gap ms"] for row in rows), 250),
        Limit("trigger rows for all transactions", max(row["trigger rows"] for row in beside), 1),
        Limit("task instances for all transactions, deferred", max(row["task instances"] for row in beside[:2]), 1),
    ]
    return Report(ABOUT, rows, limits, {BESIDE: beside})


class _Alone:
    """Measurements in processes of their own, whose CPU and memory are theirs alone."""

    def __init__(self, service, folder):
        self._service = service
        self._environment = os.environ | {
            "AIRFLOW_HOME": str(folder / "home"),
            "AIRFLOW_CONN_IMICONNECT_DEFAULT": service.connection,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "PYTHONPATH": str(HERE.parents[1]),
        }

    def round(self, number):
        name = f"r{number}"
        trigger = self.trigger(name, COUNT)
        stand = self._service.stand(name)
        bare = self._bare(name, stand["calls"] - COUNT)
        mine, bares = (1000 * each["cpu_seconds"] / stand["calls"] for each in (trigger, bare))
        return {
            "round": number + 1,
            "calls": stand["calls"],
            "delay s": trigger["ended_at"] - stand["last_at"],
            "cpu ms": mine,
            "httpx cpu ms": bares,
            "ratio": mine / bares,
            "memory KB": trigger["grown"] / 1024,
            "gap ms": 1000 * trigger["gap"],
            "row bytes": trigger["row_bytes"],
            "event bytes": trigger["event_bytes"],
        }

    def trigger(self, name, count):
        """Wait for a new set with one trigger."""
        self._service.new(name, count, FIRST, LAST)
        return self._measure(kind="trigger", name=name, count=count)

    def _bare(self, name, waiting):
        """Make as many calls, as many of them fruitless, with httpx alone."""
        self._service.new(f"{name}a", COUNT, 1e6, 1e6)
        self._service.new(f"{name}b", COUNT, 0, 0)
        return self._measure(kind="httpx", name=name, count=COUNT, waiting=waiting)

    def _measure(self, **options):
        warm_up = f"w{options['name']}"
        for suffix in ("", "a", "b"):
            self._service.new(warm_up + suffix, 1, 0, 0)
        options |= {"url": self._service.url, "key": KEY, "warm_up": warm_up, "concurrency": CONCURRENCY}
        options |= {"poll_interval": POLL_INTERVAL, "max_poll_interval": None}
        command = [sys.executable, str(HERE / "one_wait.py"), json.dumps({"waiting": 0, **options})]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            raise RuntimeError(f"The measurement failed.\n{done.stderr[-4000:]}")
        return json.loads(done.stdout.splitlines()[-1])


def _on_airflow(service, folder):
    connections = {
        "AIRFLOW_CONN_IMICONNECT_DEFAULT": service.connection,
        "AIRFLOW_CONN_LEAN": json.dumps({"conn_type": "http", "host": service.url}),
    }
    with Headless(folder / "airflow", HERE / "dags", USUAL | connections, triggerer=True) as airflow:
        _wait(airflow, service, "wait_deferred", "warm00000000", 1)
        return [
            _wait(airflow, service, "wait_deferred", "deferred0000", MAPPED),
            _wait(airflow, service, "wait_deferred", "deferred1000", COUNT),
            _wait(airflow, service, "wait_mapped", "httpsensor00", MAPPED),
        ]


def _wait(airflow, service, dag_id, name, count):
    service.new(name, count, FIRST, LAST)
    started = time.monotonic()
    run_id = airflow.trigger(dag_id, {"name": name, "count": count})
    rows = 0
    while (state := airflow.run_state(dag_id, run_id)) not in ("success", "failed"):
        rows = max(rows, airflow.triggers())
        if time.monotonic() - started > 400:
            raise RuntimeError(f"{dag_id} with {count} transactions does not end.")
        time.sleep(0.1)
    seconds = time.monotonic() - started
    if state != "success":
        raise RuntimeError(f"{dag_id} failed.\n{airflow.task_log(run_id, 'wait')}")
    stand, ends = service.stand(name), airflow.ends(dag_id, run_id)
    return {
        "dag": dag_id,
        "transactions": count,
        "wall s": seconds,
        "task instances": len(ends),
        "trigger rows": rows,
        "calls": stand["calls"],
        "told s": stand["told_at"] - stand["last_at"],
        "end s": max(ends) - stand["last_at"],
    }
