"""Airflow stores what a template field holds, when it reads a DAG and when a task runs: no record is ever there."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import local_airflow
import pytest
from support.planted import places_of

from airflow_imiconnect.simulator import Simulator

APP = "a_1"
RENDERED = [
    ("literal", "2 records"),
    ("mapped", "1 record"),
    ("mapped", "2 records"),
    ("output", "2 records"),
    ("template", "2 records"),
]
SELECT = "SELECT task_id, rendered_fields FROM rendered_task_instance_fields WHERE dag_id = ?"
SELECT_34 = """
SELECT task_id, rendered_fields FROM rtif_v2 JOIN task_instance ON task_instance.id = task_instance_id
WHERE dag_id = ?
"""
CREATED = ["literal0", "literal1", "one0", "one1", "two0", "xcom0", "xcom1"]


@pytest.fixture(scope="module")
def dags(airflow_database):
    return local_airflow.load_dags(Path(__file__).parent / "composed")


def database():
    from airflow import settings  # noqa: PLC0415 - Airflow is imported after isolate()

    return Path(settings.engine.url.database)


def rendered(dag_id):
    with closing(sqlite3.connect(f"{database().as_uri()}?mode=ro", uri=True)) as rows:
        tables = {name for (name,) in rows.execute("SELECT name FROM sqlite_master")}
        select = SELECT_34 if "rtif_v2" in tables else SELECT
        fields = [(task_id, json.loads(text)) for task_id, text in rows.execute(select, (dag_id,))]
    return sorted((task_id, value["records"]) for task_id, value in fields if "records" in value)


@pytest.mark.parametrize("dag_id", ["stored_text", "stored_native"])
def test_records_stand_in_xcom_alone(dags, monkeypatch, dag_id):
    with Simulator(apps=(APP,), latency=0, queue_time=0) as simulator:
        monkeypatch.setenv(local_airflow.CONNECTION_VARIABLE, simulator.connection)
        run = dags[dag_id].test()
    assert str(run.state) == "success"
    assert sorted({customer_id for customer_id, _ in simulator.profiles[APP]}) == CREATED
    assert rendered(dag_id) == RENDERED
    planted = {word: set() for word in ("planted-literal", "planted-xcom", "planted-one", "planted-two")}
    for word, place in places_of(database().parent, *planted):
        if not place.startswith("/"):
            planted[word].add(place)
    assert planted.pop("planted-literal") == set()
    places = set().union(*planted.values())
    assert places in ({"xcom.value"}, {"xcom_v2.value"}), "the search finds what is there"
