"""The arguments of tasks, checked while a DAG is parsed: each of these raises ValueError, and names the task."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta

from airflow_imiconnect.profile_api.operations import MAX_RECORDS
from airflow_imiconnect.records.sources.file_source import FORMATS
from airflow_imiconnect.records.sources.tables import TableOptions


def check_input(task_id: str, records: object, path: object, file_format: str, options: TableOptions) -> None:
    """Check what an operator reads, and how."""
    if (records is None) == (path is None):
        both = "both are given" if records is not None else "neither is given, or an upstream task returned None"
        raise ValueError(f"Task {task_id!r}: give exactly one of records and path; {both}.")
    if file_format not in FORMATS:
        raise ValueError(f"Task {task_id!r}: file_format must be one of {', '.join(FORMATS)}.")
    _check_table_options(task_id, options)
    if records is not None and options != TableOptions():
        raise ValueError(f"Task {task_id!r}: columns, attributes and what CSV needs are for tables, and so for path.")


def _check_table_options(task_id: str, options: TableOptions) -> None:
    if not isinstance(options.customer_id_column, str):
        raise ValueError(f"Task {task_id!r}: customer_id_column must be the name of a column.")  # noqa: TRY004 - as below
    for name, kinds in (("columns", str | None), ("attributes", object)):
        value = getattr(options, name)
        if not isinstance(value, Mapping) or not all(
            isinstance(key, str) and key and isinstance(each, kinds) for key, each in value.items()
        ):
            raise ValueError(f"Task {task_id!r}: {name} must be a dict whose keys are names.")
    signs = [sign for sign in (options.delimiter, options.quotechar, options.escapechar) if sign is not None]
    if not all(isinstance(sign, str) and len(sign) == 1 and sign not in "\r\n\0" for sign in signs):
        raise ValueError(f"Task {task_id!r}: delimiter, quotechar and escapechar must be one character each.")
    if len(set(signs)) < len(signs):
        raise ValueError(f"Task {task_id!r}: delimiter, quotechar and escapechar must differ.")


def check_sending(
    task_id: str, app_id: object, on_invalid: str, batch_size: int, requests_per_second: float | None
) -> None:
    """Check how an operator submits."""
    if isinstance(app_id, str) and any("\ud800" <= character <= "\udfff" for character in app_id):
        raise ValueError(f"Task {task_id!r}: app_id contains an unpaired surrogate.")
    if on_invalid not in ("fail", "skip"):
        raise ValueError(f"Task {task_id!r}: on_invalid must be 'fail' or 'skip'.")
    if not (_is_whole(batch_size) and 1 <= batch_size <= MAX_RECORDS):
        raise ValueError(f"Task {task_id!r}: batch_size must be a whole number from 1 to {MAX_RECORDS}.")
    if requests_per_second is not None and not (_is_number(requests_per_second) and requests_per_second > 0):
        raise ValueError(f"Task {task_id!r}: requests_per_second must be a number above 0.")


def check_waiting(task_id: str, on_failed_records: str, tolerated_codes: object, max_concurrency: int) -> None:
    """Check how a task waits."""
    if on_failed_records not in ("fail", "warn"):
        raise ValueError(f"Task {task_id!r}: on_failed_records must be 'fail' or 'warn'.")
    if isinstance(tolerated_codes, str) or not isinstance(tolerated_codes, Collection):
        raise ValueError(  # noqa: TRY004 - as for the other arguments
            f"Task {task_id!r}: tolerated_codes must be a list of codes, for example ['7015']."
        )
    if not (_is_whole(max_concurrency) and max_concurrency >= 1):
        raise ValueError(f"Task {task_id!r}: max_concurrency must be a whole number of at least 1.")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_seconds(task_id: str, **values: float | timedelta | None) -> None:
    """Check arguments that are a number of seconds, or None."""
    for name, value in values.items():
        seconds = value.total_seconds() if isinstance(value, timedelta) else value
        if seconds is not None and not (_is_number(seconds) and 0 <= seconds < float("inf")):
            raise ValueError(f"Task {task_id!r}: {name} must be a number of seconds.")
