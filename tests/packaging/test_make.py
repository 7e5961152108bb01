"""The commands of a newcomer: what make offers, and which Python it takes."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
UTILITIES = ("sh", "dirname", "cat")
MISSING = "exit 127"
CAN_MAKE_NO_VENV = 'case "$*" in *ensurepip*) exit 1 ;; esac; echo '


def python(version):
    return f"echo {version}"


@pytest.fixture
def find_python(tmp_path):
    """Ask venv.sh which Python it takes, on a PATH that holds these and no others."""

    def find(chosen="", **candidates):
        for utility in UTILITIES:
            (tmp_path / utility).symlink_to(shutil.which(utility))
        for name, script in candidates.items():
            path = tmp_path / name.replace("_", ".")
            path.write_text(f"#!{tmp_path}/sh\n{script}\n")
            path.chmod(0o755)
        return subprocess.run(
            [str(tmp_path / "sh"), str(PROJECT / "dev" / "venv.sh"), "--find-python"],
            env={"PATH": str(tmp_path), "PYTHON": chosen},
            capture_output=True,
            text=True,
            check=False,
        )

    return find


@pytest.mark.parametrize(
    ("candidates", "chosen"),
    [
        ({"python3": python("3.12"), "python3_13": python("3.13")}, "python3"),
        ({"python3": python("3.14"), "python3_11": python("3.11"), "python3_10": python("3.10")}, "python3.11"),
        ({"python3": python("3.9"), "python3_13": MISSING, "python3_10": python("3.10")}, "python3.10"),
        ({"python3": CAN_MAKE_NO_VENV + "3.12", "python3_11": python("3.11")}, "python3.11"),
    ],
    ids=["the default", "the default is too new", "the default is too old", "the default lacks venv"],
)
def test_it_takes_the_first_python_that_will_do(find_python, candidates, chosen):
    assert find_python(**candidates).stdout == f"{chosen}\n"


@pytest.mark.parametrize(
    ("candidates", "chosen", "words"),
    [
        ({}, "", "no python3 at all"),
        ({"python3": python("3.14")}, "", "python3 is 3.14;"),
        ({"python3": CAN_MAKE_NO_VENV + "3.12"}, "", "apt-get install python3.12-venv"),
        ({"python3": python("3.12"), "mine": python("3.9")}, "mine", "PYTHON=mine is Python 3.9"),
        ({"python3": python("3.12")}, "mine", "PYTHON=mine does not run"),
    ],
    ids=["none", "too new", "no venv", "the chosen one is too old", "the chosen one does not run"],
)
def test_it_says_why_none_will_do(find_python, candidates, chosen, words):
    answer = find_python(chosen, **candidates)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert words in answer.stderr


def test_help_is_the_default_and_tells_of_every_target():
    phony = re.search(r"^\.PHONY: (.*)$", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    answer = subprocess.run(["make"], cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
    told = [line.split()[0] for line in answer.stdout.splitlines() if line.startswith("  ")]
    assert told == [target for target in phony[1].split() if target != "venv"]


@pytest.mark.parametrize(
    ("target", "chosen"), [("test", "not slow and not ui"), ("test-all", "not ui"), ("test-ui", "ui")]
)
def test_only_test_ui_needs_a_browser(target, chosen):
    answer = subprocess.run(["make", "--dry-run", target], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert re.search(rf"-m pytest (-n auto )?-m \"?{chosen}\"?\s", answer.stdout)
