"""The database and the DAG runs of a local Airflow, without a scheduler."""
# ruff: noqa: PLC0415 - Airflow reads its settings on import, which must come after isolate()

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from airflow.sdk import DAG

_BUNDLE = "dags-folder"
_NONE = "none; Airflow skips a file that does not contain both words 'dag' and 'airflow'"


class DagFileError(Exception):
    """A DAG cannot be loaded; the message says from where, and why."""


@dataclass(frozen=True)
class Outcome:
    """
    The outcome of a DAG run; of a mapped task, each value is the list of its instances' values by map index.

    :param state: of the run, "success" or "failed"
    :param tasks: the states by task id, such as "success", "failed", "skipped", "upstream_failed"
    :param results: what the tasks returned, by task id; None for a task that returned nothing
    """

    state: str
    tasks: dict[str, Any]
    results: dict[str, Any]


def prepare_database() -> None:
    """Create the tables, or migrate those of an older home."""
    from airflow.utils.db import initdb

    initdb()


def keep_api() -> None:
    """Let dag.test() make its API once: before Airflow 3.3 it does so for each task, which takes two seconds."""
    from airflow.sdk.execution_time import supervisor

    make = getattr(supervisor, "in_process_api_server", None)
    if make is not None and not hasattr(make, "cache_info"):
        supervisor.in_process_api_server = functools.cache(make)


def load_dags(path: Path) -> dict[str, DAG]:
    """
    Load and store the DAGs of a folder or a file, as the DAG processor would; return them by id.

    :param path: the folder, or the file
    :raises DagFileError: a file cannot be imported
    """
    bag = _bag(dag_folder=str(path))
    if bag.import_errors:
        raise DagFileError("\n".join(f"{name} cannot be imported:\n{why}" for name, why in bag.import_errors.items()))
    _store(bag)
    return dict(bag.dags)


def load_dag(path: Path, dag_id: str | None = None) -> DAG:
    """
    Load and store the DAGs of a file; return one of them.

    :param dag_id: which one; not needed if there is only one
    :raises DagFileError: the file does not exist, cannot be imported, or does not define that DAG
    """
    if not path.is_file():
        raise DagFileError(f"{path} does not exist or is not a file. A relative path starts at {Path.cwd()}.")
    dags = load_dags(path)
    if dag_id is None and len(dags) == 1:
        return next(iter(dags.values()))
    if dag_id not in dags:
        wanted = "one DAG" if dag_id is None else f"the DAG {dag_id!r}"
        raise DagFileError(f"{path} does not define {wanted}. Its DAGs: {', '.join(sorted(dags)) or _NONE}.")
    return dags[dag_id]


def store_dag(dag: DAG) -> None:
    """Store a DAG, as the DAG processor would: Airflow runs none that it has not stored."""
    bag = _bag(collect_dags=False)
    bag.bag_dag(dag)
    _store(bag)


def _bag(**options: Any) -> Any:  # noqa: ANN401 - the DagBag of one of two homes
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # Airflow 3.1
        from airflow.models.dagbag import DagBag  # type: ignore[attr-defined, no-redef, unused-ignore]

        return DagBag(**options)
    return DagBag(**options, bundle_name=_BUNDLE)


def _store(bag: Any) -> None:  # noqa: ANN401 - as above
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    try:
        from airflow.dag_processing.dagbag import sync_bag_to_db
    except ImportError:  # Airflow 3.1
        from airflow.models.dagbag import sync_bag_to_db  # type: ignore[attr-defined, no-redef, unused-ignore]

    DagBundlesManager().sync_bundles_to_db()  # type: ignore[no-untyped-call, unused-ignore]
    sync_bag_to_db(bag, _BUNDLE, None)


def run_dag(dag: DAG, conf: dict[str, Any] | None = None) -> Outcome:
    """
    Run a stored DAG in this process, each task as a worker would run it, and triggers inline. Retries do not wait.

    :param dag: as :func:`load_dags` returned it, or stored by :func:`store_dag`
    :param conf: the values of the run's params
    """
    with _retries_at_once(dag):
        return _outcome(dag.test(run_conf=conf))


@contextmanager
def _retries_at_once(dag: DAG) -> Iterator[None]:
    delays = [(task, task.retry_delay) for task in dag.tasks]
    for task, _ in delays:
        task.retry_delay = timedelta(0)
    try:
        yield
    finally:
        for task, delay in delays:
            task.retry_delay = delay


def _outcome(run: DagRun) -> Outcome:
    tasks: dict[str, Any] = {}
    results: dict[str, Any] = {}
    for instance in sorted(run.get_task_instances(), key=lambda instance: instance.map_index):
        result = instance.xcom_pull(task_ids=instance.task_id, map_indexes=instance.map_index)
        for values, value in ((tasks, str(instance.state)), (results, result)):
            if instance.map_index < 0:
                values[instance.task_id] = value
            else:
                values.setdefault(instance.task_id, []).append(value)
    return Outcome(state=str(run.state), tasks=tasks, results=results)
