"""What a benchmark hands back: a table, the figures that count, and what must hold of them."""

from dataclasses import asdict, dataclass, field


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
    :param more: further tables: what each shows, and its rows
    """

    about: str
    rows: list
    limits: list
    more: dict = field(default_factory=dict)

    @property
    def holds(self):
        return all(limit.holds for limit in self.limits)

    def to_json(self):
        return asdict(self) | {"holds": self.holds}

    def __str__(self):
        tables = [part for about, rows in self.more.items() for part in ("", about, "", _table(rows))]
        return "\n".join([self.about, "", _table(self.rows), *tables, "", *map(str, self.limits)])


def _table(rows):
    columns = list(rows[0])
    lines = [columns, *([_shown(row[column]) for column in columns] for row in rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def _shown(value):
    return f"{value:.3f}" if isinstance(value, float) else str(value)
