"""The columns of a table, or the keys of a flat row: which is the record's id, and which attributes the others are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_imiconnect.attributes.known import KNOWN, known_name, looks_like_name
from airflow_imiconnect.attributes.texts import trimmed
from airflow_imiconnect.attributes.values import plain_value
from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.profile import ATTRIBUTES, CUSTOMER_ID, SPELLINGS
from airflow_imiconnect.records.sources.json_text.decode import decode_json
from airflow_imiconnect.records.sources.options import OTHERS, PREFIX, ReadOptions

_MOST_NAMED = 30
_NO_VALUE = frozenset({None, ""})
ANOTHER_HEADER = "the header row again"


class Columns:
    """
    The columns of one table.

    :param names: as the table's head has them
    :param position: where the head stands, for errors
    :param notes: what is odd about the names
    :param may_lack_columns: whether ``columns`` may name one that this row does not have
    :raises IMIconnectInvalidRecordError: the id's column is missing, or a value would be lost
    """

    def __init__(
        self,
        names: Iterable[str],
        position: str,
        options: ReadOptions,
        notes: Notes,
        *,
        may_lack_columns: bool = False,
    ) -> None:
        self._options = options
        self._position = position
        self._head = [name.strip() for name in names]
        self._times = Counter(self._head)
        self._numbered = _numbered(self._head)
        self._id_index = self._find_id()
        self.names = [self._attribute(place) for place in range(len(self._head))]
        self._nested = [place for place, name in enumerate(self._head) if _is_nested(name, options)]
        for place in self._nested:
            self.names[place] = None
        self._constant = constants(options, self.names)
        self.has_nested = bool(self._nested)
        self._check(may_lack_columns=may_lack_columns or self.has_nested)
        self._note(notes)
        self._id_name = self._head[self._id_index]
        self._id_ends = (self._id_name, f'{self._id_name}"')  # a byte order mark within the file hides the first quote
        self._missing = _NO_VALUE | frozenset(options.null_values)
        given = [*self._constant, *self._constant.values(), *filter(None, self.names)]
        self.is_plain = not self._nested and all(isinstance(text, str) and text.isprintable() for text in given)

    def __len__(self) -> int:
        return len(self._head)

    def is_header(self, cells: Sequence[object]) -> bool:
        """Return whether the row is the header row once more, as where files were joined."""
        cell = cells[self._id_index]
        return type(cell) is str and cell.endswith(self._id_ends) and trimmed(cell).strip('"') == self._id_name

    def record(self, cells: Sequence[object]) -> dict[str, object]:
        """
        Return the record of a row; cells without a value are left out.

        :raises GivenTwiceError, NotAnObjectError, JSONDecodeError, RecursionError: of a column named Attributes
        """
        customer_id = cells[self._id_index]
        if self._are_all_there(cells):
            attributes: dict[Any, object] = dict(zip(self.names, cells, strict=True))
            attributes.pop(None, None)  # the columns that are left out
        else:
            named = zip(self.names, cells, strict=True)
            attributes = {name: cell for name, cell in named if name is not None and not self._is_missing(cell)}
            customer_id = None if self._is_missing(customer_id) else customer_id
        if self._nested:
            self._add_nested(attributes, cells)
        return {CUSTOMER_ID: customer_id, ATTRIBUTES: attributes | self._constant if self._constant else attributes}

    def _are_all_there(self, cells: Sequence[object]) -> bool:
        try:
            return self._missing.isdisjoint(cells)
        except TypeError:  # a list or an object among them
            return False

    def _is_missing(self, cell: object) -> bool:
        return cell is None or (isinstance(cell, str) and cell in self._missing)

    def _add_nested(self, attributes: dict[str, object], cells: Sequence[object]) -> None:
        for place in self._nested:
            for key, value in _members(cells[place]).items():
                name = self._options.attribute_of(key)
                if name is not None and not self._is_missing(value):
                    if name in attributes or name in self._constant:
                        raise GivenTwiceError(name)
                    attributes[name] = value

    def _find_id(self) -> int:
        place = self._options.find_id(self._head)
        if place is None:
            raise IMIconnectInvalidRecordError(
                self._position,
                f"the column of the customer ids is missing: name it in customer_id_column. {found(self._head)}",
                field=self._options.customer_id_column,
            )
        twice = [n for n, name in enumerate(self._head) if name == self._head[place] and self._is_wanted(n)]
        if len(twice) > 1:
            raise self._twice(self._head[place])
        return twice[0] if twice else place

    def _is_wanted(self, place: int) -> bool:
        return self._options.columns.get(self._numbered[place], "") is not None

    def _attribute(self, place: int) -> str | None:
        columns, name = self._options.columns, self._head[place]
        if self._times[name] > 1 and self._numbered[place] in columns:
            return columns[self._numbered[place]]
        if place == self._id_index:
            return columns.get(name)  # an attribute too, where it is asked for
        return self._options.attribute_of(name)

    def _check(self, *, may_lack_columns: bool) -> None:
        given = [name for name in self.names if name is not None]
        for name in _repeated(given):
            if self._times[name] > 1:
                raise self._twice(name)
            raise self._error(name, "columns gives two columns this name")
        if not may_lack_columns:
            self._check_named()
        for name in given:
            if name in self._options.attributes:
                words = "attributes gives it, and a column does: leave the column out with columns={…: None}"
                raise self._error(name, words)
        if "" in given:
            raise self._error(None, "a column has no name: leave it out with columns={'': None}")

    def _check_named(self) -> None:
        known = {*self._head, *self._numbered, *self._options.partitions, OTHERS}
        known |= {name.partition(".")[2] for name in self._head if name.lower().startswith(PREFIX)}
        for name in self._options.columns:
            if name not in known:
                raise self._error(name, f"columns names it, there is no such column. {found(self._head)}")

    def _twice(self, name: str) -> IMIconnectInvalidRecordError:
        return self._error(
            name,
            f"the column stands there twice: leave both out with columns={{'{name}': None}}, or one of them with "
            f"columns={{'{name}#2': None}}",
        )

    def _error(self, name: str | None, reason: str) -> IMIconnectInvalidRecordError:
        return IMIconnectInvalidRecordError(self._position, reason, field=name)

    def _note(self, notes: Notes) -> None:
        for name in filter(None, self.names):
            if meant := known_name(name):
                notes.add(f"column {name} is not a known attribute; did you mean {meant}?", self._position)


class GivenTwiceError(ValueError):
    """A row gives one attribute twice: in a column of its own, and within Attributes."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name}: is given twice, in a column and in Attributes")


def constants(options: ReadOptions, names: Sequence[str | None]) -> dict[str, object]:
    """Return the attributes that each row has: those of the folders name=value, and those that the user gives."""
    of_folders = {
        attribute: value
        for name, value in options.partitions.items()
        if (attribute := partition_attribute(name, options)) and attribute not in names and value not in _NO_VALUE
    }
    return of_folders | dict(options.attributes)


def partition_attribute(name: str, options: ReadOptions) -> str | None:
    """Return the attribute that a folder name=value stands for: it is a known one, or ``columns`` names it."""
    if name in options.columns:
        return options.columns[name]
    return name if name in KNOWN else None


def found(names: Sequence[str]) -> str:
    """List the columns that there are, unless one looks like a value: then they are a record, and tell of a person."""
    if not all(looks_like_name(name) for name in names if name):
        return "The first row does not look like the names of columns: is the header row missing?"
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"The columns are: {', '.join(names[:_MOST_NAMED])}{more}"


def _is_nested(name: str, options: ReadOptions) -> bool:
    """Return whether a column holds the attributes of the vendor's record, as an object or its JSON text."""
    return SPELLINGS.get(name) == ATTRIBUTES and name not in options.columns


def _members(cell: object) -> Mapping[str, object]:
    """Return the attributes in a cell; raises ValueError if it holds something else."""
    if isinstance(cell, bytes):
        cell = plain_value(cell)
    if isinstance(cell, str) and cell.strip():
        cell = decode_json(cell)
    if cell is None or cell == "":
        return {}
    if not isinstance(cell, Mapping):
        raise NotAnObjectError
    return cell


class NotAnObjectError(ValueError):
    """A cell named Attributes holds something else."""

    def __init__(self) -> None:
        super().__init__("Attributes: must be an object of attributes, or the JSON text of one")


BAD_CELLS = (GivenTwiceError, NotAnObjectError, json.JSONDecodeError, RecursionError)


def problem_of(error: Exception) -> str:
    """Return what is wrong with a row; nothing of its values."""
    return str(error) if isinstance(error, GivenTwiceError | NotAnObjectError) else str(NotAnObjectError())


def _numbered(names: Sequence[str]) -> list[str]:
    """Name each of several columns of the same name: ``Email#2``."""
    times: Counter[str] = Counter()
    numbered = []
    for name in names:
        times[name] += 1
        numbered.append(f"{name}#{times[name]}")
    return numbered


def _repeated(names: Sequence[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)
