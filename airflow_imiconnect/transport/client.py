"""What the two clients have in common: everything but the way in which bytes are sent and received."""

from __future__ import annotations

import time
from contextlib import suppress
from urllib.parse import urlsplit

from airflow_imiconnect.profile_api.requests import Request, Response
from airflow_imiconnect.transport.connection import Connection, Line, Route
from airflow_imiconnect.transport.http1 import Headers
from airflow_imiconnect.transport.network_errors import ERRORS, Stage, Unusable, network_error
from airflow_imiconnect.transport.settings import Settings

_LONGEST_IDLE = 4.0  # seconds: servers close idle connections after 5 or more; load balancers forget them in silence
_SIGN = 0.02  # seconds in which a server that closes each connection after its response has done so
_CAUTION = 60.0  # seconds


class Client:
    """
    Sends requests, over connections that are kept for later ones.

    A write is never sent a second time, unless it is certain that the server received nothing of it, or not all.

    :param settings: what the connection says
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._prefix = urlsplit(settings.base_url).path
        self._free: list[Connection] = []  # the last one to be used comes first; append and pop need no lock
        self._is_open = True
        self._is_trusted = False  # whether a connection is known to outlive a response
        self._cautious_until = 0.0

    def _way(self) -> tuple[Route, Headers]:
        """Return the way to the service, and the headers of every request."""
        raise NotImplementedError

    def _new_line(self) -> Line:
        raise NotImplementedError

    def _close_connections(self) -> None:
        self._is_open = False
        self._drop_free()

    async def _exchange(self, request: Request) -> Response:
        """Send a request and return its response; raises IMIconnectError."""
        try:
            route, headers = self._way()
        except Unusable as unusable:
            raise network_error(request, unusable, Stage.CONNECTING, 0.0) from None
        target = self._prefix + request.target
        if request.is_write:
            headers = [*headers, ("Content-Length", str(len(request.body or b"")))]
        while True:
            connection = self._take(route, request)
            try:
                reply = await connection.exchange(request.method, target, headers, request.body)
            except ERRORS as caught:
                error = caught
            else:
                return Response(reply.status, reply.body, reply.headers, hide=self._settings.key)
            finally:
                self._put_back(connection)
            if not self._may_repeat(connection, request, error):
                # Not while the error is handled: it would hang on to this one, and may quote a header.
                raise network_error(request, error, connection.stage, self._settings.timeout)

    def _may_repeat(self, connection: Connection, request: Request, error: BaseException) -> bool:
        """Tell whether a kept connection had been closed, so that a new one can carry the request."""
        if not connection.is_kept or not isinstance(error, EOFError | ConnectionError):
            return False
        self._beware()
        return connection.stage < Stage.SENT or (connection.stage is Stage.SENT and not request.is_write)

    def _take(self, route: Route, request: Request) -> Connection:
        """Return a kept connection that the server has not closed, or a new one."""
        while self._free:
            try:
                connection = self._free.pop()
            except IndexError:  # another thread was faster
                break
            if self._is_usable(connection, route, request):
                return connection
            connection.line.close()
        return Connection(route, self._new_line(), self._settings)

    def _is_usable(self, connection: Connection, route: Route, request: Request) -> bool:
        if connection.route != route or time.monotonic() - connection.used_at > _LONGEST_IDLE:
            return False
        patience = 0.0 if self._is_trusted or not request.is_write else _SIGN
        self._is_trusted = connection.line.is_quiet(patience)
        if not self._is_trusted:
            self._beware()
        return self._is_trusted

    def _beware(self) -> None:
        """
        Keep no connections for a while.

        A server that closes them without notice may do so again, and then while a request is on its way: from the
        outside that looks like a request that was received, and whose response was lost.
        """
        self._is_trusted, self._cautious_until = False, time.monotonic() + _CAUTION
        self._drop_free()

    def _put_back(self, connection: Connection) -> None:
        connection.used_at = time.monotonic()
        if connection.used_at >= self._cautious_until and connection.rewind():
            self._free.append(connection)
        else:
            connection.line.close()
        if not self._is_open:
            self._drop_free()

    def _drop_free(self) -> None:
        close_all(self._free)


def close_all(connections: list[Connection]) -> None:
    """Close connections that others may be taking at this moment."""
    with suppress(IndexError):
        while True:
            connections.pop().line.close()
