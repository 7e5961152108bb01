"""A preview of the whole input: what is wrong or odd about it, and what would be sent. Nothing is sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_imiconnect.attributes.channels import OTHER, find_channel
from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.records.attribute_counts import AttributeCounts
from airflow_imiconnect.records.duplicates import Duplicates, profile_key
from airflow_imiconnect.records.notes import Kinds, Notes, Places
from airflow_imiconnect.records.sources.raw import RawRecord
from airflow_imiconnect.records.validation import CheckedRecord


class Preview:
    """
    What was found so far.

    :param batch_size: records a request
    :param notes: what is odd about the input, and is sent all the same; filled by others
    """

    def __init__(self, batch_size: int, notes: Notes) -> None:
        self._batch_size = batch_size
        self.notes = notes
        self.fit = 0
        self.unfit = 0
        self.channels: Counter[str] = Counter()
        self.problems = Kinds()
        self.lacking: dict[str, Kinds] = {}  # by channel and attribute
        self._attributes = AttributeCounts()
        self._duplicates = Duplicates()

    def add(self, record: CheckedRecord) -> None:
        """
        Count a record that would be sent.

        :raises OSError: the temporary file does not fit on the disk in which repeated records are looked for
        """
        position, customer_id, attributes = record
        channel = find_channel(attributes)
        self.fit += 1
        self.channels[channel.name] += 1
        self._attributes.add(attributes)
        self._duplicates.add(position, profile_key(customer_id, attributes, channel.name))
        for name in channel.create:
            if not attributes.get(name):
                self.lacking.setdefault(channel.name, Kinds()).add(name, position)

    def add_problem(self, raw: RawRecord, error: IMIconnectInvalidRecordError) -> None:
        """Count a record that can never be right."""
        self.unfit += 1
        self.problems.add(f"{error.field}: {error.reason}" if error.field else error.reason, raw.position)

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
        kind, places = max(self.problems.items(), key=lambda item: item[1].count)
        counts = f"{kind} ({_records(places.count)}; {self.unfit:,} of {self.records:,} cannot be sent)"
        return IMIconnectInvalidRecordError(places.positions[0], counts)

    def to_json(self) -> dict[str, Any]:
        """
        Return what would be sent, as plain JSON.

        ``{"records": 250, "calls": 3, "channels": {"Facebook": 250}, "attributes": {"status": 250, "psid": 247},
        "lacking": {"Facebook": {"psid": {"count": 3, "first": ["a.csv, line 7", …]}}},
        "duplicates": {"count": 1, "first": ["a.csv, line 9 (as a.csv, line 3)"]}}``

        ``attributes`` tells how many records have each; ``lacking`` which attributes that a channel requires are
        missing or empty; ``duplicates`` which records have the customer and device of an earlier one. ``first`` holds
        three places at most.
        """
        return {
            "records": self.fit,
            "calls": self.requests,
            "channels": dict(self.channels.most_common()),
            "attributes": self._attributes.to_json(),
            "lacking": {channel: _each_to_json(kinds) for channel, kinds in self.lacking.items()},
            "duplicates": _to_json(self._duplicates.found()),
        }

    def __str__(self) -> str:
        return "\n".join([*self.findings(), *self._right()])

    def findings(self) -> Iterator[str]:
        """Yield what is wrong or odd, without what would be sent: an error may have ended the reading."""
        yield from self._wrong()
        yield from self._warnings()
        for note in self.notes:
            yield f"Note: {note}"

    def _wrong(self) -> Iterator[str]:
        for kind, places in sorted(self.problems.items(), key=lambda item: -item[1].count):
            yield f"{_records(places.count)}: {kind}\n    {places}"

    def _warnings(self) -> Iterator[str]:
        for channel, kinds in self.lacking.items():
            by = "every channel" if channel == OTHER.name else "the channel"
            for name, places in kinds.items():
                lack = f"{_records(places.count)} ({channel}) {'lacks' if places.count == 1 else 'lack'}"
                yield f"Warning: {lack} {name}, which {by} requires\n    {places}"
        if (found := self._duplicates.found()).count:
            repeat = f"{_records(found.count)} {'repeats' if found.count == 1 else 'repeat'}"
            yield f"Warning: {repeat} the customerId and device, if any, of an earlier one\n    {found}"

    def _right(self) -> Iterator[str]:
        if self.fit:
            yield f"Attributes: {self._attributes}"
        channels = ", ".join(f"{name} {count:,}" for name, count in self.channels.most_common())
        requests = f"in {self.requests:,} request{'s' if self.requests != 1 else ''}" if self.fit else "in no request"
        of_all = f" of {self.records:,}" if self.unfit else ""
        yield f"Would be sent: {_records(self.fit)}{of_all} {requests}{f' ({channels})' if channels else ''}."


def _records(count: int) -> str:
    return f"{count:,} record{'s' if count != 1 else ''}"


def _to_json(places: Places) -> dict[str, Any]:
    return {"count": places.count, "first": places.positions}


def _each_to_json(kinds: Mapping[str, Places]) -> dict[str, Any]:
    return {name: _to_json(places) for name, places in kinds.items()}
