"""
The library's words in those of the command line: it says ``skip_rows=2``, the command ``--skip-rows 2``.

What is translated is a reason alone, never a position: a folder may be called ``encoding=utf-8``.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterable, Mapping
from functools import lru_cache

from airflow_imiconnect.errors import IMIconnectError, IMIconnectInvalidRecordError
from airflow_imiconnect.records.notes import Notes

FLAGS = {
    "attributes": "--attribute",
    "batch_size": "--batch-size",
    "columns": "--column",
    "customer_id_column": "--customer-id-column",
    "delimiter": "--delimiter",
    "encoding": "--encoding",
    "escapechar": "--escapechar",
    "file_format": "--format",
    "null_values": "--null-value",
    "path": "PATH",
    "quotechar": "--quotechar",
    "rejects_path": "--rejects",
    "skip_rows": "--skip-rows",
    "strict": "--strict",
}
TAB = "\t"  # which the command line calls tab
_OPERATORS_ONLY = ("on_invalid", "sql", "records")  # arguments for which there is not a flag
_NAMES = "|".join((*FLAGS, *_OPERATORS_ONLY))
_VALUE = r"\{[^}]*\}+|\([^)]*\)|\[[^\]]*\]|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|[\w.+-]*\w"
_START = r"(?<![\w.'/=-])(?<!operator's )"
_GIVEN = re.compile(rf"{_START}(?P<name>{_NAMES})=(?P<value>{_VALUE})")
_WITH_UNDERSCORE = "|".join(name for name in (*FLAGS, *_OPERATORS_ONLY) if "_" in name)
_ONE = rf"{_START}(?:{_NAMES})(?![\w'/=-])"
_VERBS = "names?|gives?|sends?|leaves?|takes?|says?|must|cannot|needs?|does|do|is given|are given"
# A name that is also an English word is one of an argument only in these surroundings.
_NAMED = re.compile(
    rf"{_START}(?:{_WITH_UNDERSCORE})(?![\w'/=-])"
    rf"|(?<=\bset ){_ONE}"
    rf"|(?:(?<=\bread it with )|(?<=\bread them with )){_ONE}"
    rf"|^{_ONE}(?=:)"
    rf"|{_ONE}(?:(?:, {_ONE})* (?:and|or) {_ONE})?(?= (?:{_VERBS})\b)"
    rf"|{_ONE}(?:, {_ONE})* (?:and|or) {_ONE}"
)
_ONE_OF = re.compile(_ONE)
_LIST_OF_COLUMNS = re.compile(r"columns are: .*|\(its columns: .*\)", re.DOTALL)
_ONE_COLUMN = re.compile(r"\{(?:'(.*)'|\"(.*)\"|…): None\}", re.DOTALL)


@lru_cache(maxsize=1000)
def in_flags(text: str) -> str:
    """Return what the library says of its arguments as the command line has them."""
    listed = _LIST_OF_COLUMNS.search(text)
    if listed:
        return in_flags(text[: listed.start()]) + listed.group() + in_flags(text[listed.end() :])
    parts, end = [], 0
    for given in _GIVEN.finditer(text):
        parts += [_bare(text[end : given.start()]), _flag(given["name"], given["value"])]
        end = given.end()
    return "".join((*parts, _bare(text[end:])))


def record_error_in_flags(error: IMIconnectInvalidRecordError) -> IMIconnectInvalidRecordError:
    """Return the same error in the words of the command line; its position and its field stay."""
    return IMIconnectInvalidRecordError(error.where, in_flags(error.reason), field=error.field)


def error_in_flags(error: IMIconnectError) -> str:
    """Return what an error says in the words of the command line."""
    return (
        str(record_error_in_flags(error)) if isinstance(error, IMIconnectInvalidRecordError) else in_flags(str(error))
    )


class NotesInFlags(Notes):
    """Notes in the words of the command line."""

    def add(self, kind: str, position: str) -> None:
        """Note something at a position."""
        super().add(in_flags(kind), position)

    def here(self, kind: str) -> None:
        """Note something about the record that is being checked."""
        super().here(in_flags(kind))


def _bare(text: str) -> str:
    return _NAMED.sub(lambda found: _ONE_OF.sub(lambda name: _name(name.group()), found.group()), text)


def _name(name: str) -> str:
    return FLAGS.get(name) or f"the operator's {name}"


def _flag(name: str, text: str) -> str:
    value = _value_of(text)
    if name not in FLAGS:
        return f"{_name(name)}={text}"
    if isinstance(value, Mapping):
        return _repeated(FLAGS[name], (f"{key}={'' if each is None else each}" for key, each in value.items()))
    if isinstance(value, list | tuple | set):
        return _repeated(FLAGS[name], map(str, value))
    return FLAGS[name] if value is True else f"{FLAGS[name]} {'tab' if value == TAB else shlex.quote(str(value))}"


def _repeated(flag: str, values: Iterable[str]) -> str:
    return " ".join(f"{flag} {shlex.quote(value)}" for value in values)


def _value_of(text: str) -> object:
    """Return the value that a text is the Python form of; the text itself where it is none."""
    try:
        value: object = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        column = _ONE_COLUMN.fullmatch(text)
        return {column[1] or column[2] or "COLUMN": None} if column else text
    return value
