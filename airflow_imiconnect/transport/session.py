"""The requests.Session that a hook hands out: what a user sets in it counts for the requests of the package, too."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import select_proxy
from urllib3.exceptions import HTTPError, NewConnectionError

from airflow_imiconnect.profile_api.requests import Request, Response
from airflow_imiconnect.transport import environment
from airflow_imiconnect.transport.connection import Route
from airflow_imiconnect.transport.http1 import Body, Headers
from airflow_imiconnect.transport.network_errors import ERRORS, Stage, Unusable, causes, network_error
from airflow_imiconnect.transport.settings import Settings

_PIECE = 64 * 1024
_FINAL = 200  # the first status that is not an interim one
_LOGGERS = ("connection", "connectionpool", "poolmanager", "response", "util.retry")  # of urllib3, that write


class ProfileSession(requests.Session):
    """
    A session for a connection: the profile key is in its headers; it keeps no cookies and follows no redirect.

    :param settings: what the connection says
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.trust_env = False  # what counts of the environment is read below; .netrc does not
        self.headers.update(settings.headers)
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._settings = settings
        self._own_adapters = tuple(self.adapters.values())
        self._way: tuple[object, tuple[Route, Headers]] | None = None

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - requests names it
        """Follow no redirect, whoever calls: the key must not leave the host (contract 6)."""
        return

    def merge_environment_settings(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as requests has it
        """Let the environment count before what is set in the session."""
        return {**super().merge_environment_settings(*args, **kwargs), **self._environment}

    @cached_property
    def _environment(self) -> dict[str, Any]:
        """What the environment says, read once: a session is for one host."""
        proxy = environment.proxy_for(self._settings)
        named = {"proxies": proxy and {"all": proxy}, "verify": environment.ca_bundle(self._settings)}
        return {name: value for name, value in named.items() if value}

    @property
    def way(self) -> tuple[Route, Headers]:
        """The way to the service, and the headers of every request: as the session has them at this moment."""
        now = (self.verify, self.cert, tuple(self.proxies.items()), tuple(self.headers.items()))
        if self._way is None or self._way[0] != now:
            self._way = now, self._find_way()
        return self._way[1]

    def _find_way(self) -> tuple[Route, Headers]:
        settings = {"proxies": self.proxies, "verify": self.verify} | self._environment
        proxy = select_proxy(self._settings.base_url, settings["proxies"])
        route = environment.route(self._settings, proxy, settings["verify"], self.cert)
        headers = CaseInsensitiveDict({"Host": route.host_header, **self.headers})
        return route, [(name, _text(value)) for name, value in headers.items() if value is not None]

    @property
    def passes_on(self) -> bool:
        """Whether requests would do nothing but pass a request on: then it can do without requests."""
        adapter = self.get_adapter(self._settings.base_url)
        is_own = adapter in self._own_adapters and HTTPAdapter.send.__module__ == HTTPAdapter.__module__
        return is_own and not (self.auth or self.params or self.cookies or self.hooks["response"])

    def exchange(self, request: Request) -> Response:
        """
        Send a request by way of requests, with the adapters, hooks and all else that a user has set.

        :raises IMIconnectError: as SyncClient does
        """
        settings, stage = self._settings, None
        try:
            with _silence(), self._open(request) as response:
                stage = Stage.ANSWERED
                # What is not read is closed: to urllib3 an interim response is the final one, and its connection free.
                is_final = response.status_code >= _FINAL
                body = _body(response, time.monotonic() + settings.timeout) if is_final else b""
                return Response(response.status_code, body, response.headers, hide=settings.key)
        except (requests.RequestException, HTTPError, *ERRORS) as caught:
            error = caught
        raise network_error(request, _plain(error), stage or _stage(error), settings.timeout)

    def _open(self, request: Request) -> requests.Response:
        settings = self._settings
        return self.request(
            request.method,
            settings.base_url + request.target,
            data=request.body,
            headers={"Connection": "close"},
            timeout=(settings.connect_timeout, settings.timeout),
            allow_redirects=False,
            stream=True,
        )


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _body(response: requests.Response, deadline: float) -> bytes:
    body = Body()
    while piece := response.raw.read1(_PIECE, decode_content=False):
        body.add(piece)
        if time.monotonic() > deadline:
            raise TimeoutError
    return body.decoded(response.headers.get("Content-Encoding", ""))


def _stage(error: Exception) -> Stage:
    """Return how far a request had come that ended with an error of requests, at the most."""
    if isinstance(error, requests.exceptions.ProxyError):
        return Stage.PROXY
    has_none = isinstance(error, requests.ConnectTimeout) or any(
        isinstance(cause, NewConnectionError) for cause in causes(error)
    )
    return Stage.CONNECTING if has_none else Stage.SENT


def _plain(error: Exception) -> BaseException:
    """Return what the standard library would say, where requests says it with nothing under it."""
    if isinstance(error, requests.Timeout):
        return TimeoutError()
    if isinstance(error, requests.RequestException | HTTPError) and isinstance(error, ValueError):
        return Unusable("the URL or a header is not valid")
    return error


_is_silent: ContextVar[bool] = ContextVar("is_silent", default=False)


@contextmanager
def _silence() -> Iterator[None]:
    """Let urllib3 log nothing of this thread: it quotes headers of responses. Elsewhere its logs stay as they are."""
    token = _is_silent.set(True)
    try:
        yield
    finally:
        _is_silent.reset(token)


for _name in _LOGGERS:
    logging.getLogger(f"urllib3.{_name}").addFilter(lambda _: not _is_silent.get())
