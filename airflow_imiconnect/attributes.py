"""
What a record's ``Attributes`` may hold: the five channels, and how a value becomes the string the service expects.

Contract 4: attributes are a flat object of strings, further attributes are allowed, and only what can never be
right is refused here. The strict mode also asks for each channel's required attributes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timezone
from decimal import Decimal
from enum import Enum
from numbers import Integral, Real
from typing import Any, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, model_validator

# Contract 4: Facebook, Twitter and In-App write 2018-08-26 12:26:03; WeChat, and these attributes everywhere,
# write 2018-04-02T07:25:22.660Z.
_ISO_DATES = frozenset({"last_opened", "last_upgraded", "created_on", "updated_on"})
_STATUS_VALUES = frozenset({"", "0", "1"})


class RecordProblem(ValueError):  # noqa: N818 - a reason that gets its file and line elsewhere, not a final error
    """
    A record that can never be right.

    :param name: the field, or None when it is the record as a whole
    :param reason: what is wrong with it; never its value
    """

    def __init__(self, name: str | None, reason: str) -> None:
        super().__init__(f"{name}: {reason}" if name else reason)
        self.name = name
        self.reason = reason


def to_strings(attributes: Any, *, strict: bool = False, is_text: bool = False) -> dict[str, str]:  # noqa: ANN401
    """
    Return the attributes as the flat object of strings that is sent; a value of None is left out.

    :param attributes: a mapping, or one of the channel models below
    :param strict: also ask for the attributes that the channel requires (contract 4)
    :param is_text: whether all names and values are known to be texts
    :raises RecordProblem: for what can never be right
    """
    # Most values of most files are strings already: they take the short way.
    is_text = is_text or (type(attributes) is dict and _are_strings(attributes))
    strings: dict[str, str] = attributes if is_text and "" not in attributes else _strings(attributes)
    if strings.get("status", "") not in _STATUS_VALUES:
        raise RecordProblem("status", "must be 0 or 1")
    if strict:
        _check_required(strings)
    return strings


_STRINGS = frozenset({str})


def _are_strings(attributes: Mapping[object, object]) -> bool:
    are_strings = _STRINGS.issuperset
    return are_strings(map(type, attributes.values())) and are_strings(map(type, attributes))


def _strings(attributes: object) -> dict[str, str]:
    if isinstance(attributes, BaseModel):
        attributes = attributes.model_dump(exclude_none=True)
    if not isinstance(attributes, Mapping):
        raise RecordProblem(None, f"must be an object of attributes, not {kind_of(attributes)}")
    strings = {}
    for name, value in attributes.items():
        if not isinstance(name, str) or not name:
            raise RecordProblem(None, "has an attribute whose name is empty or no text")
        text = value if type(value) is str else _checked_string(name, value, attributes)
        if text is not None:
            strings[name] = text
    return strings


class RepeatedKey:
    """Stands where a JSON object has a key twice: neither of its values can be believed."""

    def __init__(self, pairs: Sequence[tuple[str, object]] = ()) -> None:
        self.pairs = pairs  # for the rejects file, in which a person mends them


def kind_of(value: object) -> str:
    """Name a value's kind in JSON's words, without the value."""
    if value is None:
        return "null"
    for kinds, words in _KINDS:
        if isinstance(value, kinds):
            return words
    return f"a {type(value).__name__}"


def number_to_string(value: object) -> str | None:
    """
    Return a finite number as text, None for anything else.

    5.0 becomes "5": tables turn columns of whole numbers into floats as soon as one cell is empty.
    """
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else None
    if isinstance(value, Real) and math.isfinite(value):
        number = float(value)
        text = format(Decimal(repr(number)), "f")  # 1e23 is written as it was meant, not as it is stored
        return text.removesuffix(".0")
    return None


def _checked_string(name: str, value: object, attributes: Mapping[str, object]) -> str | None:
    try:
        return _to_string(name, value, attributes)
    except RecordProblem:
        raise
    except (ValueError, TypeError, ArithmeticError):  # a number too long, a date out of bounds, a type of its own mind
        raise RecordProblem(name, f"is {kind_of(value)} that cannot be written as text") from None


def _to_string(name: str, value: Any, attributes: Mapping[str, object]) -> str | None:  # noqa: ANN401 - a user's own
    if isinstance(value, Enum):
        value = value.value
    elif getattr(value, "ndim", None) == 0:  # a numpy scalar
        value = _of_numpy(value)
    if _is_missing(value):
        return None
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "1" if value else "0"  # as status, verified and connectStatus are written
    if isinstance(value, date):
        return _date_to_string(name, value, wechat=_is_wechat(attributes))
    if isinstance(value, UUID):
        return str(value)
    text = number_to_string(value)
    if text is None:
        raise RecordProblem(name, f"is {kind_of(value)}: {_why_not(value)}")
    return text


def _of_numpy(value: Any) -> object:  # noqa: ANN401 - numpy need not be installed
    """Return Python's own value; times in nanoseconds would come as bare numbers."""
    kind = value.dtype.kind
    if kind == "m":
        raise TypeError("a span of time is no attribute")
    return value.astype("datetime64[us]").item() if kind == "M" else value.item()


class Unreadable:
    """Stands for a value of a table that Python cannot hold."""


_KINDS: tuple[tuple[Any, str], ...] = (  # the first that fits
    (RepeatedKey, "an object that has a key twice"),
    (Unreadable, "a value that cannot be read: a date out of bounds, or a text that is not UTF-8"),
    (bool, "a boolean"),
    (str, "a text"),
    (Real, "a number"),
    (Mapping, "an object"),
    ((list, tuple, set, frozenset), "a list"),
)


def _is_missing(value: object) -> bool:
    """Tell null, and the NaN, NaT and NA of tables, which mean an empty cell."""
    if isinstance(value, Decimal | float):
        return math.isnan(value)
    return value is None or type(value).__name__ in ("NaTType", "NAType")


def _why_not(value: object) -> str:
    if isinstance(value, Mapping | list | tuple | set | frozenset | RepeatedKey):
        return "nested values are not allowed, attributes are flat"
    if isinstance(value, Real | Decimal):
        return "it must be finite"
    return "a text, a number, a boolean or a date is wanted"


def _date_to_string(name: str, value: date, *, wechat: bool) -> str:
    moment = value if isinstance(value, datetime) else datetime.combine(value, time())
    if moment.tzinfo is not None:
        moment = moment.astimezone(timezone.utc).replace(tzinfo=None)
    if wechat or name in _ISO_DATES:
        return moment.isoformat(timespec="milliseconds") + "Z"
    return moment.isoformat(" ", timespec="seconds")


class ChannelAttributes(BaseModel):
    """
    The attributes that every channel shares; further ones may be added as keyword arguments.

    Numbers, booleans and dates are turned into strings. The text form names the attributes, never their values.
    """

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)
    required: ClassVar[tuple[str, ...]] = ("status",)

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

    required = ("status", "psid")

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
    """A profile of one person on one device of a mobile app, ``channel`` "rt"."""

    required = ("status", "connectStatus", "deviceId", "rtmId")

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
    """A profile that receives push messages: as In-App (contract 4)."""


_CHANNELS: Mapping[str, type[ChannelAttributes]] = {
    "fb": FacebookAttributes,
    "twitter": TwitterAttributes,
    "wechat": WeChatAttributes,
    "rt": InAppAttributes,
}


def channel_of(attributes: Mapping[str, object]) -> type[ChannelAttributes]:
    """Tell the channel by ``channel``, and where WeChat and Push leave it out, by attributes that only they have."""
    channel = attributes.get("channel")
    if isinstance(channel, str) and channel:
        return _CHANNELS.get(channel, ChannelAttributes)
    if channel is None or channel == "":
        if not attributes.keys().isdisjoint(("deviceId", "rtmId", "pushId", "connectStatus")):
            return PushAttributes
        if not attributes.keys().isdisjoint(("created_on", "updated_on", "nick", "wechat_user_id")):
            return WeChatAttributes
    return ChannelAttributes


_NAMES = {
    FacebookAttributes: "Facebook",
    TwitterAttributes: "Twitter",
    WeChatAttributes: "WeChat",
    InAppAttributes: "In-App",
    PushAttributes: "Push",
}


def channel_name(attributes: Mapping[str, object]) -> str:
    """Return the channel's name for people; ``other`` where it is none of the five, whatever its value is."""
    return _NAMES.get(channel_of(attributes), "other")


def _is_wechat(attributes: Mapping[str, object]) -> bool:
    return channel_of(attributes) is WeChatAttributes


def _check_required(strings: Mapping[str, str]) -> None:
    channel = channel_of(strings)
    for name in channel.required:
        if not strings.get(name):
            raise RecordProblem(name, f"is required by the channel ({channel.__name__}) and is missing or empty")
