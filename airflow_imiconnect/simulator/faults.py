"""What can be made to go wrong with a call: the kinds, their parameters, and the plan of which call gets which."""

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
    :param accepted: the service takes the call before it goes wrong
    :param http_status: of the answer; None for the service's own, 0 where no answer starts
    :param unit: what the parameter after the colon is, if it takes one
    """

    about: str
    accepted: bool = False
    http_status: int | None = 0
    unit: str | None = None
    default: float | str | None = None


KINDS: Mapping[str, Kind] = MappingProxyType({
    "reset_before": Kind("the connection is reset; nothing was accepted"),
    "reset_after": Kind("accepted, then the connection is reset", accepted=True),
    "cut_off": Kind("accepted; half of the answer, then the connection closes", accepted=True, http_status=None),
    "hang_after": Kind("accepted, then silence until the client gives up", accepted=True),
    "http_500": Kind("HTTP 500 with a text", http_status=500),
    "http_502_html": Kind("HTTP 502 with a proxy's HTML page", http_status=502),
    "http_429": Kind("HTTP 429 with Retry-After", http_status=429, unit="seconds", default=1.0),
    "http_503": Kind("HTTP 503 with nothing in it", http_status=503),
    "not_json": Kind("accepted; the answer is no JSON", accepted=True, http_status=None),
    "other_shape": Kind("accepted; the answer is a list of numbers", accepted=True, http_status=None),
    "no_transid": Kind("accepted; the answer lacks its transid", accepted=True, http_status=None),
    "wrong_types": Kind("accepted; the answer's fields are of wrong types", accepted=True, http_status=None),
    "slow_body": Kind("accepted; an endless answer, a byte at a time",
                      accepted=True, http_status=None, unit="seconds", default=0.05),
    "huge_body": Kind("accepted; an answer of hundreds of megabytes",
                      accepted=True, http_status=None, unit="megabytes", default=300.0),
    "redirect": Kind("HTTP 307 to another address", http_status=307, unit="url", default="/moved"),
    "down": Kind("the server goes away and refuses connections, then comes back", unit="seconds", default=1.0),
})  # fmt: skip
API_CODE = Kind("an answer with this code; nothing was processed", http_status=200)


@dataclass(frozen=True)
class Fault:
    """
    One fault. ValueError where the kind does not exist or a parameter cannot be.

    :param kind: a name of :data:`KINDS`, or a code of four digits ("7006"), which is answered with HTTP 200
    :param seconds: down: how long (1); slow_body: between two bytes (0.05); http_429: the Retry-After (1)
    :param url: redirect: where to (a path of this server that does not exist)
    :param megabytes: huge_body: how large (300)
    :param http_date: http_429: write Retry-After as a date instead of seconds
    :param accepted: whether the service takes the call before it goes wrong; None for what is usual for the kind
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
                raise ValueError(f"The fault {self.kind} takes no {unit}.")
        for unit in ("seconds", "megabytes"):
            value = getattr(self, unit)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"The {unit} of the fault {self.kind} must be a number from 0 on, not {value}.")
        if about.unit and getattr(self, about.unit) is None:
            object.__setattr__(self, about.unit, about.default)

    @property
    def about(self) -> Kind:
        """What is known of its kind."""
        if self.kind in KINDS:
            return KINDS[self.kind]
        if _CODE.fullmatch(self.kind):
            return API_CODE
        raise ValueError(f"There is no fault {self.kind!r}; there are {', '.join(KINDS)} and codes like 7006.")

    @property
    def is_code(self) -> bool:
        """Whether it is an answer of the API with a code."""
        return self.kind not in KINDS

    @property
    def reaches_service(self) -> bool:
        """Whether the service takes the call before it goes wrong."""
        return self.about.accepted if self.accepted is None else self.accepted

    def seen(self, http_status: int, code: str) -> tuple[int | None, str | None]:
        """
        Return what a client can still read of the service's answer.

        :returns: the HTTP status, None where no answer starts; and the code, None where none can be read
        """
        if self.is_code:
            return self.about.http_status, self.kind
        status = http_status if self.about.http_status is None else self.about.http_status or None
        return status, code if self.kind == "no_transid" else None

    @classmethod
    def parse(cls, text: str) -> Fault:
        """
        Read ``kind`` or ``kind:parameter``, as in ``7006``, ``down:2`` or ``redirect:http://127.0.0.1:8086/``.

        :raises ValueError: there is no such kind, it takes no parameter, or the parameter is of the wrong type
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
    Bring a plan into one form.

    :param faults: number of a create call, or (kind, number) -> fault; or a function of kind and number
    :raises ValueError: a key or a fault of the mapping cannot be
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
    raise ValueError(f"A fault is a name like 'reset_after' or '7006', or a Fault, not {value!r}.")


def _call(key: int | tuple[str, int]) -> tuple[str, int]:
    kind, number = key if isinstance(key, tuple) else ("create", key)
    if kind not in CALL_KINDS or not isinstance(number, int) or number < 1:
        raise ValueError(f"A fault is planned for a call's number (3) or kind and number ('status', 2), not {key!r}.")
    return kind, number
