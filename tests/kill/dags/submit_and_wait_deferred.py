"""The DAG of the dead triggerer: submit a file and wait for it in the triggerer. The run's conf says which."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator

with DAG("submit_and_wait_deferred", schedule=None):
    IMIconnectCreateAppProfileOperator(
        task_id="submit",
        app_id="{{ dag_run.conf['app_id'] }}",
        path="{{ dag_run.conf['path'] }}",
        rejects_path="{{ dag_run.conf['rejects_path'] }}",
        batch_size=1,
        max_concurrency=8,
        wait_for_completion=True,
        deferrable=True,
        poll_interval=1,
        timeout=120,
    )
