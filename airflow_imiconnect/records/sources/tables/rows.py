"""Objects -> raw records: the vendor's form of a record as it stands, and flat rows as a table's rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.profile import ATTRIBUTES, CUSTOMER_ID, SPELLINGS
from airflow_imiconnect.records.sources.options import OTHERS, ReadOptions
from airflow_imiconnect.records.sources.raw import RawRecord, raw_record
from airflow_imiconnect.records.sources.tables.columns import BAD_CELLS, Columns, constants, problem_of

_MOST_SHAPES = 100  # sets of keys whose columns are remembered
_ANY_OF = tuple(name for name, field in SPELLINGS.items() if field == ATTRIBUTES)
_IDS = frozenset(name for name, field in SPELLINGS.items() if field == CUSTOMER_ID)


class Rows:
    """
    Reads the objects of one source.

    :param options: apply to flat rows, that is to objects without ``Attributes``, and to the vendor's records where
        ``columns`` or ``attributes`` are given
    :param notes: what is odd about the rows
    """

    def __init__(self, options: ReadOptions, notes: Notes) -> None:
        self._options = options
        self._notes = notes
        self._shapes: dict[tuple[object, ...], Columns] = {}
        self._unseen = {name for name in options.columns if name != OTHERS and name not in options.partitions}
        self._constant = constants(options, ())
        self._null_values = frozenset(options.null_values)
        self.are_untouched = not (options.describe_rows or self._null_values or self._constant)

    def read(self, position: str, value: object) -> RawRecord:
        """Return the record that an object stands for; one from a rejects file is unwrapped, and read as it stands."""
        try:
            return self._read(position, value)
        except Exception:  # noqa: BLE001 - a user's mapping may raise anything; what is wrong shows where it is checked
            return RawRecord(position, value)

    def _read(self, position: str, value: object) -> RawRecord:
        raw = raw_record(position, value)
        record = raw.record
        if raw.problem or not isinstance(record, Mapping):
            return raw
        name = next((name for name in _ANY_OF if name in record), None)
        if name is None:
            return self._row(position, record) if self._is_row(record) else raw
        if isinstance(record[name], str | bytes):  # as JSON text
            return self._row(position, record)
        if record is not value:
            return raw
        if self._options.describe_rows:
            return self._row(position, record)
        return raw if self.are_untouched else raw._replace(record=self._completed(record, name))

    def finish(self, position: str) -> None:
        """Note the names in ``columns`` that no row has."""
        for name in sorted(self._unseen):
            self._notes.add(f"columns names {name}, which no row has", position)

    def is_row(self, keys: Mapping[str, object]) -> bool:
        """Return whether an object is a single row, as against the vendor's envelope around many."""
        return self._options.find_id([key for key in keys if isinstance(key, str)]) is not None

    def _is_row(self, record: Mapping[object, object]) -> bool:
        """Tell a row from a record that lacks its Attributes: a customerId alone is one (contract 4)."""
        return self._options.describe_rows or not _IDS.issuperset(map(str, record))

    def _completed(self, record: Mapping[Any, object], name: str) -> dict[Any, object]:
        """Return the vendor's record without null values, and with the attributes of its folders."""
        attributes = record[name]
        if not isinstance(attributes, Mapping):
            return dict(record)
        kept = {key: value for key, value in attributes.items() if not self._is_null(value)}
        return {**record, name: {**self._constant, **kept}}

    def _is_null(self, value: object) -> bool:
        return isinstance(value, str) and value in self._null_values

    def _row(self, position: str, row: Mapping[Any, object]) -> RawRecord:
        try:
            return RawRecord(position, self._columns(position, row).record(tuple(row.values())))
        except IMIconnectInvalidRecordError as error:
            return RawRecord(position, row, f"{error.field}: {error.reason}" if error.field else error.reason)
        except BAD_CELLS as error:
            return RawRecord(position, row, problem_of(error))

    def _columns(self, position: str, row: Mapping[Any, object]) -> Columns:
        shape = tuple(row)
        columns = self._shapes.get(shape)
        if columns is None:
            columns = self._new_columns(shape, position)
            if len(self._shapes) >= _MOST_SHAPES:
                self._shapes.clear()
            self._shapes[shape] = columns
        return columns

    def _new_columns(self, shape: tuple[object, ...], position: str) -> Columns:
        if not all(isinstance(name, str) for name in shape):
            raise IMIconnectInvalidRecordError(position, "has a column whose name is not a text")
        names = [str(name) for name in shape]
        columns = Columns(names, position, self._options, self._notes, may_lack_columns=True)
        self._unseen.difference_update(self._options.columns if columns.has_nested else names)
        return columns
