"""Every example DAG really runs on Airflow, and the simulator then holds exactly the profiles that it should."""

import csv
import json

import pytest
from local_airflow import CONNECTION_VARIABLE, DAGS, run_dag

from airflow_imiconnect.simulator import Simulator

APP_ID = "a_636035705699961900"
DAG_FILES = sorted(DAGS.glob("*.py"))
DATA_FILES = sorted((DAGS / "data").iterdir())


def rows_of(path):
    """Read a sample file as a user would read it by hand: customerId -> attributes."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".csv":
        rows = [{name: value for name, value in row.items() if value} for row in csv.DictReader(text.splitlines())]
        return {row.pop("customerId"): row for row in rows}
    records = json.loads(text)["Records"] if path.suffix == ".json" else map(json.loads, text.splitlines())
    return {record["customerId"]: record["Attributes"] for record in records}


def phone(customer_id, name, verified, battery):
    return {
        "status": "1",
        "connectStatus": "1",
        "channel": "rt",
        "last_opened": "2026-01-05T08:15:00.000Z",
        "deviceId": name,
        "rtmId": f"{customer_id}_{name}",
        "verified": verified,
        "batterylevel": battery,
    }


# What each example must have created. A new file in dags/ fails below until it has its line here.
CREATED = {
    "imiconnect_from_file": rows_of(DAGS / "data" / "in_app_250.csv"),
    "imiconnect_from_task": {
        "CRN-5001": phone("CRN-5001", "phone-1", "1", "87"),
        "CRN-5002": phone("CRN-5002", "phone-2", "0", "41"),
        "CRN-5003": phone("CRN-5003", "tablet", "1", "9"),
    },
}


@pytest.fixture
def simulator(monkeypatch):
    with Simulator(apps=(APP_ID,), latency=0, queue_time=0.5) as simulator:
        monkeypatch.setenv(CONNECTION_VARIABLE, simulator.connection)
        yield simulator


@pytest.fixture
def run(example_dags):
    """Run an example, looking for the end more often than it does against the real service."""

    def run(dag_id, **params):
        dag = example_dags[dag_id]
        dag.task_dict["wait"].poke_interval = 0.1
        dag.task_dict["wait"].timeout = 20  # a wait that never ends must fail, not hang
        return run_dag(dag, params)

    return run


def held_by(simulator):
    return {customer_id: attributes for (customer_id, _), attributes in simulator.profiles[APP_ID].items()}


def test_each_file_holds_one_dag_of_its_own_name(example_dags):
    assert sorted(example_dags) == [path.stem for path in DAG_FILES]


@pytest.mark.parametrize("dag_id", [path.stem for path in DAG_FILES])
def test_a_newcomer_sees_what_it_is(example_dags, dag_id):
    dag = example_dags[dag_id]
    assert dag.doc_md
    assert "imiconnect" in dag.tags
    assert dag.schedule is None


@pytest.mark.parametrize("dag_id", [path.stem for path in DAG_FILES])
def test_it_runs_and_creates_its_profiles(run, simulator, dag_id):
    outcome = run(dag_id)
    created = CREATED[dag_id]

    assert (outcome.state, set(outcome.tasks.values())) == ("success", {"success"})
    submitted, waited = outcome.results["submit"], outcome.results["wait"]
    assert {name: submitted[name] for name in submitted if not name.startswith("trans")} == {
        "operation": "create",
        "app_id": APP_ID,
        "records": len(created),
        "accepted": len(created),
        "invalid": 0,
        "refused": 0,
        "existing": 0,
        "resent": [],
        "notes": [],
        "rejects": None,
    }
    assert sum(submitted["transaction_records"]) == len(created)
    assert len(submitted["transids"]) == -(-len(created) // 100)
    assert waited == {
        "transactions": len(submitted["transids"]),
        "records": len(created),
        "succeeded": len(created),
        "created": len(created),
        "existing": 0,
        "failed": 0,
        "failures": {},
        "failed_records": [],
        "rejects": None,
    }
    assert held_by(simulator) == created


@pytest.mark.usefixtures("simulator")
def test_the_report_says_how_many_were_created(run):
    assert run("imiconnect_from_task").results["report"] == "3 of 3 profiles were created"


@pytest.mark.parametrize("path", DATA_FILES, ids=lambda path: path.name)
def test_every_sample_file_can_be_submitted(run, simulator, path):
    outcome = run("imiconnect_from_file", path=str(path))

    assert outcome.state == "success"
    assert held_by(simulator) == rows_of(path)


@pytest.mark.usefixtures("simulator")
def test_a_run_with_failed_records_fails(run):
    """The same file twice: every profile exists already (7015), and the second run must say so by failing."""
    path = str(DAGS / "data" / "facebook.csv")
    assert run("imiconnect_from_file", path=path).state == "success"

    outcome = run("imiconnect_from_file", path=path)

    assert (outcome.state, outcome.tasks) == ("failed", {"submit": "success", "wait": "failed"})
    assert outcome.results["wait"]["failures"] == {"7015": 5}
