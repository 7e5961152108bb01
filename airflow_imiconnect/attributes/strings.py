"""
Converts a record's attributes to the flat object of strings that is sent (contract 4).

Further attributes are allowed. Only what can never be valid is refused here; strict mode also requires the attributes
that a channel needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel

from airflow_imiconnect.attributes.channels import WECHAT, find_channel
from airflow_imiconnect.attributes.texts import unfit_attribute
from airflow_imiconnect.attributes.values import RecordProblem, kind_of, value_to_string

_FLAGS = ("status", "verified", "connectStatus")  # contract 4: they are 0 or 1
_OF_FLAGS = frozenset({"", "0", "1"})
_WORDS_OF_FLAGS = {"TRUE": "1", "FALSE": "0"}
_STRINGS = frozenset({str})


def to_strings(
    attributes: Any,  # noqa: ANN401 - whatever a user gives
    *,
    strict: bool = False,
    is_plain: bool = False,
) -> dict[str, str]:
    """
    Return the attributes as the flat object of strings that is sent; values of None are omitted.

    :param attributes: a mapping, or one of the channel models
    :param strict: also check the attributes that the channel requires (contract 4)
    :param is_plain: whether all names and values are known to be strings without forbidden characters
    :raises RecordProblem: the attributes can never be valid
    """
    # In most files, most values are already strings: they take a fast path.
    strings: dict[str, str] = attributes if is_plain and "" not in attributes else _fit_strings(attributes)
    get = strings.get
    if not (
        get("status", "") in _OF_FLAGS and get("verified", "") in _OF_FLAGS and get("connectStatus", "") in _OF_FLAGS
    ):
        strings = _with_flags(strings)
    if strict:
        _check_required(strings)
    return strings


def _fit_strings(attributes: object) -> dict[str, str]:
    is_text = type(attributes) is dict and "" not in attributes and _are_strings(attributes)
    strings = cast("dict[str, str]", attributes) if is_text else _strings(attributes)
    if problem := unfit_attribute(strings):
        raise RecordProblem(*problem)
    return strings


def _are_strings(attributes: Mapping[object, object]) -> bool:
    are_strings = _STRINGS.issuperset
    return are_strings(map(type, attributes.values())) and are_strings(map(type, attributes))


def _strings(attributes: object) -> dict[str, str]:
    if isinstance(attributes, BaseModel):
        attributes = attributes.model_dump(exclude_none=True)
    if not isinstance(attributes, Mapping):
        raise RecordProblem(None, f"must be an object of attributes, not {kind_of(attributes)}")
    strings, is_wechat = {}, find_channel(attributes) is WECHAT
    for name, value in attributes.items():
        if not isinstance(name, str) or not name:
            raise RecordProblem(None, "has an attribute whose name is empty or no text")
        text = value if type(value) is str else value_to_string(name, value, is_wechat=is_wechat)
        if text is not None:
            strings[name] = text
    return strings


def _with_flags(strings: dict[str, str]) -> dict[str, str]:
    """Replace TRUE and FALSE, as tables write them, with 1 and 0."""
    flags = {name: strings[name].strip() for name in _FLAGS if name in strings}
    flags = {name: _WORDS_OF_FLAGS.get(text.upper(), text) for name, text in flags.items()}
    if flags.get("status", "") not in _OF_FLAGS:
        raise RecordProblem("status", "must be 0 or 1")
    return strings | {name: text for name, text in flags.items() if text in _OF_FLAGS}


def _check_required(strings: Mapping[str, str]) -> None:
    channel = find_channel(strings)
    missing = [name for name in channel.create if not strings.get(name)]
    if missing:
        more = f"; so {'is' if len(missing) == 2 else 'are'} {', '.join(missing[1:])}" if missing[1:] else ""  # noqa: PLR2004
        raise RecordProblem(missing[0], f"is required by the channel ({channel.name}) but is missing or empty{more}")
