"""Every way to a service, alike for both clients: TLS, proxies of each kind, TLS through TLS."""

import gc
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from support.clients import READ, WRITE, in_a_thread
from support.peers import answering, http, http_proxy, relay, server, socks_proxy
from support.servers import certificate
from support.stand_ins import KEY

from airflow_imiconnect.errors import IMIconnectAmbiguousError, IMIconnectRequestError, IMIconnectTransientError
from airflow_imiconnect.transport import environment as ways
from airflow_imiconnect.transport import sync_client
from airflow_imiconnect.transport.settings import Settings
from airflow_imiconnect.transport.sync_client import SyncClient

HOST = "api.company.invalid"


def port_of(there):
    return int(there.url.rpartition(":")[2])


@pytest.fixture
def tls(tmp_path, environment):
    """What makes TLS of a connection to the service, or to a proxy on this machine; the clients trust both."""
    bundle = tmp_path / "bundle.pem"
    contexts = {}
    for name in (HOST, "127.0.0.1"):
        contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        path = certificate(tmp_path, name)
        contexts[name].load_cert_chain(path)
        with bundle.open("ab") as file:
            file.write(path.read_bytes())
    environment(SSL_CERT_FILE=bundle)
    return lambda name: lambda connection: contexts[name].wrap_socket(connection, server_side=True)


@pytest.fixture
def start():
    with ExitStack() as stack:
        yield lambda *args: stack.enter_context(server(*args))


def test_tls(exchange_with, start, tls):
    there = start(answering(lambda *_: http(b"x" * 100_000)), tls("127.0.0.1"))
    exchange = exchange_with(there.url.replace("http", "https"))
    assert [len(exchange(WRITE).body) for _ in range(3)] == [100_000] * 3
    assert there.connections == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_tunnel(exchange_with, start, tls, environment, scheme):
    heads = []
    service = start(answering(lambda _, head, __: http(head.split()[1])), tls(HOST))
    proxy = start(http_proxy(port_of(service), heads), *([tls("127.0.0.1")] if scheme == "https" else []))
    environment(HTTPS_PROXY=f"{scheme}://us%65r:p%40ss@127.0.0.1:{port_of(proxy)}")
    exchange = exchange_with(f"https://{HOST}")
    assert [exchange(WRITE).body for _ in range(2)] == [WRITE.target.encode()] * 2
    (head,) = heads
    assert head.startswith(f"CONNECT {HOST}:443 HTTP/1.1\r\n")
    assert "Proxy-Authorization: Basic dXNlcjpwQHNz\r\n" in head
    assert KEY not in head


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("password", [None, b"p@ss"])
def test_a_socks_proxy(exchange_with, start, tls, environment, scheme, password):
    asked = []
    service = start(answering(lambda *_: http()), tls(HOST))
    proxy = start(socks_proxy(port_of(service), asked, password))
    environment(ALL_PROXY=f"{scheme}://{'user:p%40ss@' if password else ''}127.0.0.1:{port_of(proxy)}")
    assert exchange_with(f"https://{HOST}")(READ).status == 200
    assert asked == [*([(b"user", password)] if password else []), (5, 1, 3, HOST.encode(), 443)]


@pytest.mark.parametrize(
    ("replies", "error", "message"),
    [
        ([b"\x05\xff"], IMIconnectTransientError, "the proxy did not take the request"),
        ([b"\x05\x00", b"\x05\x02\x00\x01"], IMIconnectTransientError, "the proxy did not take the request"),
        ([b"\x05\x00"], IMIconnectTransientError, "the proxy did not take the request"),
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], IMIconnectRequestError, "in the proxy's place"),
    ],
    ids=["no method", "not allowed", "hangs up", "not SOCKS"],
)
def test_a_socks_proxy_that_refuses(exchange_with, start, environment, replies, error, message):
    def serve(peer):
        for reply in replies:
            peer.channel.recv(100)
            peer.send(reply)

    environment(ALL_PROXY=start(serve).url.replace("http", "socks5"))
    with pytest.raises(error, match=message):
        exchange_with(f"https://{HOST}")(WRITE)


def test_what_a_proxy_sends_behind_its_answer_is_not_believed(exchange_with, start, environment):
    def serve(peer):
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        peer.wait()

    environment(HTTPS_PROXY=start(serve).url)
    with pytest.raises(IMIconnectTransientError, match="the proxy did not take the request"):
        exchange_with(f"https://{HOST}")(READ)


# -- time --


def slowly(port):
    return lambda peer: relay(peer, port, pace=0.02)


@pytest.mark.parametrize("way", ["tls", "tunnel", "tls in tls"])
def test_a_handshake_that_trickles_is_cut(exchange_with, start, tls, environment, way):
    service = start(answering(lambda *_: http()), tls("127.0.0.1" if way == "tls" else HOST))
    url = f"https://127.0.0.1:{port_of(start(slowly(port_of(service))))}"
    if way != "tls":
        wrap = [tls("127.0.0.1")] if way == "tls in tls" else []
        proxy = start(http_proxy(port_of(service), [], 0.02), *wrap)
        environment(HTTPS_PROXY=f"{'https' if wrap else 'http'}://127.0.0.1:{port_of(proxy)}")
        url = f"https://{HOST}"
    started = time.monotonic()
    with pytest.raises(IMIconnectTransientError, match="no connection in time") as caught:
        exchange_with(url, timeout=0.4)(WRITE)
    assert not isinstance(caught.value, IMIconnectAmbiguousError)
    assert 0.7 < time.monotonic() - started < 10


@pytest.mark.parametrize("is_in_a_tunnel", [False, True], ids=["tls", "tls in tls"])
def test_a_response_that_trickles_below_tls_is_cut(exchange_with, start, tls, environment, is_in_a_tunnel):
    """Each TLS record is read in many pieces; no piece of the response appears before a record is whole."""
    pace = threading.Event()

    def answer(*_):
        pace.set()
        return http(b"x" * 10_000)

    def serve(peer):
        if is_in_a_tunnel:
            peer.until(b"\r\n\r\n")
            peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        _relay_until(peer, port_of(service), pace)

    service = start(answering(answer), tls(HOST if is_in_a_tunnel else "127.0.0.1"))
    there = start(serve, *([tls("127.0.0.1")] if is_in_a_tunnel else []))
    if is_in_a_tunnel:
        environment(HTTPS_PROXY=there.url.replace("http", "https"))
    exchange = exchange_with(f"https://{HOST}" if is_in_a_tunnel else there.url.replace("http", "https"), timeout=0.5)
    started = time.monotonic()
    with pytest.raises(IMIconnectAmbiguousError, match="no response in time|did not end within 0.5 s"):
        exchange(WRITE)
    assert 0.4 < time.monotonic() - started < 10


def _relay_until(peer, port, pace):
    class Paced:
        channel = peer.channel

        @staticmethod
        def send(data):
            if not pace.is_set():
                peer.send(data)
                return
            for at in range(len(data)):
                peer.send(data[at : at + 1])
                peer.wait(0.02)

        wait = staticmethod(lambda _: None)

    relay(Paced, port)


# -- kept connections --


@pytest.mark.parametrize("request_", [READ, WRITE])
def test_an_end_of_tls_that_crosses_a_request(open_client, start, tls, monkeypatch, request_):
    """The end comes to light only after the request was sent, as a farewell of TLS or without one."""
    monkeypatch.setattr(sync_client._Line, "is_quiet", lambda *_: True)
    served = []

    def serve(peer):
        if peer.request():
            served.append(peer.number)
            peer.send(http())
            if peer.number == 1:
                peer.channel = peer.channel.unwrap()

    there = start(serve, tls("127.0.0.1"))
    exchange = open_client(in_a_thread, there.url.replace("http", "https"))
    for _ in range(2):
        exchange(request_)
        time.sleep(0.05)
    assert served == [1, 2]


def test_what_is_left_over_in_tls_is_not_the_next_response(exchange_with, start, tls):
    def serve(peer):
        while peer.request():
            peer.send(http(b"%d" % peer.number))
            peer.send(http(b"stale"))

    service = start(serve, tls("127.0.0.1"))
    there = start(lambda peer: relay(peer, port_of(service), lag=0.02))
    exchange = exchange_with(there.url.replace("http", "https"))
    assert [exchange(READ).body for _ in range(3)] == [b"1", b"2", b"3"]


def test_another_way_takes_another_connection(start, tls, environment, tmp_path):
    environment(SSL_CERT_FILE="")
    there = start(answering(lambda *_: http()), tls("127.0.0.1"))
    client = SyncClient(Settings(there.url.replace("http", "https"), KEY))
    client.session.verify = str(tmp_path / "127.0.0.1.pem")
    client.exchange(READ)
    client.session.verify = True
    with pytest.raises(IMIconnectRequestError, match="does not trust"):
        client.exchange(READ)
    client.close()


# -- certificates --


def test_a_certificate_that_is_not_trusted(exchange_with, start, tls, environment, tmp_path):
    there = start(answering(lambda *_: http()), tls("127.0.0.1"))
    environment(SSL_CERT_FILE=tmp_path / f"{HOST}.pem")
    with pytest.raises(IMIconnectRequestError, match=r"TLS failed \(self.signed certificate\)"):
        exchange_with(there.url.replace("http", "https"))(WRITE)


def test_a_context_is_built_once_a_process(open_client, start, tls, monkeypatch):
    built = []
    create = ssl.create_default_context

    def slowly(**files):
        built.append(files)
        time.sleep(0.02)
        return create(**files)

    monkeypatch.setattr(ssl, "create_default_context", slowly)
    there = start(answering(lambda *_: http()), tls("127.0.0.1"))
    clients = [open_client(in_a_thread, there.url.replace("http", "https")) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda exchange: exchange(READ), clients * 4))
    assert len(built) == 1


def test_a_bundle_that_was_renewed_counts(tls, environment, tmp_path):
    first = ways.tls_context(str(tmp_path / "bundle.pem"))
    time.sleep(0.01)
    (tmp_path / "bundle.pem").write_bytes((tmp_path / f"{HOST}.pem").read_bytes())
    assert ways.tls_context(str(tmp_path / "bundle.pem")) is not first


def test_plain_http_needs_no_context(exchange_with, start, monkeypatch):
    monkeypatch.setattr(ways, "_new_context", lambda *_: pytest.fail("a context was built"))
    monkeypatch.setattr(ssl, "create_default_context", lambda **_: pytest.fail("a context was built"))
    assert exchange_with(start(answering(lambda *_: http())).url)(READ).status == 200


def test_nothing_stays_open_where_nobody_closes_the_client(start):
    client = SyncClient(Settings(start(answering(lambda *_: http())).url, KEY))
    client.exchange(READ)
    del client
    gc.collect()  # pytest fails the test for a socket that warns
