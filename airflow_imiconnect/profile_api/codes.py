"""The contract's tables (paragraph 6), row by row: what each code of the Profile API, and each HTTP status, means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from airflow_imiconnect.profile_api import error_texts as texts


class Reading(Enum):
    """What a code or an HTTP status means to us."""

    TAKEN = "accepted, or done: the description tells which"
    QUEUED = "accepted, and done only where the description says so"
    PARTIAL = "finished, and some records failed"
    WAITING = "still in the queue"
    TRY_AGAIN = "not processed, may work later"
    SLOWER = "not processed: too many requests a second"
    LOST = "no response that could be read: the server may have processed the request"
    AUTHENTICATION = "refused until the key or the allow list is changed"
    PERMANENT = "refused for good"


class Row(NamedTuple):
    """
    A row of the tables below.

    :param meaning: the vendor's
    :param reading: ours
    :param advice: what the user can do about it
    :param per_record: whether a request may be refused as a whole for what one of its records holds
    """

    meaning: str
    reading: Reading
    advice: str = ""
    per_record: bool = False


# Contract 6: the codes of the Profile API. Never merge them with those of the messaging or event APIs.
CODES: Mapping[str, Row] = {
    "1000": Row("queued, or success", Reading.TAKEN),
    "1001": Row("queued", Reading.QUEUED),
    "1002": Row("partial success", Reading.PARTIAL),
    "7000": Row("invalid JSON", Reading.PERMANENT, texts.COMPARE_RECORDS, per_record=True),
    "7001": Row("authentication failed: wrong key", Reading.AUTHENTICATION, texts.CHECK_KEY),
    "7002": Row("key header missing", Reading.AUTHENTICATION, texts.CHECK_KEY),
    "7003": Row("a mandatory parameter is missing", Reading.PERMANENT, texts.STRICT_FINDS_IT, per_record=True),
    "7006": Row("internal error", Reading.TRY_AGAIN),
    "7010": Row("source address not on the allow list", Reading.AUTHENTICATION, texts.ALLOW_LIST),
    "7011": Row("invalid attribute value", Reading.PERMANENT, texts.COMPARE_RECORDS, per_record=True),
    "7012": Row("more than 100 records", Reading.PERMANENT),
    "7013": Row("master profile store not found", Reading.PERMANENT, texts.ASK_SUPPORT),
    "7014": Row("customer or app profile not found", Reading.PERMANENT),
    "7015": Row("customer or app profile already exists", Reading.PERMANENT, per_record=True),
    "7016": Row("unknown error", Reading.TRY_AGAIN),
    "7017": Row(
        "attribute does not exist in the profile store",
        Reading.PERMANENT,
        texts.ADD_ATTRIBUTE,
        per_record=True,
    ),
    "7018": Row(
        "invalid app profile, or app not linked to this client",
        Reading.PERMANENT,
        texts.CHECK_APP_ID,
    ),
    "7019": Row("request expired", Reading.TRY_AGAIN),
    "7020": Row("the tenant's limit of requests a second is reached", Reading.SLOWER, texts.SET_LIMIT),
    "7203": Row("customer not found", Reading.PERMANENT),
    "7208": Row("source address not on the allow list", Reading.AUTHENTICATION, texts.ALLOW_LIST),
    "7600": Row("no result found", Reading.WAITING),
}
UNDOCUMENTED = Row(
    "undocumented code",
    Reading.PERMANENT,
    texts.LOOK_IT_UP,
)


def row_of(code: str) -> Row:
    """Return the row of a code, also of one that is not documented."""
    return CODES.get(code, UNDOCUMENTED)


def known_words(code: str, description: str) -> str:
    """
    Return the service's words as far as they are the table's, and else the table's.

    What the service says of a record may quote the record's values, in part and in any case.
    """
    row = row_of(code)
    return description if description and is_known(row, description) else row.meaning


def is_known(row: Row, description: str) -> bool:
    """Tell whether a description holds no word that the row's meaning does not hold."""
    return set(_WORD.findall(description.casefold())) <= set(_WORD.findall(row.meaning.casefold()))


_WORD = re.compile(r"\w+")


TOO_LARGE = Row(
    "the request is larger than the server takes, or a proxy in front of it", Reading.PERMANENT, texts.LOWER_BATCH_SIZE
)
# Contract 6, last paragraph: the HTTP status counts only where no code can be read.
HTTP_STATUSES: tuple[tuple[Iterable[int], Row], ...] = (
    ((401, 403), Row("refused without a code of the service", Reading.AUTHENTICATION, texts.CHECK_ALL)),
    ((408, 425), Row("try again later", Reading.TRY_AGAIN)),
    ((413,), TOO_LARGE),
    ((429,), Row("too many requests", Reading.SLOWER)),
    (range(500, 600), Row("server error without a code of the service", Reading.LOST, texts.TRY_LATER)),
    (
        range(300, 400),
        Row("a redirect, which is never followed: the key stays with its host", Reading.PERMANENT, texts.CHECK_HOST),
    ),
    (
        range(400, 500),
        Row("refused without a code of the service: it may not be IMIconnect", Reading.PERMANENT, texts.CHECK_HOST),
    ),
)
# A test has no records, no app and no task: it needs other advice than the rows above give.
TEST_ADVICE: Mapping[Reading, str] = {
    Reading.PERMANENT: texts.SOMETHING_ELSE,
    Reading.TRY_AGAIN: texts.TRY_LATER,
    Reading.SLOWER: texts.TRY_LATER,
}
UNREADABLE = Row("not a response of IMIconnect, or cut off", Reading.LOST, texts.CHECK_HOST)
