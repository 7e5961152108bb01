"""
Files of any format and size -> a stream of raw records.

A source can be read more than once, from the beginning, and holds only a few records in memory. Any path with ``open``
will do, so local disks and object storage are alike. Each format has a module beside this one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.records.sources.csv_table import read_csv
from airflow_imiconnect.records.sources.files.compression import damage_errors
from airflow_imiconnect.records.sources.files.input_file import FORMAT_OF_SUFFIX, InputFile, SourcePath
from airflow_imiconnect.records.sources.json_text.document import read_json
from airflow_imiconnect.records.sources.json_text.lines import read_json_lines
from airflow_imiconnect.records.sources.parquet_table import read_parquet
from airflow_imiconnect.records.sources.raw import RawRecord
from airflow_imiconnect.records.sources.tables import TableOptions

FORMATS = ("auto", *dict.fromkeys(FORMAT_OF_SUFFIX.values()))


class FileSource:
    """
    Records in files, which are read one after another.

    :param paths: the files, opened each time the source is read
    :param file_format: "json", "jsonl", "csv" or "parquet", or "auto": by the suffix, ``.csv.gz`` and
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

        :raises IMIconnectInvalidRecordError: a file is missing, empty, in another format, or has changed since it was
            first read
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
        """A digest of the sizes, times and tags of the files, and of the options."""
        parts = ([file.version for file in self._files], self._options)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

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
