"""What size costs: the memory of submitting a million records in each format, and the speed of checking them."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from bench_submitting import one
from lean import KEY, lean_service
from records import write_records
from report import Limit, Report

HERE = Path(__file__).parent
FEW, MANY = 10_000, 1_000_000
FORMATS = ("jsonl", "csv", "json", "parquet")
MB = 1024 * 1024
ABOUT = (
    f"Size: the peak memory of a process that submits {FEW:,} and {MANY:,} records with the operator (read twice, checked, "
    "sent in batches of 100 to a service that answers at once), and what `check` on the latter takes, its start included."
)


def run():
    """Submit and check files of both sizes in every format."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="imiconnect-bench-") as folder, lean_service(0.0) as service:
        for name in FORMATS:
            few, many = Path(folder) / f"few.{name}", Path(folder) / f"many.{name}"
            write_records(few, FEW)
            write_records(many, MANY)
            rows.append(_row(service, few, many))
            many.unlink()
    limits = [
        Limit(f"MB more for {MANY:,} than for {FEW:,} records, {row['format']}", row["more MB"], 20) for row in rows
    ]
    slowness = 100_000 / rows[0]["checked a second"]
    limits.append(Limit("100,000 records a second a core : the speed of check on JSON Lines", slowness, 1))
    return Report(ABOUT, rows, limits)


def _row(service, few, many):
    figures = {path: _submit(service, few, path) for path in (few, many)}
    seconds = _check_seconds(many)
    peaks = [figures[path]["peak"] / MB for path in (few, many)]
    return {
        "format": many.suffix[1:],
        "MB of file": many.stat().st_size / MB,
        "peak MB, few": peaks[0],
        "peak MB, many": peaks[1],
        "more MB": peaks[1] - peaks[0],
        "cpu us a record": 1e6 * figures[many]["cpu_seconds"] / MANY,
        "check s": seconds,
        "checked a second": MANY / seconds,
    }


def _submit(service, warm_up, path):
    options = {"kind": "operator", "url": service.url, "key": KEY, "concurrency": 4}
    options |= {"path": str(path), "warm_up": str(warm_up)}
    return one(HERE / "one_submit.py", options, _environment(path.parent, service))


def _check_seconds(path):
    """Return the CPU seconds of `check` in a process of its own."""
    command = [sys.executable, "-m", "airflow_imiconnect", "check", "--customer-id-column", "customerId", str(path)]
    before = time.perf_counter(), _cpu_of_children()
    done = subprocess.run(command, env=_environment(path.parent), capture_output=True, text=True, check=True)
    if f"Would be sent: {MANY:,} records" not in done.stdout:
        raise RuntimeError(f"The check says: {done.stdout}{done.stderr}")
    return min(time.perf_counter() - before[0], _cpu_of_children() - before[1])


def _cpu_of_children():
    times = psutil.Process().cpu_times()
    return times.children_user + times.children_system


def _environment(folder, service=None):
    connection = {"AIRFLOW_CONN_IMICONNECT_DEFAULT": service.connection} if service else {}
    return os.environ | {"AIRFLOW_HOME": str(folder / "home"), "PYTHONPATH": str(HERE.parents[1]), **connection}
