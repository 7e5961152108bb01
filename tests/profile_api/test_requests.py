"""Requests as values: what they carry, and which are never made."""

import json

import pytest

from airflow_imiconnect.errors import IMIconnectRequestError
from airflow_imiconnect.profile_api.operations import CREATE, Payload, records_envelope
from airflow_imiconnect.profile_api.requests import status_request, write_request
from airflow_imiconnect.records.validation import CheckedRecord


def record(customer_id="C1", **attributes):
    return CheckedRecord("p", customer_id, attributes)


@pytest.mark.parametrize("value", ["plain", "Łódź", "\U0001f600", "\ud800", 'a"b\\c'])
def test_records_are_sent_as_ascii_json(value):
    payload = records_envelope([record("C1", name=value), record("C2")])
    expected = {
        "Records": [{"customerId": "C1", "Attributes": {"name": value}}, {"customerId": "C2", "Attributes": {}}]
    }
    assert payload == Payload(json.dumps(expected, separators=(",", ":")).encode("ascii"), "")


def test_a_request_carries_its_records_and_says_what_it_is():
    records = [record("C1", name="Ana"), record("C2", name="Bo")]
    request = write_request(CREATE, "a_1", records)
    assert (request.subject, request.records, list(request.values)) == ("create for app a_1", records, ["Ana", "Bo"])
    assert (request.is_write, request.is_test) == (True, False)
    assert json.loads(request.body)["Records"][1]["customerId"] == "C2"
    read = status_request("T1")
    assert (read.subject, read.is_write, read.is_test, list(read.values)) == ("status of T1", False, False, [])


def test_records_that_are_encoded_already_are_not_encoded_again():
    request = write_request(CREATE, "a_1", [record()], Payload(b"encoded", "?x=1"))
    assert (request.body, request.target) == (b"encoded", "/resources/v2/customerappprofile/a_1?x=1")


@pytest.mark.parametrize("count", [1, 100])
def test_as_many_records_as_there_may_be(count):
    assert len(write_request(CREATE, "a_1", [record()] * count).records) == count


@pytest.mark.parametrize("count", [0, 101])
def test_the_error_says_how_many_there_were(count):
    with pytest.raises(
        IMIconnectRequestError, match=f"^A request takes 1 to 100 records, not {count}: nothing was sent.$"
    ):
        write_request(CREATE, "a_1", [record()] * count)


@pytest.mark.parametrize(("value", "words"), [("", "is empty"), (" ", "is empty"), (None, "is empty"), (7, "is empty"), ("..", "'..' is not an id"), ("a\nb", r"'a\nb' is not an id")])  # fmt: skip
def test_the_error_says_which_id_cannot_be_one(value, words):
    with pytest.raises(IMIconnectRequestError) as caught:
        write_request(CREATE, value, [record()])
    assert str(caught.value) == f"app_id {words}: nothing was sent."
    with pytest.raises(IMIconnectRequestError) as caught:
        status_request(value)
    assert str(caught.value) == f"transid {words}: nothing was sent."


def test_an_id_that_is_long_is_shown_in_part():
    with pytest.raises(IMIconnectRequestError) as caught:
        status_request("\n" + "x" * 500)
    assert "x" * 99 in str(caught.value)
    assert "x" * 100 not in str(caught.value)
