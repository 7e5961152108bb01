"""One connection to the service, directly or through a proxy, whatever it is that sends and receives its bytes."""

from __future__ import annotations

import select
import ssl
from base64 import b64encode
from typing import NamedTuple, Protocol

from airflow_imiconnect.transport.http1 import Channel, Headers, Http1, Reply
from airflow_imiconnect.transport.network_errors import BadResponseError, Stage
from airflow_imiconnect.transport.settings import Settings
from airflow_imiconnect.transport.tls import Tls

_OK = range(200, 300)
_VERSION, _NO_AUTH, _PASSWORD, _BY_NAME = b"\x05", b"\x00", b"\x02", b"\x03"  # of SOCKS
_LENGTHS = {1: 4, 4: 16}  # of its addresses: IPv4, IPv6


class Proxy(NamedTuple):
    """
    A proxy.

    :param scheme: "http", "https", "socks5" or "socks5h": both of the latter let the proxy look up the host
    :param auth: user and password, or None
    """

    scheme: str
    host: str
    port: int
    auth: tuple[str, str] | None = None


class Route(NamedTuple):
    """
    The way to a service.

    :param tls: whose certificates count; None for plain HTTP
    :param proxy: on the way to it, or None
    :param proxy_tls: whose certificates count for an https proxy
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    proxy: Proxy | None = None
    proxy_tls: ssl.SSLContext | None = None

    @property
    def address(self) -> str:
        """Host and port, as in a CONNECT request."""
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def host_header(self) -> str:
        """The same without the port that every service of its kind has."""
        return self.address.removesuffix(":443" if self.tls else ":80")


class Line(Channel, Protocol):
    """A TCP connection: what differs between a thread and an event loop."""

    def allow(self, seconds: float) -> None:
        """Begin something that has so many seconds in all; later than that, what waits raises TimeoutError."""

    async def open(self, host: str, port: int) -> None:
        """Connect."""

    def is_quiet(self, patience: float) -> bool:
        """Tell whether nothing is there to be received, nor the end; wait some seconds for it to come."""

    def is_untouched(self) -> bool:
        """Tell whether the peer closed the connection before it received anything sent since ``allow``."""

    def close(self) -> None:
        """Close it at once."""


class Connection:
    """
    A connection, and how far the request on it has come.

    :param route: the way to the service
    :param line: a new one
    :param settings: how long things may take
    """

    def __init__(self, route: Route, line: Line, settings: Settings) -> None:
        self.route = route
        self.line = line
        self.is_kept = False
        self.used_at = 0.0
        self._settings = settings
        self._channel: Channel = line
        self._http: Http1 | None = None
        self._stage = Stage.CONNECTING

    @property
    def stage(self) -> Stage:
        """How far the request has come."""
        return self._http.stage if self._http else self._stage

    async def exchange(self, method: str, target: str, headers: Headers, body: bytes | None) -> Reply:
        """Send a request and return its response; connect first, where that has not been done."""
        http = self._http or await self._connect()
        self.line.allow(self._settings.timeout)
        if self.route.proxy and self._is_forwarded:
            target, headers = f"http://{self.route.address}{target}", [*headers, *_authorization(self.route.proxy)]
        try:
            return await http.exchange(method, target, headers, body)
        except EOFError:
            if self.line.is_untouched():
                http.stage = Stage.SENDING
            raise

    def rewind(self) -> bool:
        """Get ready for another request; return False where the connection must not carry one."""
        has_left_over = isinstance(self._channel, Tls) and self._channel.has_left_over
        if self._http is None or has_left_over or not self._http.rewind():
            return False
        self.is_kept = True
        return True

    @property
    def _is_forwarded(self) -> bool:
        """Whether the proxy is told the URL of each request: it opens tunnels for TLS only."""
        proxy = self.route.proxy
        return proxy is not None and self.route.tls is None and not proxy.scheme.startswith("socks")

    async def _connect(self) -> Http1:
        route, settings = self.route, self._settings
        self.line.allow(settings.connect_timeout + settings.timeout)  # a proxy has the time of a response, too
        if route.proxy is None:
            await self.line.open(route.host, route.port)
        else:
            self._stage = Stage.PROXY
            await self._open_through(route.proxy)
        self._stage = Stage.CONNECTING
        if route.tls:
            await self._speak_tls(route.tls, route.host)
        self._http = Http1(self._channel)
        return self._http

    async def _open_through(self, proxy: Proxy) -> None:
        await self.line.open(proxy.host, proxy.port)
        if self.route.proxy_tls:
            await self._speak_tls(self.route.proxy_tls, proxy.host)
        if proxy.scheme.startswith("socks"):
            await _Socks(self._channel).connect(self.route, proxy.auth)
        elif not self._is_forwarded:
            await self._tunnel(proxy)

    async def _speak_tls(self, context: ssl.SSLContext, hostname: str) -> None:
        self._channel = tls = Tls(self._channel, context, hostname)
        await tls.handshake()

    async def _tunnel(self, proxy: Proxy) -> None:
        address, http = self.route.address, Http1(self._channel)
        head = await http.head("CONNECT", address, [("Host", address), *_authorization(proxy)])
        if head.status_code not in _OK or http.has_left_over:
            raise ConnectionRefusedError


def is_readable(fileno: int, seconds: float) -> bool:
    """Tell whether there is something to be received, or the end, or whether that comes within some seconds."""
    poll = select.poll()
    poll.register(fileno, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _authorization(proxy: Proxy) -> Headers:
    """Return the header that tells a proxy who asks, where it has to know."""
    if proxy.auth is None:
        return []
    return [("Proxy-Authorization", f"Basic {b64encode(':'.join(proxy.auth).encode()).decode()}")]


class _Socks:
    """SOCKS 5 (RFC 1928, 1929), which lets the proxy look up the host."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._received = b""

    async def connect(self, route: Route, auth: tuple[str, str] | None) -> None:
        method = _PASSWORD if auth else _NO_AUTH
        await self._channel.send(_VERSION + b"\x01" + method)
        await self._expect(_VERSION + method)
        if auth:
            await self._channel.send(b"\x01" + b"".join(_counted(text.encode()) for text in auth))
            await self._expect(b"\x01\x00")
        host = _counted(route.host.encode("ascii"))
        await self._channel.send(_VERSION + b"\x01\x00" + _BY_NAME + host + route.port.to_bytes(2, "big"))
        await self._expect(_VERSION + b"\x00\x00")
        kind = (await self._take(1))[0]
        await self._take((_LENGTHS.get(kind) or (await self._take(1))[0]) + 2)

    async def _expect(self, answer: bytes) -> None:
        received = await self._take(len(answer))
        if received[:1] != answer[:1]:
            raise BadResponseError
        if received != answer:
            raise ConnectionRefusedError

    async def _take(self, count: int) -> bytes:
        while len(self._received) < count:
            if not (data := await self._channel.receive()):
                raise EOFError
            self._received += data
        taken, self._received = self._received[:count], self._received[count:]
        return taken


def _counted(data: bytes) -> bytes:
    return bytes([len(data)]) + data
