"""Jinja in every template field, with text and with native objects; default_args; one connection for a whole DAG."""

from airflow.sdk import dag, task

from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator
from airflow_imiconnect.sensors import IMIconnectProfileStatusSensor

PARAMS = {"folder": "", "app": "a_1", "tenant": "other_tenant", "customer": "C"}


@task
def where(params):
    return {"files": [f"{params['folder']}/a.jsonl", f"{params['folder']}/b.csv"]}


@dag(schedule=None, params=PARAMS)
def templated_text():
    """Every field is a template; what a template makes of a list is a text that looks like one."""
    submit = IMIconnectCreateAppProfileOperator(
        task_id="submit",
        app_id="{{ params.app }}",
        path="{{ ti.xcom_pull('where')['files'] }}",
        rejects_path="{{ params.folder }}/{{ task.task_id }}.rejects",
        imiconnect_conn_id="{{ params.tenant }}",
        on_invalid="skip",
    )
    wait = IMIconnectProfileStatusSensor(
        task_id="wait",
        transids="{{ ti.xcom_pull('submit')['transids'] | tojson }}",
        rejects_path="{{ params.folder }}/{{ task.task_id }}.rejects",
        imiconnect_conn_id="{{ params.tenant }}",
        on_failed_records="warn",
        poke_interval=0.1,
        timeout=20,
    )
    where() >> submit >> wait


@dag(schedule=None, params=PARAMS, render_template_as_native_obj=True)
def templated_native():
    """Templates within records, and templates that stay lists."""
    submit = IMIconnectCreateAppProfileOperator(
        task_id="submit",
        app_id="{{ params.app }}",
        records=[
            {"customerId": "{{ params.customer }}1", "Attributes": {"status": "1", "seen": "{{ dag_run.run_type }}"}},
            {"customerId": "C{{ 1 + 1 }}", "Attributes": {"status": "{{ 2 - 1 }}"}},
        ],
        imiconnect_conn_id="{{ params.tenant }}",
    )
    wait = IMIconnectProfileStatusSensor(
        task_id="wait",
        transids="{{ ti.xcom_pull('submit') }}",
        imiconnect_conn_id="{{ params.tenant }}",
        deferrable=True,
        poke_interval=0.1,
        timeout=20,
    )
    submit >> wait


DEFAULTS = {
    "imiconnect_conn_id": "other_tenant",  # for every task of the DAG, also for those that are mapped
    "app_id": "a_2",
    "poke_interval": 0.1,
    "timeout": 20,
    "rejects_path": "{{ params.folder }}/{{ task.task_id }}.rejects",
    "retries": 0,
}


@dag(schedule=None, params={"folder": ""}, default_args=DEFAULTS)
def one_connection_for_all():
    """The connection, the app and the rest stand in default_args."""
    folder = "{{ params.folder }}"
    first = IMIconnectCreateAppProfileOperator(task_id="first", path=f"{folder}/a.jsonl")
    more = IMIconnectCreateAppProfileOperator.partial(task_id="more").expand(
        path=[f"{folder}/b.csv", f"{folder}/c.json"]
    )
    IMIconnectProfileStatusSensor(task_id="wait", transids=first.output)
    IMIconnectProfileStatusSensor.partial(task_id="wait_for_more").expand(transids=more.output)


templated_text()
templated_native()
one_connection_for_all()
