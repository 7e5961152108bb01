"""
The one classification of what goes wrong on the network: an error, and how far the request had come -> IMIconnectError.

It goes by the standard library's errors under those of other libraries. Messages of libraries are never passed on: they
may quote headers.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import TypeVar

import h11

from airflow_imiconnect.errors import IMIconnectError
from airflow_imiconnect.profile_api.error_texts import CHECK_HOST
from airflow_imiconnect.profile_api.request_errors import cannot_send, no_response
from airflow_imiconnect.profile_api.requests import MAX_RESPONSE_BYTES, Request

_E = TypeVar("_E", bound=BaseException)
_TLS_REFUSALS = frozenset(
    {
        "WRONG_VERSION_NUMBER",
        "HTTP_REQUEST",
        "UNKNOWN_PROTOCOL",
        "UNSUPPORTED_PROTOCOL",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "TLSV1_UNRECOGNIZED_NAME",
        "NO_PROTOCOLS_AVAILABLE",
    }
)

_TRUST = (
    "This machine does not trust the server's certificate: check the connection's host; where a gateway or proxy of "
    "yours signs with a CA of its own, name that CA in REQUESTS_CA_BUNDLE or SSL_CERT_FILE."
)
_NO_TLS = "The port may speak no TLS, such as plain HTTP: check the connection's host and its port."
_NAME = "Check the spelling of the connection's host, and that this machine's DNS knows it."
_LISTENER = "Nothing listens there: check the connection's host and its port."
_FIREWALL = (
    "Check the connection's host or region, and that a firewall lets this machine reach it; else set HTTPS_PROXY."
)
_SLOW = "Check the connection's host or region, or raise its timeout."
_PROXY = "Check HTTPS_PROXY, and NO_PROXY for hosts that need none."
_PROXY_URL = (
    "Check HTTPS_PROXY (or ALL_PROXY), which is a URL such as http://proxy.example.com:3128 or "
    "socks5://proxy.example.com:1080, and NO_PROXY for hosts that need none."
)
_CA_BUNDLE = "Check REQUESTS_CA_BUNDLE or else SSL_CERT_FILE, which names a file of certificates in PEM form."


class Stage(IntEnum):
    """How far a request had come."""

    PROXY = 0  # not through the proxy yet
    CONNECTING = 1  # to the service, directly or through the proxy
    SENDING = 2  # connected; a part of the request has not left this machine
    SENT = 3  # the server may have received it
    ANSWERED = 4  # the head of the response has come


class Unusable(Exception):  # noqa: N818 - it is never seen outside
    """Something with which no request can be made, such as what the environment names."""

    def __init__(self, reason: str, advice: str = CHECK_HOST) -> None:
        super().__init__(reason)
        self.reason = reason
        self.advice = advice


class BadResponseError(Exception):
    """What has come is not a response of the service."""


def unusable_proxy() -> Unusable:
    """Return the error for what is not the URL of a proxy."""
    return Unusable("the proxy that the environment names cannot be used", _PROXY_URL)


def unusable_ca_bundle() -> Unusable:
    """Return the error for certificates that cannot be read."""
    return Unusable("the CA certificates that the environment names cannot be read", _CA_BUNDLE)


def not_http() -> BadResponseError:
    """Return the error for a server of another protocol."""
    return BadResponseError("what answers speaks no HTTP")


def too_large() -> BadResponseError:
    """Return the error for a response that is not the service's, by its size."""
    return BadResponseError(f"the response is larger than {MAX_RESPONSE_BYTES} bytes")


ERRORS = (
    OSError,
    EOFError,
    UnicodeError,
    h11.ProtocolError,
    Unusable,
    BadResponseError,
)  # what the function below reads


def network_error(request: Request, error: BaseException, stage: Stage, timeout: float) -> IMIconnectError:
    """
    Return the error that says what happened and what to do about it.

    :param stage: how far the request had come
    :param timeout: seconds that the response had
    """
    under = tuple(causes(error))
    if (unusable := _first(under, Unusable)) is not None:
        return cannot_send(request, unusable.reason, unusable.advice)
    if (untrusted := _first(under, ssl.SSLCertVerificationError)) is not None:
        words = getattr(untrusted, "verify_message", None) or _reason(untrusted)
        return cannot_send(request, f"TLS failed ({words})", _TRUST)
    if stage < Stage.SENT and _first(under, UnicodeError, h11.LocalProtocolError):
        return cannot_send(request, "the URL or a header is not valid")
    if stage is Stage.PROXY:
        return _of_the_proxy(request, under)
    if (tls := _first(under, ssl.SSLError)) is not None:
        return _of_tls(request, tls, stage)
    if _first(under, TimeoutError):
        return _too_late(request, stage, timeout)
    return _no_connection(request, under) if stage is Stage.CONNECTING else _broken(request, under, stage)


def _of_the_proxy(request: Request, under: Sequence[BaseException]) -> IMIconnectError:
    if _first(under, BadResponseError, h11.RemoteProtocolError):
        return cannot_send(request, "what answers in the proxy's place speaks no HTTP", _PROXY_URL)
    return no_response(request, "the proxy did not take the request", sent=False, advice=_PROXY)


def _of_tls(request: Request, error: ssl.SSLError, stage: Stage) -> IMIconnectError:
    """Tell a handshake that can never succeed from what may pass."""
    reason = _reason(error)
    if stage < Stage.SENT and reason in _TLS_REFUSALS:
        return cannot_send(request, f"TLS failed ({reason})", _NO_TLS)
    return no_response(request, f"TLS broke ({reason})", sent=stage >= Stage.SENT, advice=_NO_TLS)


def _reason(error: ssl.SSLError) -> str:
    return getattr(error, "reason", None) or "no reason given"


def _too_late(request: Request, stage: Stage, timeout: float) -> IMIconnectError:
    """Tell who was waited for."""
    if stage is Stage.CONNECTING:
        return no_response(request, "no connection in time", sent=False, advice=_FIREWALL)
    if stage is Stage.ANSWERED:
        return no_response(request, f"the response did not end within {timeout:g} s", sent=True, advice=CHECK_HOST)
    return no_response(request, "no response in time", sent=stage is Stage.SENT, advice=_SLOW)


def _no_connection(request: Request, under: Sequence[BaseException]) -> IMIconnectError:
    """Tell why there is no connection: the host was not found, nothing listens there, or no way leads to it."""
    if (unknown := _first(under, socket.gaierror)) is not None:
        return no_response(request, f"no connection (host not found: {unknown.strerror})", sent=False, advice=_NAME)
    number = next((cause.errno for cause in under if isinstance(cause, OSError) and cause.errno), None)
    words = f" ({os.strerror(number)})" if number else ""  # asyncio has words of its own, with the address in them
    advice = _LISTENER if number == errno.ECONNREFUSED else _FIREWALL
    return no_response(request, f"no connection{words}", sent=False, advice=advice)


def _broken(request: Request, under: Sequence[BaseException], stage: Stage) -> IMIconnectError:
    """Tell a connection that broke from something that answers, but is not the service."""
    bad = _first(under, BadResponseError)
    if bad is None and stage < Stage.ANSWERED and _first(under, h11.RemoteProtocolError):
        bad = not_http()
    return no_response(request, str(bad or "the connection broke"), sent=stage >= Stage.SENT, advice=CHECK_HOST)


def _first(under: Sequence[BaseException], *kinds: type[_E]) -> _E | None:
    return next((cause for cause in under if isinstance(cause, kinds)), None)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what lies under it: by cause, by context, and in the arguments of urllib3's wrappers."""
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        item = todo.pop()
        if isinstance(item, BaseException) and id(item) not in seen:
            seen.add(id(item))
            yield item
            context = None if item.__suppress_context__ else item.__context__  # else it may be another request's
            todo += [item.__cause__, context, getattr(item, "reason", None), *item.args]
