"""
Submitting and waiting in three ways: with this package, as people do it with the http provider, and by hand in Python.

The run's conf names the file and the app. People who have no package read the file themselves.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.sensors.http import HttpSensor
from airflow.sdk import DAG, BaseHook, get_current_context, task

from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator
from airflow_imiconnect.sensors import IMIconnectProfileStatusSensor

PATH, APP = "{{ dag_run.conf['path'] }}", "{{ dag_run.conf['app_id'] }}"
HEADERS = {"Content-Type": "application/json"}


def read_batches() -> list[list[dict[str, Any]]]:
    """Read the run's file into batches of 100."""
    with open(get_current_context()["dag_run"].conf["path"], encoding="utf-8") as file:  # noqa: PTH123 - as people do
        return list(iter(lambda: [json.loads(line) for line in islice(file, 100)], []))


with DAG("with_the_package", schedule=None):
    submit = IMIconnectCreateAppProfileOperator(task_id="submit", app_id=APP, path=PATH, max_concurrency=8)
    IMIconnectProfileStatusSensor(task_id="wait", transids=submit.output, poke_interval=0.5, timeout=120)

with DAG("with_http_tasks", schedule=None, max_active_tasks=32):

    @task
    def bodies() -> list[str]:
        """Return the bodies of the calls."""
        return [json.dumps({"Records": batch}) for batch in read_batches()]

    @task
    def endpoints(answers: Any) -> list[str]:
        """Return where to ask about each call."""
        return [f"resources/v2/profile/status/{json.loads(answer)['response']['transid']}" for answer in answers]

    post = HttpOperator.partial(
        task_id="post", http_conn_id="lean", endpoint=f"resources/v2/customerappprofile/{APP}", headers=HEADERS
    ).expand(data=bodies())
    HttpSensor.partial(
        task_id="wait",
        http_conn_id="lean",
        method="GET",
        response_check=lambda response: response.json()["code"] != "7600",
        poke_interval=0.5,
        timeout=120,
    ).expand(endpoint=endpoints(post.output))

with DAG("by_hand", schedule=None):

    @task
    def submit_by_hand() -> list[str]:
        """Post every batch, eight at once."""
        import requests  # noqa: PLC0415 - as people are told to

        url = BaseHook.get_connection("lean").host
        app = get_current_context()["dag_run"].conf["app_id"]

        def send(batch: list[dict[str, Any]]) -> str:
            answer = requests.post(
                f"{url}/resources/v2/customerappprofile/{app}",
                data=json.dumps({"Records": batch}),
                headers=HEADERS,
                timeout=30,
            )
            return str(answer.json()["response"]["transid"])

        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(send, read_batches()))

    @task
    def wait_by_hand(transids: list[str]) -> None:
        """Ask about each transaction until it is done."""
        import requests  # noqa: PLC0415 - as above

        url = BaseHook.get_connection("lean").host
        while transids:
            time.sleep(0.5)
            transids = [
                transid
                for transid in transids
                if requests.get(f"{url}/resources/v2/profile/status/{transid}", timeout=30).json()["code"] == "7600"
            ]

    wait_by_hand(submit_by_hand())
