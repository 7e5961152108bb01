"""Sends requests in an event loop: in the triggerer, and in a worker that waits."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from types import TracebackType
from typing import Any

import anyio

from airflow_imiconnect.profile_api.requests import Request, Response
from airflow_imiconnect.transport import environment
from airflow_imiconnect.transport.client import Client
from airflow_imiconnect.transport.connection import Route, is_readable
from airflow_imiconnect.transport.http1 import Headers
from airflow_imiconnect.transport.settings import Settings

_PIECE = 4096  # bytes of a hostile response, after which others have their turn
_MOST_PIECES = 32  # that wait to be taken; what comes then stays in the socket


class AsyncClient(Client):
    """
    A client for an event loop, to be used in an ``async with`` statement.

    :param settings: what the connection says
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._known_way: tuple[Route, Headers] | None = None

    async def __aenter__(self) -> AsyncClient:  # noqa: PYI034 - Self came with Python 3.11
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_connections()

    async def exchange(self, request: Request) -> Response:
        """
        Send a request and return its response.

        :raises IMIconnectError: of the class that says whether a retry may help
        """
        return await self._exchange(request)

    def _way(self) -> tuple[Route, Headers]:
        if self._known_way is None:
            settings = self._settings
            route = environment.route(
                settings, environment.proxy_for(settings), environment.ca_bundle(settings) or True
            )
            self._known_way = route, [("Host", route.host_header), *settings.headers.items()]
        return self._known_way

    def _new_line(self) -> _Line:
        return _Line(self._settings.connect_timeout)


class _Line(asyncio.Protocol):
    """A TCP connection of an event loop."""

    def __init__(self, connect_timeout: float) -> None:
        self._connect_timeout = connect_timeout
        self._loop = asyncio.get_running_loop()
        self._deadline = 0.0
        self._transport: asyncio.Transport | None = None
        self._pieces: deque[bytes] = deque()
        self._has_ended = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    # -- what the event loop calls --

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._pieces.extend(data[at : at + _PIECE] for at in range(0, len(data), _PIECE))
        if len(self._pieces) > _MOST_PIECES and self._transport is not None:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._has_ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_ended, self._error = True, exc
        self._wake()

    # -- what a Line is --

    def allow(self, seconds: float) -> None:
        self._deadline = self._loop.time() + seconds

    async def open(self, host: str, port: int) -> None:
        until = min(self._loop.time() + self._connect_timeout, self._deadline)
        with anyio.fail_after(until - self._loop.time()):
            addresses = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        error: OSError = TimeoutError()
        for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            try:
                with anyio.fail_after((until - self._loop.time()) / left):  # a dead address leaves time for the others
                    return await self._connect(address)
            except OSError as failed:
                error = failed
        raise error

    async def _connect(self, found: tuple[Any, ...]) -> None:
        """Connect to an address that was looked up. asyncio's race of several loses sockets when it is cancelled."""
        family, kind, protocol, _, address = found
        channel = socket.socket(family, kind, protocol)
        try:
            channel.setblocking(False)
            await self._loop.sock_connect(channel, address)
            await self._loop.create_connection(lambda: self, sock=channel)
        except BaseException:
            channel.close()
            raise

    async def send(self, data: bytes) -> bool:
        if self._transport is None or self._has_ended:
            return False
        self._transport.write(data)
        return True

    async def receive(self) -> bytes:
        if self._pieces:
            await asyncio.sleep(0)
        elif not self._has_ended:
            await self._wait()
        if self._loop.time() >= self._deadline or not (self._pieces or self._has_ended):
            raise TimeoutError
        if self._pieces:
            return self._next_piece()
        if self._error:
            raise self._error
        return b""

    def _next_piece(self) -> bytes:
        piece = self._pieces.popleft()
        if not self._pieces and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
        return piece

    def is_quiet(self, patience: float) -> bool:  # noqa: ARG002 - only a write needs it, and writes are not sent here
        if self._transport is None or self._pieces or self._has_ended:
            return False
        return not is_readable(self._transport.get_extra_info("socket").fileno(), 0.0)  # the loop may not have looked

    def is_untouched(self) -> bool:
        return False  # as above

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        timer = self._loop.call_at(self._deadline, self._wake)
        try:
            await self._waiter
        finally:
            timer.cancel()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
