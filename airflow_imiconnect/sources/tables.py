"""What CSV and Parquet share: which column of a table is the record's id, and which attribute the others are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.models import ATTRIBUTES, CUSTOMER_ID


@dataclass(frozen=True)
class TableOptions:
    """
    How a table is to be read.

    :param customer_id_column: the column that holds the record's customerId
    :param columns: what columns are called as attributes; None leaves a column out; others keep their names
    :param attributes: attributes that every row has
    :param delimiter: what stands between the cells of a CSV file; None finds it out
    :param quotechar: what stands around a cell of a CSV file that needs it; None finds it out
    :param escapechar: what stands before a quote within such a cell, where it is not doubled
    """

    customer_id_column: str = CUSTOMER_ID
    columns: Mapping[str, str | None] = field(default_factory=dict)
    attributes: Mapping[str, object] = field(default_factory=dict)
    delimiter: str | None = None
    quotechar: str | None = None
    escapechar: str | None = None

    @property
    def concern_any_file(self) -> bool:
        """Whether a file that is no table would be read otherwise than the user wants."""
        return bool(self.columns or self.attributes)

    def find_id(self, names: Sequence[str]) -> int | None:
        """Return the place of the id's column; contract 3: the vendor's prose writes customerid."""
        wanted = self.customer_id_column
        if wanted in names:
            return names.index(wanted)
        return names.index(wanted.lower()) if wanted == CUSTOMER_ID and wanted.lower() in names else None


class Columns:
    """
    The columns of one table.

    :param names: as the table's head has them
    :param position: where the head stands, for errors
    :raises IMIconnectInvalidRecordError: the id's column is missing, or a value would be lost
    """

    def __init__(self, names: Iterable[str], position: str, options: TableOptions) -> None:
        head = [name.strip() for name in names]
        id_index = options.find_id(head)
        if id_index is None:
            raise IMIconnectInvalidRecordError(
                position,
                "the column of the customer ids is missing: name it in customer_id_column",
                field=options.customer_id_column,
            )
        self._id_index = id_index
        self._constant = dict(options.attributes)
        self.names: list[str | None] = [options.columns.get(name, name) for name in head]
        self.names[id_index] = options.columns.get(head[id_index])  # as an attribute too, where it is asked for
        self._check(head, position, options)

    def __len__(self) -> int:
        return len(self.names)

    def record(self, cells: Sequence[object]) -> dict[str, object]:
        """Return the record of a row; empty cells are left out."""
        named = zip(self.names, cells, strict=True)
        attributes = {name: cell for name, cell in named if name is not None and cell not in _EMPTY}
        return {CUSTOMER_ID: cells[self._id_index], ATTRIBUTES: attributes | self._constant}

    def _check(self, head: list[str], position: str, options: TableOptions) -> None:
        _refuse(position, _twice(head), "the column stands there twice")
        _refuse(
            position,
            [name for name in options.columns if name not in head],
            "columns names it, there is no such column",
        )
        given = [name for name in self.names if name is not None]
        _refuse(position, _twice(given), "columns gives two columns this name")
        _refuse(
            position,
            [name for name in given if name in self._constant],
            "attributes gives it, and a column does: leave the column out with columns={…: None}",
        )
        if "" in given:
            raise IMIconnectInvalidRecordError(position, "a column has no name: leave it out with columns={'': None}")


_EMPTY = (None, "")


def _twice(names: list[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if name and count > 1)


def _refuse(position: str, names: Sequence[str], reason: str) -> None:
    if names:
        raise IMIconnectInvalidRecordError(position, reason, field=names[0])
