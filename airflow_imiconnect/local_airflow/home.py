"""Where a local Airflow lives: its environment, which must stand before the first ``import airflow``."""

from __future__ import annotations

import os
from pathlib import Path

CONN_ID = "imiconnect_default"
CONNECTION_VARIABLE = f"AIRFLOW_CONN_{CONN_ID.upper()}"


def isolate(home: Path, dags_folder: Path, settings: dict[str, str] | None = None) -> None:
    """
    Point this process and its children at a private Airflow. Call it before the first ``import airflow``.

    Every AIRFLOW_ variable of the environment is dropped: settings, connections and variables.

    :param home: its AIRFLOW_HOME; created if missing
    :param dags_folder: its DAG folder
    :param settings: further environment variables, AIRFLOW__SECTION__KEY
    """
    for name in list(os.environ):
        if name.startswith(("AIRFLOW_", "_AIRFLOW_")):
            del os.environ[name]
    home.mkdir(parents=True, exist_ok=True)
    os.environ.update(
        {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",  # Airflow 3.1 and 3.2 send usage data
            **(settings or {}),
        }
    )
