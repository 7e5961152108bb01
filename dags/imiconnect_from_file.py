"""
### A file of customers becomes app profiles in IMIconnect.

1. **submit** reads the file (JSON, JSON Lines or CSV, told by its name), sends it in calls of at most
   100 records, and returns the transactions that IMIconnect answered with.
2. **wait** asks IMIconnect until each of these transactions has finished, and fails when a record was
   not created.

Needs the connection `imiconnect_default`. Trigger the DAG with another `path` to send a file of your own;
a path on object storage works too, `s3://aws_default@bucket/customers.jsonl` for instance.
"""

from pathlib import Path

from airflow.sdk import Param, dag

from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator
from airflow_imiconnect.sensors import IMIconnectProfileStatusSensor

SAMPLE = Path(__file__).parent / "data" / "in_app_250.csv"


@dag(
    dag_id="imiconnect_from_file",
    schedule=None,
    tags=["imiconnect", "example"],
    doc_md=__doc__,
    params={"path": Param(str(SAMPLE), type="string", title="File of customers")},
)
def imiconnect_from_file() -> None:
    """Submit a file, then wait until its profiles exist."""
    submit = IMIconnectCreateAppProfileOperator(
        task_id="submit",
        path="{{ params.path }}",
        # The app is the connection's extra "app_id"; to choose another one: app_id="a_636035705699961900"
    )
    IMIconnectProfileStatusSensor(
        task_id="wait",
        transids=submit.output,
        deferrable=True,  # waits in the triggerer and holds no worker slot, however many transactions there are
        poke_interval=5,
        timeout=60 * 60,
    )


imiconnect_from_file()
