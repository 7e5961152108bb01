"""A preview of the whole input: what is wrong with it, and what would be sent. Nothing is sent."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from airflow_imiconnect.attributes import channel_name
from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.sources.raw import RawRecord
from airflow_imiconnect.records.validation import CheckedRecord

_NAMED_POSITIONS = 3
_MOST_KINDS = 200  # kinds of problems that are told apart: an input that is all wrong has no end of them


@dataclass
class Problem:
    """One kind of problem: how many records have it, and where the first of them stand."""

    count: int = 0
    positions: list[str] = field(default_factory=list)

    def add(self, position: str) -> None:
        """Count a record."""
        self.count += 1
        if len(self.positions) < _NAMED_POSITIONS:
            self.positions.append(position)


class Preview:
    """
    What was found so far.

    :param batch_size: records a request
    :param notes: what is odd about the input
    """

    def __init__(self, batch_size: int, notes: Notes) -> None:
        self._batch_size = batch_size
        self.notes = notes
        self.fit = 0
        self.unfit = 0
        self.channels: Counter[str] = Counter()
        self.problems: dict[str, Problem] = {}

    def add(self, record: CheckedRecord) -> None:
        """Count a record that would be sent."""
        self.fit += 1
        self.channels[channel_name(record.attributes)] += 1

    def add_problem(self, raw: RawRecord, error: IMIconnectInvalidRecordError) -> None:
        """Count a record that can never be right."""
        self.unfit += 1
        kind = f"{error.field}: {error.reason}" if error.field else error.reason
        if kind not in self.problems and len(self.problems) >= _MOST_KINDS:
            kind = "other problems"
        self.problems.setdefault(kind, Problem()).add(raw.position)

    @property
    def records(self) -> int:
        """How many records there are."""
        return self.fit + self.unfit

    @property
    def requests(self) -> int:
        """How many requests would be sent."""
        return -(-self.fit // self._batch_size)

    def error(self) -> IMIconnectInvalidRecordError:
        """Return the error of an input that must be right as a whole: the most frequent problem, and how many more."""
        kind, problem = max(self.problems.items(), key=lambda item: item[1].count)
        counts = f"{kind} ({_records(problem.count)}; {self.unfit:,} of {self.records:,} cannot be sent)"
        return IMIconnectInvalidRecordError(problem.positions[0], counts)

    def to_json(self) -> dict[str, Any]:
        """Return what would be sent, as plain JSON."""
        return {"records": self.fit, "calls": self.requests, "channels": dict(self.channels.most_common())}

    def __str__(self) -> str:
        return "\n".join([*self.findings(), self._right()])

    def findings(self) -> list[str]:
        """Return what was found to be wrong, in texts."""
        kinds = sorted(self.problems.items(), key=lambda item: -item[1].count)
        return [f"{_records(problem.count)}: {kind}\n    {_where(problem)}" for kind, problem in kinds]

    def _right(self) -> str:
        channels = ", ".join(f"{name} {count:,}" for name, count in self.channels.most_common())
        requests = f"in {self.requests:,} request{'s' if self.requests != 1 else ''}" if self.fit else "in no request"
        of_all = f" of {self.records:,}" if self.unfit else ""
        return f"Would be sent: {_records(self.fit)}{of_all} {requests}{f' ({channels})' if channels else ''}."


def _records(count: int) -> str:
    return f"{count:,} record{'s' if count != 1 else ''}"


def _where(problem: Problem) -> str:
    more = problem.count - len(problem.positions)
    return "; ".join(problem.positions) + (f"; and {more:,} more" if more else "")
