"""
### Create app profiles in IMIconnect from a file of customers.

1. **submit** reads the file (JSON, JSON Lines or CSV, recognised by its name), sends it in
   requests of at most 100 records, and returns the ids of the transactions that IMIconnect has started.
2. **wait** polls IMIconnect until all of these transactions have finished, and fails if a record was not
   created.

Requires the connection `imiconnect_default`. Trigger the DAG with another `path` to send your own file;
a path in object storage works too, for example `s3://aws_default@bucket/customers.jsonl`.
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
        # The app defaults to "app_id" in the connection's extra; to choose another: app_id="a_636035705699961900"
    )
    IMIconnectProfileStatusSensor(
        task_id="wait",
        transids=submit.output,
        deferrable=True,  # waits in the triggerer and occupies no worker slot, however many transactions there are
        poke_interval=5,
        timeout=60 * 60,
    )


imiconnect_from_file()
