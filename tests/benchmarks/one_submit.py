"""
One submission in a process of its own: by the operator, or by the bare loop that people write.

``python one_submit.py '{"kind": "operator", "path": "records.jsonl", …}'`` prints the figures as JSON.
"""
# ruff: noqa: T201 - the figures go to stdout

import gc
import importlib
import json
import re
import resource
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import requests

APP = "a_1"
BATCH = 100


def with_operator(path, concurrency, **_):
    """Submit a file with the operator, which reads it twice and checks it; return how many records were accepted."""
    from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator  # noqa: PLC0415 - the bare loop has none

    operator = IMIconnectCreateAppProfileOperator(
        task_id="submit", app_id=APP, path=path, batch_size=BATCH, max_concurrency=concurrency
    )
    return operator.execute({})["accepted"]


def with_bare_loop(path, concurrency, url, key, **_):
    """Submit JSON Lines with json and one pooled requests.Session a thread, and no checks at all."""
    where = f"{url}/resources/v2/customerappprofile/{APP}"
    of_thread = threading.local()

    def post(records):
        if not hasattr(of_thread, "session"):
            of_thread.session = requests.Session()
            of_thread.session.headers.update({"key": key, "Content-Type": "application/json"})
        answer = of_thread.session.post(where, data=json.dumps({"Records": records}), timeout=30)
        answer.json()["response"]["transid"]
        return len(records)

    with open(path, encoding="utf-8") as file, ThreadPoolExecutor(concurrency) as pool:  # noqa: PTH123 - as people do
        batches = iter(lambda: [json.loads(line) for line in islice(file, BATCH)], [])
        return sum(pool.map(post, batches))


def main(kind, warm_up, **options):
    """Submit a small file first, which imports and connects, and then measure."""
    submit = with_operator if kind == "operator" else with_bare_loop
    if kind == "operator":
        load_what_a_worker_has(warm_up)
    first = time.process_time()
    submit(**options | {"path": warm_up})
    first = time.process_time() - first
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    accepted = submit(**options)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"accepted": accepted, "seconds": wall, "cpu_seconds": cpu, "first": first, "peak": peak_memory()}


def load_what_a_worker_has(path):
    """Import what a worker has imported before it calls execute(), and what Airflow imports to open any file."""
    importlib.import_module("airflow.sdk.execution_time.supervisor")
    importlib.import_module("airflow_imiconnect.operators")
    storage = importlib.import_module("airflow.sdk").ObjectStoragePath(path)
    with storage.open("rb") as file:  # imports the storages of all installed providers, boto3 for one
        file.read(1)


def peak_memory():
    """Return the most bytes that this process has held; getrusage() would begin with what its parent had held."""
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
