"""Responses as bytes on a connection, broken ones included: each fault is a response class or function of its own."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from asyncio import Transport
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Any, cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from airflow_imiconnect.simulator.faults import Fault
from airflow_imiconnect.simulator.gateway import Outcome
from airflow_imiconnect.simulator.rules import describe

_JSON = "application/json"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_CHUNK = b"x" * 65536
_PROXY_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


class Wire:
    """
    What the routes may do besides responding: wait, and take the server down for a while.

    :param go_down: closes the listening socket and all connections for the given number of seconds
    """

    def __init__(self, go_down: Callable[[float], None]) -> None:
        self.go_down = go_down
        self.stopping = asyncio.Event()

    async def pause(self, seconds: float) -> None:
        """Wait, but not beyond the server's stop."""
        if seconds > 0:
            try:
                await asyncio.wait_for(self.stopping.wait(), seconds)
            except asyncio.TimeoutError:
                return


def transport_of(scope: Scope) -> Transport:
    """Return the connection of a request, which the server has put into its scope."""
    return cast("Transport", scope["state"]["transport"])


def reset(transport: Transport) -> None:
    """Close a connection with a TCP reset."""
    peer = transport.get_extra_info("socket")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


def json_response(payload: object, http_status: int) -> Response:
    """Return JSON in plain ASCII, which a client's text cannot break."""
    return Response(json.dumps(payload), http_status, media_type=_JSON)


def response_to(outcome: Outcome, wire: Wire) -> Response:
    """Return the response to send for an outcome."""
    answer, fault = outcome
    if fault is None:
        return json_response(answer.payload, answer.http_status)
    if fault.is_code:
        return json_response({"code": fault.kind, "description": describe(fault.kind)}, 200)
    return _BROKEN[fault.kind](outcome.answer.payload, answer.http_status, fault, wire)


# -- responses that do not end properly --


class Unfinished(Response):
    """A response that leaves its connection unusable, and lasts until the connection is closed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do the damage, then wait until the connection is closed."""
        await self.damage(transport_of(scope), send)
        while (await receive())["type"] != "http.disconnect":
            pass

    async def damage(self, transport: Transport, send: Send) -> None:
        """Send nothing: the client waits until it gives up."""

    async def begin(self, send: Send, **headers: str) -> None:
        """Send the status line and headers of a response."""
        pairs = {"content-type": _JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
        raw = [(name.encode(), value.encode()) for name, value in pairs.items()]
        await send({"type": "http.response.start", "status": self.status_code, "headers": raw})


class Reset(Unfinished):
    """A TCP reset instead of a response."""

    async def damage(self, transport: Transport, send: Send) -> None:  # noqa: ARG002 - nothing is sent
        """Reset the connection."""
        reset(transport)


class Down(Unfinished):
    """The server goes down."""

    def __init__(self, wire: Wire, seconds: float) -> None:
        super().__init__()
        self._wire = wire
        self._seconds = seconds

    async def damage(self, transport: Transport, send: Send) -> None:  # noqa: ARG002 - nothing is sent
        """Stop listening and reset all connections, this one included."""
        self._wire.go_down(self._seconds)


class CutOff(Unfinished):
    """Half of the announced body, then the connection closes."""

    async def damage(self, transport: Transport, send: Send) -> None:
        """Send half of the body and close the connection."""
        await self.begin(send, content_length=str(len(self.body)))
        await send({"type": "http.response.body", "body": self.body[: len(self.body) // 2], "more_body": True})
        transport.close()


class SlowBody(Unfinished):
    """An endless body, a byte at a time: JSON that opens an object and then sends only spaces."""

    def __init__(self, http_status: int, wire: Wire, interval: float) -> None:
        super().__init__(status_code=http_status)
        self._wire = wire
        self._interval = interval

    async def damage(self, transport: Transport, send: Send) -> None:
        """Send as long as someone is reading."""
        await self.begin(send)
        byte = b"{"
        while not transport.is_closing() and not self._wire.stopping.is_set():
            await send({"type": "http.response.body", "body": byte, "more_body": True})
            byte = b" "
            await self._wire.pause(max(self._interval, 0.001))


class HugeBody(Unfinished):
    """A correct response, padded with hundreds of megabytes and without a Content-Length."""

    def __init__(self, http_status: int, payload: Mapping[str, Any], megabytes: float) -> None:
        super().__init__(status_code=http_status)
        self._tail = ('", ' + json.dumps(payload)[1:]).encode()
        self._chunks = int(megabytes * 1_000_000 / len(_CHUNK)) + 1

    async def damage(self, transport: Transport, send: Send) -> None:  # noqa: ARG002 - the connection stays intact
        """Send it all; whatever is no longer read is dropped."""
        await self.begin(send)
        await send({"type": "http.response.body", "body": b'{"padding": "', "more_body": True})
        for _ in range(self._chunks):
            await send({"type": "http.response.body", "body": _CHUNK, "more_body": True})
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": self._tail, "more_body": False})


# -- responses that are complete but wrong --


def _too_many(fault: Fault) -> Response:
    seconds = fault.seconds or 0.0
    after = formatdate(time.time() + seconds, usegmt=True) if fault.http_date else f"{seconds:.0f}"
    return Response(b"Too Many Requests", 429, {"retry-after": after}, media_type="text/plain")


def _wrong_types(http_status: int) -> Response:
    wrong = {"code": ["1000"], "description": {"text": "QUEUED"}, "transid": 7, "TotalCount": "two", "Results": 5}
    return json_response(wrong, http_status)


def _without_transid(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _without_transid(value) if isinstance(value, dict) else value
        for name, value in payload.items()
        if name != "transid"
    }


_Maker = Callable[[Mapping[str, Any], int, Fault, Wire], Response]
_BROKEN: dict[str, _Maker] = {
    "reset_before": lambda *_: Reset(),
    "reset_after": lambda *_: Reset(),
    "cut_off": lambda payload, http_status, *_: CutOff(json.dumps(payload), http_status),
    "hang_after": lambda *_: Unfinished(),
    "http_500": lambda *_: Response(b"Internal Server Error", 500, media_type="text/plain"),
    "http_502_html": lambda *_: Response(_PROXY_PAGE, 502, media_type="text/html"),
    "http_429": lambda _payload, _http_status, fault, _wire: _too_many(fault),
    "http_503": lambda *_: Response(b"", 503),
    "not_json": lambda _payload, http_status, *_: Response(b"Accepted, thank you.", http_status, media_type=_JSON),
    "other_shape": lambda _payload, http_status, *_: json_response([1, 2, 3], http_status),
    "no_transid": lambda payload, http_status, *_: json_response(_without_transid(payload), http_status),
    "wrong_types": lambda _payload, http_status, *_: _wrong_types(http_status),
    "slow_body": lambda _payload, http_status, fault, wire: SlowBody(http_status, wire, fault.seconds or 0.0),
    "huge_body": lambda payload, http_status, fault, _wire: HugeBody(http_status, payload, fault.megabytes or 0.0),
    "redirect": lambda _payload, _http_status, fault, _wire: Response(b"", 307, {"location": fault.url or "/"}),
    "down": lambda _payload, _http_status, fault, wire: Down(wire, fault.seconds or 0.0),
}
