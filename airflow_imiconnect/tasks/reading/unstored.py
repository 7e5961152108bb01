"""Records in a template field, of which Airflow stores every value: here it stores how many there are."""

from __future__ import annotations

from typing import ClassVar

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.records.sources.lists import ListSource
from airflow_imiconnect.records.sources.tables.frames import is_frame
from airflow_imiconnect.tasks.context import unrendered


class Unstored:
    """
    Records that are not shown in Rendered Templates, nor stored in Airflow's database.

    :param records: a list, a frame, what stands for one, or the text of one; Airflow renders the templates in it
    """

    template_fields: ClassVar[tuple[str, ...]] = ("records",)

    def __init__(self, records: object) -> None:
        self.records = records

    def serialize(self) -> str:
        """Return what Airflow stores instead."""
        if is_frame(self.records):
            return "a frame"
        try:
            count = len(ListSource(unrendered(self.records)))
        except IMIconnectInvalidRecordError:
            return "not a list of records"
        return f"{count} record{'s' if count != 1 else ''}"

    __str__ = __repr__ = serialize
