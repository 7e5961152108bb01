"""A triggerer that dies while thousands of transactions wait: another one goes on, and nothing is sent."""

import json
import os

import pytest
from support.headless import Headless, wait_until

from airflow_imiconnect.simulator import Simulator

LONG = os.environ.get("IMICONNECT_TESTS") == "long"
DAG = "submit_and_wait_deferred"
APP = "a_1"
KEY = "planted-key-4711"
VALUE = "planted-value"
RECORDS = 5000 if LONG else 1000  # each a transaction of its own
QUEUE_TIME = 30 if LONG else 15


@pytest.fixture(scope="module")
def sim():
    with Simulator(key=KEY, apps=[APP], queue_time=QUEUE_TIME) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def airflow(sim, tmp_path_factory, request):
    home = tmp_path_factory.mktemp("airflow")
    settings = {"AIRFLOW_CONN_IMICONNECT_DEFAULT": sim.connection, "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
                "AIRFLOW__SCHEDULER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "3", "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG"}  # fmt: skip
    with Headless(home, request.path.parent / "dags", settings, triggerer=True) as running:
        yield running


def line(number):
    attributes = {"status": "1", "channel": "twitter", "twitter_name": VALUE}
    return json.dumps({"customerId": f"C{number}", "Attributes": attributes}) + "\n"


def kinds(sim):
    return [call.kind for call in sim.calls]


@pytest.mark.slow
def test_another_triggerer_goes_on(airflow, sim, tmp_path):
    sim.seed_profile(APP, "C7")
    path, rejects = tmp_path / "records.jsonl", tmp_path / "rejects.jsonl"
    path.write_text("".join(map(line, range(RECORDS))))
    run_id = airflow.trigger(DAG, {"app_id": APP, "path": str(path), "rejects_path": str(rejects)})
    wait_until(lambda: kinds(sim).count("status") > 50, 120, "the triggerer asks")
    assert airflow.triggers() == 1
    airflow.kill("triggerer")
    asked = kinds(sim).count("status")
    assert airflow.task(DAG, run_id, "submit")[0] == "deferred"
    airflow.start("triggerer")
    wait_until(lambda: kinds(sim).count("status") > asked, 120, "another triggerer asks")
    assert airflow.wait_for_run(DAG, run_id, 240) == "failed", "one record existed already"
    assert kinds(sim).count("create") == RECORDS
    outcome = airflow.xcom(DAG, run_id, "submit")["outcome"]
    assert {name: outcome[name] for name in ("transactions", "records", "succeeded", "failures")} == {
        "transactions": RECORDS, "records": RECORDS, "succeeded": RECORDS - 1, "failures": {"7015": 1},
    }  # fmt: skip
    (reject,) = map(json.loads, rejects.read_text().splitlines())
    assert (reject["stage"], reject["customerId"], reject["record"]) == ("failed", "C7", json.loads(line(7)))
    assert len(sim.profiles[APP]) == RECORDS
    assert [file for file in airflow.home.rglob("*") if file.is_file() and _holds(file, KEY, VALUE)] == []


def _holds(file, *words):
    content = file.read_bytes()
    return any(word.encode() in content for word in words)
