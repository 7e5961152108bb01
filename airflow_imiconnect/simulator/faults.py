"""What can be made to go wrong with a request: the kinds of fault, their parameters, and the plan that assigns them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from types import MappingProxyType

CALL_KINDS = ("create", "status")
_CODE = re.compile(r"\d{4}")


@dataclass(frozen=True)
class Kind:
    """
    A kind of fault.

    :param about: what a client sees
    :param accepted: whether the service processes the request before the fault strikes
    :param http_status: of the response; None for the service's own, 0 if no response starts
    :param unit: the unit of the parameter after the colon, if the kind takes one
    """

    about: str
    accepted: bool = False
    http_status: int | None = 0
    unit: str | None = None
    default: float | str | None = None


KINDS: Mapping[str, Kind] = MappingProxyType({
    "reset_before": Kind("the connection is reset; nothing is accepted"),
    "reset_after": Kind("accepted, then the connection is reset", accepted=True),
    "cut_off": Kind("accepted; half of the response, then the connection closes", accepted=True, http_status=None),
    "hang_after": Kind("accepted, then silence until the client gives up", accepted=True),
    "http_500": Kind("HTTP 500 with plain text", http_status=500),
    "http_502_html": Kind("HTTP 502 with a proxy's HTML page", http_status=502),
    "http_429": Kind("HTTP 429 with Retry-After", http_status=429, unit="seconds", default=1.0),
    "http_503": Kind("HTTP 503 with an empty body", http_status=503),
    "not_json": Kind("accepted; the response is not JSON", accepted=True, http_status=None),
    "other_shape": Kind("accepted; the response is a list of numbers", accepted=True, http_status=None),
    "no_transid": Kind("accepted; the response lacks its transid", accepted=True, http_status=None),
    "wrong_types": Kind("accepted; the response's fields have the wrong types", accepted=True, http_status=None),
    "slow_body": Kind("accepted; an endless response, a byte at a time",
                      accepted=True, http_status=None, unit="seconds", default=0.05),
    "huge_body": Kind("accepted; a response of hundreds of megabytes",
                      accepted=True, http_status=None, unit="megabytes", default=300.0),
    "redirect": Kind("HTTP 307 to another address", http_status=307, unit="url", default="/moved"),
    "down": Kind("the server goes down and refuses connections, then comes back", unit="seconds", default=1.0),
})  # fmt: skip
API_CODE = Kind("a response with this code; nothing is processed", http_status=200)


@dataclass(frozen=True)
class Fault:
    """
    One fault. Raises ValueError if the kind does not exist or a parameter is invalid.

    :param kind: a name in :data:`KINDS`, or a four-digit code ("7006"), which is returned with HTTP 200
    :param seconds: down: how long (1); slow_body: between two bytes (0.05); http_429: the Retry-After (1)
    :param url: redirect: where to (a path of this server that does not exist)
    :param megabytes: huge_body: how large (300)
    :param http_date: http_429: write Retry-After as a date instead of seconds
    :param accepted: whether the service processes the request before the fault strikes; None for the kind's default
    """

    kind: str
    _: KW_ONLY
    seconds: float | None = None
    url: str | None = None
    megabytes: float | None = None
    http_date: bool = False
    accepted: bool | None = None

    def __post_init__(self) -> None:
        about = self.about
        for unit in ("seconds", "url", "megabytes"):
            if getattr(self, unit) is not None and about.unit != unit:
                raise ValueError(f"The fault {self.kind} does not take {unit}.")
        for unit in ("seconds", "megabytes"):
            value = getattr(self, unit)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"The {unit} of the fault {self.kind} must be a number >= 0, not {value}.")
        if about.unit and getattr(self, about.unit) is None:
            object.__setattr__(self, about.unit, about.default)

    @property
    def about(self) -> Kind:
        """The description of its kind."""
        if self.kind in KINDS:
            return KINDS[self.kind]
        if _CODE.fullmatch(self.kind):
            return API_CODE
        raise ValueError(f"Unknown fault {self.kind!r}: use one of {', '.join(KINDS)}, or a code such as 7006.")

    @property
    def is_code(self) -> bool:
        """Whether it is an API response with a code."""
        return self.kind not in KINDS

    @property
    def reaches_service(self) -> bool:
        """Whether the service processes the request before the fault strikes."""
        return self.about.accepted if self.accepted is None else self.accepted

    def seen(self, http_status: int, code: str) -> tuple[int | None, str | None]:
        """
        Return what a client can still read of the service's response.

        :returns: the HTTP status, or None if no response starts; and the code, or None if none can be read
        """
        if self.is_code:
            return self.about.http_status, self.kind
        status = http_status if self.about.http_status is None else self.about.http_status or None
        return status, code if self.kind == "no_transid" else None

    @classmethod
    def parse(cls, text: str) -> Fault:
        """
        Parse ``kind`` or ``kind:parameter``, as in ``7006``, ``down:2`` or ``redirect:http://127.0.0.1:8086/``.

        :raises ValueError: the kind does not exist, it takes no parameter, or the parameter has the wrong type
        """
        name, colon, parameter = text.partition(":")
        fault = cls(name)
        unit = fault.about.unit
        if not colon:
            return fault
        if unit is None or not parameter:
            raise ValueError(f"The fault {name} takes {unit + ' after the colon' if unit else 'no parameter'}.")
        if unit == "url":
            return cls(name, url=parameter)
        try:
            value = float(parameter)
        except ValueError:
            raise ValueError(f"The fault {name} takes a number of {unit}, not {parameter!r}.") from None
        return cls(name, seconds=value) if unit == "seconds" else cls(name, megabytes=value)


Plan = Callable[[str, int], Fault | None]
Faults = Mapping[int | tuple[str, int], str | Fault] | Callable[[str, int], str | Fault | None]


def plan_of(faults: Faults | None) -> Plan:
    """
    Normalise a plan into a function.

    :param faults: number of a create request, or (kind, number) -> fault; or a function of kind and number
    :raises ValueError: a key or a fault in the mapping is invalid
    """
    if callable(faults):
        function = faults
        return lambda kind, number: _fault(function(kind, number))
    table = {_call(call): _fault(fault) for call, fault in (faults or {}).items()}
    return lambda kind, number: table.get((kind, number))


def _fault(value: object) -> Fault | None:
    if value is None or isinstance(value, Fault):
        return value
    if isinstance(value, str):
        return Fault.parse(value)
    raise ValueError(f"A fault must be a name such as 'reset_after' or '7006', or a Fault, not {value!r}.")


def _call(key: int | tuple[str, int]) -> tuple[str, int]:
    kind, number = key if isinstance(key, tuple) else ("create", key)
    if kind not in CALL_KINDS or not isinstance(number, int) or number < 1:
        raise ValueError(f"A fault's key must be a create's number (3) or a pair such as ('status', 2), not {key!r}.")
    return kind, number
