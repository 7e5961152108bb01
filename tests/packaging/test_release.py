"""What a release consists of: workflows that hold what SECURITY.md promises, and archives with everything in them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
RELEASE = PROJECT / ".github" / "workflows" / "release.yml"
FORMS = sorted((PROJECT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")


def read(path):
    return path.read_text(encoding="utf-8")


def jobs(path):
    return yaml.safe_load(read(path))["jobs"]


def program(name):
    """Return a program of this environment; those that check workflows are not installed on every Airflow and Python."""
    return shutil.which(name, path=Path(sys.executable).parent) or pytest.skip(f"{name} is not installed")


def complaints(*command):
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def write_repository(folder, text):
    path = folder / ".github" / "workflows" / "ours.yml"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("schema", "files"), [("github-workflows", WORKFLOWS), ("github-issue-forms", FORMS)])
def test_github_understands_them(schema, files):
    assert files
    assert not complaints(program("check-jsonschema"), "--builtin-schema", f"vendor.{schema}", *files)


def test_the_workflows_are_safe():
    assert not complaints(program("zizmor"), "--offline", "--no-progress", PROJECT / ".github")


def test_the_checks_see_a_mistake(tmp_path):
    unsafe = write_repository(tmp_path, read(RELEASE).replace("make lint test", "echo ${{ github.head_ref }}"))
    assert "template-injection" in complaints(program("zizmor"), "--offline", "--no-progress", unsafe)
    unsafe.write_text(read(RELEASE).replace("runs-on:", "run-on:"), encoding="utf-8")
    assert "runs-on" in complaints(
        program("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", "--verbose", unsafe
    )


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_an_action_is_a_commit_and_says_its_version(path):
    lines = [line.strip().removeprefix("- ") for line in read(path).splitlines() if "uses:" in line]
    assert lines
    assert [line for line in lines if not PINNED.match(line)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_job_ends_by_itself_and_names_its_rights(path):
    assert yaml.safe_load(read(path))["permissions"] == {}
    assert [name for name, job in jobs(path).items() if not {"timeout-minutes", "permissions"} <= set(job)] == []


def test_only_trusted_publishing_publishes():
    publish = jobs(RELEASE)["publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["environment"] == "pypi"
    assert publish["steps"][-1]["with"] == {"attestations": True}
    assert "secrets." not in read(RELEASE)


def test_what_is_published_was_checked_and_attested():
    release = jobs(RELEASE)
    commands = " ".join(step.get("run", "") for step in release["build"]["steps"])
    assert all(target in commands for target in ("make sbom", "make lint test"))
    assert release["publish"]["needs"] == ["build", "attest"]
    assert release["attest"]["permissions"] == {"attestations": "write", "id-token": "write"}


def test_the_workflows_call_only_what_make_has():
    called = {
        target
        for path in WORKFLOWS
        for line in re.findall(r"run: make ([a-z -]+)", read(path))
        for target in line.split()
    }
    assert called
    assert called <= set(re.findall(r"^([a-z-]+):", read(PROJECT / "Makefile"), re.MULTILINE))


def test_every_supported_python_is_tested():
    tested = jobs(PROJECT / ".github" / "workflows" / "tests.yml")["pythons"]["strategy"]["matrix"]["python"]
    declared = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', read(PROJECT / "pyproject.toml"))
    assert tested == declared


def test_what_people_look_for_is_linked():
    assert "](CONTRIBUTING.md)" in read(PROJECT / "README.md")
    assert "](SECURITY.md)" in read(PROJECT / "README.md")
    assert "](SECURITY.md)" in read(PROJECT / "CONTRIBUTING.md")
