"""Compressed files, recognised by their first bytes: a storage may unpack a file whose name ends in ``.gz``."""

from __future__ import annotations

import gzip
import io
import zlib
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import Any, TypeAlias, cast

from airflow_imiconnect.errors import IMIconnectRequestError

BinaryFile: TypeAlias = "io.BufferedReader[Any]"
SUFFIXES = (".gz", ".zst")
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"  # how a Zstandard frame without data begins, after one byte


def unpacked(stored: BinaryFile) -> BinaryFile:
    """Return the content of a file that may be compressed; raises IMIconnectRequestError if a package is missing."""
    start = stored.peek(4)[:4]
    if start.startswith(_GZIP):
        return cast("BinaryFile", gzip.GzipFile(fileobj=stored, mode="rb"))
    if start == _ZSTD or (start[1:] == _SKIPPABLE and 0x50 <= start[0] <= 0x5F):  # noqa: PLR2004 - sixteen kinds of these
        module = _zstd()
        if module is None:
            raise missing_package("Zstandard files need the package backports.zstd", "zstd")
        return cast("BinaryFile", module.open(stored, "rb"))
    return stored


def damage_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions that reading a damaged compressed file may raise."""
    module = _zstd()
    return (EOFError, zlib.error, gzip.BadGzipFile, *([module.ZstdError] if module else []))


def missing_package(what: str, extra: str) -> IMIconnectRequestError:
    """Return the error that says which extra to install."""
    return IMIconnectRequestError(f"{what}: pip install 'airflow-imiconnect[{extra}]'")


@cache
def _zstd() -> Any:  # noqa: ANN401 - a module, of Python itself from 3.14 on; None where there is none
    for name in ("compression.zstd", "backports.zstd"):
        with suppress(ImportError):
            return import_module(name)
    return None
