"""Asks for the status of transactions with httpx: reading only, in the triggerer and in a worker that waits."""

from __future__ import annotations

import asyncio
import ssl
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType

import anyio
import httpx

from airflow_imiconnect import network, protocol
from airflow_imiconnect.errors import IMIconnectError
from airflow_imiconnect.models import TransactionStatus
from airflow_imiconnect.settings import Settings


class StatusClient:
    """
    An asynchronous client, to be used in an ``async with`` statement.

    Each call in flight has a connection of its own: a pool of httpx is searched from end to end at each call, which
    costs more than the call itself from some thirty connections on.

    :param settings: what the connection says
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tls = httpx.create_ssl_context(trust_env=settings.trusts_environment)
        self._clients: list[httpx.AsyncClient] = []
        self._free: list[httpx.AsyncClient] = []

    async def __aenter__(self) -> StatusClient:  # noqa: PYI034 - Self came with Python 3.11
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        cancelled = None
        for client in tuple(self._clients):
            try:
                await client.aclose()
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
        client = self._free.pop() if self._free else self._new_client()
        whole = False
        try:
            with anyio.fail_after(settings.connect_timeout + settings.timeout):  # wait_for would lose cancellations
                answer = await self._call(client, call)
            whole = True
        except TimeoutError:
            raise protocol.no_answer(call, "no whole answer in time", sent=True) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise _network_error(call, error) from None
        finally:
            await self._put_back(client, whole=whole)
        return answer

    async def _put_back(self, client: httpx.AsyncClient, *, whole: bool) -> None:
        """Keep a client for the next call only after a whole answer: what one cut short leaves behind is not known."""
        if whole:
            self._free.append(client)
            return
        await client.aclose()
        self._clients.remove(client)

    async def _call(self, client: httpx.AsyncClient, call: protocol.Call) -> protocol.Answer:
        async with client.stream(call.method, self._settings.base_url + call.path) as response:
            body = await _read_body(response, call)
            return protocol.Answer(response.status_code, body, response.headers, hide=self._settings.key)

    def _new_client(self) -> httpx.AsyncClient:
        settings = self._settings
        client = httpx.AsyncClient(
            headers=settings.headers,
            timeout=httpx.Timeout(settings.timeout, connect=settings.connect_timeout),
            limits=httpx.Limits(max_connections=1),
            follow_redirects=False,  # the key must not leave the host (contract 6)
            trust_env=settings.trusts_environment,
            verify=self._tls,
        )
        client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._clients.append(client)
        return client


async def _read_body(response: httpx.Response, call: protocol.Call) -> bytes:
    """Read the answer piece by piece: a huge one is cut off."""
    body = bytearray()
    async for piece in response.aiter_raw():  # as it comes: a compressed one could be a bomb, and none was asked for
        body += piece
        if len(body) > protocol.MAX_ANSWER_BYTES:
            raise protocol.no_answer(call, f"the answer is larger than {protocol.MAX_ANSWER_BYTES} bytes", sent=True)
    return bytes(body)


def _network_error(call: protocol.Call, error: Exception) -> IMIconnectError:
    """Say what the network said, by its kinds: messages of libraries may quote headers."""
    tls = next((cause for cause in network.causes(error) if isinstance(cause, ssl.SSLError)), None)
    if tls:
        return network.tls_error(call, tls)
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return protocol.cannot_call(call, "the URL is not valid")
    if isinstance(error, httpx.ProxyError):
        return network.no_proxy(call)
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return network.no_connection_in_time(call)
    if isinstance(error, httpx.ConnectError):
        return network.no_connection(call, error)
    if isinstance(error, httpx.TimeoutException):
        return network.no_answer_in_time(call)
    return network.broken(call, error)
