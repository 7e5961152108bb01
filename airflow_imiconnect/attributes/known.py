"""The names of the attributes that the contract lists (contract 4), whatever the channel."""

from __future__ import annotations

from airflow_imiconnect.attributes.channels import TWITTER
from airflow_imiconnect.attributes.models import (
    FacebookAttributes,
    InAppAttributes,
    PushAttributes,
    TwitterAttributes,
    WeChatAttributes,
)

_MODELS = (FacebookAttributes, TwitterAttributes, WeChatAttributes, InAppAttributes, PushAttributes)
KNOWN = frozenset(name for model in _MODELS for name in model.model_fields) | frozenset(TWITTER.unseen)
_LONGEST_NAME = 60
_BY_LOWER_CASE = {name.lower(): name for name in sorted(KNOWN)}


def known_name(name: str) -> str | None:
    """Return the attribute that a name was meant to be, where it is wrong in its case only; else None."""
    if name in KNOWN:
        return None
    return _BY_LOWER_CASE.get(name.lower())


def looks_like_name(text: str) -> bool:
    """Return whether a text may be shown as a name: an address, a number and a long text tell of a person."""
    return len(text) <= _LONGEST_NAME and "@" not in text and text.isprintable() and any(map(str.isalpha, text))
