"""
Time once, in this process, what a DAG file pays for our package; the time is measured after Airflow is imported and used.

Prints JSON: the milliseconds of the import, and of each DAG file that is named in the arguments.
"""

import importlib
import importlib.util
import json
import sys
import time
from pathlib import Path

import airflow.providers.common.compat.sdk as compat
from airflow.sdk import Param, dag, task
from airflow.triggers.base import BaseTrigger, TriggerEvent

AIRFLOWS = (
    compat.BaseHook,
    compat.BaseSensorOperator,
    compat.ObjectStoragePath,
    compat.conf,
    BaseTrigger,
    TriggerEvent,
)


@dag(schedule=None, params={"path": Param("", type="string")}, doc_md="Airflow's own first time")
def used_before():
    @task
    def first():
        return []

    first() >> compat.BaseOperator(task_id="second")


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


def timed(function, *arguments):
    started = time.perf_counter()
    function(*arguments)
    return 1000 * (time.perf_counter() - started)


def import_ours():
    for name in ("operators", "sensors"):
        importlib.import_module(f"airflow_imiconnect.{name}")


used_before()
measured = {"import": timed(import_ours)} | {Path(name).stem: timed(load, Path(name)) for name in sys.argv[1:]}
sys.stdout.write(json.dumps(measured))
