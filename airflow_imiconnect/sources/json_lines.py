"""JSON Lines: one record a line. What is wrong with one line leaves the others readable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from airflow_imiconnect.sources.files import TOO_LONG, BinaryFile, InputFile, decode, empty, lines
from airflow_imiconnect.sources.json_text import JSON, json_problem
from airflow_imiconnect.sources.raw import RawRecord, raw_record

_USUAL = msgspec.json.Decoder(dict[str, str | dict[str, str]])


def read_json_lines(source: InputFile) -> Iterator[RawRecord]:
    """Yield the record of each line that is not blank; raises IMIconnectInvalidRecordError where it is not UTF-8."""
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
        elif (record := _usual_record(line)) is not None:
            yield RawRecord(f"{where}, line {number}", record, None, True)
        elif text := decode(line, where, number).rstrip():
            yield _any_record(text, where, number)


def _usual_record(line: bytes) -> dict[str, Any] | None:
    """
    Read the record that nearly every line holds: texts alone, and no key twice. None for any other.

    Each text has its two quotes. Had a key stood twice, or were there an escaped quote, there would be more quotes than
    the texts of what was read have: so where there are not, none of it was lost.
    """
    try:
        record = _USUAL.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    customer_id = record.get("customerId") or record.get("customerid")
    attributes = record.get("Attributes") or record.get("attributes")
    if type(customer_id) is not str or type(attributes) is not dict or len(record) > 2:  # noqa: PLR2004 - these two
        return None
    texts = 3 + 2 * len(attributes)
    return record if line.count(b'"') == 2 * texts else None


def _any_record(text: str, where: str, number: int) -> RawRecord:
    try:
        return raw_record(f"{where}, line {number}", JSON.decode(text))
    except (ValueError, RecursionError) as error:
        _, column, reason = json_problem(error)
        return RawRecord(f"{where}, line {number}, column {column}", text, reason)
