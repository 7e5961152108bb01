"""What DAG authors do with tasks - mapping, templates, groups, rules, setup and teardown - done with ours, on Airflow."""

import json
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import local_airflow
import pytest
from support.headless import AirflowError, Headless, free_port

from airflow_imiconnect.simulator import Simulator

FOLDER = Path(__file__).parent / "composed"
APPS = ("a_1", "a_2")
DEFAULT, OTHER = "default", "other"
FILES = {"a.jsonl": ["J1", "J2", "J3"], "b.csv": ["T1", "T2"], "c.json": ["D1"]}
# dag.test() of this version counts mapped tasks in another thread while it holds SQLite's lock; a scheduler does not.
LOCKS_SQLITE = {"3.4.0b2": ("grouped_and_mapped", "ruled")}.get(version("apache-airflow"), ())
SUCCESS, FAILED, SKIPPED, NOT_RUN = "success", "failed", "skipped", "upstream_failed"


@pytest.fixture(scope="module")
def dags(airflow_database):
    return local_airflow.load_dags(FOLDER)


@pytest.fixture(scope="module")
def ports():
    """Those of the two simulators, each time that they are started."""
    return {DEFAULT: free_port(), OTHER: free_port()}


def connections(ports):
    names = {DEFAULT: local_airflow.CONNECTION_VARIABLE, OTHER: "AIRFLOW_CONN_OTHER_TENANT"}
    common = {"conn_type": "imiconnect", "extra": {"app_id": APPS[0]}}
    return {
        names[tenant]: json.dumps({"host": f"http://127.0.0.1:{port}", "password": tenant, **common})
        for tenant, port in ports.items()
    }


@pytest.fixture
def tenants(monkeypatch, ports):
    """Two simulators: the default connection's, and another tenant's."""
    for name, connection in connections(ports).items():
        monkeypatch.setenv(name, connection)
    default, other = (Simulator(apps=APPS, key=tenant, port=port, queue_time=0.2) for tenant, port in ports.items())
    with default, other:
        yield {DEFAULT: default, OTHER: other}


@pytest.fixture(scope="module")
def airflow(tmp_path_factory, ports):
    """An Airflow with a scheduler and a triggerer."""
    environment = connections(ports) | {"AIRFLOW__CORE__PARALLELISM": "4"}
    with Headless(tmp_path_factory.mktemp("airflow"), FOLDER, environment, triggerer=True) as running:
        yield running


@pytest.fixture
def folder(tmp_path):
    records = {
        name: [{"customerId": customer, "Attributes": {"status": "1"}} for customer in customers]
        for name, customers in FILES.items()
    }
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, records["a.jsonl"])))
    (tmp_path / "b.csv").write_text("\n".join(["customerId,status", *(f"{name},1" for name in FILES["b.csv"])]))
    (tmp_path / "c.json").write_text(json.dumps({"Records": records["c.json"]}))
    return tmp_path


@pytest.fixture(params=["dag.test()", pytest.param("scheduler", marks=pytest.mark.slow)])
def run(request, dags, tenants, folder):
    """Run a DAG; return its state, and the state and the result of each of its task instances."""

    def run(dag_id):
        dag = dags[dag_id]
        conf = {"folder": str(folder)} if "folder" in dag.params else {}
        if request.param == "scheduler":
            return run_by_scheduler(request.getfixturevalue("airflow"), dag_id, conf)
        if dag_id in LOCKS_SQLITE:
            pytest.xfail("dag.test() of this Airflow locks its own database")
        return run_here(dag, conf)

    return run


def run_here(dag, conf):
    done = dag.test(run_conf=conf or None)
    instances = {(each.task_id, each.map_index): each for each in done.get_task_instances()}
    states = {name: str(instance.state) for name, instance in instances.items()}
    results = {
        (task_id, index): instance.xcom_pull(task_ids=task_id, map_indexes=index)
        for (task_id, index), instance in instances.items()
    }
    return str(done.state), states, results


def run_by_scheduler(airflow, dag_id, conf):
    run_id = airflow.trigger(dag_id, conf)
    state, states, results = airflow.wait_for_run(dag_id, run_id, 120), airflow.states(dag_id, run_id), {}
    for task_id, index in states:
        with suppress(AirflowError):  # it has returned nothing
            results[task_id, index] = airflow.xcom(dag_id, run_id, task_id, index)
    return state, states, results


def held(simulator, app_id):
    return sorted(customer_id for customer_id, _ in simulator.profiles[app_id])


def creates(simulator):
    return [call for call in simulator.calls if call.kind == "create"]


def mapped(task_id, *states):
    return {(task_id, index): state for index, state in enumerate(states)}


def waited(results, *names):
    return [(results[name]["transactions"], results[name]["succeeded"], results[name]["failed"]) for name in names]


# -- mapping --


def test_a_task_for_each_file_and_one_sensor_for_all(run, tenants):
    state, states, results = run("mapped_over_paths")

    assert (state, states) == (SUCCESS, mapped("submit", *[SUCCESS] * 3) | {("wait", -1): SUCCESS})
    assert [results["submit", index]["records"] for index in range(3)] == [3, 2, 1]
    assert waited(results, ("wait", -1)) == [(4, 6, 0)]
    assert held(tenants[DEFAULT], "a_1") == ["D1", "J1", "J2", "J3", "T1", "T2"]
    assert len(creates(tenants[DEFAULT])) == 4


def test_a_task_for_each_list_of_records_and_a_sensor_for_each_task(run, tenants):
    state, states, results = run("mapped_over_records")

    each = mapped("submit", *[SUCCESS] * 3) | mapped("wait", *[SUCCESS] * 3)
    assert (state, states) == (SUCCESS, {("lists_of_records", -1): SUCCESS} | each)
    assert waited(results, *mapped("wait", 0, 0, 0)) == [(1, 3, 0), (1, 1, 0), (1, 2, 0)]
    assert held(tenants[DEFAULT], "a_1") == ["A0", "A1", "A2", "B0", "C0", "C1"]


def test_a_task_for_each_set_of_arguments(run, tenants):
    state, states, results = run("mapped_over_arguments")

    each = mapped("submit", SUCCESS, SUCCESS) | {("wait", -1): SUCCESS}
    assert (state, states) == (SUCCESS, {("files_and_apps", -1): SUCCESS} | each)
    assert [results["submit", index]["app_id"] for index in range(2)] == ["a_1", "a_2"]
    assert held(tenants[DEFAULT], "a_1") == ["J1", "J2", "J3"]
    assert held(tenants[DEFAULT], "a_2") == ["D1", "T1", "T2"]


def test_the_records_that_mapped_tasks_have_found_go_in_one_call(run, tenants):
    state, _, results = run("records_of_mapped_tasks")

    assert (state, results["submit", -1]["records"]) == (SUCCESS, 3)
    assert results["submit", -1]["outcome"]["succeeded"] == 3
    assert waited(results, ("wait", -1)) == [(1, 3, 0)]
    assert held(tenants[DEFAULT], "a_1") == ["M1", "M2", "M3"]
    assert len(creates(tenants[DEFAULT])) == 1


def test_mapped_tasks_wait_in_the_triggerer_themselves(run, tenants):
    state, states, results = run("mapped_and_waiting")

    assert (state, states) == (SUCCESS, {("lists_of_records", -1): SUCCESS} | mapped("submit", *[SUCCESS] * 3))
    assert [results["submit", index]["outcome"]["succeeded"] for index in range(3)] == [3, 1, 2]
    assert len(creates(tenants[DEFAULT])) == 3


# -- templates, default_args --


def test_jinja_in_every_field(run, tenants, folder):
    tenants[OTHER].seed_profile("a_1", "T2")
    with (folder / "a.jsonl").open("a") as file:
        file.write('\n{"Attributes": {"status": "1"}}')

    state, _, results = run("templated_text")

    assert state == SUCCESS
    assert (results["submit", -1]["app_id"], results["submit", -1]["invalid"]) == ("a_1", 1)
    assert results["submit", -1]["rejects"] == f"file://{folder}/submit.rejects"
    assert (results["wait", -1]["failed"], results["wait", -1]["rejects"]) == (1, f"file://{folder}/wait.rejects")
    assert json.loads((folder / "wait.rejects").read_text())["customerId"] == "T2"
    assert held(tenants[OTHER], "a_1") == ["J1", "J2", "J3", "T1", "T2"]
    assert tenants[DEFAULT].calls == ()


def test_jinja_within_records_and_as_native_objects(run, tenants):
    state, _, results = run("templated_native")

    assert (state, waited(results, ("wait", -1))) == (SUCCESS, [(1, 2, 0)])
    assert {customer: attributes for (customer, _), attributes in tenants[OTHER].profiles["a_1"].items()} == {
        "C1": {"status": "1", "seen": "manual"},
        "C2": {"status": "1"},
    }
    assert tenants[DEFAULT].calls == ()


def test_one_connection_for_a_whole_dag_from_default_args(run, tenants):
    state, states, results = run("one_connection_for_all")

    each = mapped("more", SUCCESS, SUCCESS) | mapped("wait_for_more", SUCCESS, SUCCESS)
    assert (state, states) == (SUCCESS, {("first", -1): SUCCESS, ("wait", -1): SUCCESS} | each)
    assert waited(results, ("wait", -1), *mapped("wait_for_more", 0, 0)) == [(1, 3, 0), (1, 2, 0), (1, 1, 0)]
    assert held(tenants[OTHER], "a_2") == ["D1", "J1", "J2", "J3", "T1", "T2"]
    assert tenants[DEFAULT].calls == ()


# -- groups, rules, setup and teardown --


def test_groups_within_a_group(run, tenants):
    state, states, results = run("grouped")

    names = [(f"profiles.{app}.{name}", -1) for app in APPS for name in ("submit", "wait")]
    assert (state, states) == (SUCCESS, dict.fromkeys(names, SUCCESS))
    assert waited(results, names[1], names[3]) == [(1, 3, 0), (1, 2, 0)]
    assert [held(tenants[DEFAULT], app) for app in APPS] == [FILES["a.jsonl"], FILES["b.csv"]]


def test_a_group_for_each_file(run, tenants):
    state, states, results = run("grouped_and_mapped")

    each = mapped("create.submit", SUCCESS, SUCCESS) | mapped("create.wait", SUCCESS, SUCCESS)
    assert (state, states) == (SUCCESS, {("files", -1): SUCCESS} | each)
    assert waited(results, *mapped("create.wait", 0, 0)) == [(1, 3, 0), (1, 2, 0)]
    assert held(tenants[DEFAULT], "a_1") == ["J1", "J2", "J3", "T1", "T2"]


def test_a_trigger_rule_waits_for_what_was_submitted_beside_a_failure(run, tenants):
    state, states, results = run("ruled")

    others = {("wait", -1): SUCCESS, ("tell", -1): SUCCESS, ("go_on", -1): NOT_RUN}
    assert (state, states) == (FAILED, mapped("submit", SUCCESS, FAILED, SUCCESS) | others)
    assert waited(results, ("wait", -1)) == [(2, 4, 0)]
    assert held(tenants[DEFAULT], "a_1") == ["D1", "J1", "J2", "J3"]


def test_what_was_set_up_is_torn_down_when_a_task_fails(run, tenants, folder):
    state, states, _ = run("set_up_and_torn_down")

    expected = {"write": SUCCESS, "submit": SUCCESS, "wait": SUCCESS, "fail": FAILED, "remove": SUCCESS}
    assert (state, states) == (FAILED, {(task_id, -1): each for task_id, each in expected.items()})
    assert held(tenants[DEFAULT], "a_1") == ["S1"]
    assert not (folder / "made.jsonl").exists()


def test_our_tasks_are_a_setup_and_a_teardown(run, tenants):
    state, states, results = run("ours_as_setup_and_teardown")

    assert (state, states) == (FAILED, {("submit", -1): SUCCESS, ("work", -1): FAILED, ("wait", -1): SUCCESS})
    assert waited(results, ("wait", -1)) == [(1, 3, 0)]
    assert held(tenants[DEFAULT], "a_1") == FILES["a.jsonl"]
