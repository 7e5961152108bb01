"""The measure of the house (CONTRIBUTING.md): small rooms, small modules, short functions, empty __init__.py files."""

import ast
import statistics
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "airflow_imiconnect"
FOLDERS = [PACKAGE, *(path for path in PACKAGE.rglob("*") if path.is_dir() and path.name != "__pycache__")]
MODULES = sorted(PACKAGE.rglob("*.py"))
NOT_EMPTY = {"__init__.py", "attributes/__init__.py", "simulator/__init__.py"}  # what users import
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def lines_without_docstring(node):
    docstring = node.body[0] if ast.get_docstring(node) is not None else None
    return node.end_lineno - node.lineno + 1 - (docstring.end_lineno - docstring.lineno + 1 if docstring else 0)


def nodes(path, kinds):
    return [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, kinds)]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_a_folder_holds_twelve_files_at_most(folder):
    assert len([path for path in folder.iterdir() if path.is_file()]) <= 12


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_has_300_lines_at_most(module):
    assert len(module.read_text(encoding="utf-8").splitlines()) <= 300


def test_the_rooms_init_files_are_empty():
    written = {str(path.relative_to(PACKAGE)) for path in MODULES if path.name == "__init__.py" and path.read_text()}
    assert written <= NOT_EMPTY


def test_functions_are_short():
    lengths = sorted(lines_without_docstring(node) for module in MODULES for node in nodes(module, FUNCTIONS))
    assert statistics.median(lengths) <= 5
    assert lengths[len(lengths) * 9 // 10] <= 13


@pytest.mark.parametrize("name", ["operators.py", "sensors.py", "triggers.py", "hooks.py", "tasks/records_operator.py"])
def test_what_airflow_runs_only_translates(name):
    lengths = {node.name: lines_without_docstring(node) for node in nodes(PACKAGE / name, ast.ClassDef)}
    assert lengths
    assert max(lengths.values()) < 150, lengths
