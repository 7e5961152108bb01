"""
A private Airflow for the demo, the web UI and the tests.

It reads nothing from the user's own Airflow, and writes nothing outside the given home.
"""
# ruff: noqa: PLC0415 - Airflow reads its settings on import, which must come after isolate()

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO
from urllib.parse import urlsplit

from airflow_imiconnect.local_airflow import home, runs
from airflow_imiconnect.local_airflow.home import CONN_ID, CONNECTION_VARIABLE
from airflow_imiconnect.local_airflow.runs import Outcome, prepare_database, run_dag

if TYPE_CHECKING:
    from airflow.sdk import DAG

__all__ = ["CONNECTION_VARIABLE", "CONN_ID", "Outcome", "prepare_database", "run_dag"]

PROJECT = Path(__file__).resolve().parents[1]
DAGS = PROJECT / "dags"


class DemoError(Exception):
    """What went wrong, in a message for the user."""


def isolate(airflow_home: Path, settings: dict[str, str] | None = None) -> None:
    """Point this process and its children at a private Airflow with the example DAGs; before ``import airflow``."""
    home.isolate(airflow_home, DAGS, settings)


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
    return runs.load_dags(folder)
