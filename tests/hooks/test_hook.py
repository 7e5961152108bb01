"""The hook talks to a real server on a real socket."""

import gzip
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException
from support.servers import raw_server
from support.stand_ins import APP, KEY, record, records

from airflow_imiconnect.attributes import TwitterAttributes
from airflow_imiconnect.errors import (
    IMIconnectAmbiguousError,
    IMIconnectAuthenticationError,
    IMIconnectError,
    IMIconnectInvalidRecordError,
    IMIconnectRequestError,
    IMIconnectTransientError,
)
from airflow_imiconnect.hooks import IMIconnectHook, Settings
from airflow_imiconnect.provider_info import extra_fields
from airflow_imiconnect.records.profile import AppProfile

SECRET = "planted-value"


@pytest.fixture
def hook():
    hook = IMIconnectHook()
    yield hook
    hook.close()


# -- one call --


@pytest.mark.parametrize("shape", ["results", "seed"])
def test_create_and_status(simulator, hook, shape):
    sim = simulator(shape=shape)
    receipt = hook.create_app_profiles(
        APP, [record(1), AppProfile(customer_id="C2", attributes=TwitterAttributes(status=1))]
    )
    assert receipt.state == "queued"
    status = hook.get_profile_status(receipt.transid)
    assert (status.state, [r.customer_id for r in status.results]) == ("succeeded", ["C1", "C2"])
    assert sim.profiles[APP]["C2", ""] == {"status": "1", "channel": "twitter"}
    assert [call.kind for call in sim.calls] == ["create", "status"]


def test_a_call_that_is_done_at_once(simulator, hook):
    simulator(queue_time=None)
    assert hook.create_app_profiles(APP, [record(1)]).state == "finished"
    again = hook.create_app_profiles(APP, [record(1), record(2)])
    assert [(r.customer_id, r.code) for r in again.refused] == [("C1", "7015")]


def test_an_unknown_transid_is_waiting(sim, hook):
    assert hook.get_profile_status("no-such-id").state == "waiting"


def test_queued_work_is_waiting_and_then_done(simulator, hook):
    simulator(queue_time=0.4)
    transid = hook.create_app_profiles(APP, [record(1)]).transid
    states = [hook.get_profile_status(transid).state]
    while states[-1] == "waiting":
        states.append(hook.get_profile_status(transid).state)
    assert len(states) > 1
    assert states[-1] == "succeeded"


@pytest.mark.parametrize("count", [0, 101])
def test_too_few_and_too_many_records_are_not_sent(sim, hook, count):
    with pytest.raises(IMIconnectRequestError, match="nothing was sent"):
        hook.create_app_profiles(APP, records(count))
    assert not sim.calls


def test_an_invalid_record_is_not_sent(sim, hook):
    with pytest.raises(IMIconnectInvalidRecordError, match=r"^records\[1\]: Attributes.x: is an object"):
        hook.create_app_profiles(APP, [record(1), record(2, x={"y": SECRET})])
    assert not sim.calls


def test_an_unknown_app(sim, hook):
    with pytest.raises(IMIconnectRequestError, match="Check app_id") as caught:
        hook.create_app_profiles("a_2", [record(1)])
    assert caught.value.code == "7018"


# -- the key --


def test_a_wrong_key(sim, hook, connect):
    connect(host=sim.url, password="wrong-key-0815")
    with pytest.raises(IMIconnectAuthenticationError, match="Check the profile key") as caught:
        hook.create_app_profiles(APP, [record(1)])
    assert caught.value.code == "7001"
    assert "wrong-key-0815" not in str(caught.value)


@pytest.mark.parametrize("password", [None, "", "  "])
def test_no_key(sim, hook, connect, password):
    connect(host=sim.url, password=password)
    with pytest.raises(IMIconnectAuthenticationError, match="'imiconnect_default' holds no profile key"):
        hook.create_app_profiles(APP, [record(1)])
    assert not sim.calls


@pytest.mark.parametrize("password", ["planted\nkey", "planted-kéy"])
def test_a_key_that_fits_into_no_header_is_not_repeated(sim, hook, connect, password):
    connect(host=sim.url, password=password)
    with pytest.raises(IMIconnectAuthenticationError, match="is not a profile key") as caught:
        hook.get_profile_status("T")
    assert password not in str(caught.value)


def test_a_line_end_around_the_key_does_not_matter(sim, hook, connect):
    connect(host=sim.url, password=f"{KEY}\n")
    assert hook.get_profile_status("T").state == "waiting"


def test_the_key_is_in_no_text_form_and_no_log(sim, hook, everything_logged, connect):
    hook.create_app_profiles(APP, [record(1, twitter_name=SECRET)])
    assert KEY not in repr(hook.settings) + repr(vars(hook)) + repr(hook.get_conn())
    for number, fault in enumerate(["reset_after", "http_500", "redirect", "not_json"], start=1):
        sim.faults = {number + 1: fault}
        with pytest.raises(IMIconnectError) as caught:
            hook.create_app_profiles(APP, [record(number, twitter_name=SECRET)])
        assert KEY not in repr(caught.value) + repr(caught.value.__context__)
    assert KEY not in everything_logged.text
    assert SECRET not in everything_logged.text


def test_an_answer_that_repeats_the_key_is_cleaned(hook, connect):
    body = b'{"code": "7001", "description": "wrong key ' + KEY.encode() + b'"}'
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body) as url:
        connect(host=url)
        with pytest.raises(IMIconnectAuthenticationError, match=r"wrong key \*\*\*") as caught:
            hook.get_profile_status("T")
    assert KEY not in str(caught.value) + str(caught.value.description)


def test_an_answer_that_repeats_a_value_is_cleaned(hook, connect):
    body = b'{"code": "7011", "description": "name=planted-value is not allowed, nor is 1"}'
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body) as url:
        connect(host=url)
        with pytest.raises(IMIconnectRequestError, match=r"invalid attribute value \(code 7011\)") as caught:
            hook.create_app_profiles(APP, [record(1, twitter_name=SECRET)])
    assert SECRET not in str(caught.value)


def test_what_a_status_answer_says_of_a_record_may_hold_values(hook, connect):
    body = b'{"code": "7011", "description": "planted-value is not allowed"}'
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body) as url:
        connect(host=url)
        with pytest.raises(IMIconnectRequestError, match="invalid attribute value .code 7011.") as caught:
            hook.get_profile_status("T")
    assert SECRET not in str(caught.value)


# -- the network --


@pytest.mark.parametrize("piece", [b"a", b"HTTP/1.1 100 Continue\r\n\r\n", b"X: y\r\n"])
def test_an_answer_whose_head_never_ends_is_cut(hook, connect, piece):
    with raw_server(b"HTTP/1.1 200 OK\r\nX: " if piece == b"a" else b"", drip=piece) as url:
        connect(host=url, extra={"timeout": 0.5})
        started = time.monotonic()
        with pytest.raises(IMIconnectAmbiguousError, match="server may have processed the request"):
            hook.create_app_profiles(APP, [record(1)])
    assert time.monotonic() - started < 15


def test_redirects_are_never_followed(simulator, hook):
    other = simulator()
    sim = simulator(faults={1: "redirect"})
    with pytest.raises(IMIconnectRequestError, match="redirect"):
        hook.create_app_profiles(APP, [record(1)])
    assert not other.calls
    assert [call.accepted for call in sim.calls] == [False]


@pytest.mark.parametrize(
    "fault",
    ["reset_before", "reset_after", "cut_off", "hang_after", "http_500", "http_502_html", "not_json", "other_shape", "no_transid",
     "wrong_types", "slow_body", "huge_body"],
)  # fmt: skip
def test_a_lost_answer_to_a_write_is_ambiguous(simulator, hook, connect, fault):
    sim = simulator(faults={1: fault})
    connect(host=sim.url, extra={"timeout": 0.5})
    with pytest.raises(IMIconnectAmbiguousError, match="server may have processed the request"):
        hook.create_app_profiles(APP, [record(1)])
    assert len(sim.calls) == 1


@pytest.mark.parametrize("fault", ["7006", "7016", "7019", "7020", "http_429", "http_503"])
@pytest.mark.parametrize("kind", ["status"])
def test_passing_errors_of_a_status_call(simulator, hook, fault, kind):
    simulator(faults={(kind, 1): fault})
    with pytest.raises(IMIconnectTransientError) as caught:
        hook.get_profile_status("T")
    assert not isinstance(caught.value, IMIconnectAmbiguousError)
    assert hook.get_profile_status("T").state == "waiting"


def test_nobody_listens(hook, connect):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        connect(host=f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(
            IMIconnectTransientError, match=r"got no response: no connection \(Connection refused\)"
        ) as caught:
            hook.create_app_profiles(APP, [record(1)])
    assert not isinstance(caught.value, IMIconnectAmbiguousError)


@pytest.mark.parametrize("body", [b"<html>", b"", b'{"code": 413, "message": "Payload Too Large"}'])
def test_a_request_that_is_too_large_says_to_lower_batch_size(hook, connect, body):
    with raw_server(b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: %d\r\n\r\n" % len(body) + body) as url:
        connect(host=url)
        with pytest.raises(IMIconnectRequestError, match=r"is larger .*\(HTTP 413\)\. Lower batch_size") as caught:
            hook.create_app_profiles(APP, [record(1, twitter_name=SECRET)])
    assert SECRET not in str(caught.value)


def test_a_gzipped_answer_is_read(hook, connect):
    body = gzip.compress(b'{"code": "1001", "description": "Queued", "transid": "T1"}')
    head = b"HTTP/1.1 202 Accepted\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    with raw_server(head + body) as url:
        connect(host=url)
        assert hook.create_app_profiles(APP, [record(1)]).transids == ("T1",)


def test_an_unknown_host(hook, connect):
    connect(host="no-such-host.invalid")
    with pytest.raises(IMIconnectTransientError, match="no connection"):
        hook.create_app_profiles(APP, [record(1)])


def test_plain_http_behind_https_is_a_tls_error(sim, hook, connect):
    connect(host=sim.url.replace("http://", "https://"))
    with pytest.raises(IMIconnectRequestError, match=r"TLS failed .*check the connection's host"):
        hook.create_app_profiles(APP, [record(1)])


def test_a_proxy_of_the_environment_never_sees_loopback_calls(sim, hook, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert hook.get_profile_status("T").state == "waiting"


def test_one_session_serves_many_threads(sim, hook):
    with ThreadPoolExecutor(16) as pool:
        receipts = list(pool.map(lambda n: hook.create_app_profiles(APP, [record(n)]), range(200)))
    assert len({receipt.transid for receipt in receipts}) == 200
    assert len(sim.profiles[APP]) == 200


# -- the connection --


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"timeout": "soon"}, "'timeout' must be a number above 0"),
        ({"timeout": -1}, "'timeout' must be a number above 0"),
        ({"requests_per_second": 0}, "'requests_per_second' must be a number above 0"),
        ({"requests_per_second": "nan"}, "'requests_per_second' must be a number above 0"),
        ({"region": "mars"}, "region 'mars' is unknown"),
        ({"region": 5}, "region '5' is unknown"),
        ("region=eu", "is not a JSON object|isn't defined"),
        ("[1]", "is not a JSON object|isn't defined"),
    ],
)
def test_a_connection_that_cannot_be_right(hook, connect, extra, message):
    connect(extra=extra)
    with pytest.raises((IMIconnectRequestError, AirflowNotFoundException), match=message):  # the latter on Airflow 3.1
        _ = hook.settings


def test_what_a_connection_says(hook, connect):
    connect(extra={"region": "uk", "app_id": " a_9 ", "requests_per_second": "5", "timeout": 7})
    assert hook.settings == Settings("https://api.uk.webexconnect.io", KEY, "a_9", 5.0, 7.0)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("Region", "did you mean 'region'?"),
        ("regoin", "did you mean 'region'?"),
        ("extra__imiconnect__region", "did you mean 'region'?"),
        ("appId", "did you mean 'app_id'?"),
        ("requests-per-second", "did you mean 'requests_per_second'?"),
        ("Timeout", "did you mean 'timeout'?"),
        ("host", "the known ones are region, app_id, requests_per_second, timeout. Remove it."),
    ],
)
def test_an_unknown_extra_is_refused_by_its_name(sim, hook, connect, name, advice):
    connect(host=sim.url, extra={"app_id": APP, name: SECRET})
    with pytest.raises(IMIconnectRequestError) as caught:
        hook.create_app_profiles(APP, [record(1)])
    assert str(caught.value) == (
        f"Connection 'imiconnect_default' has an unknown extra {name!r}: {advice} Nothing was sent."
    )
    assert not sim.calls


def test_an_extra_whose_name_is_the_key_does_not_show_it(hook, connect):
    connect(extra={f"\n{KEY}" + "x" * 1000: ""})
    with pytest.raises(IMIconnectRequestError, match=r"unknown extra '\*\*\*x+'") as caught:
        _ = hook.settings
    assert KEY not in str(caught.value)
    assert len(str(caught.value)) < 250


def test_what_the_connection_form_stores_is_known(hook, connect):
    connect(extra=dict.fromkeys(extra_fields()))
    assert hook.settings == Settings("https://api.imiconnect.io", KEY)


def test_extras_that_airflow_packs_into_a_uri_are_known(hook, monkeypatch):
    extra = quote(json.dumps({"region": "eu", "timeout": 7}))
    monkeypatch.setenv("AIRFLOW_CONN_IMICONNECT_DEFAULT", f"imiconnect://:{KEY}@/?__extra__={extra}")
    assert hook.settings == Settings("https://api.eu.webexconnect.io", KEY, timeout=7.0)


def test_an_unknown_extra_in_a_uri_is_refused(hook, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_IMICONNECT_DEFAULT", f"imiconnect://:{KEY}@/?regoin=eu")
    with pytest.raises(IMIconnectRequestError, match="did you mean 'region'"):
        _ = hook.settings


def test_a_connection_may_be_a_uri(hook, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_IMICONNECT_DEFAULT", f"imiconnect://:{KEY}@api.eu.webexconnect.io/?app_id=a_9")
    assert hook.settings == Settings("https://api.eu.webexconnect.io", KEY, "a_9")
