"""Notes: what is odd about the input, and is sent all the same. Each kind is counted, and told once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

_NAMED_POSITIONS = 3
_MOST_KINDS = 200  # kinds that are told apart: an input that is all wrong has no end of them


@dataclass
class Places:
    """How many records something is true of, and where the first of them are."""

    count: int = 0
    positions: list[str] = field(default_factory=list)

    def add(self, position: str) -> None:
        """Count a record."""
        self.count += 1
        if len(self.positions) < _NAMED_POSITIONS:
            self.positions.append(position)

    def __str__(self) -> str:
        more = self.count - len(self.positions)
        return "; ".join(self.positions) + (f"; and {more:,} more" if more else "")


class Kinds(dict[str, Places]):
    """Kinds of something, by their words, which hold no value of a record. Their number is bounded."""

    def add(self, kind: str, position: str) -> None:
        """Count one more of a kind."""
        if kind not in self and len(self) >= _MOST_KINDS:
            kind = "others"
        self.setdefault(kind, Places()).add(position)


class Notes:
    """
    What was noticed so far. ``at`` is the position of the record that is being checked.

    The words of a note hold no value of a record, for they go to logs.
    """

    def __init__(self) -> None:
        self._kinds = Kinds()
        self.at = ""

    def add(self, kind: str, position: str) -> None:
        """Note something at a position: ``a.csv, line 7``."""
        self._kinds.add(kind, position)

    def here(self, kind: str) -> None:
        """Note something about the record that is being checked."""
        self._kinds.add(kind, self.at)

    def __iter__(self) -> Iterator[str]:
        """Yield each note with its places, in the order in which they were found."""
        for kind, places in self._kinds.items():
            yield f"{kind} ({places})"

    def __bool__(self) -> bool:
        return bool(self._kinds)
