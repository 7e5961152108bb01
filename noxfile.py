"""
The tests on every supported pair of Airflow and Python, each with the dependency versions of that Airflow's release.

``make test-matrix`` runs all pairs; ``ARGS="-t oldest newest"`` two of them, ``ARGS="-t airflow-3.1"`` or
``ARGS="-t python-3.13"`` a row or a column, ``ARGS="--list"`` lists them. Arguments after ``--`` go to pytest.
"""

import os
import subprocess
from itertools import product

import nox

# The last release of each Airflow minor version (3.4: the last one that the package index has), and the day after it:
# no newer dependency is installed.
AIRFLOWS = {
    "3.1": ("3.1.8", "2026-03-12"),
    "3.2": ("3.2.2", "2026-05-30"),
    "3.3": ("3.3.2", "2026-09-18"),
    "3.4": ("3.4.0b2", "2026-11-27"),
}
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
PAIRS = tuple(product(AIRFLOWS, PYTHONS))  # all of them exist: Airflow 3.1 supports Python 3.13
TESTS = ("tests", "--ignore=tests/browser", "--ignore=tests/kill")  # those two need what only one pair has

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"  # --download-python=auto lets uv install what is missing
nox.options.error_on_missing_interpreters = False  # a pair whose Python is missing is skipped, with a message
nox.options.stop_on_first_error = False


def offer_pyenv() -> None:
    """Enable all Pythons of pyenv, if it is installed: its python3.10 only runs a version that is selected."""
    try:
        lines = subprocess.run(["pyenv", "versions", "--bare"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return
    chosen = [os.environ.get("PYENV_VERSION"), *sorted(lines.split(), reverse=True)]
    os.environ["PYENV_VERSION"] = ":".join(filter(None, chosen))


def tags_of(airflow: str, python: str) -> list[str]:
    """Return a pair's tags: its row, its column, and "oldest" or "newest" for the corners."""
    corners = {PAIRS[0]: ["oldest"], PAIRS[-1]: ["newest"]}
    return [f"airflow-{airflow}", f"python-{python}", *corners.get((airflow, python), [])]


def pins(version: str) -> list[str]:
    """Return the requirements of an Airflow: of a pre-release, uv installs only what is named."""
    parts = {"apache-airflow": version, "apache-airflow-core": version, "apache-airflow-task-sdk": f"1{version[1:]}"}
    return [f"{name}=={number}" for name, number in parts.items()]


def add_session(airflow: str, python: str) -> None:
    """Add the session that tests one pair."""

    @nox.session(name=f"airflow-{airflow}-python-{python}", python=python, tags=tags_of(airflow, python))
    def tests(session: nox.Session) -> None:
        version, day = AIRFLOWS[airflow]
        # fmt: off
        session.install(
            "--exclude-newer", day, *pins(version), "--editable", ".", "--group", "test", silent=True
        )
        # fmt: on
        session.run(
            "python", "-m", "pytest", "-q", "-n", "auto", "-m", "not slow and not ui", *(session.posargs or TESTS)
        )


offer_pyenv()
for pair in PAIRS:
    add_session(*pair)
