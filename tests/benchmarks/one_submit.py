"""
One submission in a process of its own: by the operator, or by the bare loop that people write.

``python one_submit.py '{"kind": "operator", "path": "records.jsonl", …}'`` prints the figures as JSON.
"""
# ruff: noqa: T201 - the figures go to stdout

import gc
import json
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

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
    """Submit JSON Lines with json and requests.post, and no checks at all."""
    where = f"{url}/resources/v2/customerappprofile/{APP}"
    headers = {"key": key, "Content-Type": "application/json"}

    def post(records):
        answer = requests.post(where, data=json.dumps({"Records": records}), headers=headers, timeout=30)
        answer.json()["response"]["transid"]
        return len(records)

    with open(path, encoding="utf-8") as file, ThreadPoolExecutor(concurrency) as pool:  # noqa: PTH123 - as people do
        batches = iter(lambda: [json.loads(line) for line in islice(file, BATCH)], [])
        return sum(pool.map(post, batches))


def main(kind, warm_up, **options):
    """Import and connect once before the clock starts, then measure."""
    submit = with_operator if kind == "operator" else with_bare_loop
    submit(**options | {"path": warm_up})
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    accepted = submit(**options)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"accepted": accepted, "seconds": wall, "cpu_seconds": cpu, "peak": peak}


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
