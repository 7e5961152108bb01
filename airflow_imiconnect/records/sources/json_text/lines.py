"""JSON Lines: one record a line. An invalid line leaves the others readable."""

from __future__ import annotations

import json
from collections.abc import Iterator

from airflow_imiconnect.records.sources.files.compression import BinaryFile
from airflow_imiconnect.records.sources.files.input_file import InputFile
from airflow_imiconnect.records.sources.files.text import TOO_LONG, decode, empty, lines
from airflow_imiconnect.records.sources.json_text.decode import decode_json, is_plain, json_problem, usual_record
from airflow_imiconnect.records.sources.raw import RawRecord, raw_record


def read_json_lines(source: InputFile) -> Iterator[RawRecord]:
    """Yield the record of each line that is not blank; raises IMIconnectInvalidRecordError if it is not UTF-8."""
    with source.open_text() as file:
        nothing = True
        for raw in _records(file, source.where):
            nothing = False
            yield raw
        if nothing:
            raise empty(source.where)


def _records(file: BinaryFile, where: str) -> Iterator[RawRecord]:
    for number, line in enumerate(lines(file), start=1):
        if line is None:
            yield RawRecord(f"{where}, line {number}", None, f"{TOO_LONG}. Is it JSON? Then set file_format='json'")
        elif (record := usual_record(line)) is not None:
            yield RawRecord(f"{where}, line {number}", record, None, is_plain(line))
        elif text := decode(line, where, number).rstrip():
            yield _any_record(text, where, number)


def _any_record(text: str, where: str, number: int) -> RawRecord:
    try:
        return raw_record(f"{where}, line {number}", decode_json(text))
    except (json.JSONDecodeError, RecursionError) as error:
        _, column, reason = json_problem(error)
        return RawRecord(f"{where}, line {number}, column {column}", text, reason)
