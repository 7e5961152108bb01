"""Sends requests in a worker, from any number of threads."""

from __future__ import annotations

import socket
import struct
import sys
import time
import weakref
from collections.abc import Coroutine
from typing import Any, TypeVar

import requests

from airflow_imiconnect.profile_api.requests import Request, Response
from airflow_imiconnect.transport.client import Client, close_all
from airflow_imiconnect.transport.connection import Route, is_readable
from airflow_imiconnect.transport.http1 import Headers
from airflow_imiconnect.transport.session import ProfileSession
from airflow_imiconnect.transport.settings import Settings

_T = TypeVar("_T")
_PIECE = 64 * 1024
_ACKNOWLEDGED = struct.Struct("=120xQ")  # tcpi_bytes_acked in Linux' struct tcp_info


class SyncClient(Client):
    """
    A client for threads, which may share it.

    :param settings: what the connection says
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._session = ProfileSession(settings)
        weakref.finalize(self, close_all, self._free)  # not every user of a hook closes it

    @property
    def session(self) -> requests.Session:
        """A session with the profile key in its headers; what is set in it counts for requests of this client, too."""
        return self._session

    def exchange(self, request: Request) -> Response:
        """
        Send a request and return its response.

        :raises IMIconnectError: of the class that says whether a retry may help; ambiguous where a write may have been
            processed
        """
        if self._session.passes_on:
            return _run(self._exchange(request))
        return self._session.exchange(request)

    def close(self) -> None:
        """Close the connections."""
        self._close_connections()
        self._session.close()

    def _way(self) -> tuple[Route, Headers]:
        return self._session.way

    def _new_line(self) -> _Line:
        return _Line(self._settings.connect_timeout)


def _run(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine over a blocking line: it never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: _T = end.value
        return result
    raise RuntimeError("a blocking line has suspended")


class _Line:
    """
    A TCP connection of a thread.

    The timeout of a socket is for each call, and never fires on a slow trickle: each call has what is left of the time.

    :param connect_timeout: seconds for each of a host's addresses
    """

    def __init__(self, connect_timeout: float) -> None:
        self._connect_timeout = connect_timeout
        self._deadline = 0.0
        self._socket = socket.socket()
        self._acknowledged: int | None = None

    def allow(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._acknowledged = self._bytes_acknowledged()

    async def open(self, host: str, port: int) -> None:
        error: OSError = TimeoutError()
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            self._socket.close()
            self._socket = socket.socket(family, kind, protocol)
            try:
                return self._connect(address)
            except OSError as failed:
                error = failed
        raise error

    def _connect(self, address: object) -> None:
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(min(self._connect_timeout, self._left))
        self._socket.connect(address)  # type: ignore[arg-type]

    async def send(self, data: bytes) -> bool:
        self._socket.settimeout(self._left)
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    async def receive(self) -> bytes:
        self._socket.settimeout(self._left)
        return self._socket.recv(_PIECE)

    def is_quiet(self, patience: float) -> bool:
        return not is_readable(self._socket.fileno(), patience)

    def is_untouched(self) -> bool:
        """
        Tell whether the peer had nothing of a request when it closed the connection; Linux knows.

        The packet with which a peer ends its side acknowledges all that it has received by then. Where that is nothing
        of the request, it could no longer be answered. A reset proves nothing: it may come before an acknowledgement.
        """
        return self._acknowledged is not None and self._bytes_acknowledged() == self._acknowledged

    def close(self) -> None:
        self._socket.close()

    @property
    def _left(self) -> float:
        """Seconds that are left."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _bytes_acknowledged(self) -> int | None:
        if sys.platform != "linux":
            return None
        info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKNOWLEDGED.size)
        return int(_ACKNOWLEDGED.unpack(info)[0]) if len(info) == _ACKNOWLEDGED.size else None
