"""The arguments of tasks, checked while a DAG is parsed: each of these raises ValueError, and names the task."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from airflow_imiconnect.protocol import MAX_RECORDS_PER_CALL
from airflow_imiconnect.sources import FORMATS, TableOptions


def check_input(task_id: str, records: object, path: object, file_format: str, options: TableOptions) -> None:
    """Check what an operator reads, and how."""
    if (records is None) == (path is None):
        both = "both are given" if records is not None else "neither is given, or an upstream task returned None"
        raise ValueError(f"Task {task_id!r}: give exactly one of records and path; {both}.")
    if file_format not in FORMATS:
        raise ValueError(f"Task {task_id!r}: file_format must be one of {', '.join(FORMATS)}.")
    for name in ("delimiter", "quotechar", "escapechar"):
        value = getattr(options, name)
        if value is not None and not (isinstance(value, str) and len(value) == 1):
            raise ValueError(f"Task {task_id!r}: {name} must be one character.")
    if records is not None and options != TableOptions():
        raise ValueError(f"Task {task_id!r}: columns, attributes and what CSV needs are for tables, and so for path.")


def check_sending(task_id: str, on_invalid: str, batch_size: int, requests_per_second: float | None) -> None:
    """Check how an operator submits."""
    if on_invalid not in ("fail", "skip"):
        raise ValueError(f"Task {task_id!r}: on_invalid must be 'fail' or 'skip'.")
    if not 1 <= batch_size <= MAX_RECORDS_PER_CALL:
        raise ValueError(f"Task {task_id!r}: batch_size must be 1 to {MAX_RECORDS_PER_CALL}.")
    if requests_per_second is not None and not requests_per_second > 0:
        raise ValueError(f"Task {task_id!r}: requests_per_second must be above 0.")


def check_waiting(task_id: str, on_failed_records: str, tolerated_codes: object, max_concurrency: int) -> None:
    """Check how a task waits."""
    if on_failed_records not in ("fail", "warn"):
        raise ValueError(f"Task {task_id!r}: on_failed_records must be 'fail' or 'warn'.")
    if isinstance(tolerated_codes, str) or not isinstance(tolerated_codes, Collection):
        raise ValueError(  # noqa: TRY004 - as for the other arguments
            f"Task {task_id!r}: tolerated_codes must be a list of codes, for example ['7015']."
        )
    if max_concurrency < 1:
        raise ValueError(f"Task {task_id!r}: max_concurrency must be at least 1.")


def check_seconds(task_id: str, **values: float | timedelta | None) -> None:
    """Check arguments that are a number of seconds, or None."""
    for name, value in values.items():
        seconds = value.total_seconds() if isinstance(value, timedelta) else value
        if seconds is not None and not (isinstance(seconds, int | float) and 0 <= seconds < float("inf")):
            raise ValueError(f"Task {task_id!r}: {name} must be a number of seconds.")
