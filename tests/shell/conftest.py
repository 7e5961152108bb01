import json
import logging
from functools import partial

import pytest

from airflow_imiconnect import operators
from airflow_imiconnect.retry import RetryPolicy
from airflow_imiconnect.simulator import Simulator

KEY = "planted-key-4711"
APP = "a_1"


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
    monkeypatch.setattr(operators, "RetryPolicy", partial(RetryPolicy, first_wait=0.05))


class Store(dict):
    """Airflow's task_state_store for one task, kept across its tries."""

    def set(self, key, value):
        self[key] = json.loads(json.dumps(value))


class Ti:
    """As much of a task instance as a task needs."""

    def __init__(self, max_tries=2):
        self.max_tries = max_tries
        self.pushed = {}

    def xcom_push(self, key, value):
        self.pushed[key] = json.loads(json.dumps(value))


def record(number, **attributes):
    return {"customerId": f"C{number}", "Attributes": {"status": "1", "channel": "twitter", **attributes}}


def records(count, **attributes):
    return [record(number, **attributes) for number in range(count)]
