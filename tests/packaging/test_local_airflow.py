"""The demo, the pages and these tests read nothing of the user's own Airflow."""

import os

import airflow.configuration
import local_airflow
import pytest


@pytest.fixture
def environment(monkeypatch):
    """The environment, put back after the test."""
    kept = dict(os.environ)
    yield monkeypatch
    os.environ.clear()
    os.environ.update(kept)


@pytest.mark.parametrize(
    "name",
    ["AIRFLOW_CONFIG", "AIRFLOW_CONN_IMICONNECT_DEFAULT", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "_AIRFLOW_DB_MIGRATE"],
)
def test_the_users_own_settings_are_dropped(environment, tmp_path, name):
    environment.setenv(name, "the user's own")
    local_airflow.isolate(tmp_path / "home")
    assert name not in os.environ


def test_the_home_is_the_given_one(environment, tmp_path):
    environment.setenv("AIRFLOW_HOME", "/the/users/own")
    local_airflow.isolate(tmp_path / "home", {"AIRFLOW__API__PORT": "1"})
    assert os.environ["AIRFLOW_HOME"] == str(tmp_path / "home")
    assert os.environ["AIRFLOW__API__PORT"] == "1"
    assert (tmp_path / "home").is_dir()


def test_this_very_suite_runs_on_a_home_of_its_own():
    assert os.environ["AIRFLOW_HOME"] == airflow.configuration.AIRFLOW_HOME
    assert "airflow-imiconnect-" in airflow.configuration.AIRFLOW_HOME
    assert not airflow.configuration.conf.getboolean("core", "load_examples")
