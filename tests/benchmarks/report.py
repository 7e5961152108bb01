"""What a benchmark hands back: a table, the figures that count, and what must hold of them."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Limit:
    """A figure that must not be above its limit."""

    name: str
    value: float
    most: float

    @property
    def holds(self):
        return self.value <= self.most

    def __str__(self):
        return f"{self.name}: {self.value:.2f}, at most {self.most:g}: {'holds' if self.holds else 'DOES NOT HOLD'}"


@dataclass(frozen=True)
class Report:
    """
    One benchmark's outcome.

    :param about: what was measured, in a sentence
    :param rows: the table: each row has the same columns
    :param limits: what must hold
    """

    about: str
    rows: list
    limits: list

    @property
    def holds(self):
        return all(limit.holds for limit in self.limits)

    def to_json(self):
        return asdict(self) | {"holds": self.holds}

    def __str__(self):
        columns = list(self.rows[0])
        lines = [columns, *([_shown(row[column]) for column in columns] for row in self.rows)]
        widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
        table = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
        return "\n".join([self.about, "", *table, "", *map(str, self.limits)])


def _shown(value):
    return f"{value:.3f}" if isinstance(value, float) else str(value)
