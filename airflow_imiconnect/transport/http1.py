"""HTTP/1.1 over a channel: one request and its response at a time. What a channel is made of is not known here."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import h11

from airflow_imiconnect.profile_api.requests import MAX_RESPONSE_BYTES
from airflow_imiconnect.transport.network_errors import Stage, not_http, too_large

Headers = list[tuple[str, str]]
_MOST_INTERIM = 100
_LONGEST_HEAD = 64 * 1024  # also the longest chunk-size line, and the longest trailers


class Channel(Protocol):
    """What bytes go through: a line, or TLS on a line."""

    async def send(self, data: bytes) -> bool:
        """Send all of it; return False where the peer has closed the connection before it was all sent."""

    async def receive(self) -> bytes:
        """Return what comes next; nothing where the peer has closed the connection."""


class Reply(NamedTuple):
    """A response as HTTP has it; the names of the headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Body:
    """Takes the pieces of a body, as many as a response of the service may have."""

    def __init__(self) -> None:
        self._data = bytearray()

    def add(self, piece: bytes) -> None:
        """Take a piece; raises BadResponseError for one too many."""
        self._data += piece
        if len(self._data) > MAX_RESPONSE_BYTES:
            raise too_large()

    def decoded(self, encoding: str) -> bytes:
        """
        Return the body, decompressed even though nothing compressed was asked for; a bomb is too large.

        A gzip'd body is known by its first bytes, too: a proxy may lose the header that names the encoding.

        :param encoding: the header Content-Encoding, or nothing
        :raises BadResponseError: decompressed it is larger than a response may be; no more of it than that is unpacked
        """
        data = bytes(self._data)
        windows = _GZIP if data.startswith(_GZIP_MARK) else _WINDOWS.get(encoding.strip().lower(), ())
        for window in windows:
            try:
                plain = zlib.decompressobj(window).decompress(data, MAX_RESPONSE_BYTES + 1)
            except zlib.error:
                continue
            if len(plain) > MAX_RESPONSE_BYTES:
                raise too_large()
            return plain
        return data


_GZIP = (zlib.MAX_WBITS | 16,)
_GZIP_MARK = b"\x1f\x8b"  # no JSON begins like this
_WINDOWS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS)}  # the latter is sent as well


class Http1:
    """
    The client's side of HTTP/1.1.

    :param channel: a new one
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._state = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)
        self._ahead = b""  # what was received beyond what was asked for
        self._is_sound = True
        self.stage = Stage.SENDING

    @property
    def has_left_over(self) -> bool:
        """Whether something was received that does not belong to the response."""
        return bool(self._ahead or self._state.trailing_data[0])

    async def exchange(self, method: str, target: str, headers: Headers, body: bytes | None = None) -> Reply:
        """Send a request and return its response."""
        head = await self.head(method, target, headers, body)
        self.stage = Stage.ANSWERED
        names = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        pieces = Body()
        while type(event := await self._event()) is h11.Data:
            pieces.add(event.data)
        return Reply(head.status_code, names, pieces.decoded(names.get("content-encoding", "")))

    async def head(self, method: str, target: str, headers: Headers, body: bytes | None = None) -> h11.Response:
        """Send a request and return the head of the final response, past the interim ones (1xx)."""
        self.stage = Stage.SENDING
        if await self._channel.send(self._encoded(method, target, headers, body)):
            self.stage = Stage.SENT
        else:  # the response may say why
            self._is_sound = False
        for _ in range(_MOST_INTERIM):
            if isinstance(event := await self._event(), h11.Response):  # to h11 an unasked 101 is not HTTP
                return event
            self._is_sound = False  # a server that sends these may count its responses otherwise
        raise not_http()

    def rewind(self) -> bool:
        """Get ready for another request; return False where what would be read then could be another response."""
        is_done = self._state.our_state is self._state.their_state is h11.DONE
        if not (is_done and self._is_sound) or self.has_left_over:
            return False
        self._state.start_next_cycle()
        return True

    def _encoded(self, method: str, target: str, headers: Headers, body: bytes | None) -> bytes:
        """Return a request as one piece, for one system call."""
        request = h11.Request(method=method, target=target, headers=headers)
        events = (request, h11.Data(data=body), h11.EndOfMessage()) if body else (request, h11.EndOfMessage())
        return b"".join([self._state.send(event) or b"" for event in events])

    async def _event(self) -> type[h11.NEED_DATA | h11.PAUSED] | h11.Event:
        while (event := self._state.next_event()) is h11.NEED_DATA:
            self._state.receive_data(await self._received())
        return event

    async def _received(self) -> bytes:
        if self.stage < Stage.ANSWERED:
            return await self._received_head()
        data, self._ahead = self._ahead, b""
        return data or await self._channel.receive()

    async def _received_head(self) -> bytes:
        """Return a head, without the lines that are not headers: an odd one must not cost a response."""
        searched = 0
        while not (end := _END_OF_HEAD.search(self._ahead, searched)):
            if self._ahead[: len(_PROTOCOL)] not in _BEGINNINGS or len(self._ahead) > _LONGEST_HEAD:
                raise not_http()
            searched = max(0, len(self._ahead) - 3)
            data = await self._channel.receive()
            if not data:
                raise EOFError
            self._ahead += data
        head, self._ahead = self._ahead[: end.start()], self._ahead[end.end() :]
        status, *lines = head.splitlines()
        return b"\r\n".join([status, *filter(_HEADER.fullmatch, lines), b"", b""])


_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_HEADER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00\v\f]*")
_PROTOCOL = b"HTTP/"
_BEGINNINGS = {_PROTOCOL[:length] for length in range(len(_PROTOCOL) + 1)}
