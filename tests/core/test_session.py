from __future__ import annotations

import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
import requests

from airflow_imiconnect import session
from airflow_imiconnect.session import new_session
from airflow_imiconnect.settings import Settings

URL = "http://127.0.0.1:9/profile/app/create"


@pytest.fixture
def _switching_often():
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("_switching_often")
def test_the_first_calls_of_a_session_may_come_from_several_threads():
    request = requests.Request("POST", URL).prepare()
    settings = Settings("http://127.0.0.1:9", "key")
    with ThreadPoolExecutor(8) as threads:
        for _ in range(2_000):
            adapter = new_session(settings).get_adapter(URL)
            pools = [threads.submit(adapter.get_connection_with_tls_context, request, True) for _ in range(8)]
            assert {pool.result().ConnectionCls.__name__ for pool in pools} == {"Hurried"}


# -- the watchdog --


@pytest.fixture
def hurried(monkeypatch):
    """Make connections of one session, with a socket each; what is at the sockets' other ends comes with them."""
    monkeypatch.setattr(session, "_LOOKS_EVERY", 0.02)
    request = requests.Request("POST", URL).prepare()
    pool = (
        new_session(Settings("http://127.0.0.1:9", "key"))
        .get_adapter(URL)
        .get_connection_with_tls_context(request, True)
    )
    with ExitStack() as stack:

        def _hurried():
            connection, (near, far) = pool.ConnectionCls("127.0.0.1", 9), map(stack.enter_context, socket.socketpair())
            far.settimeout(2)
            connection.sock = near
            return connection, far

        yield _hurried


def is_cut(far):
    return far.recv(1) == b""


def test_a_connection_that_cannot_be_cut_leaves_the_others_watched(hurried):
    (closed, _), (odd, _), (late, far) = hurried(), hurried(), hurried()
    closed.sock.close()
    odd.sock = object()
    for connection in (closed, odd, late):
        connection.watchdog.watch(connection, time.monotonic())
    assert is_cut(far)
    later, far = hurried()
    later.watchdog.watch(later, time.monotonic())
    assert is_cut(far)


def test_a_socket_within_a_proxys_tls_is_cut(hurried):
    connection, far = hurried()
    connection.sock = SimpleNamespace(socket=connection.sock)  # as urllib3's SSLTransport has it
    connection.watchdog.watch(connection, time.monotonic())
    assert is_cut(far)


def test_what_is_forgotten_or_has_time_again_is_not_cut(hurried):
    (forgotten, far), (again, other) = hurried(), hurried()
    for connection in (forgotten, again):
        connection.watchdog.watch(connection, time.monotonic() + 0.1)
    forgotten.watchdog.forget(forgotten)
    again.watchdog.watch(again, time.monotonic() + 60)
    time.sleep(0.3)
    for near, end in ((forgotten, far), (again, other)):
        near.sock.sendall(b"x")
        assert end.recv(1) == b"x"
    again.watchdog.forget(again)
