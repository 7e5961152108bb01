"""Reads a JSON document as a stream: a list of records, the vendor's envelope around one, or a single record."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_imiconnect.attributes import RepeatedKey, kind_of
from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.profile import SPELLINGS
from airflow_imiconnect.records.sources.files.input_file import InputFile
from airflow_imiconnect.records.sources.files.text import EmptyFileError
from airflow_imiconnect.records.sources.json_text.decode import is_plain
from airflow_imiconnect.records.sources.json_text.splitter import BrokenJsonError, NotUtf8Error, Splitter, TooLongError
from airflow_imiconnect.records.sources.json_text.window import Window
from airflow_imiconnect.records.sources.options import ReadOptions
from airflow_imiconnect.records.sources.raw import ENVELOPE_KEYS, MAX_RECORD_BYTES, RawRecord
from airflow_imiconnect.records.sources.tables.rows import Rows

_WANTED = "the file must hold a list of records"
_OTHER_OBJECT = f'{_WANTED} or {{"Records": […]}}, not another object'
_LONG_OBJECT = f"{_OTHER_OBJECT}; taken as one, a record is longer than {MAX_RECORD_BYTES} bytes, which none is"
_COMMA = "not valid JSON: Expecting ',' delimiter"
_EXTRA = "not valid JSON: Extra data. If each line is a record, this is JSON Lines: set file_format='jsonl'"
_DEEP = "not valid JSON: nested too deep"


def read_json(source: InputFile, options: ReadOptions, notes: Notes) -> Iterator[RawRecord]:
    """
    Yield each record with its index.

    :raises IMIconnectInvalidRecordError: it is not JSON, with line and column, or contains no list of records
    """
    rows = Rows(options, notes)
    with source.open_text() as file:
        try:
            yield from _document(Splitter(Window(file)), source.where, rows)
        except BrokenJsonError as error:
            raise IMIconnectInvalidRecordError(f"{source.where}, {error.place}", error.reason) from None
    rows.finish(source.where)


def _document(text: Splitter, where: str, rows: Rows) -> Iterator[RawRecord]:
    sign = text.next_sign()
    if not sign:
        raise EmptyFileError(where)
    if sign == b"[":
        yield from _list(text, where, rows)
    elif sign == b"{":
        yield from _object(text, where, rows)
    else:
        raise IMIconnectInvalidRecordError(where, f"{_WANTED}, this is {kind_of(text.decode(text.take_value()))}")
    if text.next_sign():
        raise text.error(_EXTRA)


def _list(text: Splitter, where: str, rows: Rows) -> Iterator[RawRecord]:
    text.take(b"[", _WANTED)
    if text.next_sign() == b"]":
        text.take(b"]", _COMMA)
        return
    number, sign = 0, b","
    while sign == b",":
        number += 1
        yield _record(text, where, f"{where}, record {number}", rows)
        sign = text.next_sign()
        text.take(b"]" if sign == b"]" else b",", _COMMA)


def _record(text: Splitter, where: str, position: str, rows: Rows) -> RawRecord:
    if rows.are_untouched and (usual := text.take_usual()):
        return RawRecord(position, usual[1], None, is_plain(usual[0]))
    try:
        return rows.read(position, text.decode(text.take_value()))
    except RecursionError:
        return RawRecord(position, None, _DEEP)
    except NotUtf8Error as error:
        return RawRecord(f"{where}, {error.place}", None, error.reason)


def _object(text: Splitter, where: str, rows: Rows) -> Iterator[RawRecord]:
    """Yield the records of an envelope, or the single record that the object is."""
    members: dict[str, object] = {}
    size = 0
    for name in _names(text):
        if name in members:
            raise IMIconnectInvalidRecordError(where, f"{_WANTED}, this is {kind_of(RepeatedKey())}")
        if name in ENVELOPE_KEYS and text.next_sign() == b"[":
            members[name] = None
            _check_envelope(members, where)
            yield from _list(text, where, rows)
            continue
        value = _value_of(text, name, where)
        size += len(name) + len(value)
        if size > MAX_RECORD_BYTES:
            raise IMIconnectInvalidRecordError(where, _LONG_OBJECT)
        members[name] = _member(text, value)
    if members.keys().isdisjoint(ENVELOPE_KEYS) and (not members.keys().isdisjoint(SPELLINGS) or rows.is_row(members)):
        yield rows.read(f"{where}, record 1", members)
        return
    _check_envelope(members, where)


def _names(text: Splitter) -> Iterator[str]:
    """Yield the name of each member; its value must be taken before the next one."""
    text.take(b"{", _WANTED)
    sign = text.next_sign()
    while sign != b"}":
        if sign != b'"':
            raise text.error("not valid JSON: Expecting property name enclosed in double quotes")
        name = str(text.decode(text.take_value()))
        text.take(b":", "not valid JSON: Expecting ':' delimiter")
        yield name
        sign = text.next_sign()
        if sign != b"}":
            text.take(b",", _COMMA)
            sign = text.next_sign() if text.next_sign() != b"}" else b""
    text.take(b"}", _COMMA)


def _value_of(text: Splitter, name: str, where: str) -> bytes:
    try:
        return text.take_value()
    except TooLongError:
        if name in SPELLINGS:
            raise
        raise IMIconnectInvalidRecordError(where, _LONG_OBJECT) from None


def _member(text: Splitter, value: bytes) -> object:
    try:
        return text.decode(value)
    except RecursionError:
        raise text.error(_DEEP) from None


def _check_envelope(members: dict[str, object], where: str) -> None:
    envelope = [name for name in ENVELOPE_KEYS if name in members]
    if len(envelope) != 1 or not members.keys().isdisjoint(SPELLINGS):
        raise IMIconnectInvalidRecordError(where, _OTHER_OBJECT)
    value = members[envelope[0]]
    if value is not None:
        raise IMIconnectInvalidRecordError(f"{where}.{envelope[0]}", f"{_WANTED}, this is {kind_of(value)}")
