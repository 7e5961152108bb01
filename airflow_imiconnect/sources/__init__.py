"""
Records as they come: a list, or files of any kind and size -> a stream of (position, raw record).

A source can be read more than once, from its beginning, and never holds more than a few records in memory. Paths are
opened here, and made in the shell: whatever has ``open`` serves, so local disks and object storage are alike. Each
format is a file of its own beside this one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.sources.csv_table import read_csv
from airflow_imiconnect.sources.files import FORMAT_OF_SUFFIX, InputFile, SourcePath, damage_errors
from airflow_imiconnect.sources.json_document import read_json
from airflow_imiconnect.sources.json_lines import read_json_lines
from airflow_imiconnect.sources.lists import ListSource
from airflow_imiconnect.sources.parquet_table import read_parquet
from airflow_imiconnect.sources.raw import RawRecord
from airflow_imiconnect.sources.tables import TableOptions

__all__ = ["FORMATS", "FileSource", "ListSource", "RawRecord", "SourcePath", "TableOptions"]

FORMATS = ("auto", *dict.fromkeys(FORMAT_OF_SUFFIX.values()))


class FileSource:
    """
    Records in files, read one after another.

    :param paths: the files, opened anew each time that the source is read
    :param file_format: "json", "jsonl", "csv" or "parquet", or "auto": by the ending of the name, ``.csv.gz`` and
        ``.jsonl.zst`` too
    :param options: how tables are read
    """

    def __init__(
        self, paths: Sequence[SourcePath], file_format: str = "auto", options: TableOptions | None = None
    ) -> None:
        self._files = [InputFile(path, file_format) for path in paths]
        self._options = options or TableOptions()
        self._bytes = 0

    def __iter__(self) -> Iterator[RawRecord]:
        """
        Yield each record with its file and line, its row, or its index in a JSON document.

        :raises IMIconnectInvalidRecordError: a file that is not there, is empty, is not what it should be, or is
            another one than when it was read first
        """
        for file in self._files:
            file.begin()
        for file in self._files:
            yield from self._read(file)

    @property
    def fraction(self) -> float:
        """How much of it has been read, from 0 to 1, by bytes as they are stored."""
        self._bytes = self._bytes or sum(file.size for file in self._files)
        return min(1.0, sum(file.bytes_read for file in self._files) / max(1, self._bytes))

    @property
    def version(self) -> str:
        """What tells the files that were read from later ones: a digest of their sizes, times and tags."""
        return hashlib.sha256(repr([file.version for file in self._files]).encode()).hexdigest()[:16]

    def _read(self, file: InputFile) -> Iterator[RawRecord]:
        last = None
        try:
            for last in self._records(file):
                yield last
        except damage_errors() as error:
            where = last.position.replace(f"{file.where}, ", f"{file.where}, after ") if last else file.where
            reason = f"the compressed file is cut off or damaged ({type(error).__name__})"
            raise IMIconnectInvalidRecordError(where, reason) from None

    def _records(self, file: InputFile) -> Iterator[RawRecord]:
        if file.format == "csv":
            return read_csv(file, self._options)
        if file.format == "parquet":
            return read_parquet(file, self._options)
        if self._options.concern_any_file:
            raise IMIconnectInvalidRecordError(file.where, "columns and attributes are for tables, CSV and Parquet")
        return read_json(file) if file.format == "json" else read_json_lines(file)
