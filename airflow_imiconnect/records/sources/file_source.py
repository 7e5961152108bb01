"""
Files of any format and size -> a stream of raw records.

A source can be read more than once, from the beginning, and holds only a few records in memory. Any path with ``open``
will do, so local disks and object storage are alike. Each format has a module beside this one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.sources.files.compression import damage_errors
from airflow_imiconnect.records.sources.files.input_file import FORMAT_OF_SUFFIX, InputFile, SourcePath
from airflow_imiconnect.records.sources.files.listing import Listing
from airflow_imiconnect.records.sources.files.partitions import with_partitions
from airflow_imiconnect.records.sources.files.text import EmptyFileError
from airflow_imiconnect.records.sources.json_text.document import read_json
from airflow_imiconnect.records.sources.json_text.lines import read_json_lines
from airflow_imiconnect.records.sources.options import ReadOptions
from airflow_imiconnect.records.sources.raw import RawRecord
from airflow_imiconnect.records.sources.tables.csv_table import read_csv
from airflow_imiconnect.records.sources.tables.parquet_table import read_parquet

FORMATS = ("auto", *dict.fromkeys(FORMAT_OF_SUFFIX.values()), "mysql")
_EMPTY = "the file is empty, and passed over"


class FileSource:
    """
    Records in files, which are read one after another.

    :param paths: the files, opened each time the source is read, or a listing that also knows how they were found
    :param file_format: "json", "jsonl", "csv", "mysql" or "parquet", or "auto": by the suffix, ``.csv.gz`` and
        ``.jsonl.zst`` too. "mysql" is the text that MySQL's ``SELECT … INTO OUTFILE`` and PostgreSQL's ``COPY`` write
    :param options: how they are read
    """

    def __init__(
        self, paths: Sequence[SourcePath] | Listing, file_format: str = "auto", options: ReadOptions | None = None
    ) -> None:
        self._listing = paths if isinstance(paths, Listing) else Listing(paths)
        self._options = options or ReadOptions()
        self._files = [InputFile(path, file_format, self._options.encoding) for path in self._listing.files]
        self._bytes = 0

    def read(self, notes: Notes) -> Iterator[RawRecord]:
        """
        Yield each record with its file and line, its row, or its index in a JSON document.

        :raises IMIconnectInvalidRecordError: a file is missing, empty, in another format, or has changed since it was
            first read, or an option is given that its format has no use for
        """
        self._listing.note(notes)
        for file in self._files:
            file.begin()
            self._check_options(file)
        for file in self._files:
            if self._is_found(file) and not file.size:
                notes.add(_EMPTY, file.where)
            else:
                yield from self._read(file, notes)

    def __iter__(self) -> Iterator[RawRecord]:
        """Yield each record, where nobody asks for notes."""
        return self.read(Notes())

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

    def _is_found(self, file: InputFile) -> bool:
        return file.where in self._listing.found

    def _check_options(self, file: InputFile) -> None:
        if unusable := self._options.unusable(file.format):
            reason = f"{unusable[0]} is given, which a file of the format {file.format} has no use for"
            raise IMIconnectInvalidRecordError(file.where, reason)

    def _read(self, file: InputFile, notes: Notes) -> Iterator[RawRecord]:
        last = None
        try:
            for last in self._records(file, notes):
                yield last
        except EmptyFileError:
            if not self._is_found(file):
                raise
            notes.add(_EMPTY, file.where)
        except damage_errors() as error:
            where = last.position.replace(f"{file.where}, ", f"{file.where}, after ") if last else file.where
            reason = f"the compressed file is cut off or damaged ({type(error).__name__})"
            raise IMIconnectInvalidRecordError(where, reason) from None

    def _records(self, file: InputFile, notes: Notes) -> Iterator[RawRecord]:
        options = with_partitions(self._options, file.where, notes)
        if file.format in ("csv", "mysql"):
            return read_csv(file, options, notes, is_mysql=file.format == "mysql")
        if file.format == "parquet":
            return read_parquet(file, options, notes)
        return read_json(file, options, notes) if file.format == "json" else read_json_lines(file, options, notes)
