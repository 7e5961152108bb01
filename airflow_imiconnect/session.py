"""The requests.Session of the hook: one for all threads, no redirects, no cookies, and deadlines that hold."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidSchema
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError, ProxyError

from airflow_imiconnect import environment, network
from airflow_imiconnect.settings import Settings

_POOL_SIZE = 64
_LOOKS_EVERY = 0.5  # seconds


def new_session(settings: Settings) -> requests.Session:
    """Return a session for the connection; the profile key is in its headers."""
    session = _Session(settings)
    session.headers.update(settings.headers)
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = _Adapter(settings)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class _Session(requests.Session):
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.trust_env = False  # what counts of the environment is read below; .netrc does not
        self._settings = settings
        self._environment: dict[str, Any] | None = None

    def merge_environment_settings(self, *args: Any) -> Any:  # noqa: ANN401 - as requests has it
        """Look the environment up once, not for each call: a session speaks to one host."""
        if self._environment is None:
            proxy = environment.proxy_for(self._settings)
            named = {"proxies": proxy and {"all": proxy}, "verify": environment.ca_bundle(self._settings)}
            merged = dict(super().merge_environment_settings(*args))
            self._environment = merged | {name: value for name, value in named.items() if value}
        return self._environment

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - requests names it
        """Follow no redirect, whoever calls: the key must not leave the host (contract 6)."""
        return


class _Adapter(HTTPAdapter):
    """
    Gives connections, and the heads of answers, a deadline: what comes in endless small pieces never meets a timeout.

    A timeout is for each piece. The body has a deadline in the hook, which reads it.
    """

    def __init__(self, settings: Settings) -> None:
        answer = settings.timeout + 1.0
        self._attributes = {
            "answer_seconds": answer,
            "connect_seconds": settings.connect_timeout + answer,  # a proxy is given the time of an answer, too
            "watchdog": _Watchdog(),
        }
        super().__init__(pool_connections=1, pool_maxsize=_POOL_SIZE, max_retries=0)

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as requests has it
        try:
            pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        except InvalidSchema:  # a SOCKS proxy, and no package that speaks with it
            raise network.unusable_proxy() from None
        connection_class = pool.ConnectionCls  # read once: the first calls of a session come from several threads
        if not issubclass(connection_class, _Hurried):
            pool.ConnectionCls = type("Hurried", (_Hurried, connection_class), self._attributes)
        return pool


class _Hurried(HTTPConnection):
    """A connection that is cut when it has not been made, or the head of an answer has not ended, in time."""

    answer_seconds: float
    connect_seconds: float
    watchdog: _Watchdog
    is_cut = False

    def connect(self) -> None:
        """Connect; whatever goes wrong here comes before a request is sent, and the error says so."""
        self.is_cut = False
        try:
            with self._hurry(self.connect_seconds):
                super().connect()
        except Exception as error:
            if self.is_cut:
                raise self._too_late() from network.NothingSent()
            raise error from network.NothingSent(error.__cause__ or error.__context__)

    def _too_late(self) -> Exception:
        return ProxyError("No tunnel in time", TimeoutError()) if self.proxy else ConnectTimeoutError(self, "Too late")

    def _tunnel(self) -> None:
        try:
            super()._tunnel()
        except (OSError, HTTPException) as error:  # OSError: a timeout, too
            raise ProxyError("No tunnel", error) from error
        if self.is_cut:  # the answer's head has ended by that
            raise self._too_late()

    def getresponse(self) -> Any:  # noqa: ANN401 - as urllib3 has it
        with self._hurry(self.answer_seconds):
            return super().getresponse()

    @contextmanager
    def _hurry(self, seconds: float) -> Iterator[None]:
        self.watchdog.watch(self, time.monotonic() + seconds)
        try:
            yield
        finally:
            self.watchdog.forget(self)

    def cut(self) -> None:
        """End the connection; whoever reads from it gets an error."""
        self.is_cut = True
        channel: Any = self.sock  # read once: its own thread may close it at any moment
        channel = getattr(channel, "socket", channel)  # TLS within a proxy's TLS is a wrapper of urllib3's
        if isinstance(channel, socket.socket):
            socket.socket.shutdown(channel, socket.SHUT_RDWR)


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
                self._cut_overdue(time.monotonic())

    def _cut_overdue(self, now: float) -> None:
        """Cut under the lock: a connection that was forgotten by now, or has a new deadline, is left alone."""
        for connection, deadline in self._deadlines.items():
            if deadline < now:
                with suppress(Exception):  # one that cannot be cut leaves the others watched
                    connection.cut()
