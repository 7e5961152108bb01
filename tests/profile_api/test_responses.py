"""The protocol is tested with values alone: the contract's tables, row by row."""

import json
import os
import time
from functools import partial
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_imiconnect.errors import (
    IMIconnectAmbiguousError,
    IMIconnectAuthenticationError,
    IMIconnectError,
    IMIconnectRateLimitError,
    IMIconnectRequestError,
    IMIconnectTransientError,
)
from airflow_imiconnect.profile_api import request_errors
from airflow_imiconnect.profile_api.bodies import read_bodies
from airflow_imiconnect.profile_api.codes import CODES
from airflow_imiconnect.profile_api.operations import CREATE
from airflow_imiconnect.profile_api.requests import Response, status_request, write_request
from airflow_imiconnect.profile_api.responses import read_receipt, read_status
from airflow_imiconnect.profile_api.results import Receipt, RecordResult, TransactionStatus

T1 = "5f1c0d0e-0000-4000-8000-000000000001"


class Sent(NamedTuple):
    customer_id: str
    attributes: dict


def write_of(*customer_ids, **attributes):
    return write_request(CREATE, "a_1", [Sent(customer_id, attributes) for customer_id in customer_ids])


WRITE = write_of("C1", "C2")
STATUS = status_request(T1)


def answer(body, status=200, **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, raw, {k.replace("_", "-"): v for k, v in headers.items()}, received_at=1_700_000_000)


def receipt(body, status=200, *, of=WRITE, **headers):
    return read_receipt(of, answer(body, status, **headers))


def status(body, http_status=200):
    return read_status(STATUS, answer(body, http_status), T1)


def result(customer_id, code="1000", description="QUEUED"):
    return {"customerId": customer_id, "code": code, "description": description}


# -- calls (contract 3) --


def test_calls_are_the_contracts():
    body = b'{"Records":[{"customerId":"C1","Attributes":{"status":"1"}}]}'
    write = write_of("C1", status="1")
    assert (write.method, write.target, write.body) == ("POST", "/resources/v2/customerappprofile/a_1", body)
    assert (STATUS.method, STATUS.target, STATUS.body) == ("GET", f"/resources/v2/profile/status/{T1}", None)


def test_ids_cannot_leave_their_place_in_the_path():
    records = WRITE.records
    assert write_request(CREATE, "../x?y#z/ä", records).target.endswith("/..%2Fx%3Fy%23z%2F%C3%A4")
    for bad in ("", "  ", ".", "..", "a\x00b", "a\nb"):
        with pytest.raises(IMIconnectRequestError, match="nothing was sent"):
            status_request(bad)
        with pytest.raises(IMIconnectRequestError, match="nothing was sent"):
            write_request(CREATE, bad, records)


@pytest.mark.parametrize("count", [0, 101])
def test_a_request_takes_1_to_100_records(count):
    with pytest.raises(IMIconnectRequestError, match="1 to 100 records"):
        write_of(*map(str, range(count)))


# -- accepted (contract 5) --


def test_the_seeds_shape_is_queued():
    assert receipt({"response": {"code": "1001", "description": "Queued", "transid": T1}}) == Receipt((T1,), "queued")


def test_the_seeds_shape_may_be_a_list():
    item = {"code": "1001", "description": "Queued", "transid": T1}
    assert receipt({"response": [item]}) == Receipt((T1,), "queued")
    several = receipt({"response": [item, item | {"transid": "T2"}]})
    assert several.transids == (T1, "T2")


def test_todays_shape_is_queued_with_results():
    body = {
        "code": "1000",
        "description": "QUEUED",
        "transid": T1,
        "TotalCount": 2,
        "SuccessCount": 1,
        "FailureCount": 1,
        "Results": [result("C1"), result("C2")],
    }
    got = receipt(body, 202)
    assert (got.transid, got.state, got.refused) == (T1, "queued", ())
    assert got.results[1] == RecordResult("C2", "1000", "QUEUED")


def test_success_is_finished():
    assert receipt({"code": "1000", "description": "SUCCESS", "transid": T1}).state == "finished"
    with_results = {
        "code": "1000",
        "description": "SUCCESS",
        "transid": T1,
        "Results": [result("C1", description="SUCCESS")],
    }
    assert receipt(with_results, of=write_of("C1")).state == "finished"
    without_id = receipt({"code": "1000", "description": "SUCCESS"})
    assert (without_id.state, without_id.transids) == ("finished", ())


def test_http_202_is_never_finished():
    assert receipt({"code": "1000", "description": "SUCCESS", "transid": T1}, 202).state == "queued"


@pytest.mark.parametrize("description", ["Partial success", "", "PARTIAL SUCCESS"])
def test_partial_success_takes_some_and_refuses_some(description):
    got = receipt(
        {
            "code": "1002",
            "description": description,
            "transid": T1,
            "Results": [result("C1"), result("C2", "7015", "customer already exists")],
        }
    )
    assert (got.state, [r.customer_id for r in got.refused]) == ("queued", ["C2"])


def test_partial_success_with_every_record_refused_leaves_nothing_to_wait_for():
    got = receipt(
        {"code": "1002", "description": "Partial success", "transid": T1, "Results": [result("C1", "7015", "x")]},
        202,
        of=write_of("C1"),
    )
    assert (got.state, len(got.refused)) == ("finished", 1)


def test_partial_success_without_results_is_asked_about():
    assert receipt({"code": "1002", "description": "Partial success", "transid": T1}) == Receipt((T1,), "queued")


def test_results_are_believed_before_the_code_and_the_counts():
    got = receipt(
        {
            "code": "7015",
            "description": "exists",
            "transid": T1,
            "TotalCount": 2,
            "FailureCount": 2,
            "Results": [result("C1"), result("C2", "7015", "exists")],
        }
    )
    assert (got.state, len(got.refused)) == ("queued", 1)


def test_a_number_is_a_code_too():
    assert receipt({"code": 1001, "description": "Queued", "transid": T1}) == Receipt((T1,), "queued")


def test_queued_without_a_transaction_is_ambiguous():
    with pytest.raises(IMIconnectAmbiguousError, match="names no transaction"):
        receipt({"code": "1001", "description": "Queued"})


def test_a_list_that_accepts_and_refuses_keeps_the_transaction_and_shows_the_refusal():
    got = receipt({"response": [{"code": "1001", "transid": T1}, {"code": "7015", "description": "exists"}]})
    assert (got.transids, got.state, got.refused) == ((T1,), "queued", (RecordResult("", "7015", "exists"),))


def test_results_are_believed_before_a_code_that_says_try_again():
    assert receipt({"code": "7006", "transid": T1, "Results": [result("C1")]}).transids == (T1,)
    with pytest.raises(IMIconnectTransientError):
        receipt({"code": "7006", "transid": T1, "Results": [result("C1", "7006", "x")]})


def test_queued_wins_over_success_in_the_words():
    assert receipt({"code": "1000", "description": "Successfully queued", "transid": T1}).state == "queued"


def test_a_list_that_does_not_account_for_all_records_is_waited_for():
    done = [
        {"code": "1000", "description": "SUCCESS", "transid": T1, "Results": [result(one, description="SUCCESS")]}
        for one in ("C1", "C2")
    ]
    assert receipt(done, of=write_of("C1", "C2")).state == "finished"
    assert receipt(done, of=write_of("C1", "C2", "C3")).state == "queued"


@pytest.mark.parametrize("marks", [1, 2, 1000])
def test_a_body_of_byte_order_marks_and_escapes_costs_no_time_to_speak_of(marks):
    body = b"\xef\xbb\xbf" * marks
    body += b"\\n" * ((256 * 1024 - len(body)) // 2)
    started = time.process_time()
    assert read_bodies(body) == ()
    assert time.process_time() - started < 1  # it took 90 ms for each mark


def test_an_unpaired_surrogate_is_replaced():
    (body,) = read_bodies(b'\xef\xbb\xbf{"code": 1000, "description": "a\\ud800b\\ud83d\\ude00", "TotalCount": 2}')
    assert (body.code, body.description, body.total_count) == ("1000", "a\ufffdb\U0001f600", 2)


def test_an_id_comes_back_as_it_was_sent():
    body = {"code": "1000", "description": "QUEUED", "transid": T1, "Results": [result("C  1 \t", "7015", "x")]}
    assert receipt(body, of=write_of("C  1 \t")).refused[0].customer_id == "C  1 \t"


def test_a_description_never_repeats_the_key_however_it_is_written():
    body = b'{"code": "7001", "description": "bad key ab\\/cd\\u002dSECRET"}'
    with pytest.raises(IMIconnectAuthenticationError) as caught:
        read_receipt(WRITE, Response(200, body, hide="ab/cd-SECRET"))
    assert caught.value.description == "bad key ***"


@pytest.mark.parametrize("quoted", ["Ana Lopez", "ANA LOPEZ", "lopez", "Ana Lop", "Lopez-Garcia"])
@pytest.mark.parametrize("code", ["7003", "7006", "7011", "9999"])
def test_no_message_and_no_error_quotes_a_record_in_part_or_in_another_case(code, quoted):
    of = write_of("C1", name="Ana Lopez-Garcia", city="Rome")
    with pytest.raises(IMIconnectError) as caught:
        receipt({"code": code, "description": f"wrong value {quoted} for name"}, of=of)
    assert not any("lop" in str(item).casefold() for item in (caught.value, *vars(caught.value).values()))
    with pytest.raises(IMIconnectError, match="a clear reason"):
        receipt({"code": code, "description": "a clear reason"}, of=of)


KEY = "ab/cd-SECRET"


@pytest.mark.parametrize(
    "quoted", ["447700900123", "0044-7700-900123", "AnaLopez", "lopezana", "ana_lopez", KEY.upper(), KEY[1:], KEY[:-1]]
)
@pytest.mark.parametrize("code", ["7011", "9999"])
def test_no_message_quotes_a_value_or_the_key_written_in_another_way(code, quoted):
    of = write_of("C1", first="Ana", last="Lopez", phone="+44 7700 900123")
    body = json.dumps({"code": code, "description": f"wrong value {quoted}"}).encode()
    with pytest.raises(IMIconnectError) as caught:
        read_receipt(of, Response(200, body, hide=KEY))
    assert caught.value.description is None
    assert quoted not in str(caught.value)


@pytest.mark.parametrize("code", ["7014", "7999"])
def test_the_error_of_a_status_has_no_words_but_the_tables(code):
    with pytest.raises(IMIconnectError) as caught:
        status({"code": code, "description": "no profile of Jane Doe"})
    assert (caught.value.description, "Jane" in str(caught.value)) == (None, False)


def test_results_name_the_customers_as_they_were_sent():
    body = {"code": "1002", "transid": T1, "Results": [result("c0 ", "7003"), result("C1"), result(" C2")]}
    got = receipt(body, of=write_of("C0", "c1", "C1", "c2"))
    assert [one.customer_id for one in got.results[:3]] == ["C0", "C1", "c2"]


@pytest.mark.parametrize("transid", [KEY, f"x{KEY}x", "a\nb", "a\x1b[31m", "x" * 900_000, "x" * 201, "..", "\ud800"])
def test_a_transid_is_short_and_printable_and_not_the_key(transid):
    body = json.dumps({"code": "1001", "description": "Queued", "transid": transid}).encode()
    with pytest.raises(IMIconnectAmbiguousError, match="names no transaction") as caught:
        read_receipt(WRITE, Response(200, body, hide=KEY))
    assert len(str(caught.value)) < 300
    assert "SECRET" not in str(vars(caught.value))


def test_a_customer_id_never_repeats_the_key():
    body = {"code": "1002", "description": "x", "transid": T1, "Results": [result(KEY, "7003", KEY), result("C1")]}
    got = read_status(STATUS, Response(200, json.dumps(body).encode(), hide=KEY), T1)
    assert KEY not in str(got)
    assert len(got.failed) == 1


# -- whether a response is to this request (contract 5) --


@pytest.mark.parametrize(
    "body",
    [
        {"code": "1000", "description": "QUEUED", "transid": T1, "Results": [result("C9")]},
        {"code": "1000", "description": "QUEUED", "transid": T1, "Results": [result("C1"), result("C1")]},
        {"code": "1000", "description": "QUEUED", "transid": T1, "Results": [result("C1"), result("C2"), result("")]},
        {"code": "1000", "description": "QUEUED", "transid": T1, "TotalCount": 60},
        {"code": "1000", "description": "SUCCESS", "TotalCount": 1},
        {"code": "7003", "Results": [result("C9", "7003", "x"), result("C2", "7003", "x")]},
    ],
)
def test_a_response_about_other_records_is_not_believed(body):
    with pytest.raises(IMIconnectAmbiguousError, match="other records than were sent"):
        receipt(body)


@pytest.mark.parametrize(
    "body",
    [
        {"code": "1000", "description": "QUEUED", "transid": T1, "TotalCount": 1, "FailureCount": 1, "Results": [result("C1"), result("C2")]},
        {"code": "1000", "description": "QUEUED", "transid": T1, "TotalCount": 0},
        {"code": "1000", "description": "QUEUED", "transid": T1, "Results": [result(" c1 "), result("C2")]},
        {"code": "1000", "description": "QUEUED", "transid": T1, "TotalCount": 2},
    ],
)  # fmt: skip
def test_counts_that_contradict_results_and_ids_in_another_case_are_no_reason(body):
    assert receipt(body).state == "queued"


@pytest.mark.parametrize(
    "body",
    [
        {"code": "1000", "description": "SUCCESS", "transid": "another"},
        {
            "code": "1000",
            "description": "SUCCESS",
            "Results": [result(f"C{n}", description="SUCCESS") for n in range(4)],
        },
    ],
)
def test_a_status_about_another_transaction_or_too_many_records_is_not_an_outcome(body):
    with pytest.raises(IMIconnectTransientError):
        read_status(STATUS, answer(body), T1, 3)


@pytest.mark.parametrize(
    ("body", "state", "unnamed"),
    [
        ({"code": "1002", "Results": [result("C1", description="SUCCESS")]}, "partial", {"1002": 2}),
        ({"code": "1000", "description": "SUCCESS", "Results": [result("C1", description="SUCCESS")]}, "waiting", {}),
        ({"code": "1000", "description": "SUCCESS", "TotalCount": 0}, "waiting", {}),
        ({"code": "1000", "description": "SUCCESS", "TotalCount": 2}, "waiting", {}),
        ({"code": "1000", "description": "FAILED"}, "waiting", {}),
        ({"code": "1000", "description": "IN PROGRESS"}, "waiting", {}),
        ({"code": "1000", "description": "SUCCESS", "TotalCount": 3, "FailureCount": 3}, "waiting", {}),
        ({"code": "1000", "description": "SUCCESS", "Results": [result("", description="SUCCESS")] * 3}, "waiting", {}),
        ({"code": "1000", "description": "SUCCESS", "TotalCount": 3, "SuccessCount": 1}, "waiting", {}),
        ({"code": "1000", "description": "SUCCESS", "SuccessCount": 0}, "waiting", {}),
        ({"code": "1000", "description": "SUCCESS", "TotalCount": 3, "FailureCount": "3.0"}, "waiting", {}),
        ({"code": "1000", "description": "SUCCESS", "TotalCount": 3, "FailureCount": " 3 "}, "waiting", {}),
        ({"code": "1000", "description": "SUCCESS", "TotalCount": 3, "FailureCount": True}, "waiting", {}),
        ({"code": "1000", "description": "SUCCESS", "TotalCount": "many"}, "waiting", {}),
        ({"code": "1000", "description": "SUCCESS, CREATION FAILED"}, "waiting", {}),
        ({"code": "1000", "description": "SUCCESS", "TotalCount": 3.0, "SuccessCount": "3", "FailureCount": 0}, "succeeded", {}),
        ([{"code": "1000", "description": "SUCCESS", "TotalCount": 1}, {"code": "1000", "description": "SUCCESS", "TotalCount": 1}], "waiting", {}),
        ([{"code": "1000", "description": "SUCCESS", "TotalCount": 1}, {"code": "1000", "description": "SUCCESS", "TotalCount": 2}], "succeeded", {}),
        ([{"code": "1000", "description": "SUCCESS"}, {"code": "1000", "description": "SUCCESS"}], "waiting", {}),
        ([{"code": "1000", "description": "SUCCESS", "Results": [result("C1", description="SUCCESS")]}] * 2, "waiting", {}),
        ({"code": "1000", "description": "SUCCESS"}, "succeeded", {}),
        ({"code": "1000", "description": "SUCCESS", "TotalCount": 3, "SuccessCount": 3, "FailureCount": 0}, "succeeded", {}),
    ],
)  # fmt: skip
def test_no_record_is_a_success_that_the_status_does_not_account_for(body, state, unnamed):
    got = read_status(STATUS, answer(body), T1, 3)
    assert (got.state, got.unnamed_failures, got.is_open) == (state, unnamed, state == "waiting")


@pytest.mark.parametrize("body", [{"code": "7600"}, {"code": "1000", "description": "QUEUED", "transid": T1}])
def test_what_is_in_the_queue_is_not_open(body):
    assert not status(body).is_open


@pytest.mark.parametrize("body", [{"code": "1002", "Results": [result("C1", description="SUCCESS")]}, {"code": "1002"}])
def test_1002_without_a_failed_record_and_without_a_count_is_never_a_success(body):
    assert status(body).state == "partial"


def test_no_text_form_shows_a_body():
    call = write_of("planted", name="planted")
    assert "planted" not in repr(call) + repr(Response(200, b"planted", {"x": "planted"}, hide="planted"))


# -- the code table (contract 6) --

CONTRACT_READINGS = {
    "permanent": IMIconnectRequestError,
    "try again": IMIconnectTransientError,
    "try again, slower": IMIconnectRateLimitError,
    "permanent, unless we may have created it ourselves": IMIconnectRequestError,
}
AUTHENTICATION = {"7001", "7002", "7010", "7208"}
ROWS = [
    ("7000", "permanent"), ("7001", "permanent"), ("7002", "permanent"), ("7003", "permanent"), ("7006", "try again"),
    ("7010", "permanent"), ("7011", "permanent"), ("7012", "permanent"), ("7013", "permanent"), ("7014", "permanent"),
    ("7015", "permanent, unless we may have created it ourselves"), ("7016", "try again"), ("7017", "permanent"),
    ("7018", "permanent"), ("7019", "try again"), ("7020", "try again, slower"), ("7203", "permanent"),
    ("7208", "permanent"), ("9999", "permanent"), ("7600", "permanent"),
]  # fmt: skip


@pytest.mark.parametrize("http_status", [200, 202, 400, 401, 500, 503])
@pytest.mark.parametrize(("code", "reading"), ROWS)
def test_a_code_is_judged_before_the_http_status(code, reading, http_status):
    with pytest.raises(IMIconnectError) as caught:
        receipt({"code": code, "description": "the vendor's words"}, http_status)
    error = caught.value
    assert type(error) is (IMIconnectAuthenticationError if code in AUTHENTICATION else CONTRACT_READINGS[reading])
    assert (error.code, error.description, error.http_status) == (code, "the vendor's words", http_status)
    assert code in str(error)
    assert "the vendor's words" in str(error)


@pytest.mark.parametrize(("code", "reading"), [row for row in ROWS if row[0] != "7600"])
def test_the_status_call_reads_the_same_table(code, reading):
    with pytest.raises(IMIconnectError) as caught:
        status({"code": code, "description": "x"})
    assert type(caught.value) is (
        IMIconnectAuthenticationError if code in AUTHENTICATION else CONTRACT_READINGS[reading]
    )
    assert caught.value.transid == T1


def test_the_table_in_the_code_has_every_row_of_the_contract_and_no_other():
    documented = {row[0] for row in ROWS} - {"9999"} | {"1000", "1001", "1002"}
    assert set(CODES) == documented


# -- no readable code (contract 6, last paragraph) --

NO_CODE = [b"", b"<html>502</html>", b"[1, 2, 3]", b'"text"', b"{}", b'{"code": null}', b'{"code": ["1000"]}', b'{"code": true}',
           b'{"response": {}}', b'{"code": "1000", "Results": 3}', b'{"code": "1000", "Results": [7]}', b"[" * 100_000,
           b'{"code": "1000", "transid": {"a": 1}}', b'{"code": "1000", "Results": [{"customerId": "1"}]}', b"\xff\xfe{",
           b'{"code": 1' + b"0" * 5000 + b"}"]  # fmt: skip
HTTP_ROWS = [
    (401, IMIconnectAuthenticationError, IMIconnectAuthenticationError),
    (403, IMIconnectAuthenticationError, IMIconnectAuthenticationError),
    (408, IMIconnectTransientError, IMIconnectTransientError),
    (425, IMIconnectTransientError, IMIconnectTransientError),
    (429, IMIconnectRateLimitError, IMIconnectRateLimitError),
    (500, IMIconnectAmbiguousError, IMIconnectTransientError),
    (502, IMIconnectAmbiguousError, IMIconnectTransientError),
    (599, IMIconnectAmbiguousError, IMIconnectTransientError),
    (301, IMIconnectRequestError, IMIconnectRequestError),
    (307, IMIconnectRequestError, IMIconnectRequestError),
    (400, IMIconnectRequestError, IMIconnectRequestError),
    (404, IMIconnectRequestError, IMIconnectRequestError),
    (200, IMIconnectAmbiguousError, IMIconnectTransientError),
    (202, IMIconnectAmbiguousError, IMIconnectTransientError),
]  # fmt: skip


@pytest.mark.parametrize("body", NO_CODE, ids=lambda body: repr(body[:20]).replace("\\", ""))
@pytest.mark.parametrize(("http_status", "of_write", "of_read"), HTTP_ROWS)
def test_without_a_code_the_http_status_counts(body, http_status, of_write, of_read):
    with pytest.raises(IMIconnectError) as caught:
        receipt(body, http_status)
    assert type(caught.value) is of_write
    assert caught.value.http_status == http_status
    assert ("may have processed" in str(caught.value)) == (of_write is IMIconnectAmbiguousError)
    with pytest.raises(IMIconnectError) as caught:
        status(body, http_status)
    assert type(caught.value) is of_read


def test_a_redirect_says_that_it_is_not_followed():
    with pytest.raises(IMIconnectRequestError, match="never followed"):
        receipt(b"", 307)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), (" 7 ", 7.0), ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0), ("Tue, 14 Nov 2023 22:13:00 GMT", 0.0),
     ("soon", None), ("-3", None), ("", None), ("٣", None)],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(header, seconds):
    with pytest.raises(IMIconnectTransientError) as caught:
        receipt(b"", 429, retry_after=header)
    assert caught.value.retry_after == seconds


# -- status (contract 5) --


@pytest.mark.parametrize(
    ("body", "state", "failed"),
    [
        ({"code": "7600", "description": "No result found"}, "waiting", []),
        ({"code": "7600", "description": "no result", "transid": T1, "Results": []}, "waiting", []),
        ({"code": "1000", "description": "QUEUED"}, "waiting", []),
        ({"code": "1001", "description": "Queued"}, "waiting", []),
        ({"code": "1001"}, "waiting", []),
        ({"response": {"code": "1001", "description": "Queued"}}, "waiting", []),
        ({"code": "1000", "description": "SUCCESS"}, "succeeded", []),
        ({"code": "1000"}, "succeeded", []),
        ({"code": "1000", "description": "SUCCESS", "Results": [result("C1", description="SUCCESS")]}, "succeeded", []),
        ({"code": "1000", "description": "SUCCESS", "Results": [result("C1", "7015", "exists")]}, "partial", ["C1"]),
        ({"code": "1000", "description": "SUCCESS", "Results": [result("C1")]}, "waiting", []),
        ({"code": "1000", "description": "QUEUED", "Results": [{"customerId": "C1", "code": "1000"}]}, "waiting", []),
        ({"code": "1002", "description": "Partial success"}, "partial", []),
        ({"code": "1002", "Results": [result("C1", description="SUCCESS"), result("C2", "7003", "x")]}, "partial", ["C2"]),
        ({"code": "1002", "Results": [result("C1", "7015", "x")], "SuccessCount": 0}, "partial", ["C1"]),
        ({"code": "1002", "FailureCount": 1, "Results": [result("C1", description="SUCCESS")]}, "partial", []),
        ({"code": "1002", "Results": [result("C1"), result("C2", "7003", "x")]}, "waiting", ["C2"]),
        ({"code": "7015", "Results": [result("C1", "7015", "x")]}, "partial", ["C1"]),
        ({"code": "1000", "FailureCount": 1, "TotalCount": 1, "Results": [result("C1", description="SUCCESS")]}, "succeeded", []),
        ({"response": [{"code": "1000", "description": "SUCCESS"}, {"code": "1001", "description": "Queued"}]}, "waiting", []),
    ],
)  # fmt: skip
def test_status_readings(body, state, failed):
    got = status(body)
    assert (got.transid, got.state, [r.customer_id for r in got.failed]) == (T1, state, failed)


def test_counts_are_kept_for_display():
    got = status({"code": "1002", "TotalCount": 5, "FailureCount": "2"})
    assert (got.total_count, got.failure_count) == (5, 2)


# -- no answer --


@pytest.mark.parametrize(
    ("call", "sent", "expected"),
    [(WRITE, True, IMIconnectAmbiguousError), (WRITE, False, IMIconnectTransientError),
     (STATUS, True, IMIconnectTransientError), (STATUS, False, IMIconnectTransientError)],
)  # fmt: skip
def test_only_a_write_that_was_sent_is_ambiguous(call, sent, expected):
    assert type(request_errors.no_response(call, "reset", sent=sent)) is expected


def test_a_description_cannot_forge_or_flood_a_log():
    with pytest.raises(IMIconnectError) as caught:
        receipt({"code": "7016", "description": "a\nCRITICAL b\x1b[31m" + "x" * 10_000})
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 500


# -- anything at all --

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(list(CODES)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["code", "description", "transid", "Results", "response", "customerId", "x"]), inner
        )
    ),
    max_leaves=12,
)
BODIES = st.binary(max_size=64) | JSON.map(lambda value: json.dumps(value).encode())


HEADERS = st.dictionaries(st.just("Retry-After"), st.text())
ANSWERS = st.lists(st.builds(Response, st.integers(100, 600), BODIES, HEADERS), min_size=10, max_size=10)


@settings(max_examples=10_500 if os.environ.get("IMICONNECT_TESTS") == "long" else 60, deadline=None)
@given(answers=ANSWERS)  # ten at a time, which takes half as long as one by one
def test_only_typed_values_or_our_errors_come_out(answers):
    for got in answers:
        for read, kind in (
            (partial(read_receipt, WRITE, got), Receipt),
            (partial(read_status, STATUS, got, T1), TransactionStatus),
        ):
            try:
                value = read()
            except IMIconnectError as error:
                assert str(error)  # noqa: PT017 - either way is right, and both are looked at
            else:
                assert isinstance(value, kind)
                assert all(isinstance(item, RecordResult) for item in value.results)


# -- what Results do not name (contract 5) --


def receipt_of_two(body, http_status=200):
    return receipt(body, http_status)


DONE = result("C1", description="SUCCESS")
EXISTS = result("C1", "7015", "exists")


@pytest.mark.parametrize(
    ("body", "http_status", "state", "refused"),
    [
        ({"code": "1000", "description": "QUEUED", "transid": T1, "Results": [DONE]}, 202, "queued", []),
        ({"code": "1000", "description": "QUEUED", "transid": T1, "Results": [DONE]}, 200, "queued", []),
        ({"code": "1000", "description": "SUCCESS", "transid": T1, "Results": [DONE]}, 202, "queued", []),
        ({"code": "1000", "description": "SUCCESS", "transid": T1, "Results": [DONE]}, 200, "queued", []),
        ({"code": "1002", "transid": T1, "Results": [DONE]}, 200, "queued", []),
        ({"code": "1002", "Results": [DONE]}, 200, "finished", [("", "1002")]),
        ({"code": "1002", "transid": T1, "Results": [result("C1", "7003", "x")]}, 202, "queued", [("C1", "7003")]),
        ({"code": "7003", "Results": [DONE]}, 200, "finished", [("", "7003")]),
        ({"code": "7006", "transid": T1, "Results": [result("C1")]}, 200, "queued", [("", "7006")]),
        ({"code": "1002", "Results": [DONE, result("C2", description="SUCCESS")]}, 200, "finished", []),
    ],
)  # fmt: skip
def test_a_record_that_the_results_do_not_name_is_never_taken_for_created(body, http_status, state, refused):
    got = receipt_of_two(body, http_status)
    assert (got.state, [(r.customer_id, r.code) for r in got.refused]) == (state, refused)


@pytest.mark.parametrize(
    ("body", "state", "unnamed"),
    [
        ({"code": "1000", "description": "QUEUED", "TotalCount": 2, "Results": [DONE]}, "waiting", {}),
        ({"code": "1001", "description": "Queued", "Results": [DONE]}, "waiting", {}),
        ({"code": "1002"}, "partial", {"1002": 1}),
        ({"code": "1002", "TotalCount": 0, "FailureCount": 0}, "partial", {"1002": 1}),
        ({"code": "1002", "TotalCount": 7, "FailureCount": 3}, "partial", {"1002": 7}),
        ({"code": "1002", "TotalCount": 2, "Results": [DONE]}, "partial", {"1002": 1}),
        ({"code": "1002", "TotalCount": 3, "FailureCount": 2, "Results": [DONE]}, "partial", {"1002": 2}),
        ({"code": "1002", "TotalCount": 3, "FailureCount": 3, "Results": [EXISTS]}, "partial", {"1002": 2}),
        ({"code": "1002", "TotalCount": 3, "FailureCount": 1, "Results": [EXISTS]}, "partial", {"1002": 2}),
        ({"code": "1002", "TotalCount": 3, "Results": [EXISTS]}, "partial", {"1002": 2}),
        ({"code": "1002", "FailureCount": 3, "Results": [DONE]}, "partial", {"1002": 3}),
        ({"code": "1000", "description": "SUCCESS", "TotalCount": 2, "Results": [DONE]}, "waiting", {}),
        ({"code": "7014", "TotalCount": 2, "FailureCount": 1, "Results": [DONE]}, "partial", {"7014": 1}),
        ({"code": "7014", "TotalCount": 9, "Results": [DONE, EXISTS]}, "partial", {"7014": 7}),
        ({"code": "9999", "Results": [DONE]}, "partial", {"9999": 1}),
        ({"code": "7014", "Results": [EXISTS]}, "partial", {}),
        ({"code": "7014", "TotalCount": 1, "Results": [DONE]}, "succeeded", {}),
        ({"code": "7006", "TotalCount": 1, "Results": [DONE]}, "succeeded", {}),
    ],
)  # fmt: skip
def test_a_status_that_names_fewer_records_than_it_counts(body, state, unnamed):
    got = status(body)
    assert (got.state, got.unnamed_failures) == (state, unnamed)


@pytest.mark.parametrize("counts", [{}, {"TotalCount": 2}])
def test_a_code_for_another_try_counts_where_results_name_not_all(counts):
    with pytest.raises(IMIconnectTransientError):
        status({"code": "7006", "description": "Internal error", "Results": [DONE], **counts})


@pytest.mark.parametrize(
    ("body", "state"),
    [
        ({"code": "1001", "description": "Accepted"}, "waiting"),
        ({"code": "1001", "description": "SUCCESS"}, "succeeded"),
        ({"code": "1001", "Results": [result("C1", "1001", "")]}, "waiting"),
        ({"code": "1000", "Results": [result("C1", "1001", "Accepted"), DONE]}, "waiting"),
        ({"code": "1001", "Results": [DONE]}, "succeeded"),
    ],
)
def test_1001_is_queued_whatever_its_words_but_success(body, state):
    assert status(body).state == state


@pytest.mark.parametrize("code", [504, "101504", "900800", "E42"])
@pytest.mark.parametrize(
    ("http_status", "of_write"), [(504, IMIconnectAmbiguousError), (429, IMIconnectRateLimitError)]
)
def test_a_gateways_own_code_does_not_make_its_error_permanent(code, http_status, of_write):
    body = {"code": code, "description": "Send timeout"}
    with pytest.raises(of_write):
        receipt(body, http_status)
    with pytest.raises(IMIconnectTransientError):
        status(body, http_status)
    with pytest.raises(IMIconnectRequestError):
        receipt(body, 200)
