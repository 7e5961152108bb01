"""A uvicorn in a thread of its own, which leaves signals and logging to the program around it."""

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
    """Return a listening socket; OSError where the port is taken."""
    # asyncio turns Nagle's algorithm off only where the protocol is named: without it an answer comes 40 ms late.
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
    """HTTP that hands its connection to the application and writes no access log."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - handed on as they come
        super().__init__(*args, **kwargs)
        self.access_log = False

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(cast("Transport", transport))
        self.app_state = {**self.app_state, "transport": transport}


class _Server(uvicorn.Server):
    """
    A uvicorn that stops at once.

    :param make_app: builds the application around what it may do to the connections
    """

    def __init__(self, make_app: Callable[[Wire], FastAPI]) -> None:
        self.wire = Wire(self._go_down)
        # access_log=True keeps uvicorn from changing its logger for the whole process; _Protocol writes none.
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
        """Accept connections, from now on or again."""
        self.loop = asyncio.get_running_loop()
        self._address = (sockets or [])[0].getsockname()[:2]
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        """Keep the Date header right until it is time to stop."""
        while not self.wire.stopping.is_set():
            await self.on_tick(0)
            await self.wire.pause(1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - the base class's
        """Close the door and whatever is open, unfinished answers too."""
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
                # A process that was forked meanwhile holds the socket too: this ends the listening for all of them.
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
            except OSError:  # someone else has the port for the moment
                await self.wire.pause(0.1)
            else:
                return


class Serving:
    """
    One run of the server, from the constructor, which returns when it accepts connections, to :meth:`stop`.

    :param make_app: builds the application
    :param sock: the listening socket; closed at the end
    :raises RuntimeError: the server did not start; its cause is attached
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
        except BaseException as error:  # noqa: BLE001 - uvicorn ends with SystemExit; start() tells what it was
            self._error = error
        finally:
            self._sock.close()
            self._server.ready.set()

    @property
    def alive(self) -> bool:
        """Whether it still serves."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """
        Close the port and every connection, and wait for the thread to end, which takes a second at most.

        :raises RuntimeError: the server had broken down
        """
        loop = self._server.loop
        if loop is not None and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself meanwhile
                loop.call_soon_threadsafe(self._server.wire.stopping.set)
        self._thread.join(_START_SECONDS)
        if self._error:
            raise RuntimeError(f"The simulator broke down: {self._error}") from self._error
