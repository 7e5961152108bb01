"""A DAG file is imported again and again, and provider_info at every start: what ours bring along is counted here."""

import subprocess
import sys

AIRFLOWS = """
import airflow.triggers.base
from airflow.providers.common.compat.sdk import BaseHook, BaseSensorOperator, ObjectStoragePath, XComArg, conf
"""
OURS = "import airflow_imiconnect.operators, airflow_imiconnect.sensors"
PROVIDER_INFO = "from airflow_imiconnect.provider_info import get_provider_info; get_provider_info()"


def brought_along(code, before=""):
    """Return the modules that code loads in a process of its own, beyond those of the code before."""
    script = f"import sys\n{before}\nbefore = set(sys.modules)\n{code}\nprint(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()


def test_provider_info_imports_nothing():
    assert brought_along(PROVIDER_INFO) == ["airflow_imiconnect", "airflow_imiconnect.provider_info"]


def test_operators_and_sensors_bring_no_library_along():
    libraries = {name.partition(".")[0] for name in brought_along(OURS, AIRFLOWS)} - set(sys.stdlib_module_names)
    assert libraries == {"airflow_imiconnect"}


def test_the_count_sees_a_library():
    assert "requests" in brought_along(f"{OURS}; import airflow_imiconnect.transport.sync_client", AIRFLOWS)
