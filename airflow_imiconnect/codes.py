"""The contract's tables (paragraph 6), row by row: what each code of the Profile API, and each HTTP status, means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import NamedTuple


class Reading(Enum):
    """What a code or an HTTP status means to us."""

    TAKEN = "accepted, or done: the description tells which"
    PARTIAL = "finished, and some records failed"
    WAITING = "still in the queue"
    TRY_AGAIN = "not processed, may work later"
    SLOWER = "not processed: too many calls a second"
    LOST = "no answer that could be read: a write may have happened"
    AUTHENTICATION = "refused until the key or the allow list is changed"
    PERMANENT = "refused for good"


class Row(NamedTuple):
    """A row of the tables below: the vendor's meaning, our reading, and what the user can do about it."""

    meaning: str
    reading: Reading
    advice: str = ""
    per_record: bool = False  # whether a call may be refused as a whole for what one of its records holds


SOMETHING_ELSE = "Check the connection's host or region: something else may answer."
CHECK_HOST = "Check the connection's host or region."
_CHECK_KEY = (
    "Check the profile key in the connection's password: it stands on the tenant's Tenant Settings page, "
    "and the connection's region or host must be that tenant's."
)
_CHECK_ALL = (
    "Check the profile key in the connection's password, that the tenant's allow list names this machine's outgoing "
    "address, and the connection's host or region."
)
_ALLOW_LIST = "Have the outgoing addresses of all machines that call, this one's too, put on the tenant's allow list."
_OUR_FORM = "Compare the records with the vendor's reference."

# Contract 6: the codes of the Profile API. Never merge them with those of the messaging or event APIs.
CODES: Mapping[str, Row] = {
    "1000": Row("queued, or success", Reading.TAKEN),
    "1001": Row("queued", Reading.TAKEN),
    "1002": Row("partial success", Reading.PARTIAL),
    "7000": Row("invalid JSON", Reading.PERMANENT, _OUR_FORM, per_record=True),
    "7001": Row("authentication failed: wrong key", Reading.AUTHENTICATION, _CHECK_KEY),
    "7002": Row("key header missing", Reading.AUTHENTICATION, _CHECK_KEY),
    "7003": Row("a mandatory parameter is missing", Reading.PERMANENT, "strict=True finds it first.", per_record=True),
    "7006": Row("internal error", Reading.TRY_AGAIN),
    "7010": Row("source address not on the allow list", Reading.AUTHENTICATION, _ALLOW_LIST),
    "7011": Row("invalid attribute value", Reading.PERMANENT, _OUR_FORM, per_record=True),
    "7012": Row("more than 100 records", Reading.PERMANENT),
    "7013": Row("master profile store not found", Reading.PERMANENT, "Ask the vendor's support."),
    "7014": Row("customer or app profile not found", Reading.PERMANENT),
    "7015": Row("customer or app profile already exists", Reading.PERMANENT, per_record=True),
    "7016": Row("unknown error", Reading.TRY_AGAIN),
    "7017": Row(
        "attribute does not exist in the profile store",
        Reading.PERMANENT,
        "Have it added to the tenant.",
        per_record=True,
    ),
    "7018": Row(
        "invalid app profile, or app not linked to this client",
        Reading.PERMANENT,
        "Check app_id: it is the id of the tenant's app asset, for example a_636035705699961900.",
    ),
    "7019": Row("request expired", Reading.TRY_AGAIN),
    "7020": Row("the tenant's limit of calls a second is reached", Reading.SLOWER, "Set requests_per_second."),
    "7203": Row("customer not found", Reading.PERMANENT),
    "7208": Row("source address not on the allow list", Reading.AUTHENTICATION, _ALLOW_LIST),
    "7600": Row("no result found", Reading.WAITING),
}
UNDOCUMENTED = Row(
    "undocumented code",
    Reading.PERMANENT,
    "Look it up in the vendor's reference, or check the connection's host: something else may answer.",
)

# Contract 6, last paragraph: the HTTP status counts only where no code can be read.
HTTP_STATUSES: tuple[tuple[Iterable[int], Row], ...] = (
    ((401, 403), Row("refused without a code of the service", Reading.AUTHENTICATION, _CHECK_ALL)),
    ((408, 425), Row("try again later", Reading.TRY_AGAIN)),
    ((429,), Row("too many calls", Reading.SLOWER)),
    (range(500, 600), Row("server error without a code of the service", Reading.LOST, "Try again later.")),
    (
        range(300, 400),
        Row("a redirect, which is never followed: the key stays with its host", Reading.PERMANENT, CHECK_HOST),
    ),
    (
        range(400, 500),
        Row("refused without a code of the service: it may not be IMIconnect", Reading.PERMANENT, CHECK_HOST),
    ),
)
# A test has no records and no app, and is no task: other advice helps there than the rows above have.
TEST_ADVICE: Mapping[Reading, str] = {
    Reading.PERMANENT: SOMETHING_ELSE,
    Reading.TRY_AGAIN: "Try again later.",
    Reading.SLOWER: "Try again later.",
}
UNREADABLE = Row("not an answer of IMIconnect, or cut off", Reading.LOST, CHECK_HOST)
