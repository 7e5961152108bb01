"""What a response means for the records that its results leave out, and which words speak for them."""

import json

import pytest

from airflow_imiconnect.errors import IMIconnectError
from airflow_imiconnect.profile_api.operations import CREATE
from airflow_imiconnect.profile_api.requests import Response, status_request, write_request
from airflow_imiconnect.profile_api.responses import read_receipt, read_status
from airflow_imiconnect.records.validation import CheckedRecord

WRITE = write_request(CREATE, "a_1", [CheckedRecord("p", customer_id, {}) for customer_id in ("C1", "C2")])


def result(customer_id, code="1000", description="SUCCESS"):
    return {"customerId": customer_id, "code": code, "description": description}


def silent(customer_id, code="1000"):
    return {"customerId": customer_id, "code": code}


def response(body, status=200):
    return Response(status, json.dumps(body).encode())


def receipt(body, status=200):
    got = read_receipt(WRITE, response(body, status))
    return got.state, got.transids, [(each.customer_id, each.code) for each in got.refused]


def status(body, records=None):
    return read_status(status_request("T1"), response(body), "T1", records)


BOTH, NEITHER = [silent("C1"), silent("C2")], [result("C1", "7003"), result("C2", "7003")]


@pytest.mark.parametrize(
    ("body", "state"),
    [
        ({"code": "1000", "description": "SUCCESS", "Results": BOTH}, "finished"),
        ({"code": "1000", "description": "QUEUED", "Results": BOTH}, "queued"),
        ({"code": "1001", "description": "SUCCESS", "Results": BOTH}, "queued"),  # 1001 says nothing of a 1000
        ({"code": "1000", "description": "Done", "Results": [result("C1"), result("C2")]}, "queued"),  # contract 14
        ({"code": "1000", "description": "SUCCESS", "Results": [result("C1"), result("C2", "1001", "")]}, "queued"),
        ({"code": "1002", "description": "SUCCESS", "Results": [result("C1"), result("C2", "7003")]}, "finished"),
    ],
)
def test_a_result_without_words_of_its_own_has_those_of_its_code(body, state):
    assert receipt({"transid": "T1", **body})[0] == state


@pytest.mark.parametrize(
    ("body", "records", "state"),
    [
        ({"TotalCount": 3}, None, "succeeded"), ({"TotalCount": 0}, None, "waiting"), ({}, None, "succeeded"), ({}, 2, "succeeded"),
        ({"TotalCount": 2}, 2, "succeeded"), ({"TotalCount": 3}, 2, "waiting"), ({"TotalCount": 1}, 2, "waiting"),
        ({"TotalCount": 0}, 2, "waiting"), ({"FailureCount": 1}, None, "waiting"), ({"FailureCount": 0}, 2, "succeeded"),
        ({"TotalCount": 2, "FailureCount": 1}, 2, "waiting"),
    ],
)  # fmt: skip
def test_a_success_that_its_own_counts_contradict_is_waited_for(body, records, state):
    got = status({"code": "1000", "description": "SUCCESS", **body}, records)
    assert (got.state, got.is_open) == (state, state == "waiting")


def test_the_queue_at_the_top_counts_before_the_results():
    assert status({"code": "7600", "TotalCount": 1, "Results": [result("C1")]}).state == "waiting"
    assert (
        status({"code": "1000", "description": "QUEUED", "TotalCount": 1, "Results": [result("C1")]}).state == "waiting"
    )
    assert status({"code": "1001", "TotalCount": 1, "Results": [result("C1")]}).state == "succeeded"


def test_the_counts_of_one_of_several_statements_are_not_those_of_all():
    one = {"code": "1000", "description": "SUCCESS", "TotalCount": 1, "FailureCount": 0, "Results": [result("C1")]}
    several = status({"response": [one, one]})
    assert (several.total_count, several.failure_count, len(several.results)) == (None, None, 2)
    alone = status(one)
    assert (alone.total_count, alone.failure_count, alone.state) == (1, 0, "succeeded")


def test_a_success_of_nobody_accounts_for_no_record():
    nobody, both = {"code": "1000", "description": "SUCCESS"}, [result("C1"), result("C2")]
    assert status({"code": "1002", "Results": [nobody, *both]}, 3).unnamed_failures == {"1002": 1}
    assert status({"code": "1002", "Results": [*both, result("C3", "7003")]}, 3).unnamed_failures == {}


@pytest.mark.parametrize(("results", "records"), [(2, 2), (3, None), (0, 2)])
def test_as_many_results_as_records_are_believed(results, records):
    assert (
        status({"code": "1000", "Results": [result(f"C{number}") for number in range(results)]}, records).results
        or not results
    )


def test_more_results_than_records_are_not():
    with pytest.raises(IMIconnectError, match="names more records than were submitted"):
        status({"code": "1000", "Results": [result("C1"), result("C2")]}, 1)
    halves = [{"code": "1000", "Results": [result("C1")]}, {"code": "1000", "Results": [result("C2")]}]
    with pytest.raises(IMIconnectError, match="names more records than were submitted"):
        status({"response": halves}, 1)


@pytest.mark.parametrize(
    ("code", "is_answered"), [("7003", True), ("7014", True), ("7006", False), ("7020", False), ("7001", False)]
)
def test_a_code_that_is_of_no_record_refuses_the_whole_though_results_name_all(code, is_answered):
    body = {"code": code, "Results": NEITHER}
    if is_answered:
        assert receipt(body) == ("finished", (), [("C1", "7003"), ("C2", "7003")])
    else:
        with pytest.raises(IMIconnectError):
            receipt(body)


@pytest.mark.parametrize(
    ("body", "http_status", "expected"),
    [
        ({"code": "1000", "description": "SUCCESS", "transid": "T1"}, 200, ("finished", ("T1",), [])),
        ({"code": "1000", "description": "SUCCESS", "transid": "T1"}, 202, ("queued", ("T1",), [])),
        ({"code": "1000", "description": "SUCCESS"}, 202, ("finished", (), [])),
        ({"code": "1002", "transid": "T1", "Results": NEITHER}, 202, ("finished", ("T1",), [("C1", "7003"), ("C2", "7003")])),
        ([{"code": "1001", "transid": "T1"}, {"code": "1001", "transid": "T1"}], 200, ("queued", ("T1",), [])),
        ([{"code": "1001", "transid": "T1"}, {"code": "7003"}], 200, ("queued", ("T1",), [("", "7003")])),
        ([{"code": "7003"}, {"code": "1001", "transid": "T1"}], 200, ("queued", ("T1",), [("", "7003")])),
    ],
)  # fmt: skip
def test_what_is_left_to_wait_for(body, http_status, expected):
    assert receipt(body, http_status) == expected


def test_a_success_of_some_without_a_transaction_tells_nothing_of_the_others():
    with pytest.raises(IMIconnectError, match="names no transaction"):
        receipt({"code": "1000", "description": "SUCCESS", "Results": [result("C1")]})
    assert receipt({"code": "1002", "Results": [result("C1")]}) == ("finished", (), [("", "1002")])
