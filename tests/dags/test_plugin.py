"""The pytest plugin for users' own DAGs, where docs/testing.md does not show it already."""

import os
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from airflow.sdk import dag, task

from airflow_imiconnect.local_airflow.runs import DagFileError

HEAVY = {"airflow", "fastapi", "uvicorn", "pydantic", "requests", "rich", "sqlalchemy"}
HEADER = "from airflow.sdk import dag, task\n"
ONE = """
@dag(schedule=None)
def {0}():
    @task
    def say():
        return {1}
    say()

{0}()
"""


def dag_file(write, *dag_ids, value="'said'"):
    return write("own.py", HEADER + "".join(ONE.format(dag_id, value) for dag_id in dag_ids))


def test_loading_it_imports_nothing_heavy():
    script = "import sys, pytest, airflow_imiconnect.testing; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "airflow_imiconnect.testing" in loaded
    assert HEAVY.isdisjoint(loaded)


def test_importing_it_leaves_the_environment_alone():
    script = "import os; before = dict(os.environ); import airflow_imiconnect.testing; assert os.environ == before"
    subprocess.run([sys.executable, "-c", script], env=os.environ | {"AIRFLOW_CONN_X": "{}"}, check=True)


def test_the_only_dag_of_a_file_is_run(run_dag, write):
    outcome = run_dag(str(dag_file(write, "plugin_only")))
    assert (outcome.state, outcome.tasks, outcome.results) == ("success", {"say": "success"}, {"say": "said"})


def test_one_of_several_is_chosen_by_its_id(run_dag, write):
    path = dag_file(write, "plugin_first", "plugin_second", value="'from a file with two'")
    assert run_dag(path, "plugin_second").results == {"say": "from a file with two"}


@pytest.mark.parametrize("dag_id", [None, "plugin_third"])
def test_which_dag_must_be_clear(run_dag, write, dag_id):
    path = dag_file(write, "plugin_first", "plugin_second")
    wanted = "one DAG" if dag_id is None else "the DAG 'plugin_third'"
    with pytest.raises(DagFileError, match=rf"own.py does not define {wanted}. Its DAGs: plugin_first, plugin_second."):
        run_dag(path, dag_id)


def test_a_file_without_dags(run_dag, write):
    with pytest.raises(DagFileError, match="does not define one DAG. Its DAGs: none; Airflow skips a file that"):
        run_dag(write("none.py", "NUMBER = 1"))


def test_a_file_that_airflow_would_skip_is_skipped(run_dag, write):
    write("plugin_factory.py", HEADER + ONE.format("plugin_made", 1))
    with pytest.raises(DagFileError, match="does not contain both words 'dag' and 'airflow'"):
        run_dag(write("skipped.py", "from plugin_factory import *"))


def test_a_missing_file(run_dag, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DagFileError, match=rf"{tmp_path}/none.py does not exist .* starts at {tmp_path}."):
        run_dag("none.py")


def test_a_file_that_cannot_be_imported(run_dag, write):
    with pytest.raises(DagFileError, match=r"(?s)broken.py cannot be imported:.*ZeroDivisionError"):
        run_dag(write("broken.py", f"{HEADER}1 / 0"))


def test_a_file_may_import_its_neighbours(run_dag, write):
    write("plugin_neighbour.py", "VALUE = 'of a neighbour'")
    path = write("own.py", "from plugin_neighbour import VALUE\n" + HEADER + ONE.format("plugin_importing", "VALUE"))
    assert run_dag(path).results == {"say": "of a neighbour"}
    assert str(path.parent) in sys.path


def test_a_files_folder_leaves_the_path_with_the_test():
    assert not [path for path in sys.path if "test_a_file_may_import" in path]


def test_a_changed_dag_is_run_as_it_is_now(run_dag, write):
    assert run_dag(dag_file(write, "plugin_changed", value=1)).results == {"say": 1}
    assert run_dag(dag_file(write, "plugin_changed", value=22)).results == {"say": 22}


def test_of_a_mapped_task_there_are_lists(run_dag):
    @dag(schedule=None)
    def plugin_mapped():
        @task
        def invert(number):
            return 1 / number

        invert.expand(number=[2, 0, 4])

    outcome = run_dag(plugin_mapped())
    assert outcome.tasks == {"invert": ["success", "failed", "success"]}
    assert outcome.results == {"invert": [0.5, None, 0.25]}


def test_retries_do_not_wait(run_dag):
    @dag(schedule=None)
    def plugin_retried():
        @task(retries=2, retry_delay=timedelta(minutes=5))
        def fail():
            raise OSError

        @task(retries=1, retry_delay=timedelta(minutes=5))
        def map_and_fail(number):
            raise OSError

        fail()
        map_and_fail.expand(number=[1])

    made = plugin_retried()
    start = time.monotonic()
    assert run_dag(made).tasks == {"fail": "failed", "map_and_fail": ["failed"]}
    assert time.monotonic() - start < 60
    assert {each.retry_delay for each in made.tasks} == {timedelta(minutes=5)}


def test_params_are_given_by_conf(run_dag):
    @dag(schedule=None, params={"name": "default"})
    def plugin_params():
        @task
        def say(params=None):
            return params["name"]

        say()

    assert run_dag(plugin_params(), conf={"name": "given"}).results == {"say": "given"}


@pytest.mark.imiconnect_simulator(apps=["a_1"], conn_id="crm")
def test_the_connection_is_the_simulators(imiconnect_simulator):
    assert os.environ["AIRFLOW_CONN_CRM"] == imiconnect_simulator.connection
    assert imiconnect_simulator.apps == ("a_1",)


def test_the_connection_ends_with_the_test(imiconnect_simulator):
    assert "AIRFLOW_CONN_CRM" not in os.environ
    assert os.environ["AIRFLOW_CONN_IMICONNECT_DEFAULT"] == imiconnect_simulator.connection
