"""Functions and queries whose records are submitted, on Airflow: none of them is in its database, nor in its logs."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import local_airflow
import pytest
from support.planted import places_of

from airflow_imiconnect.simulator import Simulator

APP = "a_1"


@pytest.fixture(scope="module")
def dags(airflow_database):
    return local_airflow.load_dags(Path(__file__).parent / "composed")


@pytest.fixture
def sim(monkeypatch):
    with Simulator(apps=(APP,), latency=0, queue_time=0) as simulator:
        monkeypatch.setenv(local_airflow.CONNECTION_VARIABLE, simulator.connection)
        yield simulator


@pytest.fixture
def people(tmp_path, monkeypatch):
    path = tmp_path / "people.sqlite"
    names = [("planted-" + "query", number) for number in (1, 2, 3)] + [("a" + "-planted-query", 4), ("b", 5)]
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE people (name TEXT, id INTEGER)")
        database.executemany("INSERT INTO people VALUES (?, ?)", names)
    monkeypatch.setenv("AIRFLOW_CONN_PEOPLE", json.dumps({"conn_type": "sqlite", "host": str(path)}))


def run(dag):
    done = dag.test()
    assert str(done.state) == "success"
    return {(each.task_id, each.map_index): each for each in done.get_task_instances()}


def held(simulator):
    return {customer: attributes for (customer, _), attributes in simulator.profiles[APP].items()}


def home():
    from airflow import settings  # noqa: PLC0415 - Airflow is imported after isolate()

    return Path(settings.engine.url.database).parent


def rendered(instances, name, index=-1):
    """Return what Airflow shows in Rendered Templates."""
    ti = instances[name, index]
    with closing(sqlite3.connect(home() / "airflow.db")) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        select, key = (
            "SELECT rendered_fields FROM rendered_task_instance_fields WHERE ",
            (ti.dag_id, ti.run_id, name, index),
        )
        where = "dag_id = ? AND run_id = ? AND task_id = ? AND map_index = ?"
        if "rtif_v2" in tables:
            select, where, key = "SELECT rendered_fields FROM rtif_v2 WHERE ", "task_instance_id = ?", (ti.id.hex,)
        return json.loads(database.execute(select + where, key).fetchone()[0])


def test_the_records_of_functions_are_submitted_and_stored_nowhere(dags, sim):
    instances = run(dags["functions"])
    found = held(sim)
    assert set(found) == {
        "yielded0", "yielded1", "yielded2", "3", "returned0", "returned1", "1", "2", "mapped10", "mapped20", "mapped21",
    }  # fmt: skip
    assert found["yielded2"] == {
        "status": "1", "name": "planted-function", "run": instances["yielded", -1].run_id, "task": "yielded",
    }  # fmt: skip
    assert (found["1"], found["2"]) == ({"status": "1", "email": "a@example.com"}, {"status": "1"})
    results = {key: instance.xcom_pull(task_ids=key[0], map_indexes=key[1]) for key, instance in instances.items()}
    assert (results["yielded", -1]["records"], len(results["yielded", -1]["transids"])) == (3, 2)
    assert results["mapped", 1]["outcome"]["created"] == 2
    assert places_of(home(), "planted-function") == []
    fields = rendered(instances, "yielded")
    assert not {"records", "path", "sql"} & set(fields)
    assert fields["op_args"] in (["yielded", 3], "('yielded', 3)")


@pytest.mark.usefixtures("people")
def test_queries_are_rendered_and_their_rows_are_stored_nowhere(dags, sim):
    instances = run(dags["queries"])
    assert set(held(sim)) == {"file4", "file5", "text1", "mapped", "not.sql"}
    assert held(sim)["file4"] == {"status": "1", "name": "a-planted-query"}
    assert places_of(home(), "planted-query") == []
    fields = rendered(instances, "of_a_file")
    assert fields["sql"].startswith("SELECT 'file' || id AS customerId")
    assert "id >= 2 AND" in fields["sql"]
    assert fields["sql_parameters"] == {"name": "a%"}
    assert rendered(instances, "mapped", 0)["sql"].startswith("SELECT 'file' || id")
