"""A model for each of the five channels (contract 4), for records created in Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, model_validator

from airflow_imiconnect.attributes import channels
from airflow_imiconnect.attributes.strings import to_strings


class ChannelAttributes(BaseModel):
    """
    The attributes that all channels share; further ones may be added as keyword arguments.

    Numbers, booleans and dates are converted to strings. ``repr`` shows the attributes' names, never their values.
    """

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)
    required: ClassVar[tuple[str, ...]] = channels.OTHER.create

    status: str | None = None
    verified: str | None = None
    customerId: str | None = None
    createdOn: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _strings(cls, data: object) -> dict[str, str]:
        return to_strings(data)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(sorted(self.model_fields_set))})"

    __str__ = __repr__


class FacebookAttributes(ChannelAttributes):
    """A profile of a Facebook page, ``channel`` "fb"."""

    required = channels.FACEBOOK.create

    psid: str | None = None
    name: str | None = None
    profile_pic: str | None = None
    gender: str | None = None
    locale: str | None = None
    timezone: str | None = None
    channel: str | None = "fb"
    updatedOn: str | None = None


class TwitterAttributes(ChannelAttributes):
    """A profile of a Twitter account, ``channel`` "twitter"."""

    twitterid: str | None = None
    twitter_handle: str | None = None
    twitter_name: str | None = None
    geolocation: str | None = None
    timezone: str | None = None
    channel: str | None = "twitter"
    updatedOn: str | None = None


class WeChatAttributes(ChannelAttributes):
    """A profile of a WeChat account; the vendor's examples give no ``channel``."""

    city: str | None = None
    nick: str | None = None
    gender: str | None = None
    province: str | None = None
    language: str | None = None
    country: str | None = None
    created_on: str | None = None
    updated_on: str | None = None
    wechat_user_id: str | None = None
    channel: str | None = None


class InAppAttributes(ChannelAttributes):
    """A profile of one person's device in a mobile app, ``channel`` "rt"."""

    required = channels.IN_APP.create

    connectStatus: str | None = None
    appId: str | None = None
    userId: str | None = None
    password: str | None = None
    deviceId: str | None = None
    batterylevel: str | None = None
    Bluetooth: str | None = None
    cellid: str | None = None
    connectType: str | None = None
    email: str | None = None
    externalmemory: str | None = None
    foreground: str | None = None
    foregroundapp: str | None = None
    idlescreen: str | None = None
    imei: str | None = None
    imsi: str | None = None
    internalmemory: str | None = None
    IP: str | None = None
    language: str | None = None
    oldlocation: str | None = None
    location: str | None = None
    MAC: str | None = None
    make: str | None = None
    MCC: str | None = None
    MNC: str | None = None
    model: str | None = None
    NFC: str | None = None
    os: str | None = None
    osversion: str | None = None
    phonemode: str | None = None
    presence: str | None = None
    RAM: str | None = None
    resolution: str | None = None
    roaming: str | None = None
    serialnumber: str | None = None
    signalstrength: str | None = None
    teleco: str | None = None
    timespent: str | None = None
    timezone: str | None = None
    useragent: str | None = None
    pushId: str | None = None
    rtmId: str | None = None
    last_opened: str | None = None
    last_upgraded: str | None = None
    channel: str | None = "rt"
    accounts: str | None = None
    sdkversion: str | None = None


class PushAttributes(InAppAttributes):
    """A profile that receives push messages: the same attributes as In-App (contract 4)."""


_MODELS: Mapping[str, type[ChannelAttributes]] = {
    channels.FACEBOOK.name: FacebookAttributes,
    channels.TWITTER.name: TwitterAttributes,
    channels.WECHAT.name: WeChatAttributes,
    channels.IN_APP.name: InAppAttributes,
    channels.PUSH.name: PushAttributes,
}


def channel_of(attributes: Mapping[str, object]) -> type[ChannelAttributes]:
    """Return the model of the attributes' channel; the base class if it is not one of the five."""
    return _MODELS.get(channels.channel_name(attributes), ChannelAttributes)
