"""Which attributes the records of an input have: their names, and how often each occurs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from airflow_imiconnect.attributes.known import looks_like_name

_MOST_SHAPES = 1_000  # sets of names that are counted as one; inputs have a few, as a rule
_MOST_NAMES = 200  # names that are told apart: ids that are used as names have no end
_MOST_SHOWN = 60
OTHERS = "…"  # what looks like a value, and what is beyond the bound


class AttributeCounts:
    """
    The names of attributes, and how many records have each.

    A name that looks like a value, an address or a number say, is counted as ``…``: it may tell of a person.
    """

    def __init__(self) -> None:
        self._shapes: Counter[tuple[str, ...]] = Counter()
        self._counts: Counter[str] = Counter()

    def add(self, attributes: Mapping[str, object]) -> None:
        """Count the attributes of a record."""
        self._shapes[tuple(attributes)] += 1
        if len(self._shapes) > _MOST_SHAPES:
            self._count()

    def to_json(self) -> dict[str, int]:
        """Return the counts by name, the most frequent first: ``{"status": 250, "psid": 3}``; 200 names at most."""
        self._count()
        others = self._counts[OTHERS]
        counts = {name: count for name, count in self._counts.most_common() if name != OTHERS}
        return counts | {OTHERS: others} if others else counts

    def __str__(self) -> str:
        counts = self.to_json()
        shown = [f"{name} {count:,}" for name, count in list(counts.items())[:_MOST_SHOWN]]
        more = len(counts) - _MOST_SHOWN
        return ", ".join(shown) + (f" and {more} more" if more > 0 else "")

    def _count(self) -> None:
        """Add what the shapes stand for to the counts of the names."""
        for shape, count in self._shapes.items():
            for name in shape:
                self._counts[self._kept(name)] += count
        self._shapes.clear()

    def _kept(self, name: str) -> str:
        if name in self._counts or (looks_like_name(name) and len(self._counts) < _MOST_NAMES):
            return name
        return OTHERS
