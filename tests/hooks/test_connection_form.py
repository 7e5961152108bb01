"""The connection form: declared once, the same in every version of Airflow."""

import ast
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import airflow
import pytest
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
from jsonschema import Draft7Validator

from airflow_imiconnect import provider_info
from airflow_imiconnect.hooks import IMIconnectHook
from airflow_imiconnect.transport.settings import LONGEST_TIMEOUT

[FORM] = provider_info.get_provider_info()["connection-types"]
FIELDS = FORM["conn-fields"]


def airflows_schema(name):
    path = Path(airflow.__file__).parent / name
    if not path.exists():
        pytest.skip(f"this version of Airflow has no {name}")
    return json.loads(path.read_text(encoding="utf-8"))


def problems(schema, value):
    return [f"{error.json_path}: {error.message}" for error in Draft7Validator(schema).iter_errors(value)]


def test_it_is_what_airflow_asks_of_a_provider():
    schema = airflows_schema("provider.yaml.schema.json")["properties"]["connection-types"]
    assert not problems(schema, [FORM])
    assert not problems(airflows_schema("provider_info.schema.json"), provider_info.get_provider_info())


def test_airflow_knows_every_word_of_a_fields_schema():
    schema = airflows_schema("provider.yaml.schema.json")["properties"]["connection-types"]["items"]["properties"]
    fields = schema.get("conn-fields") or pytest.skip("Airflow 3.1 asks the hook's methods for the fields")
    known = set(fields["additionalProperties"]["properties"]["schema"]["properties"])
    for name, field in FIELDS.items():
        Draft7Validator.check_schema(field["schema"])
        assert set(field["schema"]) <= known | {"values_display"}, name  # which the pages know, and that file does not


def test_no_field_must_be_filled_in():
    assert all("null" in field["schema"]["type"] for field in FIELDS.values())


def test_the_class_and_the_declaration_say_the_same():
    assert FORM["connection-type"] == IMIconnectHook.conn_type
    assert FORM["hook-name"] == IMIconnectHook.hook_name
    assert FORM["hook-class-name"] == f"{IMIconnectHook.__module__}.{IMIconnectHook.__qualname__}"


def expected_field(spec):
    return {"schema": spec["schema"] | {"title": spec["label"]}, "description": spec["description"], "value": None}


def as_shown(field):
    return {name: field[name] for name in ("schema", "description", "value")}


def test_airflow_shows_the_form():
    [form] = [hook for hook in HookMetaService.hook_meta_data() if hook.connection_type == "imiconnect"]
    standard = form.standard_fields
    assert form.hook_name == "IMIconnect (Webex Connect)"
    assert standard.login.hidden
    assert standard.port.hidden
    assert standard.url_schema.hidden
    assert standard.password.title == "Profile key"
    assert standard.password.placeholder == FORM["ui-field-behaviour"]["placeholders"]["password"]
    assert {name: as_shown(field) for name, field in form.extra_fields.items()} == {
        name: expected_field(spec) for name, spec in FIELDS.items()
    }


def test_airflow_3_1_is_told_the_same_by_the_hook(monkeypatch):
    monkeypatch.setitem(sys.modules, "wtforms", SimpleNamespace(StringField=HookMetaService.MockStringField))
    widgets = IMIconnectHook.get_connection_form_widgets()
    assert {name: as_shown(widget.param.dump()) for name, widget in widgets.items()} == {
        name: expected_field(spec) for name, spec in FIELDS.items()
    }
    assert IMIconnectHook.get_ui_field_behaviour() == {
        "hidden_fields": FORM["ui-field-behaviour"]["hidden-fields"],
        "relabeling": FORM["ui-field-behaviour"]["relabeling"],
        "placeholders": FORM["ui-field-behaviour"]["placeholders"],
    }


def test_fields_that_take_no_schema_do_as_well(monkeypatch):
    def field(label, description):
        return label, description

    monkeypatch.setitem(sys.modules, "wtforms", SimpleNamespace(StringField=field))
    assert IMIconnectHook.get_connection_form_widgets()["timeout"][0] == "Timeout in seconds"


def test_the_declaration_imports_nothing():
    tree = ast.parse(Path(provider_info.__file__).read_text(encoding="utf-8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]


def test_whoever_changes_the_declaration_changes_a_copy():
    provider_info.get_provider_info()["connection-types"][0]["conn-fields"]["region"]["schema"]["enum"].clear()
    assert FIELDS["region"]["schema"]["enum"]
    assert provider_info.extra_fields()["region"]["schema"]["enum"]


def test_the_form_takes_no_timeout_that_a_task_refuses():
    assert FIELDS["timeout"]["schema"]["maximum"] == LONGEST_TIMEOUT
