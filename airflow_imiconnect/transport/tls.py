"""TLS over any channel."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from airflow_imiconnect.transport.http1 import Channel

_T = TypeVar("_T")
_PIECE = 64 * 1024


class Tls:
    """
    A channel that speaks TLS through another one, which may itself be TLS.

    :param below: where the encrypted bytes go
    :param hostname: whose certificate it must be
    """

    def __init__(self, below: Channel, context: ssl.SSLContext, hostname: str) -> None:
        self._below = below
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)

    @property
    def has_left_over(self) -> bool:
        """Whether something was received that nobody has read."""
        return bool(self._tls.pending() or self._incoming.pending)

    async def handshake(self) -> None:
        """Agree on keys, and check the certificate."""
        await self._until_done(self._tls.do_handshake)

    async def send(self, data: bytes) -> bool:
        """Encrypt and send."""
        self._tls.write(data)
        return await self._flush()

    async def receive(self) -> bytes:
        """Return what comes next, decrypted."""
        with suppress(ssl.SSLZeroReturnError, ssl.SSLEOFError):  # closed with a farewell, or without one
            return await self._until_done(lambda: self._tls.read(_PIECE))
        return b""

    async def _until_done(self, step: Callable[[], _T]) -> _T:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                pass
            finally:
                await self._flush()
            self._take(await self._below.receive())

    def _take(self, data: bytes) -> None:
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def _flush(self) -> bool:
        return not self._outgoing.pending or await self._below.send(self._outgoing.read())
