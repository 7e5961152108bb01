"""What people write without this package: HttpSensor mapped over the transactions."""

from __future__ import annotations

from airflow.providers.http.sensors.http import HttpSensor
from airflow.sdk import DAG

NAME, COUNT = "httpsensor00", 200


def is_done(response):
    """Return whether the transaction has finished, or has failed."""
    return response.json()["code"] != "7600"


with DAG("wait_mapped", schedule=None, max_active_tasks=32):
    HttpSensor.partial(
        task_id="wait", http_conn_id="lean", method="GET", response_check=is_done, poke_interval=5, timeout=300
    ).expand(endpoint=[f"resources/v2/profile/status/{n:08d}-0000-4000-8000-{NAME}" for n in range(COUNT)])
