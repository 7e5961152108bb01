"""Asks for the status of transactions with httpx: reading only, in the triggerer and in a worker that waits."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType

import anyio
import httpx

from airflow_imiconnect import environment, network, protocol
from airflow_imiconnect.errors import IMIconnectError
from airflow_imiconnect.models import TransactionStatus
from airflow_imiconnect.settings import Settings


@dataclass(eq=False)
class _Line:
    """A client of httpx with one connection, and whether that has come as far as the service."""

    client: httpx.AsyncClient
    is_through: bool

    async def trace(self, event: str, _: object) -> None:
        """Notice, by httpcore's events, that the proxy has opened its tunnel."""
        self.is_through = self.is_through or event in (
            "proxy.start_tls.started",
            "socks.setup_socks5_connection.complete",
        )


class StatusClient:
    """
    An asynchronous client, to be used in an ``async with`` statement.

    Each call in flight has a connection of its own: a pool of httpx is searched from end to end at each call, which
    costs more than the call itself from some thirty connections on.

    :param settings: what the connection says
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tls: ssl.SSLContext | None = None
        self._lines: list[_Line] = []
        self._free: list[_Line] = []

    async def __aenter__(self) -> StatusClient:  # noqa: PYI034 - Self came with Python 3.11
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        cancelled = None
        for line in tuple(self._lines):
            try:
                await line.client.aclose()
            except asyncio.CancelledError as request:  # the others are closed all the same
                cancelled = request
        if cancelled:
            raise cancelled

    async def get_profile_status(self, transid: str) -> TransactionStatus:
        """
        Ask how far a transaction is; 7600 and QUEUED are the state "waiting".

        :raises IMIconnectError: of the class that says whether another try may help
        """
        call = protocol.status_call(transid)
        return protocol.read_status(call, await self._exchange(call), transid)

    async def _exchange(self, call: protocol.Call) -> protocol.Answer:
        settings = self._settings
        line = self._free.pop() if self._free else self._new_line(call)
        whole = False
        try:
            with anyio.fail_after(settings.connect_timeout + settings.timeout):  # wait_for would lose cancellations
                answer = await self._call(line, call)
            whole = True
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise _network_error(call, error, is_through=line.is_through) from None
        finally:
            await self._put_back(line, whole=whole)
        return answer

    async def _put_back(self, line: _Line, *, whole: bool) -> None:
        """Keep a client for the next call only after a whole answer: what one cut short leaves behind is not known."""
        if whole:
            self._free.append(line)
            return
        await line.client.aclose()
        self._lines.remove(line)

    async def _call(self, line: _Line, call: protocol.Call) -> protocol.Answer:
        url, extensions = self._settings.base_url + call.path, {} if line.is_through else {"trace": line.trace}
        async with line.client.stream(call.method, url, extensions=extensions) as response:
            body = await _read_body(response, call)
            return protocol.Answer(response.status_code, body, response.headers, hide=self._settings.key)

    def _new_line(self, call: protocol.Call) -> _Line:
        try:
            proxy = self._proxy()
            line = _Line(self._new_client(proxy), is_through=proxy is None)
        except network.Unusable as error:
            raise network.unusable(call, error) from None
        self._lines.append(line)
        return line

    def _proxy(self) -> httpx.Proxy | None:
        url = environment.proxy_for(self._settings)
        if url is None:
            return None
        try:
            return httpx.Proxy(url, ssl_context=self._trust() if url.startswith("https:") else None)
        except (ValueError, httpx.InvalidURL):
            raise network.unusable_proxy() from None

    def _trust(self) -> ssl.SSLContext:
        """Return whose certificates count, read once."""
        if self._tls is None:
            path = environment.ca_bundle(self._settings)
            self._tls = environment.tls_context(path) if path else httpx.create_ssl_context(trust_env=False)
        return self._tls

    def _new_client(self, proxy: httpx.Proxy | None) -> httpx.AsyncClient:
        settings = self._settings
        tls = self._trust()
        try:
            client = httpx.AsyncClient(
                headers=settings.headers,
                timeout=httpx.Timeout(settings.timeout, connect=settings.connect_timeout),
                limits=httpx.Limits(max_connections=1),
                follow_redirects=False,  # the key must not leave the host (contract 6)
                trust_env=False,  # what counts of the environment is read above
                proxy=proxy,
                verify=tls,
            )
        except ImportError:  # a SOCKS proxy, and no package that speaks with it
            raise network.unusable_proxy() from None
        client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        return client


async def _read_body(response: httpx.Response, call: protocol.Call) -> bytes:
    """Read the answer piece by piece: a huge one is cut off."""
    body = bytearray()
    async for piece in response.aiter_raw():  # as it comes: a compressed one could be a bomb, and none was asked for
        body += piece
        if len(body) > protocol.MAX_ANSWER_BYTES:
            raise network.too_large(call)
    return bytes(body)


def _network_error(call: protocol.Call, error: Exception, *, is_through: bool) -> IMIconnectError:
    """Say what the network said, by its kinds: messages of libraries may quote headers."""
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return protocol.cannot_call(call, "the URL is not valid")
    if isinstance(error, httpx.ProxyError) or not is_through:
        return network.no_proxy(call, error)
    tls = next((cause for cause in network.causes(error) if isinstance(cause, ssl.SSLError)), None)
    if tls:
        return network.tls_error(call, tls)
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return network.no_connection_in_time(call)
    if isinstance(error, httpx.ConnectError):
        return network.no_connection(call, error)
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return network.no_answer_in_time(call)
    return network.broken(call, error)
