"""A server may close a connection at any moment, and say nothing: no write gets lost by that, and none is sent twice."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.clients import READ, WRITE, in_a_thread
from support.peers import answering, http, server

from airflow_imiconnect.errors import IMIconnectAmbiguousError
from airflow_imiconnect.profile_api.requests import Request
from airflow_imiconnect.transport import client, sync_client

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what was acknowledged")


def once(end):
    """Answer one request on each connection, and end it without notice."""

    def serve(peer):
        if request := peer.request():
            peer.send(http(request[1]))
            end(peer)

    return serve


def stay_a_while(peer):
    peer.channel.settimeout(0.01)
    while request := peer.request():
        peer.send(http(request[1]))


ENDS = {
    "close": lambda _: None,
    "close a little later": lambda _: time.sleep(0.005),
    "reset": lambda peer: peer.reset(),
    "reset a little later": lambda peer: time.sleep(0.005) or peer.reset(),
    "close when idle": stay_a_while,
}


@pytest.fixture
def late_news(monkeypatch):
    """The end of a connection comes to light only after a request was sent."""
    monkeypatch.setattr(sync_client._Line, "is_quiet", lambda *_: True)


def test_a_connection_is_kept(exchange_with):
    with server(answering(lambda *_: http())) as there:
        exchange = exchange_with(there.url)
        for request in (WRITE, READ, WRITE, READ):
            exchange(request)
    assert there.connections == 1


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_server_that_closes_without_notice_loses_no_write(open_client, end):
    with server(once(end)) as there:
        exchange = open_client(in_a_thread, there.url)

        def send(number):
            body = b"%d" % number
            time.sleep(number % 3 * 0.008)
            return exchange(Request("POST", "/resources/v2/x", "x", body)).body == body

        with ThreadPoolExecutor(8) as threads:
            assert all(threads.map(send, range(400)))


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_server_that_closes_without_notice_loses_no_read(exchange_with, end):
    with server(once(end)) as there:
        exchange = exchange_with(there.url)
        for number in range(50):
            exchange(READ)
            time.sleep(number % 3 * 0.008)


@pytest.mark.parametrize("end", ["close a little later", "reset a little later"])
def test_whether_a_server_keeps_connections_is_waited_for_once(open_client, end):
    with server(once(ENDS[end])) as there:
        exchange = open_client(in_a_thread, there.url)
        for _ in range(20):
            exchange(WRITE)
    assert there.connections == 20


@on_linux
@pytest.mark.usefixtures("late_news")
@pytest.mark.parametrize("end", ["close", "reset"])
def test_what_crosses_the_end_of_its_connection_is_sent_on_a_new_one(open_client, end):
    served = []

    def serve(peer):
        if request := peer.request():
            served.append((peer.number, request[1]))
            peer.send(http())
            ENDS[end](peer)

    with server(serve) as there:
        exchange = open_client(in_a_thread, there.url)
        exchange(WRITE)
        time.sleep(0.05)
        exchange(WRITE)
    assert served == [(1, WRITE.body), (2, WRITE.body)]


@pytest.mark.parametrize("end", ["close", "reset"])
def test_what_the_server_has_received_is_not_sent_again(open_client, end):
    """Not even where its system has acknowledged nothing: a reset may come before."""
    received = []

    def serve(peer):
        while request := peer.request():
            received.append(request)
            if len(received) > 1:
                return ENDS[end](peer)
            peer.send(http())
        return None

    with server(serve) as there:
        exchange = open_client(in_a_thread, there.url)
        exchange(WRITE)
        with pytest.raises(IMIconnectAmbiguousError, match="the connection broke"):
            exchange(WRITE)
        assert len(received) == 2


def test_a_read_is_sent_again_once(exchange_with):
    received = []

    def serve(peer):
        while peer.request():
            received.append(peer.number)
            if len(received) == 2:
                return
            peer.send(http())

    with server(serve) as there:
        exchange = exchange_with(there.url)
        exchange(READ)
        assert exchange(READ).status == 200
    assert received == [1, 1, 2]


def test_what_a_server_says_on_an_idle_connection_is_no_response(exchange_with):
    def serve(peer):
        while peer.request():
            peer.send(http(b"%d" % peer.number))
            time.sleep(0.02)
            peer.send(http(b"timed out", b"408 Request Timeout"))

    with server(serve) as there:
        exchange = exchange_with(there.url)
        bodies = []
        for _ in range(3):
            bodies.append(exchange(READ).body)
            time.sleep(0.05)
    assert bodies == [b"1", b"2", b"3"]


def test_a_connection_is_not_kept_for_long(exchange_with, monkeypatch):
    monkeypatch.setattr(client, "_LONGEST_IDLE", 0.1)
    with server(answering(lambda *_: http())) as there:
        exchange = exchange_with(there.url)
        for pause in (0.0, 0.2, 0.0):
            exchange(WRITE)
            time.sleep(pause)
        exchange(WRITE)
    assert there.connections == 2


def test_a_server_that_has_closed_a_connection_is_trusted_again_later(open_client, monkeypatch):
    monkeypatch.setattr(client, "_CAUTION", 0.3)

    def serve(peer):
        while peer.request():
            peer.send(http())
            if peer.number == 1:
                return

    with server(serve) as there:
        exchange = open_client(in_a_thread, there.url)
        exchange(WRITE)
        time.sleep(0.05)
        for _ in range(3):
            exchange(WRITE)
        assert there.connections == 4
        time.sleep(0.3)
        for _ in range(3):
            exchange(WRITE)
        assert there.connections == 5
