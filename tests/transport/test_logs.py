"""Nothing of a request or of a response reaches a log, at any level; and other users of the libraries keep theirs."""

import logging
from contextlib import contextmanager, suppress

import pytest
import requests
from requests.adapters import HTTPAdapter
from support.clients import READ, WRITE, in_a_thread, in_an_event_loop
from support.peers import answering, http, http_proxy, server
from support.stand_ins import KEY

from airflow_imiconnect.errors import IMIconnectError
from airflow_imiconnect.transport.settings import Settings
from airflow_imiconnect.transport.sync_client import SyncClient

PLANTED = "planted-in-the-response"
HEADER = f"X-Planted: {PLANTED}".encode()
RESPONSES = {
    "header": http(PLANTED.encode(), b"200 OK", HEADER),
    "reason": http(b"{}", b"200 " + PLANTED.encode(), HEADER),
    "malformed header": http(b"{}", b"200 OK", PLANTED.encode()),
    "malformed name": http(b"{}", b"200 OK", PLANTED.encode() + b" : x"),
    "interim": b"HTTP/1.1 103 Early Hints\r\n" + HEADER + b"\r\n\r\n" + http(),
    "cut off": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n" + HEADER + b"\r\n\r\n" + PLANTED.encode(),
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n" + HEADER + b"\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
}  # fmt: skip


@contextmanager
def by_an_adapter_of_requests(settings):
    client = SyncClient(settings)
    client.session.mount("http://", HTTPAdapter())
    yield client.exchange
    client.close()


@pytest.fixture(params=[in_a_thread, in_an_event_loop, by_an_adapter_of_requests], ids=lambda kind: kind.__name__)
def exchange_with(request, open_client):
    return lambda url: open_client(request.param, url, 0.3)


@pytest.mark.parametrize("response", RESPONSES.values(), ids=RESPONSES)
def test_nothing_of_a_response_is_logged(exchange_with, everything_logged, response):
    with server(answering(lambda *_: response)) as there:
        exchange = exchange_with(there.url)
        for request in (WRITE, READ):
            with suppress(IMIconnectError):
                exchange(request)
        logging.getLogger("tests").debug("logs are seen")
    assert "logs are seen" in everything_logged.text
    assert PLANTED not in everything_logged.text
    assert KEY not in everything_logged.text


@pytest.mark.parametrize("kind", [in_a_thread, in_an_event_loop])
def test_nor_where_the_standard_library_is_told_to_print_it(open_client, kind, everything_logged, monkeypatch):
    monkeypatch.setattr("http.client.HTTPConnection.debuglevel", 1)
    with server(answering(lambda *_: RESPONSES["header"])) as there:
        open_client(kind, there.url)(WRITE)
    assert PLANTED not in everything_logged.text
    assert KEY not in everything_logged.text


def test_nothing_of_a_proxy_is_logged(exchange_with, everything_logged, environment):
    with server(http_proxy(9, [])) as proxy:
        environment(HTTPS_PROXY=proxy.url.replace("//", "//user:secret@"))
        with pytest.raises(IMIconnectError):
            exchange_with("https://api.company.invalid")(WRITE)
    assert "secret" not in everything_logged.text


def test_others_keep_their_logs(caplog, open_client):
    caplog.set_level(logging.DEBUG)
    with server(answering(lambda *_: http())) as there:
        open_client(in_a_thread, there.url)(READ)
        assert not [entry for entry in caplog.records if entry.name.startswith("urllib3")]
        requests.get(there.url, timeout=2)
        assert [entry for entry in caplog.records if entry.name.startswith("urllib3")]


def test_the_key_is_in_no_text_form():
    client = SyncClient(Settings("http://127.0.0.1:9", KEY))
    assert KEY not in repr(client) + repr(vars(client)) + repr(client.session)
    client.close()
