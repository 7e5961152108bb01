"""What an error of a request says, and what it carries."""

import json
from dataclasses import replace

import pytest

from airflow_imiconnect.errors import (
    IMIconnectAmbiguousError,
    IMIconnectAuthenticationError,
    IMIconnectError,
    IMIconnectRateLimitError,
    IMIconnectRequestError,
    IMIconnectTransientError,
)
from airflow_imiconnect.profile_api import request_errors, requests
from airflow_imiconnect.profile_api.operations import CREATE
from airflow_imiconnect.profile_api.responses import read_receipt, read_status, read_test
from airflow_imiconnect.records.validation import CheckedRecord

WRITE = requests.write_request(
    CREATE, "a_1", [CheckedRecord("p", "C1", {"name": "Anabel", "city": "New York", "status": "1"})]
)
STATUS = requests.status_request("T1")
TEST = requests.test_request("T0", "https://x.example")


def response(body, status=200, **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return requests.Response(status, raw, headers, received_at=1_700_000_000)


def error_of(read, *arguments):
    with pytest.raises(IMIconnectError) as caught:
        read(*arguments)
    return caught.value


def write_error(body, status=200, **headers):
    return error_of(read_receipt, WRITE, response(body, status, **headers))


def status_error(body, status=200, **headers):
    return error_of(read_status, STATUS, response(body, status, **headers), "T1")


def error_of_a_test(body, status=200):
    return error_of(read_test, TEST, response(body, status), "T0")


# -- a code --


def test_it_says_what_failed_the_code_the_words_and_what_to_do():
    error = write_error({"code": "7003", "description": "mandatory parameter", "transid": "T7"}, 400)
    assert str(error) == (
        "IMIconnect create for app a_1 failed: a mandatory parameter is missing (code 7003: mandatory parameter). "
        "strict=True finds it first."
    )
    assert (type(error), error.code, error.description, error.http_status, error.transid, error.retry_after) == (
        IMIconnectRequestError, "7003", "mandatory parameter", 400, "T7", None,
    )  # fmt: skip


def test_a_missing_parameter_says_which_records_of_the_request_lack_one():
    records = [CheckedRecord("p", "C1", {"channel": "fb", "name": "Anabel"}), CheckedRecord("p", "C2", {"status": "1"})]
    request = requests.write_request(CREATE, "a_1", records)
    error = error_of(read_receipt, request, response({"code": "7003"}))
    assert str(error) == (
        "IMIconnect create for app a_1 failed: a mandatory parameter is missing (code 7003). In 1 of its 2 records required "
        "attributes are missing: C1 lacks status and psid, which Facebook requires. strict=True finds it first."
    )


def test_without_words_and_without_advice_it_says_less():
    error = status_error({"code": "7016"})
    assert str(error) == "IMIconnect status of T1 failed: unknown error (code 7016)."
    assert (type(error), error.description, error.transid) == (IMIconnectTransientError, None, "T1")


def test_an_error_of_a_write_without_a_transaction_names_none():
    assert write_error({"code": "7016"}).transid is None


@pytest.mark.parametrize(
    ("description", "is_shown"),
    [
        ("bad Ana", False), ("ANABEL is bad", False), ("bad nabel", False), ("bad york", False), ("wrong abe", True),
        ("it is an", True), ("no such thing", True), ("bad anabelle", False),
    ],
)  # fmt: skip
def test_words_that_may_quote_a_record_are_not_shown(description, is_shown):
    error = write_error({"code": "7011", "description": description})
    assert (error.description, description in str(error)) == ((description, True) if is_shown else (None, False))
    assert str(error).startswith("IMIconnect create for app a_1 failed: invalid attribute value (code 7011")
    assert "code 7011)" in str(error) or is_shown


@pytest.mark.parametrize(
    ("code", "description", "shown"),
    [("7011", "Ana is bad", None), ("7011", "Invalid value", "Invalid value"), ("7006", "Ana is bad", None)],
)
def test_a_status_shows_what_can_be_of_no_record(code, description, shown):
    assert status_error({"code": code, "description": description}).description == shown


# -- no code --


def test_a_lost_write_says_that_it_may_have_been_processed():
    error = write_error(b"<html>", 502)
    assert str(error) == (
        "IMIconnect create for app a_1 failed: server error without a code of the service (HTTP 502). "
        "The server may have processed the request. Try again later."
    )
    assert (type(error), error.code, error.http_status) == (IMIconnectAmbiguousError, None, 502)


def test_a_lost_status_does_not():
    error = status_error(b"<html>", 502)
    assert str(error) == (
        "IMIconnect status of T1 failed: server error without a code of the service (HTTP 502). Try again later."
    )
    assert (type(error), error.transid, error.http_status) == (IMIconnectTransientError, "T1", 502)


def test_what_is_no_response_of_the_service_says_so():
    error = write_error(b"hello", 200)
    assert str(error) == (
        "IMIconnect create for app a_1 failed: not a response of IMIconnect, or cut off (HTTP 200). The server may have "
        "processed the request. Check the connection's host or region."
    )


@pytest.mark.parametrize(("code", "reads_code"), [("7006", True), ("504", False), ("E420", False), ("70060", False)])
def test_a_code_of_four_digits_is_the_services_and_others_are_gateways(code, reads_code):
    assert f"code {code}" in str(write_error({"code": code}, 504)) or not reads_code
    assert ("HTTP 504" in str(write_error({"code": code}, 504))) is not reads_code
    assert f"code {code}" in str(write_error({"code": code}, 200))
    assert f"code {code}" in str(write_error({"code": code}, 400))
    assert status_error({"code": code}, 504).transid == "T1"


def test_what_is_about_something_else_is_unreadable():
    error = status_error({"code": "1000", "transid": "T2"})
    assert "status of T1 failed: the response is about another transaction. Check" in str(error)
    assert (error.http_status, error.transid) == (200, "T1")
    assert "the response names no transaction. The server may" in str(write_error({"code": "1001"}))
    others = {"code": "1000", "transid": "T2", "Results": [{"customerId": "C9", "code": "1000"}]}
    assert "the response speaks of other records than were sent (transaction T2). The server may" in str(
        write_error(others)
    )


# -- Retry-After --


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0), ("0", 0.0), ("9" * 30, 1e9), ("1000000001", 1e9), ("-7", None), ("soon", None), ("", None), ("\u0667", None),
        ("Tue, 14 Nov 2023 22:13:27 GMT", 7.0), ("Tue, 14 Nov 2023 22:13:27 -0000", 7.0), ("Tue, 14 Nov 2023 22:13:13 GMT", 0.0),
        ("Tue, 14 Nov 2023 23:13:27 +0100", 7.0), ("Tue, 99 Nov 2023 22:13:27 GMT", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["Retry-After", "retry-after"])
def test_a_retry_after_is_seconds_or_a_date(name, value, seconds):
    error = write_error({"code": "7020"}, 429, **{"X-Other": "3", name: value})
    assert (type(error), error.retry_after) == (IMIconnectRateLimitError, seconds)


# -- no response --


def test_no_response_says_whether_it_was_sent():
    assert str(request_errors.no_response(WRITE, "reset", sent=True, advice="Wait.")) == (
        "IMIconnect create for app a_1 was sent, and its response was lost: reset. The server may have processed the "
        "request. Wait."
    )
    assert str(request_errors.no_response(WRITE, "reset", sent=True)).endswith("processed the request.")
    assert str(request_errors.no_response(WRITE, "refused", sent=False, advice="Wait.")) == (
        "IMIconnect create for app a_1 got no response: refused. Wait."
    )
    assert str(request_errors.no_response(STATUS, "reset", sent=True)) == (
        "IMIconnect status of T1 got no response: reset."
    )


def test_what_cannot_be_sent_says_why():
    error = request_errors.cannot_send(WRITE, "no such host")
    assert str(error) == (
        "IMIconnect create for app a_1 could not be sent: no such host. Check the connection's host or region."
    )
    assert str(request_errors.cannot_send(WRITE, "no such host", "Ask.")).endswith("no such host. Ask.")


def test_only_a_code_about_records_may_be_one_records_fault():
    may = request_errors.may_be_one_records_fault
    assert may(IMIconnectRequestError(code="7003"))
    assert not may(IMIconnectRequestError(code="7018"))
    assert not may(IMIconnectRequestError())


# -- the test of a connection --


@pytest.mark.parametrize("body", [{"code": "7600"}, {"code": "7600", "description": "No result found", "Results": []}])
def test_an_id_that_nobody_has_has_no_result(body):
    read_test(TEST, response(body), "T0")


@pytest.mark.parametrize(
    "body",
    [
        {"code": "1000", "description": "SUCCESS"}, {"code": "1001"}, [{"code": "7600"}, {"code": "1001"}],
        {"code": "7600", "Results": [{"customerId": "C1", "code": "1000"}]},
    ],
)  # fmt: skip
def test_an_answer_about_nobodys_id_is_not_the_services(body):
    error = error_of_a_test(body, 203)
    assert str(error) == (
        "IMIconnect test of https://x.example failed: something answered about a transaction that does not exist; it may "
        "not be IMIconnect. Check the connection's host or region: something else may answer."
    )
    assert (type(error), error.http_status) == (IMIconnectRequestError, 203)


@pytest.mark.parametrize(
    ("body", "status", "kind", "ending"),
    [
        ({"code": "7001"}, 200, IMIconnectAuthenticationError, "must be that tenant's."),
        ({"code": "7012"}, 200, IMIconnectRequestError, "something else may answer."),
        ({"code": "7006"}, 200, IMIconnectTransientError, "Try again later."),
        ({"code": "7020"}, 200, IMIconnectRateLimitError, "Try again later."),
        (b"<html>", 404, IMIconnectRequestError, "something else may answer."),
        (b"<html>", 500, IMIconnectTransientError, "Try again later."),
        ({"code": "7600", "transid": "T9"}, 200, IMIconnectTransientError, "host or region."),
    ],
)
def test_a_test_that_fails_says_what_a_person_can_do(body, status, kind, ending):
    error = error_of_a_test(body, status)
    assert type(error) is kind
    assert str(error).startswith("IMIconnect test of https://x.example failed: ")
    assert str(error).endswith(ending)
    assert error.transid == "T0"


def test_a_test_asks_for_the_status_of_the_id():
    assert replace(TEST, subject="status of T0", is_test=False) == requests.status_request("T0")
    assert TEST.is_test
