"""What submitting costs: the operator beside a bare loop of json.dumps and one requests.Session a thread."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from lean import KEY, lean_service
from records import write_records
from report import Limit, Report

HERE = Path(__file__).parent
BATCHES, BATCH, CONCURRENCY, LATENCY = 200, 100, 8, 0.05
RECORDS = BATCHES * BATCH
WIRE = BATCHES / CONCURRENCY * LATENCY  # seconds that nobody can be below
ROUNDS = 7
ABOUT = (
    f"Submitting: {BATCHES} batches of {BATCH} records from JSON Lines, {CONCURRENCY} requests in flight, "
    f"{LATENCY * 1000:g} ms a request, which makes {WIRE:g} s at least. The operator checks the whole file before the first "
    "request; the bare loop reads it once and checks nothing. cpu is the process's, a record; first is the CPU time of the "
    "process's first submission, of one batch, after the imports of the worker; service is the share of a core that "
    "the service took."
)


def run():
    """Measure each round with the operator and with the bare loop, the order changing from round to round."""
    with tempfile.TemporaryDirectory(prefix="imiconnect-bench-") as folder, lean_service(LATENCY) as service:
        files = {"path": Path(folder) / "records.jsonl", "warm_up": Path(folder) / "one.jsonl"}
        write_records(files["path"], RECORDS)
        write_records(files["warm_up"], BATCH)
        rows = [_round(service, Path(folder), files, number) for number in range(ROUNDS)]
    middle = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    limits = [
        Limit("median of seconds, operator : bare loop", middle["ratio"], 1.05),
        Limit("median of cpu a record, operator : bare loop", middle["cpu ratio"], 1.15),
        Limit("median of the first submission's cpu seconds", middle["first s"], 0.12),
    ]
    return Report(ABOUT, rows, limits)


def _round(service, folder, files, number):
    kinds = ("operator", "bare") if number % 2 else ("bare", "operator")
    figures = {kind: _measure(service, folder, files, kind) for kind in kinds}
    mine, bare = figures["operator"], figures["bare"]
    return {
        "round": number + 1,
        "operator s": mine["seconds"],
        "bare s": bare["seconds"],
        "ratio": mine["seconds"] / bare["seconds"],
        "operator cpu us": 1e6 * mine["cpu_seconds"] / RECORDS,
        "bare cpu us": 1e6 * bare["cpu_seconds"] / RECORDS,
        "cpu ratio": mine["cpu_seconds"] / bare["cpu_seconds"],
        "first s": mine["first"],
        "service": mine["service"],
        "service, bare": bare["service"],
    }


def _measure(service, folder, files, kind):
    options = {"kind": kind, "url": service.url, "key": KEY, "concurrency": CONCURRENCY}
    options |= {name: str(path) for name, path in files.items()}
    environment = os.environ | {
        "AIRFLOW_HOME": str(folder / "home"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_IMICONNECT_DEFAULT": service.connection,
        "PYTHONPATH": str(HERE.parents[1]),
    }
    before = service.cpu_seconds
    figures = one(HERE / "one_submit.py", options, environment)
    if figures["accepted"] != RECORDS:
        raise RuntimeError(f"Only {figures['accepted']} of {RECORDS} records were accepted.")
    return figures | {"service": (service.cpu_seconds - before) / figures["seconds"]}


def one(script, options, environment):
    """Run one measurement in a process of its own; return its figures."""
    command = [sys.executable, str(script), json.dumps(options)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise RuntimeError(f"The measurement failed.\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])
