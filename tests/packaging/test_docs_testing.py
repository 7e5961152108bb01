"""docs/testing.md: a stranger's project in an empty folder, tested as the page says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^```\w+ (\S+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
FIRST = FILES["tests/test_customers.py"]
TESTS = sum(text.count("def test_") for text in FILES.values())
LATE = "import airflow\n\n"


@pytest.fixture
def project(tmp_path):
    """Write the page's files, and more, into an empty folder; return a function that runs pytest there."""
    folder = tmp_path / "project"

    def run(*arguments, **more):
        for name, text in (FILES | more).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        (tmp_path / "temporary").mkdir()
        own = {"HOME": "home", "AIRFLOW_HOME": "home/airflow", "TMPDIR": "temporary"}
        environment = {name: str(tmp_path / path) for name, path in own.items()}
        environment |= {
            "AIRFLOW__CORE__EXECUTOR": "the user's own",
            "AIRFLOW_CONN_IMICONNECT_DEFAULT": "the user's own",
        }
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
            cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    return run


def test_the_first_test_has_five_lines():
    assert len(FIRST.splitlines()) == 5


def test_every_test_of_the_page_passes_and_nothing_is_left(project, tmp_path):
    done = project()
    assert f"{TESTS} passed" in done.stdout, done.stdout + done.stderr
    assert not (tmp_path / "home").exists()
    assert [path for path in (tmp_path / "temporary").iterdir() if path.name.startswith("airflow-imiconnect-")] == []


def test_an_airflow_imported_before_is_refused(project):
    done = project(**{"conftest.py": LATE + FILES["conftest.py"]})
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "Airflow was imported before" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_plugin_on_the_command_line_comes_before_it(project):
    done = project("-p", "airflow_imiconnect.testing", "tests/test_customers.py", **{"conftest.py": LATE})
    assert "1 passed" in done.stdout, done.stdout + done.stderr
