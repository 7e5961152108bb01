"""How far a request had come decides what an error means."""

import socket
import ssl

import h11
import pytest
from support.clients import READ, WRITE
from support.peers import answering, http, server
from support.stand_ins import KEY

from airflow_imiconnect.errors import IMIconnectAmbiguousError, IMIconnectRequestError, IMIconnectTransientError
from airflow_imiconnect.transport.network_errors import Stage, network_error, not_http

PASSES, IS_LOST, NEVER_WORKS = IMIconnectTransientError, IMIconnectAmbiguousError, IMIconnectRequestError
BEFORE = [Stage.CONNECTING, Stage.SENDING]
AFTER = [Stage.SENT, Stage.ANSWERED]


def wrapped(error):
    """Put an error under others, as libraries do."""
    outer = OSError("All attempts failed: planted")
    outer.__cause__ = error
    return RuntimeError(outer)


@pytest.mark.parametrize(
    ("error", "stages", "kind", "words"),
    [
        (ConnectionResetError(104, "planted"), BEFORE[:1], PASSES, r"no connection \(Connection reset by peer\)"),
        (ConnectionResetError(104, "planted"), BEFORE[1:], PASSES, "the connection broke"),
        (ConnectionResetError(104, "planted"), AFTER, IS_LOST, "the connection broke"),
        (EOFError(), AFTER, IS_LOST, "the connection broke"),
        (ConnectionRefusedError(111, "planted"), BEFORE[:1], PASSES, "Nothing listens there"),
        (
            socket.gaierror(-2, "Name or service not known"),
            BEFORE[:1],
            PASSES,
            "host not found: Name or service not known",
        ),
        (TimeoutError(), BEFORE[:1], PASSES, "no connection in time"),
        (TimeoutError(), BEFORE[1:], PASSES, "no response in time"),
        (TimeoutError(), AFTER[:1], IS_LOST, "no response in time"),
        (TimeoutError(), AFTER[1:], IS_LOST, "the response did not end within 7 s"),
        (ssl.SSLError(1, "planted"), BEFORE, PASSES, "TLS broke"),
        (ssl.SSLError(1, "planted"), AFTER, IS_LOST, "TLS broke"),
        (ssl.SSLCertVerificationError(1, "planted"), BEFORE, NEVER_WORKS, "does not trust the server's certificate"),
        (UnicodeError("planted"), BEFORE, NEVER_WORKS, "the URL or a header is not valid"),
        (h11.LocalProtocolError("planted"), BEFORE, NEVER_WORKS, "the URL or a header is not valid"),
        (h11.RemoteProtocolError("planted"), AFTER[:1], IS_LOST, "what answers speaks no HTTP"),
        (h11.RemoteProtocolError("planted"), AFTER[1:], IS_LOST, "the connection broke"),
        (not_http(), AFTER, IS_LOST, "what answers speaks no HTTP"),
    ],
)
@pytest.mark.parametrize("form", [lambda error: error, wrapped], ids=["bare", "wrapped"])
def test_an_error_at_a_stage(error, stages, kind, words, form):
    for stage in stages:
        read = network_error(WRITE, form(error), stage, 7.0)
        assert type(read) is kind
        with pytest.raises(kind, match=words):
            raise read
        assert "planted" not in str(read)
        assert not isinstance(network_error(READ, form(error), stage, 7.0), IMIconnectAmbiguousError)


@pytest.mark.parametrize(
    "error", [ConnectionRefusedError(111, ""), TimeoutError(), EOFError(), ssl.SSLError(1, "x"), OSError()]
)
def test_before_the_proxy_is_passed_it_is_the_proxys_fault(error):
    read = network_error(WRITE, error, Stage.PROXY, 7.0)
    assert type(read) is PASSES
    assert "the proxy did not take the request. Check HTTPS_PROXY" in str(read)


def test_another_error_that_is_being_handled_has_no_part_in_it():
    error = ConnectionResetError(104, "")
    error.__context__, error.__suppress_context__ = TimeoutError(), True
    assert "the connection broke" in str(network_error(WRITE, error, Stage.SENT, 7.0))


@pytest.mark.parametrize(
    ("url", "kind", "words"),
    [
        ("https://xn--a.com.invalid", IMIconnectTransientError, "host not found"),
        ("https://a..b", IMIconnectRequestError, "the URL or a header is not valid"),
        (f"https://{'a' * 70}", IMIconnectRequestError, "the URL or a header is not valid"),
    ],
)
def test_a_name_that_nobody_has_checked_is_an_error_of_ours_all_the_same(exchange_with, url, kind, words):
    with pytest.raises(kind, match=words):
        exchange_with(url)(READ)


def test_an_error_hangs_on_to_no_error_of_a_library(exchange_with):
    cut_off = http(KEY.encode())[:-1]
    with server(answering(lambda *_: cut_off)) as there, pytest.raises(IMIconnectTransientError) as caught:
        exchange_with(there.url, timeout=0.2)(READ)
    assert caught.value.__context__ is caught.value.__cause__ is None
