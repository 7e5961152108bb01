"""What is a response and what is not, alike for both clients, over real sockets."""

import gzip
import time
import tracemalloc
import zlib

import pytest
from support.clients import READ, WRITE, in_a_thread
from support.peers import answering, http, server

from airflow_imiconnect.errors import IMIconnectAmbiguousError, IMIconnectTransientError
from airflow_imiconnect.profile_api.requests import MAX_RESPONSE_BYTES

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_what_is_sent_and_what_comes_back(exchange_with):
    seen = []

    def answer(_, head, body):
        seen.append((head.decode().split("\r\n"), body))
        return http(b'{"code": "7020"}', b"429 Too Many", b"Retry-After: 7")

    with server(answering(answer)) as there:
        exchange = exchange_with(there.url)
        response = exchange(WRITE)
        exchange(READ)
    (write, body), (read, nothing) = seen
    assert (response.status, response.body) == (429, b'{"code": "7020"}')
    assert {name.lower(): value for name, value in response.headers.items()}["retry-after"] == "7"
    assert write[0] == "POST /resources/v2/customerappprofile/a_1 HTTP/1.1"
    assert {f"Host: {there.url[7:]}", "key: planted-key-4711", f"Content-Length: {len(body)}"} <= set(write)
    assert body == WRITE.body
    assert read[0] == "GET /resources/v2/profile/status/T HTTP/1.1"
    assert nothing == b""
    assert there.connections == 1


def test_the_path_of_a_gateway_comes_first(exchange_with):
    with server(answering(lambda _, head, __: http(head.split()[1]))) as there:
        assert exchange_with(f"{there.url}/imi")(READ).body == b"/imi" + READ.target.encode()


# -- interim responses, and what is left over --


@pytest.mark.parametrize("status", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
def test_an_interim_response_is_not_the_response(exchange_with, status):
    def answer(peer, _, body):
        peer.send(b"HTTP/1.1 %s\r\nLink: x\r\n\r\n" % status)
        time.sleep(0.02)  # else it is read together with what follows
        return http(b"for connection %d" % peer.number)

    with server(answering(answer)) as there:
        exchange = exchange_with(there.url)
        assert [exchange(WRITE).body for _ in range(3)] == [
            b"for connection 1",
            b"for connection 2",
            b"for connection 3",
        ]


def test_no_request_reads_the_response_to_another_one(exchange_with):
    """Interim responses, responses too many, and bodies that are longer than they say."""

    def answer(peer, head, _):
        number = int(head.split(b" ")[1].rpartition(b"/")[2])
        extra = (b"", http(b"stale"), b"stale")[number % 3]
        return (b"HTTP/1.1 103 Early Hints\r\n\r\n" if number % 2 else b"") + http(b"%d" % number) + extra

    with server(answering(answer)) as there:
        exchange = exchange_with(there.url)
        for number in range(30):
            request = READ if number else WRITE
            assert exchange(type(request)("GET", f"/resources/v2/{number}", "x")).body == b"%d" % number


def test_switching_protocols_is_not_a_success(exchange_with):
    switching = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + http()
    with server(answering(lambda *_: switching)) as there, pytest.raises(IMIconnectAmbiguousError):
        exchange_with(there.url)(WRITE)


def test_a_server_that_says_that_it_closes_is_believed(exchange_with):
    def serve(peer):
        peer.request()
        peer.send(http(b"%d" % peer.number, b"200 OK", b"Connection: close"))
        peer.request()

    with server(serve) as there:
        exchange = exchange_with(there.url)
        assert [exchange(WRITE).body for _ in range(3)] == [b"1", b"2", b"3"]


# -- time --


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
        (b"HTTP/1.1 200 ", b"O"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"x"),
        (CHUNKED + b"2;", b"x"),
        (CHUNKED, b"1\r\nx\r\n"),
        (CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: y\r\n"),
    ],
    ids=["1xx", "status line", "header", "headers", "until closed", "length", "chunk size", "chunks", "trailers"],
)
def test_the_deadline_cuts_wherever_the_response_is(exchange_with, start, piece):
    def serve(peer):
        peer.request()
        peer.send(start)
        peer.drip(piece)

    with server(serve) as there:
        started = time.monotonic()
        with pytest.raises(IMIconnectAmbiguousError, match="no response in time|response did not end within 0.5 s"):
            exchange_with(there.url, timeout=0.5)(WRITE)
        assert 0.4 < time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("start", "piece"),
    [(b"", b"HTTP/1.1 102 Processing\r\n\r\n"), (CHUNKED, b"1\r\nx\r\n"), (CHUNKED + b"0\r\n", b"X: y\r\n")],
)
def test_a_flood_ends_too(exchange_with, start, piece):
    def serve(peer):
        peer.request()
        peer.send(start)
        peer.drip(piece * 10_000, 0)

    with server(serve) as there:
        started = time.monotonic()
        with pytest.raises(IMIconnectAmbiguousError):
            exchange_with(there.url, timeout=60)(WRITE)
        assert time.monotonic() - started < 30


def test_silence_is_cut_too(exchange_with):
    def serve(peer):
        peer.request()
        peer.wait()

    with server(serve) as there:
        started = time.monotonic()
        with pytest.raises(IMIconnectTransientError, match="no response in time"):
            exchange_with(there.url, timeout=0.5)(READ)
        assert 0.4 < time.monotonic() - started < 10


# -- size --


@pytest.mark.parametrize(
    "response",
    [
        http(b"x" * (MAX_RESPONSE_BYTES + 1)),
        CHUNKED + b"%x\r\n" % (MAX_RESPONSE_BYTES + 1) + b"x" * (MAX_RESPONSE_BYTES + 1),
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_RESPONSE_BYTES + 1),
        http(gzip.compress(b"x" * (MAX_RESPONSE_BYTES + 1)), b"200 OK", b"Content-Encoding: gzip"),
        http(zlib.compress(b"x" * (MAX_RESPONSE_BYTES + 1)), b"200 OK", b"Content-Encoding: deflate"),
        http(gzip.compress(b"x" * (MAX_RESPONSE_BYTES + 1))),
    ],
    ids=["length", "chunked", "until closed", "gzip bomb", "deflate bomb", "gzip bomb without a header"],
)
def test_a_response_that_is_too_large(exchange_with, response):
    too_large = pytest.raises(IMIconnectAmbiguousError, match=f"larger than {MAX_RESPONSE_BYTES} bytes")
    with server(answering(lambda *_: response)) as there, too_large:
        exchange_with(there.url)(WRITE)


@pytest.mark.parametrize("headers", [(b"Content-Encoding: gzip",), ()], ids=["named", "not named"])
def test_a_bomb_is_not_unpacked(exchange_with, headers):
    bomb = http(gzip.compress(bytes(50_000_000)), b"200 OK", *headers)
    with server(answering(lambda *_: bomb)) as there:
        exchange = exchange_with(there.url)
        tracemalloc.start()
        with pytest.raises(IMIconnectAmbiguousError, match="larger than"):
            exchange(WRITE)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize("size", [0, 1, MAX_RESPONSE_BYTES])
def test_a_response_that_is_not_too_large(exchange_with, size):
    with server(answering(lambda *_: http(b"x" * size))) as there:
        assert len(exchange_with(there.url)(WRITE).body) == size


def test_a_head_without_an_end_is_cut_before_it_fills_the_memory(exchange_with):
    endless = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000
    with (
        server(answering(lambda *_: endless)) as there,
        pytest.raises(IMIconnectAmbiguousError, match="speaks no HTTP"),
    ):
        exchange_with(there.url)(WRITE)


@pytest.mark.parametrize(
    ("encoding", "encoded"),
    [
        (b"gzip", gzip.compress(b'{"a": 1}')),
        (b"X-GZip", gzip.compress(b'{"a": 1}')),
        (b"deflate", zlib.compress(b'{"a": 1}')),
        (b"deflate", zlib.compress(b'{"a": 1}')[2:-4]),
        (b"identity", b'{"a": 1}'),
        (b"gzip", b'{"a": 1}'),
        (b"", gzip.compress(b'{"a": 1}')),
        (b"identity", gzip.compress(b'{"a": 1}')),
        (b"gzip, identity", gzip.compress(b'{"a": 1}')),
    ],
    ids=["gzip", "x-gzip", "deflate", "bare deflate", "identity", "not gzip at all", "gzip that is not named",
         "gzip that is named otherwise", "gzip among others"],
)  # fmt: skip
def test_what_is_compressed_is_unpacked_though_nothing_compressed_was_asked_for(exchange_with, encoding, encoded):
    header = [b"Content-Encoding: " + encoding] if encoding else []
    with server(answering(lambda *_: http(encoded, b"200 OK", *header))) as there:
        assert exchange_with(there.url)(WRITE).body == b'{"a": 1}'


@pytest.mark.parametrize("odd", [b"no colon", b"X y: z", b"X : y", b": y", b" folded", b"X: \0", b"\xff\xfe: x"])
def test_an_odd_header_costs_no_response(exchange_with, odd):
    def answer(peer, *_):
        return b"HTTP/1.1 103 Early Hints\r\n%s\r\n\r\nHTTP/1.1 200 OK\n%s\nContent-Length: 2\r\n\r\n{}" % (odd, odd)

    with server(answering(answer)) as there:
        assert exchange_with(there.url)(WRITE).body == b"{}"


def test_a_head_may_come_in_any_pieces(exchange_with):
    response = http(b"x" * 100_000)

    def serve(peer):
        while peer.request():
            for at in range(90):
                peer.send(response[at : at + 1])
                time.sleep(0.001)
            peer.send(response[90:])

    with server(serve) as there:
        exchange = exchange_with(there.url)
        assert [len(exchange(WRITE).body) for _ in range(2)] == [100_000] * 2
    assert there.connections == 1


# -- what is not a response --


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-OpenSSH_9.2p1\r\n", b"220 mail ESMTP\r\n", b"HTTP/9\r\n\r\n", b"\x16\x03\x01"]
)
def test_something_else_answers(exchange_with, answer):
    def serve(peer):
        peer.request()
        peer.send(answer)
        peer.wait()

    with server(serve) as there, pytest.raises(IMIconnectAmbiguousError, match="what answers speaks no HTTP"):
        exchange_with(there.url)(WRITE)


@pytest.mark.parametrize(
    "start", [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", CHUNKED + b"2\r\n{}\r\n"]
)
@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_response_that_is_cut_off(exchange_with, start, end):
    def serve(peer):
        peer.request()
        peer.send(start)
        time.sleep(0.1)
        if end == "reset":
            peer.reset()

    with server(serve) as there:
        exchange = exchange_with(there.url)
        with pytest.raises(IMIconnectAmbiguousError, match="the connection broke"):
            exchange(WRITE)
        with pytest.raises(IMIconnectTransientError, match="got no response: the connection broke"):
            exchange(READ)


def test_a_refusal_that_comes_before_the_whole_request_was_sent_is_read(exchange_with):
    def serve(peer):
        peer.until(b"\r\n\r\n")
        peer.send(http(b"no", b"413 Too Large"))

    large = type(WRITE)("POST", "/resources/v2/x", "x", b"x" * 8_000_000)
    with server(serve) as there:
        assert exchange_with(there.url)(large).status == 413


def test_a_request_that_was_not_sent_as_a_whole_is_not_lost(open_client):
    def serve(peer):
        peer.until(b"\r\n\r\n")
        peer.reset()

    large = type(WRITE)("POST", "/resources/v2/x", "x", b"x" * 8_000_000)
    with (
        server(serve) as there,
        pytest.raises(IMIconnectTransientError, match="got no response: the connection broke") as caught,
    ):
        open_client(in_a_thread, there.url)(large)
    assert not isinstance(caught.value, IMIconnectAmbiguousError)
