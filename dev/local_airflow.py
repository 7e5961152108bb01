"""
A private Airflow for the demo, the web UI and the tests.

It reads nothing from the user's own Airflow, and writes nothing outside the given home.
"""
# ruff: noqa: PLC0415 - Airflow reads its settings on import, which must come after isolate()

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from airflow.sdk import DAG

PROJECT = Path(__file__).resolve().parents[1]
DAGS = PROJECT / "dags"
CONN_ID = "imiconnect_default"
CONNECTION_VARIABLE = f"AIRFLOW_CONN_{CONN_ID.upper()}"


class DemoError(Exception):
    """What went wrong, in a message for the user."""


def isolate(home: Path, settings: dict[str, str] | None = None) -> None:
    """
    Point this process and its children at a private Airflow. Call it before the first ``import airflow``.

    :param home: its AIRFLOW_HOME; created if missing
    :param settings: further environment variables, AIRFLOW__SECTION__KEY
    """
    for name in list(os.environ):
        if name.startswith(("AIRFLOW_", "_AIRFLOW_")):
            del os.environ[name]
    home.mkdir(parents=True, exist_ok=True)
    os.environ.update(
        {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",  # Airflow 3.1 and 3.2 send usage data
            **(settings or {}),
        }
    )


def divert_chatter(log: Path) -> TextIO:
    """Redirect everything that this process prints to a file; return the terminal."""
    log.parent.mkdir(parents=True, exist_ok=True)
    terminal = os.fdopen(os.dup(1), "w", buffering=1)
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    return terminal


def last_lines(log: Path, count: int = 25) -> str:
    """Return the last lines of a log."""
    sys.stderr.flush()
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])


def prepare_database() -> None:
    """Create the tables, or migrate those of an older home."""
    from airflow.utils.db import initdb

    initdb()


def store_connection(connection: str) -> None:
    """Store the connection to the simulator in Airflow's database, where the Connections page shows it."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    made = Connection.from_json(connection, conn_id=CONN_ID)
    made.port = urlsplit(
        made.host
    ).port  # without one, Airflow 3.3.1 and 3.3.2 refuse to test it (apache/airflow#73298)
    with create_session() as session:
        session.execute(delete(Connection).where(Connection.conn_id == CONN_ID))
        session.add(made)


def load_dags(folder: Path = DAGS) -> dict[str, DAG]:
    """Load and store the DAGs in a folder, as the DAG processor would; return them by id."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    try:
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    except ImportError:  # Airflow 3.1
        from airflow.models.dagbag import DagBag, sync_bag_to_db

        bag = DagBag(dag_folder=str(folder))
    else:
        bag = DagBag(dag_folder=str(folder), bundle_name="dags-folder")
    if bag.import_errors:
        raise DemoError("\n".join(f"{path} cannot be imported:\n{why}" for path, why in bag.import_errors.items()))
    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(bag, "dags-folder", None)
    return bag.dags


@dataclass(frozen=True)
class Outcome:
    """The outcome of a DAG run: its state, its tasks' states, and the values they returned."""

    state: str
    tasks: dict[str, str]
    results: dict[str, Any]


def run_dag(dag: DAG, conf: dict[str, Any] | None = None) -> Outcome:
    """Run a DAG in this process, each task as a worker would run it."""
    run = dag.test(run_conf=conf)
    instances = {instance.task_id: instance for instance in run.get_task_instances()}
    return Outcome(
        state=str(run.state),
        tasks={task_id: str(instance.state) for task_id, instance in instances.items()},
        results={task_id: instance.xcom_pull(task_ids=task_id) for task_id, instance in instances.items()},
    )
