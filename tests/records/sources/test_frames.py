"""Frames of pandas and polars, and Arrow tables."""

import builtins
import datetime as dt
from decimal import Decimal
from uuid import UUID

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import parquet

from airflow_imiconnect.errors import IMIconnectInvalidRecordError, IMIconnectRequestError
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.sources.file_source import FileSource
from airflow_imiconnect.records.sources.lists import ListSource
from airflow_imiconnect.records.sources.options import ReadOptions
from airflow_imiconnect.records.sources.tables.frames import FrameSource, is_frame
from airflow_imiconnect.records.validation import check_records

NAN = float("nan")
MOMENT = dt.datetime(2018, 8, 26, 12, 26, 3, 250_000)  # noqa: DTZ001 - as tables have it
MADRID = MOMENT.replace(tzinfo=dt.timezone(dt.timedelta(hours=2)))
UID = UUID("12345678-1234-5678-1234-567812345678")


def has_uuids():
    try:
        return bool(pa.array([UID]))
    except pa.ArrowInvalid:
        return False


of_new_arrow = pytest.mark.skipif(not has_uuids(), reason="this pyarrow makes no columns of UUIDs")


def checked(source, notes=None):
    """Return the records that can be sent, and what is wrong with the others."""
    problems = []
    raws = source.read(Notes() if notes is None else notes)
    kept = list(check_records(raws, on_problem=lambda _, error: problems.append(str(error))))
    return [(record.customer_id, record.attributes) for record in kept], problems


def sent(frame, **options):
    """Return the customer ids and the attributes of a frame's rows, all of which can be sent."""
    kept, problems = checked(FrameSource(frame, ReadOptions(**options)))
    assert problems == []
    return kept


def column_of(frame):
    """Return what column x of each row becomes; None if it is left out."""
    return [attributes.get("x") for _, attributes in sent(frame)]


def error_of(frame, **options):
    with pytest.raises(IMIconnectInvalidRecordError) as caught:
        list(FrameSource(frame, ReadOptions(**options)))
    assert "planted" not in str(caught.value)
    return str(caught.value)


def from_parquet(columns, folder):
    parquet.write_table(pa.table(columns), folder / "a.parquet")
    return FileSource([folder / "a.parquet"])


def from_list(columns, _):
    return ListSource([dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)])


WAYS_IN = {
    "list": from_list,
    "parquet": from_parquet,
    "arrow table": lambda columns, _: FrameSource(pa.table(columns)),
    "arrow batch": lambda columns, _: FrameSource(pa.RecordBatch.from_pydict(columns)),
    "arrow reader": lambda columns, _: FrameSource(pa.table(columns).to_reader()),
    "pandas": lambda columns, _: FrameSource(pd.DataFrame(columns)),
    "pandas with arrow": lambda columns, _: FrameSource(pa.table(columns).to_pandas(types_mapper=pd.ArrowDtype)),
    "polars": lambda columns, _: FrameSource(pl.DataFrame(columns)),
}


@pytest.mark.parametrize("way_in", WAYS_IN.values(), ids=WAYS_IN)
@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Ana", "Ana"),
        ("", None),
        (None, None),
        (1, "1"),
        (0, "0"),
        (4652750724851327, "4652750724851327"),
        (True, "1"),
        (False, "0"),
        (5.0, "5"),
        (5.3, "5.3"),
        (1e-7, "0.0000001"),
        (NAN, None),
        (Decimal("1001.0000"), "1001"),
        (Decimal("1.50"), "1.50"),
        (MOMENT, "2018-08-26 12:26:03"),
        (MADRID, "2018-08-26 10:26:03"),
        (MOMENT.date(), "2018-08-26 00:00:00"),
        (b"Ana", "Ana"),
        pytest.param(UID, str(UID), marks=of_new_arrow),
    ],
    ids=str,
)
def test_a_value_is_the_same_text_in_every_way_in(way_in, value, text, tmp_path):
    columns = {"customerId": ["C1", "C2"], "x": [value, None]}
    kept, problems = checked(way_in(columns, tmp_path))
    assert problems == []
    assert kept == [("C1", {} if text is None else {"x": text}), ("C2", {})]


@pytest.mark.parametrize("way_in", WAYS_IN.values(), ids=WAYS_IN)
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1001, "1001"),
        (7.0, "7"),
        (Decimal("1001.00"), "1001"),
        (" C1\xa0", "C1"),
        pytest.param(UID, str(UID), marks=of_new_arrow),
    ],
)
def test_an_id_is_the_same_text_in_every_way_in(way_in, value, text, tmp_path):
    kept, problems = checked(way_in({"customerId": [value, None], "x": ["a", "b"]}, tmp_path))
    assert kept == [(text, {"x": "a"})]
    assert [problem.rpartition(": ")[2] for problem in problems] == ["is missing or empty"]


@pytest.mark.parametrize("way_in", WAYS_IN.values(), ids=WAYS_IN)
def test_a_column_named_attributes_holds_the_vendors_record(way_in, tmp_path):
    columns = {"customerId": ["C1", "C2"], "Attributes": [{"status": "1", "psid": None}, {"status": "0", "psid": "7"}]}
    assert checked(way_in(columns, tmp_path)) == ([("C1", {"status": "1"}), ("C2", {"status": "0", "psid": "7"})], [])


@pytest.mark.parametrize("way_in", [way for name, way in WAYS_IN.items() if name != "list"])
def test_json_text_in_a_column_named_attributes_is_the_vendors_record(way_in, tmp_path):
    kept, problems = checked(
        way_in({"customerId": ["C1", "C2"], "attributes": ['{"status": 1}', '{"planted']}, tmp_path)
    )
    assert kept == [("C1", {"status": "1"})]
    assert problems[0].endswith("Attributes: must be an object of attributes, or the JSON text of one")


@pytest.mark.parametrize("way_in", WAYS_IN.values(), ids=WAYS_IN)
@pytest.mark.parametrize("cell", [["planted"], {"a": "planted"}])
def test_nested_cells_are_a_problem_of_their_row(way_in, cell, tmp_path):
    kept, problems = checked(way_in({"customerId": ["C1", "C2"], "x": [None, cell]}, tmp_path))
    assert [customer_id for customer_id, _ in kept] == ["C1"]
    assert "Attributes.x: is a" in problems[0]
    assert "planted" not in problems[0]


FRAMES = {
    "arrow": pa.table,
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
}


@pytest.fixture(params=FRAMES.values(), ids=FRAMES)
def frame(request):
    return request.param


def test_rows_have_numbers_and_the_options_of_tables_apply(frame):
    rows = frame({"crn": ["C1", "C2"], "E-Mail": ["a@example.com", "NULL"], "salary": ["planted", "planted"]})
    options = ReadOptions("crn", {"E-Mail": "email", "*": None}, {"channel": "rt"}, null_values=("NULL",))
    assert [(raw.position, raw.record) for raw in FrameSource(rows, options)] == [
        ("records, row 1", {"customerId": "C1", "Attributes": {"email": "a@example.com", "channel": "rt"}}),
        ("records, row 2", {"customerId": "C2", "Attributes": {"channel": "rt"}}),
    ]
    assert error_of(rows).startswith("records: customerId: the column of the customer ids is missing")
    words = "there is no such column"
    assert words in error_of(rows, customer_id_column="crn", columns={"Email": "email"})


def test_odd_columns_are_noted(frame):
    notes = Notes()
    checked(FrameSource(frame({"customerId": ["C1"], "STATUS": ["1"]})), notes)
    assert list(notes) == ["column STATUS is not a known attribute; did you mean status? (records)"]


def test_rows_that_are_text_alone_take_the_short_way(frame):
    def _are_plain(values):
        return {raw.is_plain for raw in FrameSource(frame({"customerId": ["C1", "C2"], "x": values}))}

    assert _are_plain(["a", "b"]) == {True}
    assert _are_plain(["a", "\x00"]) == {False}
    assert _are_plain([0, 0]) == {False}


def test_a_long_row_is_a_problem_of_its_own(frame):
    kept, problems = checked(FrameSource(frame({"customerId": ["C1", "C2"], "x": ["a", "planted" * 300_000]})))
    assert kept == [("C1", {"x": "a"})]
    assert problems == ["records, row 2: the row is longer than 1048576 bytes, which no record is"]


def test_many_rows_are_read_again_and_it_is_known_how_far(frame):
    source = FrameSource(frame({"customerId": [f"C{n}" for n in range(2500)]}))
    for _ in range(2):
        rows = source.read(Notes())
        assert next(rows).record["customerId"] == "C0"
        rest = list(rows)
        assert (rest[-1].position, rest[-1].record["customerId"]) == ("records, row 2500", "C2499")
        assert source.fraction == 1
    for raw in source:
        if raw.position == "records, row 2001":
            break
    assert source.fraction == 0.8


@pytest.mark.parametrize("columns", [{}, {"customerId": []}], ids=str)
def test_a_frame_without_rows_has_no_records(frame, columns):
    source = FrameSource(frame(columns))
    assert (list(source), source.fraction) == ([], 0)


def test_the_version_is_that_of_the_content():
    columns = {"customerId": [f"C{n}" for n in range(2500)], "x": [None, 5.5] * 1250, "y": [1, 2] * 1250}
    table = pa.table(columns)
    pieces = pa.concat_tables([table.slice(0, 7), table.slice(7)])
    frames = [table, pieces, table.to_reader(), pd.DataFrame(columns), pl.DataFrame(columns)]
    assert len({FrameSource(each).version for each in frames}) == 1
    others = [table.slice(1), table.rename_columns(["customerId", "x", "z"]), table.set_column(2, "y", table["x"])]
    assert len({FrameSource(each).version for each in [table, *others]}) == 4
    assert FrameSource(table, ReadOptions(attributes={"channel": "fb"})).version != FrameSource(table).version
    values = pd.DataFrame(
        {"customerId": ["C1"], "x": [np.float32(5.3)], "y": [pd.NaT], "na": [pd.NA], "z": [pd.Timestamp(0, tz="UTC")]}
    )
    assert FrameSource(values).version
    assert FrameSource(pd.DataFrame({"customerId": ["C1"], "x": [object()]})).version == ""


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pd.Series([1, None]), ["1", None]),
        (pd.Series([4652750724851327, None]), ["4652750724851327", None]),
        (pd.Series([1, None], dtype="Int64"), ["1", None]),
        (pd.Series([True, None], dtype="boolean"), ["1", None]),
        (pd.Series([5.3, None], dtype="float32"), ["5.3", None]),
        (pd.Series([5.3, None], dtype="float16"), ["5.3", None]),
        (pd.Series([5.3, 2], dtype="float32"), ["5.3", "2"]),
        (pd.Series([5.3, None], dtype="Float32"), ["5.3", None]),
        (pd.Series([5.3, None], dtype="float[pyarrow]"), ["5.3", None]),
        (pd.Series([5.3, 1], dtype="float32").astype("category"), ["5.3", "1"]),
        (pd.Series([5.3, NAN], dtype=pd.SparseDtype("float32")), ["5.3", None]),
        (pd.Series([1, 0], dtype=pd.SparseDtype("int64")), ["1", "0"]),
        (pd.Series(["a", None], dtype="string"), ["a", None]),
        (pd.Series(["a", None], dtype="string[pyarrow]"), ["a", None]),
        (pd.Series(["a", NAN], dtype=object), ["a", None]),
        (pd.Series(["a", None], dtype="category"), ["a", None]),
        (pd.Series([1, None], dtype="category"), ["1", None]),
        (pd.Series([1, "a"], dtype=object), ["1", "a"]),
        (pd.Series(["a", pd.NA], dtype=object), ["a", None]),
        (pd.Series([True, "a"], dtype=object), ["1", "a"]),
        (pd.Series([np.float32(5.3), np.int64(7)], dtype=object), ["5.3", "7"]),
        (pd.Series([Decimal("1.5"), Decimal("1.25")]), ["1.5", "1.25"]),
        (pd.Series([2**70, 0.5], dtype=object), [str(2**70), "0.5"]),
        (pd.Series([MADRID, MOMENT], dtype=object), ["2018-08-26 10:26:03", "2018-08-26 12:26:03"]),
        (pd.Series([MOMENT, None]), ["2018-08-26 12:26:03", None]),
        (pd.Series([MOMENT, None]).dt.tz_localize("Europe/Madrid"), ["2018-08-26 10:26:03", None]),
        (pd.Series([MOMENT, None]).astype("datetime64[ns]"), ["2018-08-26 12:26:03", None]),
    ],
    ids=lambda value: str(getattr(value, "dtype", "")),
)
def test_columns_of_pandas(column, texts):
    assert column_of(pd.DataFrame({"customerId": ["C1", "C2"], "x": column})) == texts


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(pd.to_timedelta([1, 2], unit="s")),
        pd.Series(pd.period_range("2018-08", periods=2, freq="M")),
        pd.Series(pd.interval_range(0, 2)),
        pd.Series(pa.array([10_000_000, 20_000_000], pa.date32()), dtype=pd.ArrowDtype(pa.date32())),
        pd.Series([b"\xff", b"\xff"]),
        pd.Series([1j, 2j]),
    ],
    ids=lambda column: str(column.dtype),
)
def test_columns_of_pandas_that_are_not_attributes(column):
    kept, problems = checked(FrameSource(pd.DataFrame({"customerId": ["C1", "C2"], "x": column})))
    assert kept == []
    assert [problem[:35] for problem in problems] == [f"records, row {n}: Attributes.x: is a " for n in (1, 2)]


def test_an_index_with_a_name_is_a_column():
    frame = pd.DataFrame({"crn": ["C1", "C2", "C3"], "app": ["a", "b", "c"], "x": [1, 2, 3]})
    rows = [("C2", {"x": "2"}), ("C3", {"x": "3"})]
    assert sent(frame[["crn", "x"]].set_index("crn")[1:], customer_id_column="crn") == rows
    assert sent(frame[["crn", "x"]].set_index("crn", drop=False)[1:], customer_id_column="crn") == rows
    assert sent(frame[["crn", "x"]][1:], customer_id_column="crn") == rows
    assert sent(frame[["crn", "x"]].set_index(pd.Index(["p", "q", "r"])), customer_id_column="crn")[1:] == rows
    assert sent(frame.set_index(["crn", "app"])[:1], customer_id_column="crn") == [("C1", {"app": "a", "x": "1"})]


def test_columns_of_pandas_must_have_texts_for_names():
    words = "records: the frame has columns whose names are not texts"
    assert error_of(pd.DataFrame([["C1", "planted"]])).startswith(words)
    frame = pd.DataFrame({("customerId", "a"): ["C1"], ("x", "b"): ["planted"]})
    assert error_of(frame).startswith(words)


def test_columns_of_pandas_that_are_there_twice():
    frame = pd.DataFrame([["C1", "a", "planted"]], columns=["customerId", "x", "x"])
    assert error_of(frame).startswith("records: x: the column stands there twice")
    assert sent(frame, columns={"x#2": None}) == [("C1", {"x": "a"})]


def test_a_class_that_extends_pandas_frame():
    class Extended(pd.DataFrame):
        pass

    frame = Extended({"customerId": ["C1", "C2"], "x": pd.Series([1, "a"], dtype=object)})
    assert is_frame(frame)
    assert column_of(frame) == ["1", "a"]


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pl.Series([1, None]), ["1", None]),
        (pl.Series([5.3, None], dtype=pl.Float32), ["5.3", None]),
        (pl.Series(["a", None], dtype=pl.Categorical), ["a", None]),
        (pl.Series(["a", None], dtype=pl.Enum(["a", "b"])), ["a", None]),
        (pl.Series([UID, "a"], dtype=pl.Object), [str(UID), "a"]),
        (pl.Series([2**100, None], dtype=pl.Int128), [str(2**100), None]),
        (pl.Series([b"a", b""]), ["a", None]),
        (pl.Series([MOMENT, None], dtype=pl.Datetime("ns", "Europe/Madrid")), ["2018-08-26 12:26:03", None]),
    ],
    ids=lambda value: str(getattr(value, "dtype", "")),
)
def test_columns_of_polars(column, texts):
    assert column_of(pl.DataFrame({"customerId": ["C1", "C2"], "x": column})) == texts


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pa.array(["a", None], pa.string_view()), ["a", None]),
        (pa.array([b"a", None], pa.binary_view()), ["a", None]),
        (pa.array(["a", None], pa.large_string()), ["a", None]),
        (pc.run_end_encode(pa.array([5.3, None], pa.float32())), ["5.3", None]),
        (pa.array([1535286363250000001, None], pa.timestamp("ns", "Europe/Madrid")), ["2018-08-26 12:26:03", None]),
        (pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([7, 8]), pa.array(["a", "b"])]), ["7", "b"]),
        (pa.nulls(2), [None, None]),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_columns_of_arrow(column, texts):
    assert column_of(pa.table({"customerId": ["C1", "C2"], "x": column})) == texts


def test_a_part_of_a_table_has_its_own_cells():
    maps = pa.array([[("x", "a")], None, [("x", "b"), ("y", "c")], [("x", "d")]], pa.map_(pa.string(), pa.string()))
    objects = pa.array([{"z": "e"}, {"z": "f"}, None, {"z": "g"}])
    table = pa.table({"customerId": ["C1", "C2", "C3", "C4"], "Attributes": maps})
    assert sent(table.slice(1, 2)) == [("C2", {}), ("C3", {"x": "b", "y": "c"})]
    table = table.set_column(1, "Attributes", objects)
    assert sent(table.slice(1, 2)) == [("C2", {"z": "f"}), ("C3", {})]


def test_an_object_that_has_a_key_twice_is_a_problem_of_its_row():
    objects = pa.StructArray.from_arrays(
        [pa.array(["planted", None]), pa.array(["x", None])], names=["a", "a"], mask=pa.array([False, True])
    )
    kept, problems = checked(FrameSource(pa.table({"customerId": ["C1", "C2"], "x": objects})))
    assert kept == [("C2", {})]
    assert problems[0].startswith("records, row 1: Attributes.x: is an object that has a key twice")


def test_a_frame_of_many_pieces():
    pieces = [pl.DataFrame({"customerId": [f"C{n}"], "x": [n]}) for n in range(5)]
    assert column_of(pl.concat(pieces, rechunk=False)) == list("01234")
    assert column_of(pa.concat_tables(map(pa.table, pieces))) == list("01234")


class OfAnotherPackage:
    """A table of a package that nobody here knows; its stream can be had once."""

    def __init__(self, table):
        self.streams = [table.__arrow_c_stream__()]

    def __arrow_c_stream__(self, requested_schema=None):
        return self.streams.pop()


def test_whatever_has_the_interface_is_read_once_and_given_again():
    frame = OfAnotherPackage(pa.table({"customerId": ["C1"], "x": ["a"]}))
    assert is_frame(frame)
    source = FrameSource(frame)
    assert (
        [raw.record for raw in source]
        == [raw.record for raw in source]
        == [{"customerId": "C1", "Attributes": {"x": "a"}}]
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (
            pl.DataFrame({"customerId": ["planted"]}).lazy(),
            "this is a LazyFrame, which holds no rows yet: pass its result, frame.collect()",
        ),
        (pl.Series(["planted"]), "this is a Series, a single column"),
        (pd.Series(["planted"]), "this is a Series, a single column"),
        (pa.array(["planted"]), "this is a StringArray that cannot be read as a table"),
        (pa.chunked_array([["planted"]]), "this is a ChunkedArray that cannot be read as a table"),
    ],
    ids=["lazy", "polars", "pandas", "array", "chunked"],
)
def test_what_is_not_a_table_is_refused_by_its_name(value, words):
    assert is_frame(value)
    assert error_of(value).startswith(f"records: {words}")


@pytest.mark.parametrize(
    "value",
    [None, "planted", [], [{}], {}, (), {"DataFrame": 1}, object(), np.array([1])],
    ids=lambda value: type(value).__name__,
)
def test_other_values_are_not_frames(value):
    assert not is_frame(value)


def test_without_pyarrow_pandas_is_read_and_others_say_what_to_install(monkeypatch):
    really = builtins.__import__

    def without(name, *arguments):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return really(name, *arguments)

    columns = {"customerId": ["C1"], "x": np.array([5.3], dtype="float32")}
    table, frame = pa.table(columns), pl.DataFrame(columns)
    ours = pd.DataFrame(columns)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        IMIconnectRequestError,
        match=r"^records: Arrow frames need pyarrow: pip install 'airflow-imiconnect\[parquet\]'",
    ):
        FrameSource(table)
    with pytest.raises(IMIconnectRequestError, match=r"^records: polars frames need pyarrow: pip install"):
        FrameSource(frame)
    assert sent(ours) == [("C1", {"x": "5.3"})]
