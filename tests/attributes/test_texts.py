"""What text may contain, flags as tables write them, and values of MongoDB's Extended JSON."""

from datetime import datetime, timezone

import pytest

from airflow_imiconnect.attributes import RecordProblem, to_strings
from airflow_imiconnect.records.profile import AppProfile


@pytest.mark.parametrize("text", ["é \U0001f600", "a\tb\r\nc\x85", "\u200b", ""])
def test_text_is_sent_as_it_is(text):
    assert to_strings({"x": text}) == {"x": text}


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        ({"x": "a\0"}, "x: contains a control character (U+0000)"),
        ({"x": "\x7f"}, "x: contains a control character (U+007F)"),
        ({"x": "\x9b"}, "x: contains a control character (U+009B)"),
        ({"a": "\n", "x": "\x1b[0m"}, "x: contains a control character (U+001B)"),
        ({"x": "\ud83d"}, "x: contains an unpaired surrogate (truncated emoji?)"),
        ({"a\0": "1"}, "has an attribute whose name contains a control character (U+0000)"),
    ],
)
@pytest.mark.parametrize("more", [{}, {"number": 1}])
def test_what_cannot_be_sent_is_refused_by_name(attributes, problem, more):
    with pytest.raises(RecordProblem) as caught:
        to_strings(attributes | more)
    assert str(caught.value) == problem


@pytest.mark.parametrize(("text", "sent"), [("TRUE", "1"), ("false", "0"), (" 1 ", "1"), ("True", "1")])
def test_flags_are_sent_as_digits(text, sent):
    flags = {"status": text, "verified": text, "connectStatus": text}
    assert to_strings({**flags, "other": text}) == {**dict.fromkeys(flags, sent), "other": text}


def test_other_words_in_a_flag_are_refused_in_status_alone():
    assert to_strings({"verified": "yes"}) == {"verified": "yes"}
    with pytest.raises(RecordProblem, match="status: must be 0 or 1"):
        to_strings({"status": "yes"})


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ({"$oid": "60f6c1"}, "60f6c1"),
        ({"$numberInt": "7"}, "7"),
        ({"$numberLong": "4652750724851327"}, "4652750724851327"),
        ({"$numberDouble": "5.0"}, "5"),
        ({"$numberDecimal": "1.10"}, "1.10"),
        ({"$date": "2018-04-02T12:55:22.660+0530"}, "2018-04-02 07:25:22"),
        ({"$date": {"$numberLong": "1522653922660"}}, "2018-04-02 07:25:22"),
        ({"$date": "soon"}, "soon"),
        ({"$binary": {"base64": "AAAAAAAAAAAAAAAAAAAAAQ==", "subType": "04"}}, "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_extended_json_is_the_value_that_it_represents(value, sent):
    assert to_strings({"x": value}) == {"x": sent}


@pytest.mark.parametrize(
    "value",
    [{"$oid": 7}, {"$numberLong": "x"}, {"$date": True}, {"$binary": {"base64": "!", "subType": "04"}}, {"$regex": "x"},
     {"$oid": "1", "more": "1"}, {"$numberDouble": "1e999999999"}, {"$numberLong": "1" * 5000}],
)  # fmt: skip
def test_what_only_looks_like_extended_json_is_refused(value):
    with pytest.raises(RecordProblem, match=r"^x: is "):
        to_strings({"x": value})


def test_an_undefined_value_is_missing():
    assert to_strings({"x": {"$undefined": True}, "y": datetime(2018, 4, 2, tzinfo=timezone.utc)}) == {
        "y": "2018-04-02 00:00:00"
    }


@pytest.mark.parametrize(("text", "sent"), [("\ufeffC1\u200b", "C1"), ("\xa0C 1 ", "C 1"), ("None1", "None1")])
def test_an_id_is_trimmed_of_what_cannot_be_seen(text, sent):
    assert AppProfile.from_record({"customerId": text, "Attributes": {}}).customer_id == sent


@pytest.mark.parametrize("text", ["NULL", " nan ", "\\N", "#N/A", "None", "<NA>"])
def test_a_word_for_a_missing_value_is_no_id(text):
    with pytest.raises(RecordProblem, match="a word for a missing value"):
        AppProfile.from_record({"customerId": text, "Attributes": {}})
