"""The columns of a pandas or polars frame, or of an Arrow table, each read a few rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from airflow_imiconnect.attributes import Unreadable
from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.records.sources.tables.arrow_values import Arrow, load_pyarrow, python_values

Frame: TypeAlias = Any  # of a package that need not be installed
Reader: TypeAlias = Callable[[int, int], Sequence[object]]
WHERE = "records"
_PANDAS, _POLARS = "pandas", "polars"
_INTERFACES = ("__arrow_c_stream__", "__arrow_c_array__")
_SINGLE = "If it is a single column, pass the frame that it belongs to"
_DOUBLE = 8  # bytes of a Python float


class FrameColumns(NamedTuple):
    """
    The columns of a frame.

    :param names: of the columns
    :param readers: return a column's values between two row numbers, 0 for the first
    :param rows: how many there are
    """

    names: Sequence[str]
    readers: Sequence[Reader]
    rows: int


def is_frame(value: object) -> bool:
    """Return whether it is a frame, or a part of one that FrameSource refuses by its name."""
    return any(_family(value)) or any(hasattr(type(value), name) for name in _INTERFACES)


def frame_columns(frame: Frame) -> FrameColumns:
    """
    Return the columns of a frame. What can be read only once is read here.

    :raises IMIconnectInvalidRecordError: it is not a table, or its columns have no names
    :raises IMIconnectRequestError: pyarrow is not installed
    """
    package, kind = _family(frame)
    if kind == "LazyFrame":
        raise _error("this is a LazyFrame, which holds no rows yet: pass its result, frame.collect()")
    if kind == "Series":
        raise _error("this is a Series, a single column: pass the frame that it belongs to")
    if package == _PANDAS:
        return _of_pandas(frame)
    arrow = load_pyarrow(f"{WHERE}: {package or 'Arrow'} frames")
    return _of_polars(arrow, frame) if package == _POLARS else _of_arrow(arrow, frame)


def _family(value: object) -> tuple[str, str]:
    """Return the package of a frame or a series, and its kind; nothing is imported for this."""
    for base in type(value).__mro__:
        package = base.__module__.partition(".")[0]
        if package in (_PANDAS, _POLARS) and base.__name__ in ("DataFrame", "LazyFrame", "Series"):
            return package, base.__name__
    return "", ""


def _error(reason: str) -> IMIconnectInvalidRecordError:
    return IMIconnectInvalidRecordError(WHERE, reason)


def _of_pandas(frame: Frame) -> FrameColumns:
    """Read without Arrow: a column of objects holds values of several types, and each is read as in a list."""
    names = list(frame.columns)
    columns = [frame.iloc[:, place] for place in range(len(names))]
    for level, name in enumerate(frame.index.names):  # an index without a name only counts the rows
        if name is not None and name not in names:
            names.append(name)
            columns.append(frame.index.get_level_values(level).to_series())
    if not all(isinstance(name, str) for name in names):
        raise _error("the frame has columns whose names are not texts: name them, frame.columns = [...]")
    return FrameColumns([str(name) for name in names], [_pandas_reader(column) for column in columns], len(frame))


def _pandas_reader(column: Frame) -> Reader:
    if not hasattr(column, "cat"):
        return lambda start, stop: _pandas_values(column.iloc[start:stop])
    words = _pandas_values(column.cat.categories.to_series())
    codes = column.cat.codes
    return lambda start, stop: [None if code < 0 else words[code] for code in codes.iloc[start:stop].tolist()]


def _pandas_values(column: Frame) -> Sequence[object]:
    dtype = getattr(column.dtype, "subtype", column.dtype)  # of a sparse column
    if dtype.kind == "f" and dtype.itemsize < _DOUBLE:  # tolist would give 5.300000190734863 for 5.3
        return list(column.to_numpy(dtype=f"float{8 * dtype.itemsize}", na_value=float("nan")))
    try:
        return list(column.tolist())
    except (ValueError, ArithmeticError, LookupError):
        return [_pandas_value(column, place) for place in range(len(column))]


def _pandas_value(column: Frame, place: int) -> object:
    try:
        value: object = column.iloc[place]
    except (ValueError, ArithmeticError, LookupError):  # a date after the year 9999
        return Unreadable()
    return value


def _of_polars(arrow: Arrow, frame: Frame) -> FrameColumns:
    return FrameColumns(frame.columns, [_polars_reader(arrow, column) for column in frame.iter_columns()], len(frame))


def _polars_reader(arrow: Arrow, column: Frame) -> Reader:
    if str(column.dtype) != "Object":  # which Arrow would be handed as addresses
        try:
            return _arrow_reader(arrow, arrow.chunked_array(column))
        except (arrow.ArrowException, OSError, TypeError):  # a type that Arrow does not have, such as Int128
            pass
    return lambda start, stop: column.slice(start, stop - start).to_list()


def _of_arrow(arrow: Arrow, frame: Frame) -> FrameColumns:
    try:
        table = arrow.table(frame)
    except (arrow.ArrowException, TypeError) as error:
        words = f"a {type(frame).__name__} that cannot be read as a table ({type(error).__name__}). {_SINGLE}"
        raise _error(f"this is {words}") from None
    return FrameColumns(table.column_names, [_arrow_reader(arrow, column) for column in table.columns], len(table))


def _arrow_reader(arrow: Arrow, column: Any) -> Reader:  # noqa: ANN401 - one of pyarrow's
    def _read(start: int, stop: int) -> Sequence[object]:
        parts = [python_values(arrow, chunk) for chunk in column.slice(start, stop - start).chunks]
        return parts[0] if len(parts) == 1 else [value for part in parts for value in part]

    return _read
