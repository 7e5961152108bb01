"""Servers that keep connections open and do with them what a test says: a thread for each connection."""

import re
import socket
import struct
import threading
from contextlib import contextmanager, suppress

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Peer:
    """
    A connection, as the server has it.

    :param channel: the socket, or TLS on it
    :param number: 1 for the server's first connection
    :param ended: is set when the test ends
    """

    def __init__(self, channel, number, ended):
        self.channel, self.number, self._ended = channel, number, ended
        self._received = b""

    def request(self):
        """Return head and body of the next request, or None when there is none any more."""
        head = self.until(b"\r\n\r\n")
        if head is None:
            return None
        length = LENGTH.search(head)
        return head, self.take(int(length[1]) if length else 0)

    def until(self, end):
        while end not in self._received:
            if not self._more():
                return None
        return self.take(self._received.index(end) + len(end))

    def take(self, count):
        while len(self._received) < count and self._more():
            pass
        taken, self._received = self._received[:count], self._received[count:]
        return taken

    def send(self, data):
        self.channel.sendall(data)

    def drip(self, piece, seconds=0.05):
        """Send a piece again and again, as long as the test runs."""
        while not self._ended.wait(seconds):
            self.send(piece)

    def wait(self, seconds=None):
        """Do nothing for a while, or as long as the test runs."""
        self._ended.wait(seconds)

    def reset(self):
        """Close the connection by a reset."""
        self.channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.channel.close()

    def _more(self):
        data = self.channel.recv(65536)
        self._received += data
        return data


class Server:
    """Where it is, and how many connections it has had."""

    def __init__(self, url):
        self.url, self.connections = url, 0


@contextmanager
def server(serve, wrap=lambda connection: connection):
    """Serve each connection with ``serve(peer)``, which returns to close it; yield the server."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        listener.settimeout(0.05)
        here = Server(f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread = threading.Thread(target=_accept, args=(listener, here, serve, wrap, ended))
        thread.start()
        try:
            yield here
        finally:
            ended.set()
            thread.join(5)


def _accept(listener, here, serve, wrap, ended):
    while not ended.is_set():
        with suppress(TimeoutError):
            connection, _ = listener.accept()
            connection.settimeout(10)
            here.connections += 1
            threading.Thread(
                target=_serve, args=(connection, here.connections, serve, wrap, ended), daemon=True
            ).start()


def _serve(connection, number, serve, wrap, ended):
    with connection, suppress(OSError), wrap(connection) as channel:
        serve(Peer(channel, number, ended))


def http(body=b"{}", status=b"200 OK", *headers):
    """Return a response as bytes."""
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def answering(answer):
    """Return what answers every request on a connection with what ``answer(peer, head, body)`` returns."""

    def serve(peer):
        while request := peer.request():
            peer.send(answer(peer, *request))

    return serve


def relay(peer, port, pace=0.0, lag=0.0):
    """
    Connect a peer with a port of this machine.

    :param pace: seconds between the bytes that come back, each by itself
    :param lag: seconds in which what comes back is collected
    """
    with socket.create_connection(("127.0.0.1", port)) as other:
        forth = threading.Thread(target=_pump, args=(peer.channel, other), daemon=True)
        forth.start()
        while other.recv(1, socket.MSG_PEEK):
            peer.wait(lag)
            data = other.recv(65536)
            for piece in (data[at : at + 1] for at in range(len(data))) if pace else [data]:
                peer.send(piece)
                peer.wait(pace)


def _pump(source, sink):
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def http_proxy(port, heads, pace=0.0):
    """Return what opens tunnels that all end at one port; the heads of what was asked for are collected."""

    def serve(peer):
        heads.append(peer.until(b"\r\n\r\n").decode())
        if heads[-1].startswith("CONNECT "):
            peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            relay(peer, port, pace)
        else:
            peer.send(http(b"from the proxy"))

    return serve


def socks_proxy(port, asked, password=None):
    """Return a SOCKS 5 proxy whose connections all end at one port; what was asked for is collected."""

    def serve(peer):
        version, count = peer.take(2)
        methods = peer.take(count)
        method = 2 if password else 0
        peer.send(bytes([5, method if method in methods else 255]))
        if password:
            _, length = peer.take(2)
            user = peer.take(length)
            given = peer.take(peer.take(1)[0])
            peer.send(b"\x01" + bytes([given != password]))
            asked.append((user, given))
        _, command, _, kind, length = peer.take(5)
        asked.append((version, command, kind, peer.take(length), int.from_bytes(peer.take(2), "big")))
        peer.send(b"\x05\x00\x00\x01" + bytes(6))
        relay(peer, port)

    return serve
