"""
What a statement of the service means, read from a table: code x description -> what became of its records.

Contract 5, as three rules. 1: a result speaks for the record that it names. 2: for the records that no result names,
the code speaks. 3: where that leaves open what became of them, they are waited for or refused, never taken for done: so
it is after a success that names only some of the records, or whose counts say otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from airflow_imiconnect.profile_api.bodies import UNREADABLE, Body
from airflow_imiconnect.profile_api.codes import Reading, row_of
from airflow_imiconnect.profile_api.results import RecordResult


class Said(Enum):
    """What a description says."""

    SUCCESS = "success"
    QUEUED = "queued"
    OTHER = "anything else"
    NOTHING = "nothing"


class Fate(Enum):
    """What became of a record."""

    DONE = "it is as asked"
    WAITING = "it is in the queue"
    OPEN = "the response does not tell"
    FAILED = "it was refused, or failed"


WRITE, STATUS = 0, 1  # the columns of the table: in the response to a write, and to a request for a status
_TABLE: Mapping[tuple[Reading, Said], tuple[Fate, Fate]] = {
    (Reading.TAKEN, Said.SUCCESS): (Fate.DONE, Fate.DONE),
    (Reading.TAKEN, Said.QUEUED): (Fate.WAITING, Fate.WAITING),
    (Reading.TAKEN, Said.OTHER): (Fate.WAITING, Fate.OPEN),  # contract 14
    (Reading.TAKEN, Said.NOTHING): (Fate.WAITING, Fate.DONE),
    (Reading.QUEUED, Said.SUCCESS): (Fate.DONE, Fate.DONE),
    **{(Reading.QUEUED, said): (Fate.WAITING, Fate.WAITING) for said in (Said.QUEUED, Said.OTHER, Said.NOTHING)},
    **{(Reading.PARTIAL, said): (Fate.OPEN, Fate.FAILED) for said in Said},
    **{(Reading.WAITING, said): (Fate.FAILED, Fate.WAITING) for said in Said},
}
_REFUSED = (Fate.FAILED, Fate.FAILED)  # every other reading
_OF_ONE_RECORD = (Reading.TAKEN, Reading.QUEUED)  # what else a result says of its record is that it failed


class Statement(NamedTuple):
    """
    A body, judged.

    :param named: what became of each record that a result names
    :param rest: what became of the records that no result names
    :param unnamed: how many these are; None where that is not known
    """

    body: Body
    named: Sequence[Fate]
    rest: Fate
    unnamed: int | None

    @property
    def has_rest(self) -> bool:
        """Whether there are records that no result names."""
        return not self.named or bool(self.unnamed)

    @property
    def speaks_for(self) -> int | None:
        """For how many records it speaks, by its results or else by its count; None where that is not known."""
        return len(self.named) - _nobodys(self.body, self.named) if self.named else self.body.total_count

    @property
    def claims_the_rest(self) -> bool:
        """Whether it is a success of records of which it tells neither the names nor the number."""
        return self.speaks_for is None and self.rest is Fate.DONE

    @property
    def fates(self) -> set[Fate]:
        """What became of all of its records."""
        return {*self.named, self.rest} if self.has_rest else {*self.named}

    @property
    def takes_any(self) -> bool:
        """Whether a record was taken, be it that the response does not tell what became of it."""
        return self.fates != {Fate.FAILED}


def judged(bodies: Sequence[Body], column: int, records: int | None) -> list[Statement]:
    """
    Judge each body.

    :param records: how many records they speak of, where that is known
    """
    if len(bodies) == 1:
        return [_judge(bodies[0], column, records)]
    statements = [_judge(body, column, None) for body in bodies]  # for how many each of them speaks is not known
    return statements if records is None else _accounted(statements, records)


def _accounted(statements: Sequence[Statement], records: int) -> list[Statement]:
    """Leave open what became of the records for which none of several statements speaks (rule 3)."""
    if any(each.speaks_for is None for each in statements):  # it speaks for the rest, but for a success
        return [
            each._replace(rest=Fate.OPEN) if each.speaks_for is None and each.rest is Fate.DONE else each
            for each in statements
        ]
    missing = records - sum(each.speaks_for or 0 for each in statements)
    if not missing:
        return list(statements)
    *others, last = statements
    return [*others, last._replace(rest=Fate.OPEN, unnamed=max(1, missing))]


def _judge(body: Body, column: int, records: int | None) -> Statement:
    named = [_fate_of_one(result, body, column) for result in body.results]
    rest = _fate(row_of(body.code).reading, body.description, column)
    if rest is Fate.DONE and (body.results or _is_contradicted(body, records)):
        rest = Fate.OPEN  # rule 3
    count = records if records is not None else body.total_count
    unnamed = None if count in (None, UNREADABLE) else max(0, count - len(named) + _nobodys(body, named))
    return Statement(body, named, rest, unnamed)


def _nobodys(body: Body, named: Sequence[Fate]) -> int:
    """Count the successes of nobody: they account for no record."""
    return sum(fate is Fate.DONE and not result.customer_id for result, fate in zip(body.results, named, strict=True))


def _fate(reading: Reading, description: str, column: int) -> Fate:
    return _TABLE.get((reading, _said(description)), _REFUSED)[column]


def _fate_of_one(result: RecordResult, body: Body, column: int) -> Fate:
    reading = row_of(result.code).reading
    if reading not in _OF_ONE_RECORD:
        return Fate.FAILED
    shares_words = row_of(body.code).reading is reading
    return _fate(reading, result.description or (body.description if shares_words else ""), column)


_NEGATIVE = re.compile(r"\b(NO|NOT|FAIL\w*|ERROR\w*|INVALID\w*|REJECT\w*)\b")


def _said(description: str) -> Said:
    words = description.upper()
    if _NEGATIVE.search(words):
        return Said.OTHER
    if "QUEUED" in words:
        return Said.QUEUED
    if words.startswith("SUCCESS"):
        return Said.SUCCESS
    return Said.OTHER if words else Said.NOTHING


def is_queued_in_words(description: str) -> bool:
    """Tell whether a description says so itself."""
    return _said(description) is Said.QUEUED


def _is_contradicted(body: Body, records: int | None) -> bool:
    """Tell a success whose own counts say that records failed, or that there are others than were submitted."""
    counts = [count for count in (body.total_count, body.success_count) if count is not None]
    expected = max(counts, default=0) if records is None else records
    return bool(body.failure_count) or any(count <= 0 or count != expected for count in counts)
