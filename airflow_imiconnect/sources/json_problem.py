"""Where a JSON document breaks, and why: for the person who has to mend it."""

from __future__ import annotations

import codecs
import json
import re
from contextlib import suppress

import ijson

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.sources.files import BLOCK, InputFile, decode
from airflow_imiconnect.sources.json_text import JSON, json_problem
from airflow_imiconnect.sources.raw import MAX_RECORD_BYTES

_SMALL = 4 * MAX_RECORD_BYTES  # up to here the text is read again as a whole, for the plainest words
_AFTER = 16  # bytes behind the breaking point that tell why it breaks
_YAJLS_WORDS = re.compile(r"(?:b?['\"])?(?:lexical|parse) error: ([^\n\\]*)")  # behind them it quotes the text


class UnfitTextError(ValueError):
    """
    A text that the parser would take, and that cannot be right.

    :param offset: how many bytes stand before it
    """

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset


def explain(source: InputFile, error: Exception) -> IMIconnectInvalidRecordError:
    """Return the error with line, column and reason; the reason holds nothing of the text."""
    if isinstance(error, UnfitTextError):
        return _at(source, error.offset, str(error))
    offset = _breaks_at(source, _breaks_at(source, None, BLOCK), 1)
    return _in_plain_words(source, offset) or _at(source, offset, _reason(error))


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8 from here on; save the file as UTF-8"
    words = _YAJLS_WORDS.match(str(error))
    if words and "overflow" in words[1]:
        return "a number is too long: write it as a text"
    return f"no valid JSON: {words[1].rstrip('.') if words else 'it goes wrong here'}"


def _breaks_at(source: InputFile, start: int | None, step: int) -> int:
    """Feed a parser anew, from ``start`` on in small steps; return how many bytes stand before the one it refuses."""
    tokens = ijson.sendable_list()
    parser = ijson.basic_parse_coro(tokens, use_float=True)
    offset = 0
    with source.open_text(again=True) as file, suppress(ijson.JSONError, UnicodeDecodeError):
        while block := file.read(BLOCK if start is None else max(step, min(BLOCK, start - offset))):
            parser.send(block)
            tokens.clear()
            offset += len(block)
        parser.close()
    return offset


def _in_plain_words(source: InputFile, offset: int) -> IMIconnectInvalidRecordError | None:
    """Ask Python's own parser, which needs the whole text and explains it best; None where it has nothing to say."""
    if offset > _SMALL:
        return None
    with source.open_text(again=True) as file:
        data = file.read(offset + _AFTER)
    try:
        before = codecs.getincrementaldecoder("utf-8")().decode(data[: offset + 1])
        JSON.decode(data.decode("utf-8", "ignore"))
    except UnicodeDecodeError:
        decode(data, source.where)
    except json.JSONDecodeError as error:
        if error.pos <= len(before):  # behind it the text was cut by us
            line, column, reason = json_problem(error)
            return IMIconnectInvalidRecordError(f"{source.where}, line {line}, column {column}", reason)
    except (ValueError, RecursionError):
        pass
    return None


def _at(source: InputFile, offset: int, reason: str) -> IMIconnectInvalidRecordError:
    line, column, left = 1, 1, offset
    with source.open_text(again=True) as file:
        while left and (block := file.read(min(BLOCK, left))):
            left -= len(block)
            line += block.count(b"\n")
            column = 1 if b"\n" in block else column
            column += len(block[block.rfind(b"\n") + 1 :].decode("utf-8", "ignore"))
    return IMIconnectInvalidRecordError(f"{source.where}, line {line}, column {column}", reason)
