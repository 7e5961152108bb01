"""
### Create app profiles in IMIconnect from the records that a task returns.

1. **new_users** stands for a query of your data warehouse: it returns one record per new user of the app.
2. **submit** sends the records to IMIconnect; **wait** waits until all profiles exist.
3. **report** says how many were created. Replace it with your own alert or next step.

Requires the connection `imiconnect_default`.
"""

from datetime import datetime, timezone
from typing import Any

from airflow.sdk import dag, task

from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator
from airflow_imiconnect.sensors import IMIconnectProfileStatusSensor


@task(show_return_value_in_logs=False)  # personal data belong in no log
def new_users() -> list[dict[str, Any]]:
    """Return one record per row; its attributes may be text, numbers, booleans or dates."""
    opened = datetime(2026, 1, 5, 8, 15, tzinfo=timezone.utc)
    rows = [("CRN-5001", "phone-1", True, 87), ("CRN-5002", "phone-2", False, 41), ("CRN-5003", "tablet", True, 9)]
    device = {"status": 1, "connectStatus": True, "channel": "rt", "last_opened": opened}
    return [
        {
            "customerId": crn,
            "Attributes": device
            | {"deviceId": name, "rtmId": f"{crn}_{name}", "verified": verified, "batterylevel": battery},
        }
        for crn, name, verified, battery in rows
    ]


@task
def report(outcome: dict[str, Any]) -> str:
    """Summarise the outcome."""
    return f"{outcome['succeeded']} of {outcome['records']} profiles were created"


@dag(dag_id="imiconnect_from_task", schedule=None, tags=["imiconnect", "example"], doc_md=__doc__)
def imiconnect_from_task() -> None:
    """Submit what a task returns, wait until the profiles exist, and report."""
    submit = IMIconnectCreateAppProfileOperator(task_id="submit", records=new_users())
    wait = IMIconnectProfileStatusSensor(task_id="wait", transids=submit.output, poke_interval=5)
    report(wait.output)  # type: ignore[arg-type]  # when the task runs, it is the outcome


imiconnect_from_task()
