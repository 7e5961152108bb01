"""Documents are split where their values end, wherever a block of the file does."""

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sources import error_of, read

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.sources.json_text import window
from airflow_imiconnect.records.sources.json_text.document import _document
from airflow_imiconnect.records.sources.json_text.splitter import BrokenJsonError, Splitter
from airflow_imiconnect.records.sources.options import ReadOptions
from airflow_imiconnect.records.sources.tables.rows import Rows

TEXTS = st.text(st.sampled_from('aé\U0001f600"\\{}[],: \n'), max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 10**20) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(TEXTS, children, max_size=3),
    max_leaves=6,
)
RECORDS = st.fixed_dictionaries({"customerId": TEXTS, "Attributes": st.dictionaries(TEXTS, TEXTS, max_size=3)})


class Blocks(io.BytesIO):
    """A file that is read a few bytes at a time."""

    size = 1

    def read(self, _=-1):
        return super().read(self.size)


def values_of(text, size=1):
    file = Blocks(text)
    file.size = size
    records = _document(Splitter(window.Window(file)), "a.json", Rows(ReadOptions(), Notes()))
    return [raw.record if raw.record is not None else raw.problem for raw in records]


@settings(max_examples=400, deadline=None)
@given(st.lists(RECORDS | VALUES, max_size=5), st.sampled_from([None, 1]), st.booleans(), st.integers(1, 40))
def test_a_document_holds_what_json_says_wherever_blocks_end(values, indent, is_ascii, size):
    values = [value for value in values if not (isinstance(value, dict) and "stage" in value)]
    for document in (values, {"Records": values}):
        text = json.dumps(document, indent=indent, ensure_ascii=is_ascii).encode()
        assert [json.dumps(value, default=str) for value in values_of(text, size)] == [
            json.dumps(json.loads(json.dumps(value), parse_float=_as_ours), default=str) for value in values
        ]


def _as_ours(text):
    from airflow_imiconnect.records.sources.json_text.decode import decode_json  # noqa: PLC0415 - one number

    return decode_json(text)


@settings(max_examples=400, deadline=None)
@given(st.lists(RECORDS, min_size=1, max_size=3), st.data(), st.integers(1, 40))
def test_what_json_refuses_is_refused_with_its_place(records, data, size):
    text = json.dumps(records)
    place = data.draw(st.integers(0, len(text) - 1))
    text = text[:place] + data.draw(st.sampled_from(["", ",", "}", "]", '"', "x"])) + text[place + 1 :]
    try:
        json.loads(text)
    except json.JSONDecodeError:
        with pytest.raises((BrokenJsonError, IMIconnectInvalidRecordError)) as caught:
            values_of(text.encode(), size)
        assert isinstance(caught.value, IMIconnectInvalidRecordError) or caught.value.place.startswith(
            "line 1, column "
        )
    except ValueError:
        pass


@pytest.mark.parametrize(
    "text", ["[1,]", "[,1]", "[1 2]", '{"a" 1}', '{"a": 1,}', "{1: 2}", "[1", '["a', "[tru]", "[1]]", "[01]"]
)
def test_what_is_wrong_between_values_is_refused(text):
    with pytest.raises(BrokenJsonError, match="not valid JSON"):
        values_of(text.encode())


def test_a_million_short_values_need_one_block_at_a_time():
    text = b"[" + b"{}," * 300_000 + b"{}]"
    assert len(values_of(text, window.BLOCK)) == 300_001


@pytest.mark.parametrize("before", [0, 300, 600, 1000, 3000])
def test_how_long_a_record_may_be_depends_on_nothing_before_it(write, before):
    small, large = '{"customerId": "C1", "Attributes": {"a": "' + "x" * 500 + '"}},', "y" * 900_000
    path = write("a.json", f'[{small * before}{{"customerId": "C2", "Attributes": {{"a": "{large}", "b": 1}}}}]')
    assert [raw.problem for raw in read(path)] == [None] * (before + 1)


def test_a_large_object_that_is_not_an_envelope_is_told_so(write):
    record = '{"customerId": "C1", "Attributes": {"a": "' + "x" * 500 + '"}}'
    assert "not another object; taken as one, a record is longer" in error_of(
        write("a.json", f'{{"data": [{",".join([record] * 3000)}]}}')
    )
