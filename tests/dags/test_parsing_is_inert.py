"""Airflow imports every DAG file again and again: importing ours must not touch network, files or a database."""

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from local_airflow import DAGS

import airflow_imiconnect

DAG_FILES = sorted(DAGS.glob("*.py"))
MODULES = [f"airflow_imiconnect.{module.name}" for module in pkgutil.iter_modules(airflow_imiconnect.__path__)]
WRONG = {
    "reads_a_file": ("open", "open(__file__.replace('.py', '.csv'), 'w').close()"),
    "opens_a_socket": (
        "socket.connect",
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('127.0.0.1', 9))",
    ),
    "looks_up_a_name": ("socket.getaddrinfo", "import socket; socket.getaddrinfo('localhost', 80)"),
    "asks_a_database": ("sqlite3.connect", "import sqlite3; sqlite3.connect(':memory:').close()"),
    "reads_a_variable": ("sqlite3.connect", "from airflow.models import Variable; Variable.get('x', default_var=None)"),
}


@pytest.fixture(scope="module")
def wrong_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wrong")
    for name, (_, code) in WRONG.items():
        (folder / f"{name}.py").write_text(code + "\n")
    return {name: folder / f"{name}.py" for name in WRONG}


@pytest.fixture(scope="module")
def found(wrong_files):
    """What each import did, watched in a process of its own."""
    targets = [*MODULES, *map(str, DAG_FILES), *map(str, wrong_files.values())]
    command = [sys.executable, "-B", str(Path(__file__).with_name("watch_imports.py")), *targets]
    watched = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert watched.returncode == 0, watched.stderr
    return json.loads(watched.stdout.splitlines()[-1])


@pytest.mark.parametrize("target", [*MODULES, *map(str, DAG_FILES)], ids=lambda target: Path(target).name)
def test_importing_does_nothing_but_define(found, target):
    assert found[target] == []


@pytest.mark.parametrize("name", WRONG)
def test_the_watch_sees_a_file_that_does_more(found, wrong_files, name):
    event, _ = WRONG[name]
    assert any(line.startswith(event) for line in found[str(wrong_files[name])])
