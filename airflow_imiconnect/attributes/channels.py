"""The five channels (contract 4 and 8): how to recognise a record's channel, and which attributes it requires."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Channel(NamedTuple):
    """
    A channel.

    :param name: its display name
    :param create: the attributes that creating a profile requires
    :param update: the attributes that updating a profile requires
    :param unseen: further attributes that creating requires by the code table, though the vendor's examples lack them
    """

    name: str
    create: tuple[str, ...] = ("status",)
    update: tuple[str, ...] = ("status",)
    unseen: tuple[str, ...] = ()

    def required(self, operation: str) -> tuple[str, ...]:
        """Return all attributes that the documents require for an operation."""
        return self.update if operation == "update" else self.create + self.unseen


FACEBOOK = Channel("Facebook", ("status", "psid"), ("status", "psid"))
TWITTER = Channel("Twitter", unseen=("access_token", "access_token_expiry", "access_token_secret", "screenName"))
WECHAT = Channel("WeChat")
IN_APP = Channel("In-App", ("status", "connectStatus", "deviceId", "rtmId"), ("status", "rtmId", "deviceId"))
PUSH = IN_APP._replace(name="Push")
OTHER = Channel("other")

_CHANNELS = {"fb": FACEBOOK, "twitter": TWITTER, "wechat": WECHAT, "rt": IN_APP}
_OF_PUSH = ("deviceId", "rtmId", "pushId", "connectStatus")
_OF_WECHAT = ("created_on", "updated_on", "nick", "wechat_user_id")


def find_channel(attributes: Mapping[str, object]) -> Channel:
    """Return the channel by ``channel``; if WeChat or Push omit it, by attributes that only they have."""
    channel = attributes.get("channel")
    if isinstance(channel, str) and channel:
        return _CHANNELS.get(channel, OTHER)
    if channel is None or channel == "":
        if not attributes.keys().isdisjoint(_OF_PUSH):
            return PUSH
        if not attributes.keys().isdisjoint(_OF_WECHAT):
            return WECHAT
    return OTHER


def channel_name(attributes: Mapping[str, object]) -> str:
    """Return the channel's display name; ``other`` if it is not one of the five, whatever its value."""
    return find_channel(attributes).name


def missing_attributes(attributes: Mapping[str, str], operation: str) -> list[str]:
    """Return the required attributes that are missing or empty."""
    return [name for name in find_channel(attributes).required(operation) if not attributes.get(name)]
