"""How records are read from files, rows and frames: what a user says of an input that does not say it itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from airflow_imiconnect.records.profile import CUSTOMER_ID, SPELLINGS

UTF8 = "utf-8"
PREFIX = "attributes."  # of columns that were flattened from JSON
OTHERS = "*"  # in columns: those that it does not name


_OF_CSV = ("skip_rows", "delimiter", "quotechar", "escapechar")
ROWS = "rows"  # that come as objects: lists, queries, frames
_NOT_OF = {
    "json": _OF_CSV,
    "jsonl": _OF_CSV,
    "mysql": ("escapechar",),
    "parquet": ("encoding", *_OF_CSV),
    ROWS: ("encoding", *_OF_CSV),
}


@dataclass(frozen=True)
class ReadOptions:
    """
    How an input is to be read.

    :param customer_id_column: the column that holds the record's customerId
    :param columns: what columns are called as attributes; None leaves a column out; others keep their names, unless
        ``"*": None`` leaves them out
    :param attributes: attributes that every row has
    :param null_values: texts that stand for a missing value
    :param encoding: of text files
    :param skip_rows: lines of a CSV file before its header row
    :param delimiter: what stands between the cells of a CSV file; None finds it out
    :param quotechar: what stands around a cell of a CSV file that needs it; None finds it out
    :param escapechar: what stands before a quote within such a cell, where it is not doubled
    """

    customer_id_column: str = CUSTOMER_ID
    columns: Mapping[str, str | None] = field(default_factory=dict)
    attributes: Mapping[str, object] = field(default_factory=dict)
    null_values: Collection[str] = ()
    encoding: str = UTF8
    skip_rows: int = 0
    delimiter: str | None = None
    quotechar: str | None = None
    escapechar: str | None = None
    partitions: Mapping[str, str] = field(default_factory=dict)  # of the file's folders: channel=fb

    def unusable(self, file_format: str) -> list[str]:
        """Name the options that are given, and that a format has no use for."""
        usual = ReadOptions()
        return [name for name in _NOT_OF.get(file_format, ()) if getattr(self, name) != getattr(usual, name)]

    @property
    def describe_rows(self) -> bool:
        """Whether something is said of rows that the vendor's form of a record has no use for."""
        return bool(self.columns or self.attributes)

    def find_id(self, names: Sequence[str]) -> int | None:
        """Return the place of the id's column; contract 3: the vendor's prose writes customerid."""
        wanted = self.customer_id_column
        spellings = [name for name in names if SPELLINGS.get(name) == CUSTOMER_ID] if wanted == CUSTOMER_ID else []
        return next((names.index(name) for name in (wanted, *spellings) if name in names), None)

    def attribute_of(self, column: str) -> str | None:
        """Return what a column is called as an attribute; None leaves it out."""
        if column in self.columns:
            return self.columns[column]
        if column.lower().startswith(PREFIX) and len(column) > len(PREFIX):
            return self.attribute_of(column[len(PREFIX) :])
        return None if OTHERS in self.columns else column
