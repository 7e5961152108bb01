"""
The whole suite runs on a private Airflow in a temporary folder.

Airflow reads its settings when it is imported first, so they are made here, before any test module is imported.
"""

import functools
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.version import Version

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "dev"))
sys.path.insert(0, str(Path(__file__).resolve().parent / "kill"))  # its headless Airflow serves other tests, too

import local_airflow

HOME = Path(tempfile.mkdtemp(prefix="airflow-imiconnect-"))
local_airflow.isolate(HOME)


def pytest_addoption(parser):
    parser.addoption("--screenshots", action="store_true", help="make test-ui: renew the pictures in docs/images")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than half a minute; run by make test-all, not by make test")
    config.addinivalue_line("markers", "ui: drives a real browser; run by make test-ui only")
    if Version(version("anyio")) < Version("4.16"):  # a call cancelled while it connects: its socket waits for the gc
        ignored = r"ignore:Exception ignored.*(socket|_SelectorTransport):pytest.PytestUnraisableExceptionWarning"
        config.addinivalue_line("filterwarnings", ignored)


def pytest_unconfigure():
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def airflow_database():
    """An empty database of Airflow, made when the first test asks for it."""
    local_airflow.prepare_database()
    _keep_the_api()


def _keep_the_api():
    """Let dag.test() make its API once: before Airflow 3.3 it does so for each task, which takes two seconds."""
    from airflow.sdk.execution_time import supervisor  # noqa: PLC0415 - Airflow is imported after isolate()

    if not hasattr(supervisor.in_process_api_server, "cache_info"):
        supervisor.in_process_api_server = functools.cache(supervisor.in_process_api_server)


@pytest.fixture(scope="session")
def example_dags(airflow_database):
    """The DAGs of dags/ by id, stored as the DAG processor would."""
    return local_airflow.load_dags()


@pytest.fixture
def write(tmp_path):
    """Write a file of a name and a content; return its path."""

    def _write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return _write
