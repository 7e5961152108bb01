"""
Finds where each value of a JSON document begins and ends, without decoding it.

The document is read in blocks, so memory stays flat. Errors within a value show when it is decoded; errors between
values show here.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from airflow_imiconnect.records.sources.files.text import not_utf8
from airflow_imiconnect.records.sources.json_text.decode import decode_json, json_problem, usual_record
from airflow_imiconnect.records.sources.json_text.window import Window
from airflow_imiconnect.records.sources.raw import MAX_RECORD_BYTES

_BLANKS = re.compile(rb"[ \t\n\r]*")
_SIGNS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]"]', re.DOTALL)  # a lone quote begins an unterminated string
_SCALAR = re.compile(rb"[^ \t\n\r,\]}]*")
_DEPTHS = {b"{": 1, b"[": 1, b"}": -1, b"]": -1}
_USUAL_LENGTH = 16 * 1024
_ANY_VALUE = msgspec.json.Decoder(msgspec.Raw)
_TOO_LONG = f"a record is longer than {MAX_RECORD_BYTES} bytes, which none is"


class BrokenJsonError(ValueError):
    """
    The document is not valid JSON.

    :param place: line and column of the error
    :param reason: what is wrong; it contains nothing of the text
    """

    def __init__(self, place: tuple[int, int], reason: str) -> None:
        super().__init__(reason)
        self.place = "line {}, column {}".format(*place)
        self.reason = reason


class NotUtf8Error(BrokenJsonError):
    """A value is not UTF-8; the document around it is readable."""


class TooLongError(BrokenJsonError):
    """A value is longer than any record."""


class Splitter:
    """
    Walks through a document, from one sign to the next or over a whole value.

    :param window: the document
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        self._at = 0  # in the window
        self._value_at = 0

    def next_sign(self) -> bytes:
        """Skip blanks; return the byte that follows, without taking it. Empty at the end of the document."""
        window, blanks = self._window, 0
        while True:
            self._at = _end_of(_BLANKS, window.data, self._at)
            if self._at < len(window.data):
                return window.data[self._at : self._at + 1]
            blanks += self._at
            if blanks > MAX_RECORD_BYTES:
                raise self._error(_TOO_LONG)
            if not self._grow():
                return b""

    def take(self, sign: bytes, reason: str) -> None:
        """Skip a sign; raises BrokenJsonError with this reason if it is another one."""
        if self.next_sign() != sign:
            raise self._error(reason)
        self._at += 1

    def take_usual(self) -> tuple[bytes, dict[str, Any]] | None:
        """Return the text of a record of strings, and the record; None, without taking it, if it is not one."""
        self.next_sign()
        text = self._usual_text()
        record = usual_record(text)
        if record is None:
            return None
        self._at += len(text)
        return text, record

    def take_value(self) -> bytes:
        """Skip a value and return its text, which need not be valid."""
        self.next_sign()
        while (end := self._end_of_value()) is None and len(self._window.data) - self._at <= MAX_RECORD_BYTES:
            self._grow()
        if end is None or end - self._at > MAX_RECORD_BYTES:
            raise TooLongError(self._window.place(self._at), _TOO_LONG)
        text = self._window.data[self._at : end]
        self._value_at, self._at = self._at, end
        return text

    def decode(self, text: bytes) -> object:
        """
        Decode the value taken last.

        :raises BrokenJsonError: with the place of the error
        :raises RecursionError: it is nested too deep
        """
        try:
            return decode_json(text.decode())
        except UnicodeDecodeError as error:
            raise NotUtf8Error(self._window.place(self._value_at + error.start), not_utf8(text)) from None
        except json.JSONDecodeError as error:
            place = self._window.place(self._value_at + len(error.doc[: error.pos].encode()))
            raise BrokenJsonError(place, json_problem(error)[2]) from None

    def error(self, reason: str) -> BrokenJsonError:
        """Return the error for what comes next."""
        self.next_sign()
        return self._error(reason)

    def _error(self, reason: str) -> BrokenJsonError:
        return BrokenJsonError(self._window.place(self._at), reason)

    def _grow(self) -> bool:
        self._window.cut(self._at)
        self._at = 0
        return self._window.grow()

    def _usual_text(self) -> bytes:
        """Return the text up to the second closing brace: a record has two levels."""
        data, start = self._window.data, self._at
        end = data.find(b"}", data.find(b"}", start, start + _USUAL_LENGTH) + 1, start + _USUAL_LENGTH)
        return data[start : end + 1] if end >= start else b""

    def _end_of_value(self) -> int | None:
        """Return where the value ends, None if that is not in sight. A truncated value ends with the document."""
        data, start = self._window.data, self._at
        if data[start : start + 1] == b"{" and _is_value(text := self._usual_text()):
            return start + len(text)
        if data[start : start + 1] in _DEPTHS or data[start : start + 1] == b'"':
            end = _end_of_nested(data, start)
        else:
            end = _end_of(_SCALAR, data, start)
            end = end if end < len(data) else None
        return len(data) if end is None and self._window.ended else end


def _is_value(text: bytes) -> bool:
    """Return whether a text is a whole value: then no other value begins with it."""
    try:
        return bool(text and _ANY_VALUE.decode(text))
    except (msgspec.MsgspecError, RecursionError):
        return False


def _end_of_nested(data: bytes, start: int) -> int | None:
    depth = 0
    for sign in _SIGNS.finditer(data, start):
        text = sign[0]
        if text == b'"':
            return None
        depth += _DEPTHS.get(text, 0)
        if depth <= 0:
            return sign.end()
    return None


def _end_of(pattern: re.Pattern[bytes], data: bytes, start: int) -> int:
    found = pattern.match(data, start)
    return found.end() if found else start
