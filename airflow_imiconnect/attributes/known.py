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
_BY_LOWER_CASE = {name.lower(): name for name in sorted(KNOWN)}


def known_name(name: str) -> str | None:
    """Return the attribute that a name was meant to be, where it is wrong in its case only; else None."""
    if name in KNOWN:
        return None
    return _BY_LOWER_CASE.get(name.lower())
