"""
A local IMIconnect for demos, for tests, and for the tests of your own DAGs.

It implements the documented rules of *create app profiles* and *get profile status*, keeps everything in memory, and
shows its contents on a web page. It shares no code with the rest of the package, so that a misreading of the
service's documentation is not made twice.

    from airflow_imiconnect.simulator import Simulator

    with Simulator(apps=("a_1",), queue_time=2) as sim:
        os.environ["AIRFLOW_CONN_IMICONNECT_DEFAULT"] = sim.connection
        ...
        assert len(sim.profiles["a_1"]) == 250

From a shell: ``python -m airflow_imiconnect.simulator``.
"""

from __future__ import annotations

from airflow_imiconnect.simulator.faults import Fault
from airflow_imiconnect.simulator.gateway import Call
from airflow_imiconnect.simulator.service import Result, Transaction
from airflow_imiconnect.simulator.simulator import DEFAULT_APPS, DEFAULT_KEY, Simulator

__all__ = ["DEFAULT_APPS", "DEFAULT_KEY", "Call", "Fault", "Result", "Simulator", "Transaction"]
