"""The DAG of the kill suite: submit a file, wait for its transactions. The run's conf says which file and which app."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG

from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator
from airflow_imiconnect.sensors import IMIconnectProfileStatusSensor


class Submit(IMIconnectCreateAppProfileOperator):
    """
    With ``done`` in the run's conf, the first try hands its result there, and then sleeps until it is killed.

    With ``fail_after``, a file, the first try fails after its end, as a post_execute may.
    """

    def execute(self, context: Any) -> dict[str, Any]:
        result = super().execute(context)
        done = context["dag_run"].conf.get("done")
        if done and not Path(done).exists():
            Path(f"{done}.new").write_text(json.dumps(result), encoding="utf-8")
            Path(f"{done}.new").rename(done)
            time.sleep(120)
        return result

    def post_execute(self, context: Any, result: Any = None) -> None:
        fail_after = context["dag_run"].conf.get("fail_after")
        if fail_after and not Path(fail_after).exists():
            Path(fail_after).touch()
            raise AirflowFailException("as a post_execute may")


with DAG("submit_and_wait", schedule=None, default_args={"retries": 50, "retry_delay": timedelta(seconds=1)}):
    submit = Submit(
        task_id="submit",
        app_id="{{ dag_run.conf['app_id'] }}",
        path="{{ dag_run.conf['path'] }}",
        batch_size=4,
        max_concurrency=4,
    )
    IMIconnectProfileStatusSensor(task_id="wait", transids=submit.output, poke_interval=0.5, timeout=60)
