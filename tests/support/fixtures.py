"""Fixtures that tests of several rooms share."""

import json
import logging
import os

import pytest

from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator
from airflow_imiconnect.pacing.backoff import RetryPolicy
from airflow_imiconnect.simulator import Simulator
from support.postgres import NEEDED, Postgres, programs
from support.stand_ins import APP, KEY


@pytest.fixture
def connect(monkeypatch):
    """Define the default connection."""

    def _connect(**fields):
        extra = fields.pop("extra", {})
        connection = {"conn_type": "imiconnect", "password": KEY, "extra": extra, **fields}
        monkeypatch.setenv("AIRFLOW_CONN_IMICONNECT_DEFAULT", json.dumps(connection))

    return _connect


@pytest.fixture
def simulator(connect):
    """Start a simulator and point the default connection at it; several may run at once."""
    running = []

    def _simulator(**options):
        sim = Simulator(key=KEY, apps=(APP,), **({"queue_time": 0.0} | options))
        sim.start()
        running.append(sim)
        connect(host=sim.url, extra={"app_id": APP, "timeout": 2})
        return sim

    yield _simulator
    for sim in running:
        sim.stop()


@pytest.fixture
def sim(simulator):
    return simulator()


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL; tests that need one are skipped where it is not installed, except in CI."""
    if programs() is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(NEEDED)
    running = Postgres()
    yield running
    running.stop()


@pytest.fixture
def everything_logged(caplog, capfd):
    """All that was logged at all levels, or printed: to look for what must be there, and for what must not."""
    caplog.set_level(logging.DEBUG)
    return _Everything(caplog, capfd)


class _Everything:
    def __init__(self, caplog, capfd):
        self._caplog, self._capfd, self._printed = caplog, capfd, ""

    @property
    def text(self):
        self._printed += "".join(self._capfd.readouterr())
        return self._caplog.text + self._printed


@pytest.fixture
def no_waiting(monkeypatch):
    """Tasks try again after a twentieth of the usual waits."""
    monkeypatch.setattr(IMIconnectCreateAppProfileOperator, "retries_of_requests", RetryPolicy(first_wait=0.05))
