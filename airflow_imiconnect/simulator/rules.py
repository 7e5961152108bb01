"""
What the service requires of a request and its records. No HTTP: values in, values or a Refusal out.

The numbers in brackets are sections of the API contract: 3 operations, 4 records, 5 responses, 6 codes, 7 limits.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

MAX_RECORDS = 100  # contract 3

# The documented codes and their descriptions (contract 6). The HTTP status does not follow from the code: an accepted
# request gets 202, everything else 200, errors included ("errors may come with HTTP 200", contract 5).
DESCRIPTIONS = {
    "1000": "SUCCESS",
    "1001": "Queued",
    "1002": "Partial success",
    "7000": "Invalid JSON",
    "7001": "Authentication failed",
    "7002": "Key header is missing",
    "7003": "Mandatory parameter is missing",
    "7006": "Internal error",
    "7010": "Source address is not on the allow list",
    "7011": "Invalid attribute value",
    "7012": "More than 100 records",
    "7013": "Master profile store not found",
    "7014": "customer not found",
    "7015": "customer already exists",
    "7016": "Unknown error",
    "7017": "Attribute does not exist in the profile store",
    "7018": "Invalid app profile",
    "7019": "Request expired",
    "7020": "Transactions per second limit reached",
    "7203": "Customer not found",
    "7208": "Source address is not on the allow list",
    "7600": "No result found",
}
HTTP_QUEUED = 202
HTTP_ANSWERED = 200

STATUSES = ("", "0", "1")  # the vendor's own In-App example has "" (contract 4)
STRICT_STATUSES = ("0", "1")
REQUIRED = {"fb": ("psid",), "rt": ("connectStatus", "deviceId", "rtmId")}  # by channel (contract 4)
STRICT_REQUIRED = {**REQUIRED, "twitter": ("access_token", "access_token_secret", "screenName")}


class Refusal(Exception):  # noqa: N818 - the service's response, not an error in the simulator
    """
    The service refuses the whole request.

    :param code: the code of the response
    :param where: the part of the body at fault; never a value from it
    """

    def __init__(self, code: str, where: str = "") -> None:
        super().__init__(code, where)
        self.code = code
        self.description = describe(code) + (f" ({where})" if where else "")


class Record(NamedTuple):
    """
    One record of an accepted request.

    ``attributes`` is kept as JSON text: it takes a fifth of the memory of a dict, and there may be a million records.
    """

    customer_id: str
    device_id: str  # "" if there is none
    attributes: bytes
    problem: str | None  # the code with which its content fails; None if it is valid

    @property
    def identity(self) -> tuple[str, str]:
        """The identity of the profile: two records of an app with the same one are the same profile."""
        return self.customer_id, self.device_id


def describe(code: str) -> str:
    """Return the description that goes with a code."""
    return DESCRIPTIONS.get(code, "Undocumented code")


def parse(body: bytes) -> Any:  # noqa: ANN401 - any JSON
    """Parse the body as strict JSON in UTF-8; raises Refusal 7000 if it is not."""
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refusal("7000") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)  # Python accepts NaN and Infinity, JSON does not


def read_records(document: Any, *, strict: bool, whole_call: bool) -> tuple[Record, ...]:  # noqa: ANN401 - any JSON
    """
    Check the envelope and the shape of every record (contract 3 and 4).

    :param strict: see :func:`problem_of`
    :param whole_call: one record with invalid content fails the whole request, instead of later failing by itself
    :raises Refusal: 7012, 7003 or 7011 for the whole request
    """
    raw = document.get("Records") if isinstance(document, dict) else None
    if raw is None:
        raise Refusal("7003", "Records")
    if not isinstance(raw, list):
        raise Refusal("7011", "Records")
    if len(raw) > MAX_RECORDS:
        raise Refusal("7012")
    if not raw:
        raise Refusal("7003", "Records")
    return tuple(
        _read_record(item, f"Records[{index}]", strict=strict, whole_call=whole_call) for index, item in enumerate(raw)
    )


def _read_record(item: Any, where: str, *, strict: bool, whole_call: bool) -> Record:  # noqa: ANN401 - any JSON
    if not isinstance(item, dict):
        raise Refusal("7011", where)
    customer_id, attributes = item.get("customerId"), item.get("Attributes")
    if customer_id is None or customer_id == "":
        raise Refusal("7003", f"{where}.customerId")
    if not isinstance(customer_id, str):
        raise Refusal("7011", f"{where}.customerId")
    if attributes is None:
        raise Refusal("7003", f"{where}.Attributes")
    if not isinstance(attributes, dict) or not all(isinstance(value, str) for value in attributes.values()):
        raise Refusal("7011", f"{where}.Attributes")
    problem = problem_of(attributes, strict=strict)
    if problem and whole_call:
        raise Refusal(problem[0], f"{where}.Attributes.{problem[1]}")
    text = json.dumps(attributes, separators=(",", ":")).encode()
    return Record(customer_id, attributes.get("deviceId", ""), text, problem[0] if problem else None)


def problem_of(attributes: dict[str, str], *, strict: bool) -> tuple[str, str] | None:
    """
    Judge the content of one record (contract 4); an empty attribute of a channel counts as missing.

    :param strict: also refuse an empty status, and require Twitter's tokens
    :returns: the code and the attribute at fault; None if the record is valid
    """
    if "status" not in attributes:
        return "7003", "status"
    if attributes["status"] not in (STRICT_STATUSES if strict else STATUSES):
        return "7011", "status"
    required = (STRICT_REQUIRED if strict else REQUIRED).get(attributes.get("channel", ""), ())
    return next((("7003", name) for name in required if not attributes.get(name)), None)


def customer_ids_of(body: bytes) -> tuple[str, ...]:
    """Return the customer ids in a body that need not be valid, as far as they can be read."""
    try:
        records = parse(body)["Records"]
        ids = [item.get("customerId") for item in records if isinstance(item, dict)]
    except (Refusal, TypeError, KeyError):
        return ()
    return tuple(customer_id for customer_id in ids if isinstance(customer_id, str))


class Bucket:
    """
    The tenant's limit of transactions per second (contract 7): a token bucket that holds about one second's worth.

    :param rate: requests per second; None for no limit
    """

    def __init__(self, rate: float | None, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._capacity = max(1.0, rate or 0.0)
        self._tokens = self._capacity
        self._filled_at = clock()

    def take(self) -> bool:
        """Take one token; return False if there is none."""
        if self._rate is None:
            return True
        moment = self._clock()
        self._tokens = min(self._capacity, self._tokens + (moment - self._filled_at) * self._rate)
        self._filled_at = moment
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
