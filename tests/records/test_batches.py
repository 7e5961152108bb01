import json

import pytest

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.profile_api.operations import CREATE, records_envelope
from airflow_imiconnect.records.batches import make_batches
from airflow_imiconnect.records.profile import AppProfile
from airflow_imiconnect.records.sources.lists import ListSource
from airflow_imiconnect.records.sources.raw import RawRecord
from airflow_imiconnect.records.validation import check_records


def records(count, **attributes):
    return [{"customerId": f"C{i}", "Attributes": {"status": "1", **attributes}} for i in range(count)]


def batches(items, app_id="a_1", size=100):
    return list(make_batches(check_records(ListSource(items)), CREATE, app_id, size))


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (100, [100]), (101, [100, 1]), (250, [100, 100, 50])])
def test_more_than_100_records_become_several_batches_in_order(count, sizes):
    made = batches(records(count))
    assert [len(batch.records) for batch in made] == sizes
    sent = [record["customerId"] for batch in made for record in json.loads(batch.payload.body)["Records"]]
    assert sent == [f"C{i}" for i in range(count)]


def test_a_batch_says_where_its_records_stood():
    assert [record.position for record in batches(records(3), size=2)[1].records] == ["records[2]"]


def test_a_key_is_the_digest_of_operation_app_and_content():
    key = batches(records(2))[0].key
    assert key == batches(records(2))[0].key
    others = [
        batches(records(2), app_id="a_2")[0].key,
        batches(records(2, name="x"))[0].key,
        batches(records(2)[::-1])[0].key,
        batches(records(1) * 2, size=1)[1].key,
        next(make_batches(check_records(ListSource(records(2))), CREATE._replace(name="update"), "a_1")).key,
    ]
    assert len({key, *others}) == 6


def test_text_of_any_kind_reaches_the_wire():
    text = 'é "q" \U0001f600 \t\r\n\\'
    record = AppProfile.from_record({"customerId": "ä", "Attributes": {"n": text}})
    body = json.loads(records_envelope([record]).body)
    assert body == {"Records": [{"customerId": "ä", "Attributes": {"n": text}}]}


def test_the_first_problem_ends_the_reading_or_is_handed_over():
    source = [
        RawRecord("p1", {"customerId": ""}),
        RawRecord("p2", "text", "not valid JSON"),
        RawRecord("p3", records(1)[0]),
    ]
    with pytest.raises(IMIconnectInvalidRecordError, match="^p1: customerId: is missing or empty$"):
        list(check_records(source))
    problems = []
    kept = list(check_records(source, on_problem=lambda raw, error: problems.append((raw.position, str(error)))))
    assert [record.position for record in kept] == ["p3"]
    assert problems == [("p1", "p1: customerId: is missing or empty"), ("p2", "p2: not valid JSON")]


def test_a_batch_that_a_source_repeats_has_a_key_of_its_own_each_time():
    keys = [batch.key for batch in batches(records(1) * 3, size=1)]
    assert len(set(keys)) == 3
    assert keys == [batch.key for batch in batches(records(1) * 3, size=1)]


def test_the_text_form_of_a_batch_shows_no_values():
    assert "planted" not in repr(batches(records(1, name="planted"))[0])


def test_halves_stand_for_the_whole():
    (whole,) = batches(records(5))
    first, second = whole.halves()
    assert [r.customer_id for half in (first, second) for r in half.records] == [f"C{i}" for i in range(5)]
    assert json.loads(first.payload.body) == {"Records": records(2)}
    same = batches(records(1) * 2)[0].halves()
    assert same[0].key != same[1].key
    assert len({whole.key, first.key, second.key, batches(records(2))[0].key}) == 4
