"""What the operators and the sensor share of Airflow: rendered values, storage paths, results."""

from __future__ import annotations

import ast
import json
import os
from contextlib import suppress
from typing import Any

from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

from airflow_imiconnect.errors import IMIconnectInvalidRecordError


def unrendered(value: object) -> object:
    """
    Return the list or object that a Jinja template has turned into text; anything else as it is.

    ``"{{ ti.xcom_pull('submit')['transids'] }}"`` arrives as ``"['5f1c…']"``, a Python literal, unless the DAG renders
    native objects; with ``| tojson`` it arrives as JSON.
    """
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    for parse in (json.loads, ast.literal_eval):
        with suppress(ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            return parse(value.strip())
    return value


def storage_path(path: object) -> ObjectStoragePath:
    """
    Return the path to open: a URL (``file://``, ``s3://conn_id@bucket/key``), or a file of this machine.

    :raises IMIconnectInvalidRecordError: no installed provider knows the URL's scheme
    """
    if isinstance(path, ObjectStoragePath):
        return path
    text = os.fsdecode(path) if isinstance(path, os.PathLike | bytes) else str(path)
    try:
        # The functions of os.path keep a text a text: a Path would fold the slashes of a URL.
        return ObjectStoragePath(text if "://" in text else os.path.abspath(os.path.expanduser(text)))  # noqa: PTH100, PTH111
    except (ImportError, ValueError) as error:
        raise IMIconnectInvalidRecordError(text, f"no such storage is known here: {error}") from None


def publish(context: Context, result: object) -> None:
    """Push the result of a task that is about to fail, so that a later task and a person can still read it."""
    task_instance = context.get("ti")
    if task_instance is not None:
        task_instance.xcom_push(key="return_value", value=result)


def published(context: Context) -> Any:  # noqa: ANN401 - as it was pushed
    """Return the result that this very task has pushed."""
    task_instance = context["ti"]
    return task_instance.xcom_pull(task_ids=task_instance.task_id, map_indexes=task_instance.map_index)


def same_file(first: ObjectStoragePath, second: ObjectStoragePath) -> bool:
    """Tell whether two paths lead to one file."""
    local = ("", "file")
    if first.protocol in local and second.protocol in local:
        return os.path.realpath(first.path) == os.path.realpath(second.path)
    return (first.protocol, first.path) == (second.protocol, second.path)


def owner_of(context: Context) -> str:
    """Name the task of a run, the same for all its tries."""
    task_instance = context.get("ti")
    return " ".join(str(getattr(task_instance, name, "")) for name in ("dag_id", "run_id", "task_id", "map_index"))
