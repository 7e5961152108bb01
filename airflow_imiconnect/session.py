"""The requests.Session of the hook: one for all threads, no redirects, no cookies, and a deadline for each answer."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

from airflow_imiconnect.settings import Settings

_POOL_SIZE = 64
_LOOKS_EVERY = 0.5  # seconds


def new_session(settings: Settings) -> requests.Session:
    """Return a session for the connection; the profile key is in its headers."""
    session = _Session()
    session.headers.update(settings.headers)
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.trust_env = settings.trusts_environment
    adapter = _Adapter(settings.timeout + 1.0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class _Session(requests.Session):
    _environment: dict[str, Any] | None = None

    def merge_environment_settings(self, *args: Any) -> Any:  # noqa: ANN401 - as requests has it
        """Look proxies up once, not for each call: a session speaks to one host."""
        self._environment = self._environment or dict(super().merge_environment_settings(*args))
        return self._environment

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - requests names it
        """Follow no redirect, whoever calls: the key must not leave the host (contract 6)."""
        return


class _Adapter(HTTPAdapter):
    """
    Gives the head of each answer a deadline: one that comes in endless small pieces never meets a timeout.

    A timeout is for each piece. The body has a deadline in the hook, which reads it.
    """

    def __init__(self, seconds: float) -> None:
        self._attributes = {"seconds": seconds, "watchdog": _Watchdog()}
        super().__init__(pool_connections=1, pool_maxsize=_POOL_SIZE, max_retries=0)

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as requests has it
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        connection_class = pool.ConnectionCls  # read once: the first calls of a session come from several threads
        if not issubclass(connection_class, _Hurried):
            pool.ConnectionCls = type("Hurried", (_Hurried, connection_class), self._attributes)
        return pool


class _Hurried(HTTPConnection):
    """A connection that is cut when the head of an answer has not ended in time."""

    seconds: float
    watchdog: _Watchdog

    def getresponse(self) -> Any:  # noqa: ANN401 - as urllib3 has it
        self.watchdog.watch(self, time.monotonic() + self.seconds)
        try:
            return super().getresponse()
        finally:
            self.watchdog.forget(self)

    def cut(self) -> None:
        """End the connection; whoever reads from it gets an error."""
        if self.sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


class _Watchdog:
    """Cuts what is overdue, from a thread that lives for as long as there is anything to watch."""

    def __init__(self) -> None:
        self._deadlines: dict[_Hurried, float] = {}
        self._lock = threading.Lock()
        self._is_awake = False

    def watch(self, connection: _Hurried, deadline: float) -> None:
        with self._lock:
            self._deadlines[connection] = deadline
            if not self._is_awake:
                self._is_awake = True
                threading.Thread(target=self._look, name="imiconnect-watchdog", daemon=True).start()

    def forget(self, connection: _Hurried) -> None:
        with self._lock:
            self._deadlines.pop(connection, None)

    def _look(self) -> None:
        while True:
            time.sleep(_LOOKS_EVERY)
            with self._lock:
                if not self._deadlines:
                    self._is_awake = False
                    return
                now = time.monotonic()
                overdue = [connection for connection, deadline in self._deadlines.items() if deadline < now]
            for connection in overdue:
                connection.cut()
