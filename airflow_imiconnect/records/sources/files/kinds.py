"""What a file is that holds no text, by its first bytes: its name may say something else."""

from __future__ import annotations

from airflow_imiconnect.errors import IMIconnectInvalidRecordError

_ARCHIVE = "unpack it first"
_SHEET = "export the sheet as CSV"
_KINDS: tuple[tuple[int, bytes, str], ...] = (  # place, bytes, what it is and what to do
    (0, b"PK\x05\x06", f"an empty zip archive: {_ARCHIVE}"),
    (4, b"1AY&SY", f"bzip2-compressed: {_ARCHIVE}, or use gzip or Zstandard"),
    (0, b"\xfd7zXZ\x00", f"xz-compressed: {_ARCHIVE}, or use gzip or Zstandard"),
    (0, b"7z\xbc\xaf\x27\x1c", f"a 7z archive: {_ARCHIVE}"),
    (0, b"Rar!\x1a\x07", f"a RAR archive: {_ARCHIVE}"),
    (0, b"\x04\x22\x4d\x18", f"lz4-compressed: {_ARCHIVE}, or use gzip or Zstandard"),
    (257, b"ustar", f"a tar archive: {_ARCHIVE}"),
    (0, b"PAR1", "a Parquet file: set file_format='parquet'"),
    (0, b"Obj\x01", "an Avro file: convert it to Parquet or JSON Lines"),
    (0, b"ORC", "an ORC file: convert it to Parquet or JSON Lines"),
    (0, b"ARROW1", "an Arrow file: convert it to Parquet"),
    (0, b"\xff\xff\xff\xff", "an Arrow stream: convert it to Parquet"),
    (0, b"SQLite format 3\x00", "an SQLite database: read it with sql"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", f"an old Excel workbook (xls): {_SHEET}"),
    (0, b"%PDF-", "a PDF: export the data as CSV"),
)
_ZIP, _XLSX = b"PK\x03\x04", (b"[Content_Types].xml", b"xl/", b"_rels/")


def check_is_text(where: str, start: bytes) -> None:
    """Raise IMIconnectInvalidRecordError if the first bytes are those of a file that holds no text."""
    if kind := _kind(start):
        raise IMIconnectInvalidRecordError(where, f"the file is {kind}")


def _kind(start: bytes) -> str | None:
    if start.startswith(_ZIP):
        is_workbook = any(part in start for part in _XLSX)
        return f"an Excel workbook (xlsx): {_SHEET}" if is_workbook else f"a zip archive: {_ARCHIVE}"
    for place, sign, kind in _KINDS:
        if start.startswith(sign, place) and not (sign == b"ORC" and start[3:4] not in _CONTROL):
            return kind
    return None


_CONTROL = tuple(bytes([number]) for number in range(0x20) if number not in (0x09, 0x0A, 0x0D))
