"""The preview: what is wrong or odd, what the channels' records lack, what stands there twice, what would be sent."""

import json

import pytest

from airflow_imiconnect.attributes import RecordProblem, to_strings
from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.records.attribute_counts import AttributeCounts
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.preview import Preview
from airflow_imiconnect.records.sources.raw import RawRecord
from airflow_imiconnect.records.validation import CheckedRecord

IN_APP = {"channel": "rt", "status": "1", "connectStatus": "1", "deviceId": "D1", "rtmId": "R1"}
TWITTER = {"channel": "twitter", "status": "1"}
SECRET = "planted-value"


def preview_of(*attributes, ids=None, notes=None):
    preview = Preview(100, Notes() if notes is None else notes)
    for number, each in enumerate(attributes):
        preview.add(CheckedRecord(f"a.csv, line {number + 2}", ids[number] if ids else f"C{number}", each))
    return preview


def lacking(preview):
    return {
        channel: {name: places["count"] for name, places in names.items()}
        for channel, names in preview.to_json()["lacking"].items()
    }


# -- required attributes --


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"channel": "fb"}, {"Facebook": {"status": 1, "psid": 1}}),
        ({"channel": "fb", "status": "", "psid": ""}, {"Facebook": {"status": 1, "psid": 1}}),
        ({"channel": "fb", "status": "0", "psid": "9"}, {}),
        ({"channel": "rt"}, {"In-App": {"status": 1, "connectStatus": 1, "deviceId": 1, "rtmId": 1}}),
        ({"pushId": "p", "status": "1"}, {"Push": {"connectStatus": 1, "deviceId": 1, "rtmId": 1}}),
        (IN_APP, {}),
        (TWITTER, {}),
        ({"channel": "twitter"}, {"Twitter": {"status": 1}}),
        ({"nick": "n"}, {"WeChat": {"status": 1}}),
        ({"channel": SECRET}, {"other": {"status": 1}}),
    ],
)
def test_all_required_attributes_that_a_record_lacks_are_counted_by_channel(attributes, expected):
    preview = preview_of(attributes)
    assert lacking(preview) == expected
    assert ("Warning" in str(preview)) is bool(expected)
    assert SECRET not in str(preview) + json.dumps(preview.to_json())


def test_a_warning_tells_how_many_records_and_the_first_three_places():
    preview = preview_of(*[{"channel": "fb", "status": "1"}] * 5, {"channel": "fb", "psid": "1"}, {"city": "x"})
    assert str(preview).startswith(
        "Warning: 5 records (Facebook) lack psid, which the channel requires\n"
        "    a.csv, line 2; a.csv, line 3; a.csv, line 4; and 2 more\n"
        "Warning: 1 record (Facebook) lacks status, which the channel requires\n    a.csv, line 7\n"
        "Warning: 1 record (other) lacks status, which every channel requires\n    a.csv, line 8\n"
    )
    assert preview.to_json()["lacking"]["Facebook"]["psid"] == {
        "count": 5, "first": ["a.csv, line 2", "a.csv, line 3", "a.csv, line 4"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"channel": "rt"}, "(In-App) but is missing or empty; so are connectStatus, deviceId, rtmId"),
        ({"channel": "fb"}, "(Facebook) but is missing or empty; so is psid"),
        ({"channel": "twitter"}, "(Twitter) but is missing or empty"),
    ],
)
def test_strict_names_all_of_them_as_well(attributes, words):
    with pytest.raises(RecordProblem) as caught:
        to_strings(attributes, strict=True)
    assert (caught.value.name, caught.value.reason) == ("status", f"is required by the channel {words}")


# -- what stands there twice --


def test_a_customer_and_device_that_occur_twice_are_warned_about():
    preview = preview_of(IN_APP, IN_APP | {"rtmId": "R2"}, IN_APP, TWITTER, TWITTER, ids=["A", "A", "A", "B", "B"])
    assert preview.to_json()["duplicates"] == {
        "count": 2, "first": ["a.csv, line 4 (as a.csv, line 2)", "a.csv, line 6 (as a.csv, line 5)"],
    }  # fmt: skip
    assert (
        "Warning: 2 records repeat the customerId and device, if any, of an earlier one\n"
        "    a.csv, line 4 (as a.csv, line 2); a.csv, line 6 (as a.csv, line 5)\n"
    ) in str(preview)


def test_one_that_occurs_twice_is_one():
    assert "Warning: 1 record repeats the " in str(preview_of(TWITTER, TWITTER, ids=["A", "A"]))
    assert "Warning" not in str(preview_of(TWITTER, TWITTER))


# -- what would be sent --


def test_every_attribute_that_would_be_sent_is_listed():
    preview = preview_of(TWITTER, TWITTER | {"salary": SECRET}, IN_APP)
    assert preview.to_json()["attributes"] == {
        "channel": 3, "status": 3, "salary": 1, "connectStatus": 1, "deviceId": 1, "rtmId": 1,
    }  # fmt: skip
    assert "Attributes: channel 3, status 3, salary 1, connectStatus 1, deviceId 1, rtmId 1\n" in str(preview)
    assert SECRET not in str(preview)


def test_a_name_that_looks_like_a_value_is_not_shown():
    counts = AttributeCounts()
    for name in ("a@example.org", "+44 7700 900123", "x" * 61, "a\nb", "fine", "größe"):
        counts.add({name: "1"})
    assert counts.to_json() == {"fine": 1, "größe": 1, "…": 4}
    assert str(counts) == "fine 1, größe 1, … 4"


def test_names_without_end_are_counted_within_a_bound():
    counts = AttributeCounts()
    for number in range(5_000):
        counts.add({"status": "1", f"id{number}": "1"})
        assert len(counts._shapes) <= 1_000
    told = counts.to_json()
    assert (len(told), told["status"], sum(told.values())) == (201, 5_000, 10_000)
    assert list(told)[::200] == ["status", "…"]
    assert str(counts).startswith("status 5,000, id0 1, id1 1, ")
    assert str(counts).endswith(" and 141 more")


def test_the_counts_may_be_asked_for_at_any_time():
    counts = AttributeCounts()
    counts.add({"a": "1"})
    assert counts.to_json() == counts.to_json() == {"a": 1}
    counts.add({"a": "1", "b": "1"})
    assert counts.to_json() == {"a": 2, "b": 1}


# -- the whole --


def test_it_tells_problems_warnings_notes_and_what_would_be_sent_in_this_order():
    notes = Notes()
    preview = preview_of({"channel": "fb", "status": "1"}, notes=notes)
    preview.add_problem(RawRecord("a.csv, line 9", None), IMIconnectInvalidRecordError("a.csv, line 9", "is odd"))
    notes.add("column STATUS is not a known attribute", "a.csv, line 1")
    assert str(preview) == (
        "1 record: is odd\n    a.csv, line 9\n"
        "Warning: 1 record (Facebook) lacks psid, which the channel requires\n    a.csv, line 2\n"
        "Note: column STATUS is not a known attribute (a.csv, line 1)\n"
        "Attributes: channel 1, status 1\n"
        "Would be sent: 1 record of 2 in 1 request (Facebook 1)."
    )
    assert preview.to_json() == {
        "records": 1, "calls": 1, "channels": {"Facebook": 1}, "attributes": {"channel": 1, "status": 1},
        "lacking": {"Facebook": {"psid": {"count": 1, "first": ["a.csv, line 2"]}}}, "duplicates": {"count": 0, "first": []},
    }  # fmt: skip


def test_nothing_would_be_sent():
    preview = preview_of()
    assert str(preview) == "Would be sent: 0 records in no request."
    assert json.loads(json.dumps(preview.to_json())) == {
        "records": 0, "calls": 0, "channels": {}, "attributes": {}, "lacking": {}, "duplicates": {"count": 0, "first": []},
    }  # fmt: skip


def test_the_error_is_the_most_frequent_problem_of_a_bounded_number():
    preview = preview_of()
    for number in range(500):
        reason = "is odd" if number % 3 else f"is odd in way {number}"
        position = f"line {number}"
        preview.add_problem(RawRecord(position, None), IMIconnectInvalidRecordError(position, reason, field="x"))
    assert str(preview.error()) == "line 1: x: is odd (333 records; 500 of 500 cannot be sent)"
    assert len(preview.problems) <= 201
