import json
import logging

import pytest

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
def everything_logged(caplog):
    """All log records at all levels, to look for what must not be there."""
    caplog.set_level(logging.DEBUG)
    return caplog


def record(number, **attributes):
    return {"customerId": f"C{number}", "Attributes": {"status": "1", "channel": "twitter", **attributes}}


def records(count, **attributes):
    return [record(number, **attributes) for number in range(count)]
