"""
Attributes of app profiles (contract 4): a model for each channel, and the conversion of values to strings.

The models are for records created in Python; files and rows do not need them.
"""

from airflow_imiconnect.attributes.channels import channel_name
from airflow_imiconnect.attributes.models import (
    ChannelAttributes,
    FacebookAttributes,
    InAppAttributes,
    PushAttributes,
    TwitterAttributes,
    WeChatAttributes,
    channel_of,
)
from airflow_imiconnect.attributes.numbers import number_to_string
from airflow_imiconnect.attributes.strings import to_strings
from airflow_imiconnect.attributes.values import RecordProblem, RepeatedKey, Unreadable, kind_of

__all__ = [
    "ChannelAttributes",
    "FacebookAttributes",
    "InAppAttributes",
    "PushAttributes",
    "RecordProblem",
    "RepeatedKey",
    "TwitterAttributes",
    "Unreadable",
    "WeChatAttributes",
    "channel_name",
    "channel_of",
    "kind_of",
    "number_to_string",
    "to_strings",
]
