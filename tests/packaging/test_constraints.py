"""constraints.txt pins everything that the project installs, and says nothing of where it came from."""

from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
PINS = [Requirement(line) for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines()]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")


def names_on(python, platform):
    environment = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": platform}
    return [canonicalize_name(pin.name) for pin in PINS if not pin.marker or pin.marker.evaluate(environment)]


def test_each_line_is_one_exact_version_and_no_address():
    for pin in PINS:
        assert pin.url is None, pin
        assert [specifier.operator for specifier in pin.specifier] == ["=="], pin


@pytest.mark.parametrize("platform", ["linux", "darwin"])
@pytest.mark.parametrize("python", PYTHONS)
def test_every_supported_python_gets_one_version_of_each_package(python, platform):
    names = names_on(python, platform)
    assert len(names) == len(set(names))
    assert {"apache-airflow", "pip", "build", "hatchling", "pytest", "ruff", "mypy", "import-linter"} <= set(names)
