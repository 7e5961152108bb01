"""What the ledger costs: the same submission with and without it, in turns, on a running Airflow."""

import statistics
import tempfile
from pathlib import Path

from lean import lean_service
from records import write_records
from report import Limit, Report
from support.headless import Headless

BATCHES = 200
LATENCY = 0.05
ROUNDS = 11
MOST = 1.25
DAG = "submit_timed"
AS_USUAL = {  # Airflow's own defaults, where a headless Airflow is quicker than it would be
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "5",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "300",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "5",
}
ABOUT = (
    f"The ledger: {BATCHES} batches of 100 records, eight calls in flight, {LATENCY * 1000:g} ms a call. "
    "Seconds are measured in the task; cpu is the share of one core that the process took in them."
)


def run():
    """Measure each round with and without a ledger, the order changing from round to round."""
    with tempfile.TemporaryDirectory(prefix="imiconnect-bench-") as folder, lean_service(LATENCY) as service:
        path = Path(folder) / "records.jsonl"
        write_records(path, BATCHES * 100)
        connection = {"AIRFLOW_CONN_IMICONNECT_DEFAULT": service.connection}
        with Headless(Path(folder) / "airflow", Path(__file__).parent / "dags", AS_USUAL | connection) as airflow:
            rows = [_round(airflow, service, path, number) for number in range(ROUNDS + 1)]
    rows = rows[1:]  # the first round warms everything up
    ratio = statistics.median(row["ratio"] for row in rows)
    return Report(ABOUT, rows, [Limit("median of the ratios with : without", ratio, MOST)])


def _round(airflow, service, path, number):
    measured = {}
    for kind in ("with", "without") if number % 2 else ("without", "with"):
        measured[kind] = _measure(airflow, service, path, kind, number)
    return {
        "round": number,
        **{f"{kind} s": measured[kind]["seconds"] for kind in ("without", "with")},
        "ratio": measured["with"]["seconds"] / measured["without"]["seconds"],
        **{f"{name} {kind}": measured[kind][name] for name in _CPUS for kind in ("without", "with")},
    }


_CPUS = ("task cpu", "API server cpu", "service cpu")


def _measure(airflow, service, path, kind, number):
    before = airflow.cpu_seconds("api-server"), service.cpu_seconds
    conf = {"app_id": f"{kind}-{number}", "path": str(path), "ledger": kind == "with"}
    run_id = airflow.trigger(DAG, conf)
    if airflow.wait_for_run(DAG, run_id, 120) != "success":
        raise RuntimeError(f"The submission {conf} failed.\n{airflow.task_log(run_id, 'submit')}")
    result = airflow.xcom(DAG, run_id, "submit")
    if result["accepted"] != BATCHES * 100:
        raise RuntimeError(f"Only {result['accepted']} records were accepted.")
    used = airflow.cpu_seconds("api-server") - before[0], service.cpu_seconds - before[1]
    shares = [seconds / result["seconds"] for seconds in (result["cpu_seconds"], *used)]
    return {"seconds": result["seconds"], **dict(zip(_CPUS, shares, strict=True))}
