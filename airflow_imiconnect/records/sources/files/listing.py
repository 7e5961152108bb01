"""Which files are meant by what a user writes, and what was passed over beside them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.sources.files.input_file import SourcePath


@dataclass(frozen=True)
class Listing:
    """
    Files, and how they were found.

    :param files: in the order in which they are read
    :param found: those that a folder or a pattern led to; the others were named by themselves
    :param passed_over: why something beside them is not read, and where it is
    """

    files: Sequence[SourcePath]
    found: Collection[str] = ()
    passed_over: Sequence[tuple[str, str]] = field(default=())

    def note(self, notes: Notes) -> None:
        """Note what was passed over."""
        for kind, where in self.passed_over:
            notes.add(kind, where)
