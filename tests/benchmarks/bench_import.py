"""What a DAG file pays for our package: importing it, and each example DAG, beyond what Airflow takes for itself."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from report import Limit, Report

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
DAG_FILES = sorted((PROJECT / "dags").glob("*.py"))
ROUNDS = 9
ABOUT = (
    "Importing operators and sensors, and then loading the example DAGs, in a new process each round, in milliseconds "
    "after Airflow is imported and has made a DAG of its own. The least of the rounds counts: the rest is the machine's."
)


def run():
    """Measure in processes of their own; the first of them writes the bytecode."""
    with tempfile.TemporaryDirectory(prefix="imiconnect-bench-") as home:
        rows = [{"round": number} | _measure(home) for number in range(ROUNDS + 1)][1:]
    least = {name: min(row[name] for row in rows) for name in rows[0]}
    limits = [Limit("ms of importing operators and sensors", least["import"], 60)]
    limits += [Limit(f"ms of parsing {path.name}", least[path.stem], 50) for path in DAG_FILES]
    return Report(ABOUT, rows, limits)


def _measure(home):
    environment = os.environ | {
        "AIRFLOW_HOME": home,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(PROJECT),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # it would be compiled anew each time
    command = [sys.executable, str(HERE / "one_import.py"), *map(str, DAG_FILES)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise RuntimeError(f"The measurement failed.\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])
