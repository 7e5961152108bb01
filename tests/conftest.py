"""
The whole suite runs on the private Airflow that the package's own plugin makes.

Airflow reads its settings when it is imported first, so the plugin is loaded here, before any test module is imported.
"""

import os
from importlib.metadata import version

import local_airflow
import pytest
from packaging.version import Version

pytest_plugins = ["airflow_imiconnect.testing", "support.fixtures"]
COSTLY = {
    "tests/browser/test_pages.py",
    "tests/dags/test_composed_dags.py",
    "tests/dags/test_example_dags.py",
    "tests/dags/test_parsing_is_inert.py",
    "tests/dags/test_serialisation.py",
    "tests/kill/test_dead_triggerer.py",
    "tests/kill/test_kill.py",
    "tests/tasks/test_postgres.py",
    "tests/tasks/test_storage.py",
}


def pytest_addoption(parser):
    parser.addoption("--screenshots", action="store_true", help="make test-ui: renew the pictures in docs/images")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than half a minute; run by make test-all, not by make test")
    config.addinivalue_line("markers", "ui: drives a real browser; run by make test-ui only")
    if Version(version("anyio")) < Version("4.16"):  # a call cancelled while it connects: its socket waits for the gc
        ignored = r"ignore:Exception ignored.*(socket|_SelectorTransport):pytest.PytestUnraisableExceptionWarning"
        config.addinivalue_line("filterwarnings", ignored)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Run one process more than there are cores: most tests wait for sockets and processes."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Let a test run wherever there is room, and keep the modules whole whose fixtures cost much."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - only where tests run in several processes

    class ByCost(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            module = nodeid.partition("::")[0]
            return module if module in COSTLY else nodeid

    return ByCost(config, log)


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
