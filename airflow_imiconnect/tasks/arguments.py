"""The arguments of tasks, checked while a DAG is parsed: each of these raises ValueError, and names the task."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import timedelta

from airflow.providers.common.compat.sdk import XComArg

from airflow_imiconnect.profile_api.operations import MAX_RECORDS
from airflow_imiconnect.records.sources.file_source import FORMATS
from airflow_imiconnect.records.sources.files.encodings import is_text_encoding
from airflow_imiconnect.records.sources.options import OTHERS, ROWS, ReadOptions


def check_input(
    task_id: str, records: object, path: object, sql: object, file_format: object, options: ReadOptions
) -> None:
    """Check what an operator reads, and how."""
    sources = {"records": records, "path": path, "sql": sql}
    given = [name for name, value in sources.items() if value is not None]
    if len(given) != 1:
        found = f"{' and '.join(given)} are given" if given else "none is given, or an upstream task returned None"
        raise ValueError(f"Task {task_id!r}: give exactly one of records, path and sql; {found}.")
    check_options(task_id, path, file_format, options)


def check_options(task_id: str, path: object, file_format: object, options: ReadOptions) -> None:
    """Check how an operator reads; what is a template still is checked once it is rendered."""
    known = "auto" if _is_template(file_format) else file_format
    if problem := reading_problem(path, known, _without_templates(options)):
        raise ValueError(f"Task {task_id!r}: {problem}.")


def check_sql(task_id: str, sql: object, sql_conn_id: object, sql_parameters: object) -> None:
    """Check an operator's query. A connection without one is fine: default_args may give it to all tasks of a DAG."""
    if not (sql is None or isinstance(sql, str | XComArg)):
        raise ValueError(f"Task {task_id!r}: sql must be the text of one statement, or the name of a .sql file.")
    if sql is not None and not sql_conn_id:
        raise ValueError(f"Task {task_id!r}: sql needs sql_conn_id, the connection of a database.")
    if sql is None and sql_parameters is not None:
        raise ValueError(f"Task {task_id!r}: sql_parameters is for sql, which is not given.")


def reading_problem(path: object, file_format: object, options: ReadOptions) -> str | None:
    """Return what is wrong with how an operator reads, or None."""
    if file_format not in FORMATS:
        return f"file_format must be one of {', '.join(FORMATS)}"
    if problem := options_problem(options):
        return problem
    if path is None and (unusable := options.unusable(ROWS)):
        return f"{unusable[0]} is for files, and so for path"
    return None


def _without_templates(options: ReadOptions) -> ReadOptions:
    usual = ReadOptions()
    return replace(usual, **{name: value for name, value in vars(options).items() if not _is_template(value)})


def _is_template(value: object) -> bool:
    """Return whether Airflow makes something else of it: a Jinja template, or an upstream task's output."""
    return ("{{" in value or "{%" in value) if isinstance(value, str) else isinstance(value, XComArg)


def options_problem(options: ReadOptions) -> str | None:
    """Return what is wrong with how an input is to be read, or None."""
    return _problem_of_names(options) or _problem_of_signs(options) or _problem_of_text(options)


def _problem_of_names(options: ReadOptions) -> str | None:
    id_column: object = options.customer_id_column
    if not isinstance(id_column, str):
        return "customer_id_column must be the name of a column"
    for name, kinds in (("columns", str | None), ("attributes", object)):
        value = getattr(options, name)
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            return f"{name} must be a dict whose keys are names"
        if not all(isinstance(each, kinds) for each in value.values()):
            return f"{name} must be a dict of names to names, or to None"
    if options.columns.get(OTHERS, None) is not None:
        return 'columns: "*" stands for all other columns, and can only be None: they are left out'
    return "attributes must be a dict whose keys are names" if "" in options.attributes else None


def _problem_of_signs(options: ReadOptions) -> str | None:
    signs = [sign for sign in (options.delimiter, options.quotechar, options.escapechar) if sign is not None]
    if not all(isinstance(sign, str) and len(sign) == 1 and sign not in "\r\n\0" for sign in signs):
        return "delimiter, quotechar and escapechar must be one character each"
    return "delimiter, quotechar and escapechar must differ" if len(set(signs)) < len(signs) else None


def _problem_of_text(options: ReadOptions) -> str | None:
    if not is_text_encoding(options.encoding):
        return "encoding must be the name of an encoding of text, for example 'windows-1252'"
    if not (_is_whole(options.skip_rows) and options.skip_rows >= 0):
        return "skip_rows must be a number of lines"
    words = options.null_values
    if isinstance(words, str) or not isinstance(words, Collection) or not all(isinstance(word, str) for word in words):
        return "null_values must be a list of texts, for example ['NULL', '\\\\N']"
    return None


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
