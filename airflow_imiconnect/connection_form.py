"""The connection form for Airflow 3.1, which asks the hook for it; later versions read provider_info, as this does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_imiconnect.provider_info import extra_fields, standard_fields


def field_behaviour() -> dict[str, Any]:
    """Return what the form makes of the fields that every connection has, in the words of Airflow 3.1."""
    return {name.replace("-", "_"): value for name, value in standard_fields().items()}


def widgets() -> dict[str, Any]:
    """Return the form's own fields as WTForms fields; wtforms is Airflow's stand-in while it builds the form."""
    from wtforms import StringField  # noqa: PLC0415 - there to be imported at that moment only

    return {name: _widget(StringField, spec) for name, spec in extra_fields().items()}


def _widget(field: Any, spec: Mapping[str, Any]) -> Any:  # noqa: ANN401 - Airflow's stand-in, or a field of WTForms
    widget = field(spec["label"], description=spec["description"])
    # WTForms knows no drop-down with names and no number with a minimum; the schema of Airflow's stand-in takes both.
    if hasattr(widget, "param"):
        widget.param.schema.update(spec["schema"])
    return widget
