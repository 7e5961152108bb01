"""
The tests on every Airflow and Python that the package is for, each with the packages of its own time.

``make test-matrix`` runs all pairs; ``ARGS="-t oldest newest"`` two of them, ``ARGS="-t airflow-3.1"`` or
``ARGS="-t python-3.13"`` a row or a column, ``ARGS="--list"`` names them. What follows ``--`` is pytest's.
"""

import os
import subprocess
from itertools import product

import nox

# Of each Airflow the last release, and the day after it came out: nothing newer is installed beside it.
AIRFLOWS = {
    "3.1": ("3.1.8", "2026-03-12"),
    "3.2": ("3.2.2", "2026-05-30"),
    "3.3": ("3.3.2", "2026-09-18"),
}
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
PAIRS = tuple(product(AIRFLOWS, PYTHONS))  # each of them exists: Airflow 3.1 has had Python 3.13 from its beginning
TESTS = ("tests/core", "tests/shell", "tests/simulator", "tests/dags", "tests/packaging")

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"  # --download-python=auto lets uv bring what is missing
nox.options.error_on_missing_interpreters = False  # a pair whose Python is missing is skipped, with a line that says so
nox.options.stop_on_first_error = False


def offer_pyenv() -> None:
    """Put the Pythons of pyenv, where there is one, in reach: its python3.10 runs only what is chosen."""
    try:
        lines = subprocess.run(["pyenv", "versions", "--bare"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return
    chosen = [os.environ.get("PYENV_VERSION"), *sorted(lines.split(), reverse=True)]
    os.environ["PYENV_VERSION"] = ":".join(filter(None, chosen))


def tags_of(airflow: str, python: str) -> list[str]:
    """Name the row and the column of a pair, and whether it stands in a corner."""
    corners = {PAIRS[0]: ["oldest"], PAIRS[-1]: ["newest"]}
    return [f"airflow-{airflow}", f"python-{python}", *corners.get((airflow, python), [])]


def add_session(airflow: str, python: str) -> None:
    """Add the tests of one pair."""

    @nox.session(name=f"airflow-{airflow}-python-{python}", python=python, tags=tags_of(airflow, python))
    def tests(session: nox.Session) -> None:
        version, day = AIRFLOWS[airflow]
        # fmt: off
        session.install(
            "--exclude-newer", day, f"apache-airflow=={version}", "--editable", ".", "--group", "test", silent=True
        )
        # fmt: on
        session.run("python", "-m", "pytest", "-q", "-m", "not slow", *(session.posargs or TESTS))


offer_pyenv()
for pair in PAIRS:
    add_session(*pair)
