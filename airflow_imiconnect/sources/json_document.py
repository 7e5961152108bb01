"""
A JSON document: a list of records, the vendor's envelope around one, or a single record; read as a stream.

ijson finds the tokens; here they become records, one at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import ijson

from airflow_imiconnect.attributes import RepeatedKey, kind_of
from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.models import SPELLINGS
from airflow_imiconnect.sources.files import BLOCK, BinaryFile, InputFile, empty
from airflow_imiconnect.sources.json_problem import UnfitTextError, explain
from airflow_imiconnect.sources.raw import ENVELOPE_KEYS, MAX_RECORD_BYTES, RawRecord, raw_record

_WANTED = "the file must hold a list of records"
_DEEPEST = 32  # a record has two levels
_TOO_LONG = f"a record is longer than {MAX_RECORD_BYTES} bytes, which none is"
_HALF_CHARACTER = "half a character, as of an emoji that was cut in two"
Events = Iterator[tuple[str, Any]]


def read_json(source: InputFile) -> Iterator[RawRecord]:
    """
    Yield each record with its index.

    :raises IMIconnectInvalidRecordError: it is no JSON, with line and column; or no records
    """
    with source.open_text() as file:
        text = _Text(file)
        try:
            for number, record in enumerate(_document(_events(text), source.where), start=1):
                text.begin_record()
                yield raw_record(f"{source.where}, record {number}", record)
        except (ijson.JSONError, UnfitTextError, UnicodeDecodeError) as error:
            problem = error
        else:
            return
    is_empty = text.is_blank and not isinstance(problem, UnfitTextError)
    raise empty(source.where) if is_empty else explain(source, problem)


class _Text:
    """What the parser reads, watched: no record may be endless, and none of its characters may be lost."""

    # A pair of escapes that makes one character, half of such a pair, or any other escape.
    _ESCAPE = re.compile(
        rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F])|.|$)", re.DOTALL
    )
    _LONGEST_ESCAPE = 12

    def __init__(self, file: BinaryFile) -> None:
        self._file = file
        self._record_began = 0
        self._held = b""
        self.count = 0
        self.is_blank = True

    def begin_record(self) -> None:
        """Take note that a record has ended."""
        self._record_began = self.count

    def read(self, size: int) -> bytes:
        """Return the next bytes; the parser calls it. An escape that may go on in the next block is held back."""
        if self.count - self._record_began > MAX_RECORD_BYTES + size:
            raise UnfitTextError(self._record_began, _TOO_LONG)
        block, is_last = self._held, False
        while len(block) <= self._LONGEST_ESCAPE and not is_last:
            more = self._file.read(size)
            block, is_last = block + more, not more
        end = self._checked_end(block, is_last=is_last) if b"\\" in block else len(block)
        self._held = block[end:]
        self.count += end
        self.is_blank = self.is_blank and not block.strip()
        return block[:end]

    def _checked_end(self, block: bytes, *, is_last: bool) -> int:
        """Refuse half a character, as of an emoji that was cut in two; return where what was checked ends."""
        for escape in self._ESCAPE.finditer(block):
            if not is_last and escape.start() > len(block) - self._LONGEST_ESCAPE:
                return escape.start()
            if escape["half"]:
                raise UnfitTextError(self.count + escape.start(), _HALF_CHARACTER)
        return len(block)


def _events(text: _Text) -> Events:
    # With Decimals and numbers of any length, which use_float turns off, a long number crashes the process (ijson 3.6).
    events: Events = ijson.basic_parse(text, buf_size=BLOCK, use_float=True)
    return events


def _document(events: Events, where: str) -> Iterator[object]:
    event, value = next(events)
    if event == "start_array":
        yield from _items(events)
        next(events, None)  # the parser reads to the end of the file: what follows the list is no JSON
    elif event == "start_map":
        yield from _object(events, where)
        next(events, None)
    else:
        raise IMIconnectInvalidRecordError(where, f"{_WANTED}, this is {kind_of(value)}")


def _object(events: Events, where: str) -> Iterator[object]:
    """Yield the records of an envelope, or the single record that the object is."""
    members: dict[str, object] = {}
    for _, name in events:
        if name is None:  # the end of the object
            break
        if name in members:
            raise IMIconnectInvalidRecordError(where, f"{_WANTED}, this is {kind_of(RepeatedKey())}")
        event, value = next(events)
        members[name] = None
        if name in ENVELOPE_KEYS and event == "start_array":
            _check_members(members, where)
            yield from _items(events)
        else:
            members[name] = _value(event, value, events, 1)
    if members.keys().isdisjoint(ENVELOPE_KEYS) and not members.keys().isdisjoint(SPELLINGS):
        yield members
        return
    _check_members(members, where)


def _check_members(members: dict[str, object], where: str) -> None:
    envelope = [name for name in ENVELOPE_KEYS if name in members]
    if len(envelope) != 1 or not members.keys().isdisjoint(SPELLINGS):
        raise IMIconnectInvalidRecordError(where, f'{_WANTED} or {{"Records": […]}}, not another object')
    value = members[envelope[0]]
    if value is not None:
        raise IMIconnectInvalidRecordError(f"{where}.{envelope[0]}", f"{_WANTED}, this is {kind_of(value)}")


def _items(events: Events, depth: int = 0) -> Iterator[object]:
    for event, value in events:
        if event == "end_array":
            return
        yield _value(event, value, events, depth)


def _value(event: str, value: Any, events: Events, depth: int) -> object:  # noqa: ANN401 - whatever JSON holds
    if event in ("start_map", "start_array") and depth > _DEEPEST:
        _pass_over(events)
        return []  # nested values are refused, whatever they hold
    if event == "start_map":
        return _map(events, depth + 1)
    if event == "start_array":
        return list(_items(events, depth + 1))
    return value


def _map(events: Events, depth: int) -> object:
    members: dict[str, object] = {}
    repeated: list[tuple[str, object]] = []
    for _, name in events:
        if name is None:  # the end of the object
            return RepeatedKey([*repeated, *members.items()]) if repeated else members
        if name in members:
            repeated.append((name, members[name]))
        event, value = next(events)
        members[name] = value if event == "string" else _value(event, value, events, depth)
    raise AssertionError("the parser has lost the end of an object")


def _pass_over(events: Events) -> None:
    """Read to the end of an object or list that has begun."""
    depth = 1
    for event, _ in events:
        depth += {"start_map": 1, "start_array": 1, "end_map": -1, "end_array": -1}.get(event, 0)
        if not depth:
            return
