"""Text in other encodings than UTF-8, read as UTF-8."""

from __future__ import annotations

import codecs
import io
from typing import Any

from airflow_imiconnect.records.sources.files.compression import BinaryFile

UNDECODABLE = "\udcff".encode("utf-8", "surrogatepass")  # stands for bytes that the encoding does not have
_BLOCK = 64 * 1024
_PROBE = bytes(4)  # any text encoding has it: no bytes at all would be taken without a look at the encoding
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def is_utf8(encoding: str) -> bool:
    """Return whether an encoding is UTF-8, however it is spelled; raises LookupError if it is unknown."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


def is_text_encoding(encoding: object) -> bool:
    """Return whether Python can read text in this encoding."""
    try:
        return isinstance(encoding, str) and isinstance(_PROBE.decode(encoding), str)
    except (LookupError, ValueError, TypeError):  # unknown, a null character in it, or base64 and the like
        return False


def as_utf8(file: BinaryFile, encoding: str) -> BinaryFile:
    """
    Return the text of a file as UTF-8, without its byte order mark.

    :param encoding: of the file; a mark at its beginning wins over "utf-8"
    """
    start = file.peek(4)[:4]
    mark, marked = next((pair for pair in _MARKS if start.startswith(pair[0])), (b"", None))
    if is_utf8(encoding) and marked in (None, "utf-8"):
        file.read(len(mark))
        return file
    return io.BufferedReader(_Recoded(file, marked if is_utf8(encoding) and marked else encoding))


def likely_utf16(start: bytes) -> str | None:
    """Return the encoding of text that begins like UTF-16 without a mark, None for other text."""
    if len(start) >= 2 and start[0] != start[1] and 0 in start[:2]:  # noqa: PLR2004 - one character
        return "utf-16-le" if start[1] == 0 else "utf-16-be"
    return None


class _Recoded(io.RawIOBase):
    def __init__(self, file: BinaryFile, encoding: str) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)(_MARKING)
        self._ready = b""
        self._is_first = True
        self._is_over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any buffer
        while not self._ready and not self._is_over:
            block = self._file.read(_BLOCK)
            self._is_over = not block
            self._ready = self._utf8(self._decoder.decode(block, final=self._is_over))
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count

    def _utf8(self, text: str) -> bytes:
        if self._is_first and text:
            self._is_first, text = False, text.removeprefix("\ufeff")
        return text.encode("utf-8", "surrogatepass")


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff", error.end


_MARKING = "airflow_imiconnect.mark"
codecs.register_error(_MARKING, _mark)
