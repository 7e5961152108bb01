"""The DAG of the benchmarks: submit a file and return how long it took. The run's conf says with or without a ledger."""

from __future__ import annotations

import time
from typing import Any

from airflow.sdk import DAG

from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator


class TimedSubmit(IMIconnectCreateAppProfileOperator):
    """The operator, with a stopwatch around it."""

    def execute(self, context: Any) -> dict[str, Any]:
        wall, cpu = time.perf_counter(), time.process_time()
        result = super().execute(context)
        return {
            "seconds": time.perf_counter() - wall,
            "cpu_seconds": time.process_time() - cpu,
            "accepted": result["accepted"],
        }

    def _store(self, context: Any) -> Any:
        return super()._store(context) if context["dag_run"].conf["ledger"] else None


with DAG("submit_timed", schedule=None):
    TimedSubmit(
        task_id="submit",
        app_id="{{ dag_run.conf['app_id'] }}",
        path="{{ dag_run.conf['path'] }}",
        max_concurrency=8,
    )
