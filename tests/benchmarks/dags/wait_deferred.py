"""Wait deferred: one task for as many transactions as the run's conf says."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_imiconnect.sensors import IMIconnectProfileStatusSensor

IDS = "[{% for n in range(dag_run.conf['count']) %}'{{ '%08d' % n }}-0000-4000-8000-{{ dag_run.conf['name'] }}',{% endfor %}]"

with DAG("wait_deferred", schedule=None):
    IMIconnectProfileStatusSensor(task_id="wait", transids=IDS, deferrable=True, poke_interval=5, timeout=300)
