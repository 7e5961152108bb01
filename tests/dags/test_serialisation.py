"""Airflow stores a DAG as JSON and shows, schedules and renders what it reads back: nothing of our tasks may be lost."""

import json
from collections.abc import Mapping
from pathlib import Path

import local_airflow
import pytest
from airflow.serialization import serialized_objects

from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator
from airflow_imiconnect.sensors import IMIconnectProfileStatusSensor

HERE = Path(__file__).parent
FOLDERS = (local_airflow.DAGS, HERE / "composed")
OURS = ("IMIconnectCreateAppProfileOperator", "IMIconnectProfileStatusSensor")
FIELDS = {
    OURS[0]: IMIconnectCreateAppProfileOperator.template_fields,
    OURS[1]: IMIconnectProfileStatusSensor.template_fields,
}
SERIALISER = getattr(serialized_objects, "DagSerialization", None) or serialized_objects.SerializedDAG  # Airflow 3.1

pytestmark = pytest.mark.usefixtures("airflow_database")


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda folder: folder.name)
def dags(request):
    return local_airflow.load_dags(request.param)


def round_trip(dag):
    return SERIALISER.from_dict(json.loads(json.dumps(SERIALISER.to_dict(dag))))


def ours(dag):
    return [task for task in dag.task_dict.values() if task.task_type in OURS]


def plain(value):
    """Return what Airflow keeps of a template field: JSON as it is, another task's output as its text."""
    if isinstance(value, str | int | float | None):
        return value
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else str(value)


def test_the_graph_is_the_same(dags):
    for dag in dags.values():
        again = round_trip(dag)
        assert sorted(again.task_dict) == sorted(dag.task_dict)
        for task_id, task in dag.task_dict.items():
            read = again.task_dict[task_id]
            assert (read.task_type, read.is_mapped) == (task.task_type, task.is_mapped)
            assert (read.upstream_task_ids, read.downstream_task_ids) == (
                task.upstream_task_ids,
                task.downstream_task_ids,
            )
            assert (str(read.trigger_rule), read.is_setup, read.is_teardown) == (
                str(task.trigger_rule.value),
                task.is_setup,
                task.is_teardown,
            )


def test_each_of_our_tasks_keeps_its_template_fields(dags):
    tasks = [(round_trip(dag).task_dict[task.task_id], task) for dag in dags.values() for task in ours(dag)]
    assert tasks
    for read, task in tasks:
        assert tuple(read.template_fields) == FIELDS[task.task_type]
        for field in FIELDS[task.task_type] if not task.is_mapped else ():
            assert plain(getattr(read, field, None)) == plain(getattr(task, field)), (task.task_id, field)


def test_mapped_tasks_keep_what_they_are_mapped_over(dags):
    for dag in dags.values():
        for task in ours(dag):
            if not task.is_mapped:
                continue
            over, again = (
                each._get_specified_expand_input().value for each in (task, round_trip(dag).task_dict[task.task_id])
            )
            if isinstance(over, dict):  # and not what a task hands to expand_kwargs
                assert list(again) == list(over)
                assert [value for value in again.values() if isinstance(value, list)] == [
                    value for value in over.values() if isinstance(value, list)
                ]


def test_what_is_stored_is_stable(dags):
    """Another text for the same DAG would be another version of it at each parsing."""
    for dag in dags.values():
        first, second = SERIALISER.to_dict(dag), SERIALISER.to_dict(dag)
        assert json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
        assert " object at 0x" not in json.dumps(first)
