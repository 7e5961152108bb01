"""Uvicorn in a thread of its own; it leaves signals and logging to the surrounding program."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from asyncio import BaseTransport, Transport
from collections.abc import Callable
from typing import Any, cast

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from airflow_imiconnect.simulator.wire import Wire, reset

_START_SECONDS = 10.0
_STOP_SECONDS = 1.0


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises OSError if the port is taken."""
    # asyncio disables Nagle's algorithm only if the protocol is given; otherwise each response is 40 ms late.
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(128)
    except OSError:
        sock.close()
        raise
    return sock


class _Protocol(H11Protocol):
    """An HTTP protocol that passes its connection to the application and writes no access log."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on unchanged
        super().__init__(*args, **kwargs)
        self.access_log = False

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(cast("Transport", transport))
        self.app_state = {**self.app_state, "transport": transport}


class _Server(uvicorn.Server):
    """
    A uvicorn server that stops at once.

    :param make_app: builds the application; the Wire is what it may do to connections
    """

    def __init__(self, make_app: Callable[[Wire], FastAPI]) -> None:
        self.wire = Wire(self._go_down)
        # access_log=True stops uvicorn from changing its logger process-wide; _Protocol turns the access log off.
        config = uvicorn.Config(
            make_app(self.wire),
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=None,
            access_log=True,
            server_header=False,
            proxy_headers=False,
        )
        super().__init__(config)
        self.ready = threading.Event()
        self.loop: asyncio.AbstractEventLoop | None = None
        self._address: tuple[str, int] = ("", 0)
        self._outage: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, or restart, accepting connections."""
        self.loop = asyncio.get_running_loop()
        self._address = (sockets or [])[0].getsockname()[:2]
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        """Keep the Date header up to date until it is time to stop."""
        while not self.wire.stopping.is_set():
            await self.on_tick(0)
            await self.wire.pause(1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - the base class's signature
        """Stop listening and close all connections, unfinished responses included."""
        deadline = asyncio.get_running_loop().time() + _STOP_SECONDS
        self._close()
        if self._outage:
            await self._outage
        while self.server_state.connections or self.server_state.tasks:
            if asyncio.get_running_loop().time() > deadline:
                return
            self._hang_up(lambda transport: transport.abort())
            await asyncio.sleep(0.005)

    def _close(self) -> None:
        for server in self.servers:
            for sock in server.sockets:
                # A process forked in the meantime holds the socket too: this stops the listening in all of them.
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            server.close()

    def _hang_up(self, how: Callable[[Transport], None]) -> None:
        for connection in list(self.server_state.connections):
            transport = connection.transport
            if not transport.is_closing():
                how(transport)

    def _go_down(self, seconds: float) -> None:
        if self._outage is None or self._outage.done():
            self._close()
            self._hang_up(reset)
            self._outage = asyncio.get_running_loop().create_task(self._come_back(seconds))

    async def _come_back(self, seconds: float) -> None:
        await self.wire.pause(seconds)
        while not self.wire.stopping.is_set():
            try:
                await self.startup([listen(*self._address)])
            except OSError:  # another process has the port at the moment
                await self.wire.pause(0.1)
            else:
                return


class Serving:
    """
    One run of the server, from the constructor, which returns once it accepts connections, to :meth:`stop`.

    :param make_app: builds the application
    :param sock: the listening socket; closed at the end
    :raises RuntimeError: the server did not start; the cause is chained
    """

    def __init__(self, make_app: Callable[[Wire], FastAPI], sock: socket.socket) -> None:
        self._sock = sock
        self._error: BaseException | None = None
        try:
            self._server = _Server(make_app)
        except BaseException:
            sock.close()
            raise
        self._thread = threading.Thread(target=self._run, name="imiconnect-simulator", daemon=True)
        self._thread.start()
        if not self._server.ready.wait(_START_SECONDS) or self._error:
            raise RuntimeError(f"The simulator did not start: {self._error or 'it took too long'}") from self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve([self._sock]))
        except BaseException as error:  # noqa: BLE001 - uvicorn exits with SystemExit; the constructor reports the cause
            self._error = error
        finally:
            self._sock.close()
            self._server.ready.set()

    @property
    def alive(self) -> bool:
        """Whether it is still running."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """
        Close the port and all connections, and wait for the thread to end, which takes at most a second.

        :raises RuntimeError: the server had crashed
        """
        loop = self._server.loop
        if loop is not None and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself in the meantime
                loop.call_soon_threadsafe(self._server.wire.stopping.set)
        self._thread.join(_START_SECONDS)
        if self._error:
            raise RuntimeError(f"The simulator crashed: {self._error}") from self._error
