"""JSON Lines: one record a line. An invalid line leaves the others readable."""

from __future__ import annotations

import json
from collections.abc import Iterator

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.sources.files.compression import BinaryFile
from airflow_imiconnect.records.sources.files.input_file import InputFile
from airflow_imiconnect.records.sources.files.text import TOO_LONG, lines, not_utf8
from airflow_imiconnect.records.sources.json_text.decode import (
    decode_json,
    is_plain,
    json_problem,
    usual_record,
    usual_row,
)
from airflow_imiconnect.records.sources.options import ReadOptions
from airflow_imiconnect.records.sources.raw import RawRecord
from airflow_imiconnect.records.sources.tables.rows import Rows

_START = 64 * 1024


def read_json_lines(source: InputFile, options: ReadOptions, notes: Notes) -> Iterator[RawRecord]:
    """Yield the record of each line that is not blank; raises IMIconnectInvalidRecordError if it is a JSON document."""
    rows = Rows(options, notes)
    with source.open_text() as file:
        _check_is_no_document(file, source.where)
        yield from _records(file, source.where, rows)
    rows.finish(source.where)


def _check_is_no_document(file: BinaryFile, where: str) -> None:
    """Raise an error for a file whose records do not stand on lines of their own."""
    start = file.peek(_START)[:_START].lstrip()
    if start.startswith(b"[") or start[:2].rstrip() == b"{":
        kind = "a list of records" if start.startswith(b"[") else "a record over several lines"
        raise IMIconnectInvalidRecordError(where, f"the file holds {kind}, so it is JSON: set file_format='json'")


def _records(file: BinaryFile, where: str, rows: Rows) -> Iterator[RawRecord]:
    for number, line in enumerate(lines(file), start=1):
        position = f"{where}, line {number}"
        if line is None:
            yield RawRecord(position, None, f"{TOO_LONG}. Is it JSON? Then set file_format='json'")
        elif (record := usual_record(line)) is not None:
            yield (
                RawRecord(position, record, None, is_plain(line)) if rows.are_untouched else rows.read(position, record)
            )
        elif line.strip():
            yield _any_record(line, position, rows)


def _any_record(line: bytes, position: str, rows: Rows) -> RawRecord:
    if row := usual_row(line):
        return rows.read(position, row)
    try:
        text = line.decode().rstrip()
        return rows.read(position, decode_json(text))
    except UnicodeDecodeError as error:
        column = len(line[: error.start].decode()) + 1
        return RawRecord(f"{position}, column {column}", line.decode("utf-8", "replace").rstrip(), not_utf8(line))
    except (json.JSONDecodeError, RecursionError) as error:
        _, column, reason = json_problem(error)
        return RawRecord(f"{position}, column {column}", text, reason)
