"""The quick way of reading a line never gives another record than the careful one."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sources import checked

from airflow_imiconnect.records.sources.json_text.decode import decode_json, usual_record

NAMES = st.sampled_from(
    ["customerId", "customerid", "Attributes", "attributes", "a", "b", "\\u0061", "a\\n", 'q\\"', "é", ""]
)
TEXTS = st.text(max_size=4).map(lambda text: json.dumps(text)[1:-1]) | st.sampled_from(
    ['\\"', "\\\\", "\\ud83d", "é", "{", ": "]
)
FLAT = st.one_of(TEXTS.map('"{}"'.format), st.sampled_from(["1", "1.5", "null", "true", "[]", '["x"]', "NaN", "1e999"]))


def objects(values):
    members = st.lists(st.tuples(NAMES, values), max_size=4)
    return members.map(lambda pairs: "{" + ", ".join(f'"{name}": {value}' for name, value in pairs) + "}")


LINES = objects(FLAT | objects(FLAT)) | objects(st.one_of(TEXTS.map('"{}"'.format), objects(TEXTS.map('"{}"'.format))))


@settings(max_examples=3000, deadline=None)
@given(LINES)
def test_the_quick_way_and_the_careful_one_agree(line):
    quick = usual_record(line.encode("utf-8", "surrogatepass"))
    if quick is not None:
        assert quick == decode_json(line)
        assert list(map(type, quick.values())).count(dict) == 1


@settings(max_examples=500, deadline=None)
@given(objects(TEXTS.map('"{}"'.format)))
def test_a_key_that_stands_twice_is_never_read_the_quick_way(attributes):
    line = f'{{"customerId": "C1", "Attributes": {attributes}}}'
    repeated = not isinstance(decode_json(line)["Attributes"], dict)
    quick = usual_record(line.encode("utf-8", "surrogatepass"))
    assert not (repeated and quick)


def test_usual_lines_are_read_the_quick_way():
    for line in (
        '{"customerId": "C1", "Attributes": {"a": "é", "b": ""}}\n',
        '{"attributes":{"a":"x\\n"},"customerid":"1"}',
    ):
        assert usual_record(line.encode()) == json.loads(line)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"customerId": "C1", "x": "1", "x": "2"}', "must be an object of attributes"),
        ('{"customerId": "C1", "x": 1, "x": null}', "must be an object"),
        ('{"customerId": "C1", "x": "a\\u0001b"}', "contains a control character"),
        ('{"customerId": "C1", "x": "\\ud83d"}', "unpaired surrogate"),
        ('{"customerId": "C1", "x": [1]}', "x"),
    ],
)
def test_a_row_is_refused_as_a_record_would_be(write, line, problem):
    good = '{"customerId": "C2", "x": 7, "y": null, "z": "say \\"hi\\""}'
    bad, last = checked(write("a.jsonl", f"{line}\n{good}\n"))[::-1]
    assert [record.attributes for record in last] == [{"x": "7", "z": 'say "hi"'}]
    assert "line 1" in bad[0]
    assert len(bad) == 1
