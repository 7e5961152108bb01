"""What Airflow is told of the package: true, complete, and found by Airflow itself."""

import inspect
import json
from importlib import import_module
from importlib.metadata import metadata
from pathlib import Path

import airflow
import pytest
from airflow.providers_manager import ProvidersManager
from airflow.sdk import BaseHook, BaseOperator, BaseSensorOperator, task
from airflow.triggers.base import BaseTrigger
from jsonschema import Draft7Validator

from airflow_imiconnect.provider_info import get_provider_info

INFO = get_provider_info()
KINDS = {"operators": BaseOperator, "sensors": BaseSensorOperator, "hooks": BaseHook, "triggers": BaseTrigger}
# What Airflow 3.3 would use, and the package does not have: databases, buckets, logs, secrets, executors, settings ...
NOTHING_OF = set(
    """asset-uris auth-backends auth-managers bundles cli config dataset-uris db-managers dialects email-backends executors
    extra-links filesystems hook-class-names logging notifications plugins queues remote-logging secrets-backends
    transfers""".split()
)


def airflows_schema(name):
    path = Path(airflow.__file__).parent / name
    if not path.exists():
        pytest.skip(f"this version of Airflow has no {name}")
    return json.loads(path.read_text(encoding="utf-8"))


def problems(schema, value):
    return [f"{error.json_path}: {error.message}" for error in Draft7Validator(schema).iter_errors(value)]


def defined_in(module, kind):
    return [
        name
        for name, value in inspect.getmembers(import_module(module), inspect.isclass)
        if issubclass(value, kind) and value.__module__ == module and not name.startswith("_")
    ]


def test_airflow_takes_it():
    assert not problems(airflows_schema("provider_info.schema.json"), INFO)


@pytest.mark.parametrize("key", ["integrations", *KINDS, "task-decorators"])
def test_a_part_is_as_airflows_own_providers_have_it(key):
    schema = airflows_schema("provider.yaml.schema.json")
    assert not problems(schema["properties"][key], INFO[key])


def test_all_that_airflow_can_use_is_there():
    if not airflow.__version__.startswith("3.3."):
        pytest.skip("written for Airflow 3.3")
    assert set(airflows_schema("provider_info.schema.json")["properties"]) == set(INFO) | NOTHING_OF


@pytest.mark.parametrize(("key", "kind"), KINDS.items())
def test_each_module_that_is_named_defines_what_it_is_named_for(key, kind):
    modules = [module for entry in INFO[key] for module in entry["python-modules"]]
    assert modules
    assert all(defined_in(module, kind) for module in modules)


def test_each_part_belongs_to_an_integration():
    known = {entry["integration-name"] for entry in INFO["integrations"]}
    assert {entry["integration-name"] for key in KINDS for entry in INFO[key]} <= known


def test_the_name_and_the_version_are_the_distributions():
    provider = ProvidersManager().providers["airflow-imiconnect"]
    about = metadata("airflow-imiconnect")
    assert INFO["package-name"] == about["Name"]
    assert provider.version == about["Version"]


def test_airflow_finds_the_trigger_and_the_decorator():
    [trigger] = [found for found in ProvidersManager().trigger if found.package_name == "airflow-imiconnect"]
    assert trigger.trigger_class_name == "airflow_imiconnect.triggers"
    [decorator] = INFO["task-decorators"]
    module, _, name = decorator["class-name"].rpartition(".")
    assert getattr(task, decorator["name"]) is getattr(import_module(module), name)
