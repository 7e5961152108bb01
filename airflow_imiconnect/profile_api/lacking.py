"""What a 7003 leaves open: which attributes that the channel requires a record lacks (contract 4 and 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from airflow_imiconnect.attributes.channels import OTHER, find_channel, missing_attributes
from airflow_imiconnect.errors import one_line
from airflow_imiconnect.profile_api.operations import Record

_CODE = "7003"
_NAMED_RECORDS = 3


def lacking(code: str, operation: str, attributes: Mapping[str, str]) -> str:
    """
    Return what a record lacks: ``lacks status and psid, which Facebook requires``. It holds names only.

    :param code: the service's
    :param operation: "create" or "update", which do not require the same
    :returns: nothing for another code, or where all is there that the documents require
    """
    names = missing_attributes(attributes, operation) if code == _CODE else []
    return _words(tuple(names), find_channel(attributes).name) if names else ""


@lru_cache(maxsize=1000)  # many records lack the same
def _words(names: tuple[str, ...], channel: str) -> str:
    listed = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return f"lacks {listed}, which {'every channel' if channel == OTHER.name else channel} requires"


def with_lacking(description: str, lacks: str) -> str:
    """Return the service's words of a record, and what the record lacks."""
    return f"{description} (the record {lacks})" if description and lacks else description or lacks


def lacking_in_request(code: str, operation: str, records: Sequence[Record]) -> str:
    """Return a sentence about the records of a request that was refused as a whole: how many lack what."""
    all_lack = [(record.customer_id, lacking(code, operation, record.attributes)) for record in records]
    told = [f"{one_line(customer_id)} {lacks}" for customer_id, lacks in all_lack if lacks]
    if not told:
        return ""
    if len(told) > _NAMED_RECORDS:
        told[_NAMED_RECORDS:] = [f"and {len(told) - _NAMED_RECORDS} more"]
    count = sum(bool(lacks) for _, lacks in all_lack)
    return f"In {count} of its {len(records)} records required attributes are missing: {'; '.join(told)}."
