"""
The command ``airflow-imiconnect check PATH…`` reads and checks input as the operator would.

Nothing is sent, and no connection is needed. The exit status is 0 when all records can be sent, 1 when some cannot or
the input cannot be read, 2 for a mistake in the command line, 130 when it was interrupted.
"""

from __future__ import annotations

import argparse

from airflow_imiconnect.cli.bar import with_bar
from airflow_imiconnect.cli.flags import NotesInFlags, error_in_flags, record_error_in_flags
from airflow_imiconnect.cli.input import opened, storage_errors
from airflow_imiconnect.cli.report import Report
from airflow_imiconnect.cli.streams import logs_on_stderr
from airflow_imiconnect.errors import IMIconnectError, IMIconnectInvalidRecordError
from airflow_imiconnect.records.preview import Preview
from airflow_imiconnect.records.rejects import RejectsFile
from airflow_imiconnect.records.sources.raw import RawRecord
from airflow_imiconnect.records.validation import check_records
from airflow_imiconnect.tasks.reading.storage import storage_path

_OWNER = "airflow-imiconnect check"  # of what a killed check leaves beside its rejects


def check(options: argparse.Namespace) -> int:
    """Check the input, and write what is wrong with it and what would be sent; return the exit status."""
    report = Report(Preview(options.batch_size, NotesInFlags()))
    try:
        with logs_on_stderr(), storage_errors([*options.path, options.rejects]):
            _read(options, report)
    except IMIconnectError as error:
        report.error = error_in_flags(error)
    report.write(as_json=options.json)
    return 1 if report.error or report.preview.unfit else 0


def _read(options: argparse.Namespace, report: Report) -> None:
    preview = report.preview
    target = storage_path(options.rejects) if options.rejects else None
    rejects = RejectsFile(target, _OWNER)

    def note(raw: RawRecord, error: IMIconnectInvalidRecordError) -> None:
        told = record_error_in_flags(error)
        preview.add_problem(raw, told)
        why = f"{told.field}: {told.reason}" if told.field else told.reason
        rejects.add("invalid", position=raw.position, description=why, record=raw.record)

    try:
        with opened(options.path, options.format, options.read_options, options.rejects) as source, rejects:
            raw = with_bar(source.read(preview.notes), lambda: _words(preview), lambda: source.fraction)
            for record in check_records(raw, strict=options.strict, on_problem=note, notes=preview.notes):
                preview.add(record)
    finally:
        report.rejects = rejects.uri


def _words(preview: Preview) -> str:
    return f"{preview.records:,} records checked, {preview.unfit:,} wrong"
