"""Arrow's arrays -> Python values, as Parquet files and frames hold them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

from airflow_imiconnect.attributes import RepeatedKey, Unreadable
from airflow_imiconnect.records.sources.files.compression import missing_package

Arrow: TypeAlias = Any  # the module pyarrow, which has no types
Array: TypeAlias = Any  # one of its arrays
_HALF_DIGITS = 5  # of a float16, at most
_UNREADABLE = (ValueError, ArithmeticError, LookupError)  # a date after the year 9999, a text that is not UTF-8


def load_pyarrow(what: str) -> Arrow:
    """
    Return the module pyarrow, imported late: it comes with the extra "parquet" only, and takes its time.

    :param what: needs it: ``a.parquet: Parquet files``
    :raises IMIconnectRequestError: it is not installed
    """
    try:
        import pyarrow.compute  # noqa: PLC0415 - see above
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError:
        raise missing_package(f"{what} need pyarrow", "parquet") from None
    return pyarrow


def python_values(arrow: Arrow, column: Array) -> Sequence[object]:
    """
    Return the values of an array; Unreadable stands for those that Python cannot represent.

    Text in binary columns is text. A float32 is the shortest number that denotes it: 5.3, not 5.300000190734863.
    """
    read = _readers(arrow).get(column.type.id)
    return read(arrow, column) if read else _values(column)


def is_text(arrow: Arrow, kind: Any) -> bool:  # noqa: ANN401 - pyarrow's
    """Return whether the values of a type are strings, or None; or Unreadable, if it is a binary type."""
    if arrow.types.is_dictionary(kind):
        kind = kind.value_type
    return kind.id in _text_types(arrow)


def _values(column: Array) -> Sequence[object]:
    try:
        values: list[object] = column.to_pylist()
    except (*_UNREADABLE, NotImplementedError):
        return [_value(cell) for cell in column]
    return values


def _value(cell: Any) -> object:  # noqa: ANN401 - as above
    try:
        value: object = cell.as_py()
    except (*_UNREADABLE, NotImplementedError):
        return Unreadable()
    return value


def _of_dictionary(arrow: Arrow, column: Array) -> Sequence[object]:
    try:
        return python_values(arrow, column.dictionary_decode())
    except NotImplementedError:  # polars' categories
        words = python_values(arrow, column.dictionary)
        return [None if index is None else words[index] for index in column.indices.to_pylist()]


def _of_timestamp(arrow: Arrow, column: Array) -> Sequence[object]:
    kind = column.type
    if kind.unit == "ns":  # Python's datetime ends at the microsecond
        column = column.cast(arrow.timestamp("us", kind.tz), safe=False)
    return _values(column)


def _of_runs(arrow: Arrow, column: Array) -> Sequence[object]:
    return python_values(arrow, arrow.compute.run_end_decode(column))


def _of_binary(arrow: Arrow, column: Array) -> Sequence[object]:
    try:
        return _values(column.cast(arrow.large_string()))
    except (ValueError, NotImplementedError):  # some of it is not UTF-8
        return [None if cell is None else _text(cell) for cell in column.to_pylist()]


def _text(cell: bytes) -> object:
    try:
        return cell.decode()
    except UnicodeDecodeError:
        return Unreadable()


def _of_float32(arrow: Arrow, column: Array) -> Sequence[object]:
    return [None if text is None else float(text) for text in column.cast(arrow.string()).to_pylist()]


def _of_float16(_: Arrow, column: Array) -> Sequence[object]:
    return [None if value is None else _shortest_half(float(value)) for value in column.to_pylist()]


def _shortest_half(value: float) -> float:
    stored = struct.pack("<e", value)
    written = (float(f"{value:.{digits}g}") for digits in range(1, _HALF_DIGITS + 1))
    return next((each for each in written if _packs_to(each, stored)), value)


def _packs_to(value: float, stored: bytes) -> bool:
    try:
        return struct.pack("<e", value) == stored
    except OverflowError:  # the greatest one, rounded up
        return False


def _of_struct(arrow: Arrow, column: Array) -> Sequence[object]:
    names = [field.name for field in column.type]
    if len(set(names)) < len(names):
        return [None if is_null else RepeatedKey() for is_null in column.is_null().to_pylist()]
    if not names:
        return _values(column)
    rows = zip(*(python_values(arrow, child) for child in column.flatten()), strict=True)
    nulls = column.is_null().to_pylist()
    return [None if is_null else dict(zip(names, row, strict=True)) for is_null, row in zip(nulls, rows, strict=True)]


def _of_map(arrow: Arrow, column: Array) -> Sequence[object]:
    offsets = column.offsets.to_pylist()
    first, count = offsets[0], offsets[-1] - offsets[0]
    keys = python_values(arrow, column.keys.slice(first, count))
    items = python_values(arrow, column.items.slice(first, count))
    pairs = list(zip(keys, items, strict=True))
    bounds = zip(column.is_null().to_pylist(), offsets, offsets[1:], strict=False)
    return [None if is_null else _object(pairs[start - first : end - first]) for is_null, start, end in bounds]


def _object(pairs: Sequence[tuple[object, object]]) -> object:
    entries = dict(pairs)
    return entries if len(entries) == len(pairs) else RepeatedKey()


@cache
def _binary_types(arrow: Arrow) -> frozenset[int]:
    lib = arrow.lib
    return frozenset({lib.Type_BINARY, lib.Type_LARGE_BINARY, lib.Type_BINARY_VIEW, lib.Type_FIXED_SIZE_BINARY})


@cache
def _text_types(arrow: Arrow) -> frozenset[int]:
    lib = arrow.lib
    return _binary_types(arrow) | {lib.Type_STRING, lib.Type_LARGE_STRING, lib.Type_STRING_VIEW}


@cache
def _readers(arrow: Arrow) -> Mapping[int, Callable[[Arrow, Array], Sequence[object]]]:
    """Return how the types are read that to_pylist does not read as it should."""
    lib = arrow.lib
    return dict.fromkeys(_binary_types(arrow), _of_binary) | {
        lib.Type_TIMESTAMP: _of_timestamp,
        lib.Type_FLOAT: _of_float32,
        lib.Type_HALF_FLOAT: _of_float16,
        lib.Type_DICTIONARY: _of_dictionary,
        lib.Type_RUN_END_ENCODED: _of_runs,
        lib.Type_STRUCT: _of_struct,
        lib.Type_MAP: _of_map,
    }
