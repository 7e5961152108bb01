"""Submitting and waiting on a running Airflow: beside what people write without this package."""

import json
import statistics
import tempfile
import time
from pathlib import Path

from lean import lean_service
from records import write_records
from report import Limit, Report
from support.headless import Headless

HERE = Path(__file__).parent
BATCHES, LATENCY, ROUNDS = 20, 0.05, 3
DAGS = ("with_the_package", "with_http_tasks", "by_hand")
SETTINGS = {"AIRFLOW__CORE__PARALLELISM": "8"}
ABOUT = (
    f"Today: {BATCHES} batches of 100 records, {LATENCY * 1000:g} ms a call, done 0.5 s later, on a running Airflow with "
    "LocalExecutor: with this package (submit, sensor), with HttpOperator mapped over batches and HttpSensor over "
    "transactions, and with two Python tasks written by hand. Seconds of a run, from its trigger to its end."
)


def run():
    """Run the three DAGs in turns; the first round warms everything up."""
    with tempfile.TemporaryDirectory(prefix="imiconnect-bench-") as folder, lean_service(LATENCY) as service:
        path = Path(folder) / "records.jsonl"
        write_records(path, BATCHES * 100)
        connections = {
            "AIRFLOW_CONN_IMICONNECT_DEFAULT": service.connection,
            "AIRFLOW_CONN_LEAN": json.dumps({"conn_type": "http", "host": service.url}),
        }
        with Headless(Path(folder) / "airflow", HERE / "dags", SETTINGS | connections) as airflow:
            rows = [_round(airflow, path, number) for number in range(ROUNDS + 1)][1:]
    middle = {name: statistics.median(row[f"{name} s"] for row in rows) for name in DAGS}
    mine = middle["with_the_package"]
    limits = [
        Limit("3 x seconds with the package : seconds with http tasks", 3 * mine / middle["with_http_tasks"], 1),
        Limit("seconds with the package : by hand", mine / middle["by_hand"], 1.3),
    ]
    return Report(ABOUT, rows, limits)


def _round(airflow, path, number):
    row = {"round": number}
    for name in DAGS:
        started = time.monotonic()
        run_id = airflow.trigger(name, {"path": str(path), "app_id": f"{name[-6:]}{number}".replace("_", "")})
        if airflow.wait_for_run(name, run_id, 200) != "success":
            raise RuntimeError(f"{name} failed.\n{airflow.task_log(run_id, '*')}")
        row[f"{name} s"] = time.monotonic() - started
        row[f"{name} tasks"] = len(airflow.ends(name, run_id))
    return row
