"""
A pytest plugin for the tests of your own DAGs: a temporary Airflow, and an IMIconnect simulator with a connection.

Load it in the ``conftest.py`` of the root folder, with ``pytest_plugins = ["airflow_imiconnect.testing"]``; the Airflow
is private from then on, and removed at the end. Then:

    def test_customers_are_created(imiconnect_simulator, run_dag):
        assert run_dag("dags/customers.py").state == "success"
        assert len(imiconnect_simulator.profiles["demo-in-app"]) == 250

Fixtures: :func:`imiconnect_simulator`, :func:`run_dag`, :func:`airflow_database`. Airflow is imported when one of them
is asked for, or by the tests.
"""
# ruff: noqa: PLC0415 - Airflow reads its settings on import, and tests that use no fixture must not pay for one

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from airflow_imiconnect.local_airflow.home import CONN_ID, isolate

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_imiconnect.local_airflow.runs import Outcome
    from airflow_imiconnect.simulator import Simulator

_MARKER = "imiconnect_simulator(conn_id='imiconnect_default', **options): how the fixture makes its Simulator"
_TOO_LATE = (
    "Airflow was imported before airflow_imiconnect.testing could give it a temporary home. Load this plugin in the"
    " conftest.py of the root folder, which must not import Airflow itself, or by -p airflow_imiconnect.testing."
)


class RunDag(Protocol):
    """The type of the fixture :func:`run_dag`."""

    def __call__(
        self, dag: DAG | str | Path, dag_id: str | None = None, *, conf: dict[str, Any] | None = None
    ) -> Outcome:
        """Run a DAG; see the fixture."""


class _PrivateAirflow:
    """The environment and the folder of the temporary Airflow, from the constructor to the end of the tests."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="airflow-imiconnect-"))
        dags_folder = self._home / "dags"  # stays empty: dag.test() loads it again for each run
        isolate(self._home, dags_folder)
        dags_folder.mkdir()

    def pytest_unconfigure(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self._home, ignore_errors=True)


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Start the private Airflow: of all hooks this is called first, when no other conftest.py has been imported yet."""
    if "airflow" in sys.modules:
        raise pytest.UsageError(_TOO_LATE)
    pluginmanager.register(_PrivateAirflow())


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def imiconnect_simulator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """
    Return a running simulator, new for each test, and define the connection ``imiconnect_default`` to it.

    ``@pytest.mark.imiconnect_simulator(apps=["my-app"], conn_id="crm")`` passes arguments to
    :class:`~airflow_imiconnect.simulator.Simulator`, and defines the connection ``crm`` instead. The connection's
    app is the first one.

    :raises TypeError: the simulator does not know an argument
    :raises ValueError: an argument has an invalid value
    """
    from airflow_imiconnect.simulator import Simulator

    marker = request.node.get_closest_marker("imiconnect_simulator")
    options = dict(marker.kwargs) if marker else {}
    conn_id = options.pop("conn_id", CONN_ID)
    with Simulator(**options) as simulator:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", simulator.connection)
        yield simulator


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Create the tables of the temporary Airflow, once for all tests; takes a few seconds."""
    from airflow_imiconnect.local_airflow.runs import keep_api, prepare_database

    prepare_database()
    keep_api()


@pytest.fixture
def run_dag(airflow_database: None, monkeypatch: pytest.MonkeyPatch) -> RunDag:  # noqa: ARG001 - it is there
    """
    Return a function that runs a DAG in this process, and returns its outcome: ``state``, ``tasks`` and ``results``.

    ``run_dag(dag, dag_id=None, *, conf=None) -> Outcome``. Tasks run one after another, triggers inline, and retries do
    not wait. A failed run raises nothing: look at ``state``; the tasks' logs are in what pytest shows of a failed test.

    :param dag: a DAG, or the path of a file that defines it, whose folder is put on ``sys.path`` for the test
    :param dag_id: which of the file's DAGs; not needed if there is only one
    :param conf: the values of the run's params
    :raises DagFileError: the file does not exist, cannot be imported, or does not define that DAG
    """
    from airflow_imiconnect.local_airflow import runs

    def run(dag: DAG | str | Path, dag_id: str | None = None, *, conf: dict[str, Any] | None = None) -> Outcome:
        if isinstance(dag, str | Path):
            path = Path(dag).resolve()
            monkeypatch.syspath_prepend(str(path.parent))
            return runs.run_dag(runs.load_dag(path, dag_id), conf)
        runs.store_dag(dag)
        return runs.run_dag(dag, conf)

    return run
