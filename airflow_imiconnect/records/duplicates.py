"""Profiles that an input holds more than once: all of them are counted, in little memory, whatever the input's size."""

from __future__ import annotations

import os
import tempfile
import weakref
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import nsmallest
from itertools import accumulate, chain
from typing import IO

from airflow_imiconnect.records.notes import Places

_CHUNK = 50_000  # records in memory: some 10 MB
_PARTS = 128  # a part holds the hashes that have one remainder; one at a time is read
_NAMED = 3
_FASTEST = 1  # of zlib's levels


def profile_key(customer_id: str, attributes: Mapping[str, str], channel: str) -> tuple[str, str, str]:
    """
    Return what identifies a profile in its app (contract 18): customer and device, ``rtmId`` or else ``deviceId``.

    Where a record names no device, as in Facebook, Twitter and WeChat, its channel stands for it.
    """
    if rtm_id := attributes.get("rtmId"):
        return customer_id, "rtmId", rtm_id
    if device_id := attributes.get("deviceId"):
        return customer_id, "deviceId", device_id
    return customer_id, "channel", channel


class Duplicates:
    """
    Counts the records that have the customer and the device of an earlier one.

    Each record is known by a hash of 64 bits, Python's own, whose seed differs from process to process. That two
    different profiles have one hash, and are counted as the same, happens in one of 370,000 inputs of ten million
    profiles. Of 50,000 records at a time, hashes and positions are in memory; the others stand in a temporary file, 16
    bytes a record and the compressed positions. It has no name, so that nobody else can open it, and goes with the
    object.
    """

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}  # of this chunk: the first record that has a hash
        self._positions: list[str] = []
        self._spilled = _Spilled()
        self._count = 0
        self._first: list[tuple[int, int]] = []  # those that repeat one of their own chunk

    def add(self, position: str, key: tuple[str, str, str]) -> None:
        """
        Take note of a record.

        :param key: as ``profile_key`` returns it
        :raises OSError: the temporary file does not fit on the disk
        """
        number = self._spilled.records + len(self._positions)
        self._positions.append(position)
        first = self._seen.setdefault(hash(key), number)
        if first != number:
            self._count += 1
            if len(self._first) < _NAMED:
                self._first.append((number, first))
        if len(self._positions) >= _CHUNK:
            self._spill()

    def found(self) -> Places:
        """Return how many records repeat an earlier one, and the first: ``a.csv, line 9 (as a.csv, line 3)``."""
        if not self._spilled.records:
            return Places(self._count, [_pair(self._positions.__getitem__, *pair) for pair in self._first])
        self._spill()
        count, first = self._count, self._first
        for part in range(_PARTS):
            hashes, numbers = self._spilled.part(part)
            if repeats := len(hashes) - len(set(hashes)):
                count += repeats
                first = nsmallest(_NAMED, chain(first, _repeats(hashes, numbers)))
        return Places(count, [_pair(self._spilled.position, *pair) for pair in first])

    def _spill(self) -> None:
        self._spilled.add(self._seen, self._positions)
        self._seen, self._positions = {}, []


class _Spilled:
    """What is no longer in memory, in chunks; ``records`` is how many there are. The file is made with the first."""

    def __init__(self) -> None:
        self.records = 0
        self._file: IO[bytes] | None = None
        self._firsts: list[int] = []  # of each chunk: the number of its first record
        self._bounds: list[array[int]] = []  # of each chunk: where in the file its parts begin and end

    def add(self, seen: Mapping[int, int], positions: Sequence[str]) -> None:
        """Write a chunk: pairs of hashes and numbers by their parts, and the positions of all records."""
        if not positions:
            return
        parts = [array("q") for _ in range(_PARTS)]
        for key, number in seen.items():
            parts[key % _PARTS].extend((key, number))
        texts = zlib.compress("\0".join(positions).encode(errors="surrogatepass"), _FASTEST)
        self._write([*(part.tobytes() for part in parts), texts])
        self._firsts.append(self.records)
        self.records += len(positions)

    def part(self, part: int) -> tuple[array[int], array[int]]:
        """Return the hashes of a part, and the records that have them, in the order of the source."""
        pairs = array("q")
        for chunk in range(len(self._firsts)):
            pairs.frombytes(self._read(chunk, part))
        return pairs[::2], pairs[1::2]

    def position(self, number: int) -> str:
        """Return the position of a record."""
        chunk = bisect_right(self._firsts, number) - 1
        texts = zlib.decompress(self._read(chunk, _PARTS)).decode(errors="surrogatepass")
        return texts.split("\0")[number - self._firsts[chunk]]

    def _write(self, blobs: Sequence[bytes]) -> None:
        file = self._file or self._open()
        start = file.seek(0, os.SEEK_END)
        file.write(b"".join(blobs))
        self._bounds.append(array("q", accumulate(map(len, blobs), initial=start)))

    def _read(self, chunk: int, part: int) -> bytes:
        file, bounds = self._file or self._open(), self._bounds[chunk]
        file.seek(bounds[part])
        return file.read(bounds[part + 1] - bounds[part])

    def _open(self) -> IO[bytes]:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed with the object
        weakref.finalize(self, self._file.close)
        return self._file


def _repeats(hashes: Iterable[int], numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield each record that repeats an earlier one, with that."""
    seen: dict[int, int] = {}
    for key, number in zip(hashes, numbers, strict=True):
        first = seen.setdefault(key, number)
        if first != number:
            yield number, first


def _pair(position: Callable[[int], str], later: int, earlier: int) -> str:
    return f"{position(later)} (as {position(earlier)})"
