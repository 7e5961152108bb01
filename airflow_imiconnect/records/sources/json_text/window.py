"""The part of a JSON document that is in memory, and its place in the file."""

from __future__ import annotations

from airflow_imiconnect.records.sources.files.compression import BinaryFile
from airflow_imiconnect.records.sources.files.input_file import BLOCK


class Window:
    """
    A window on the bytes of a document: it grows at its end and is cut at its start.

    :param file: the document
    """

    def __init__(self, file: BinaryFile) -> None:
        self._file = file
        self._line, self._column = 1, 1  # of its start
        self.data = b""
        self.ended = False  # nothing follows it

    def grow(self) -> bool:
        """Add the next bytes, the more the larger it is; return False if there are none."""
        block = self._file.read(max(BLOCK, len(self.data)))
        self.data += block
        self.ended = not block
        return not self.ended

    def cut(self, end: int) -> None:
        """Drop what is before ``end``."""
        self._line, self._column = self.place(end)
        self.data = self.data[end:]

    def place(self, end: int) -> tuple[int, int]:
        """Return the line and the column of one of its bytes; columns are counted in characters."""
        line_start = self.data.rfind(b"\n", 0, end) + 1
        columns = len(self.data[line_start:end].decode("utf-8", "ignore"))
        if not line_start:
            return self._line, self._column + columns
        return self._line + self.data.count(b"\n", 0, end), 1 + columns
