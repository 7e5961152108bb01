"""
What lies under the errors of the HTTP libraries, which are several, and what a person can do about it.

Their messages are never passed on: they may quote headers.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from http.client import BadStatusLine, RemoteDisconnected

from airflow_imiconnect import protocol
from airflow_imiconnect.codes import CHECK_HOST
from airflow_imiconnect.errors import IMIconnectError

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
    "Check the connection's host or region, and that a firewall lets this machine call it; else set HTTPS_PROXY."
)
_SLOW = "Check the connection's host or region, or raise its timeout."
_PROXY = "Check HTTPS_PROXY, and NO_PROXY for hosts that need none."
_PROXY_URL = (
    "Check HTTPS_PROXY (or ALL_PROXY), which is a URL such as http://proxy.example.com:3128 (a SOCKS proxy needs the "
    "packages pysocks and socksio), and NO_PROXY for hosts that need none."
)
_CA_BUNDLE = "Check REQUESTS_CA_BUNDLE or else SSL_CERT_FILE, which names a file of certificates in PEM form."


class Unusable(Exception):  # noqa: N818 - it is never seen outside
    """What the environment names, and no call can be made with."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.advice = advice


class NothingSent(Exception):  # noqa: N818 - as above
    """Stands as the cause under an error that came before a request was sent."""


def unusable_proxy() -> Unusable:
    """Return the error for a proxy that is none."""
    return Unusable("the proxy that the environment names cannot be used", _PROXY_URL)


def unusable_ca_bundle() -> Unusable:
    """Return the error for certificates that cannot be read."""
    return Unusable("the CA certificates that the environment names cannot be read", _CA_BUNDLE)


def unusable(call: protocol.Call, error: Unusable) -> IMIconnectError:
    """Tell what the environment names."""
    return protocol.cannot_call(call, error.reason, error.advice)


def tls_error(call: protocol.Call, error: ssl.SSLError, *, sent: bool = True) -> IMIconnectError:
    """Tell what a handshake ends with for good from what may come when the call has been sent already."""
    reason = getattr(error, "reason", None) or "no reason given"
    if isinstance(error, ssl.SSLCertVerificationError):
        words = getattr(error, "verify_message", None) or reason
        return protocol.cannot_call(call, f"TLS failed ({words})", _TRUST)
    if reason in _TLS_REFUSALS:
        return protocol.cannot_call(call, f"TLS failed ({reason})", _NO_TLS)
    return protocol.no_answer(call, f"TLS broke ({reason})", sent=sent, advice=_NO_TLS)


def no_connection(call: protocol.Call, error: Exception) -> IMIconnectError:
    """Tell why there is no connection: the host was not found, nothing listens there, or no way leads to it."""
    system = tuple(cause for cause in causes(error) if isinstance(cause, OSError) and cause.errno)
    for kind, words, advice in (
        (socket.gaierror, "host not found: ", _NAME),
        (ConnectionRefusedError, "", _LISTENER),
        (OSError, "", _FIREWALL),
    ):
        for cause in system:
            if isinstance(cause, kind):
                return protocol.no_answer(call, f"no connection ({words}{_said(cause)})", sent=False, advice=advice)
    return protocol.no_answer(call, "no connection", sent=False, advice=_FIREWALL)


def _said(error: OSError) -> str:
    """Return the system's words: asyncio has its own, with the address in them."""
    return str(error.strerror) if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)


def no_connection_in_time(call: protocol.Call) -> IMIconnectError:
    """Tell that nobody took the connection."""
    return protocol.no_answer(call, "no connection in time", sent=False, advice=_FIREWALL)


def no_answer_in_time(call: protocol.Call, *, sent: bool = True) -> IMIconnectError:
    """Tell that somebody took the call, and did not answer."""
    return protocol.no_answer(call, "no answer in time", sent=sent, advice=_SLOW)


def no_proxy(call: protocol.Call, error: BaseException) -> IMIconnectError:
    """Tell that the call went no further than the proxy, and whether it is one at all."""
    if _is_no_http(error):
        return protocol.cannot_call(call, "what answers in the proxy's place speaks no HTTP", _PROXY_URL)
    tls = next((cause for cause in causes(error) if isinstance(cause, ssl.SSLCertVerificationError)), None)
    if tls:
        return tls_error(call, tls)
    return protocol.no_answer(call, "the proxy did not take the call", sent=False, advice=_PROXY)


def broken(call: protocol.Call, error: Exception, *, sent: bool = True) -> IMIconnectError:
    """Tell a connection that broke from something that answers, but not in HTTP."""
    words = "what answers speaks no HTTP" if _is_no_http(error) else "the connection broke"
    return protocol.no_answer(call, words, sent=sent, advice=CHECK_HOST)


def too_large(call: protocol.Call) -> IMIconnectError:
    """Tell that an answer is no answer of the service, by its size."""
    words = f"the answer is larger than {protocol.MAX_ANSWER_BYTES} bytes"
    return protocol.no_answer(call, words, sent=True, advice=CHECK_HOST)


def too_slow(call: protocol.Call, seconds: float) -> IMIconnectError:
    """Tell that an answer began, and did not end."""
    return protocol.no_answer(call, f"the answer did not end within {seconds:g} s", sent=True, advice=CHECK_HOST)


def nothing_was_sent(error: BaseException) -> bool:
    """Tell an error that came before the request was sent."""
    return any(isinstance(cause, NothingSent) for cause in causes(error))


def _is_no_http(error: BaseException) -> bool:
    return any(
        (isinstance(cause, BadStatusLine) and not isinstance(cause, RemoteDisconnected))
        or (type(cause).__module__.startswith("h11") and "status line" in str(cause))
        for cause in causes(error)
    )


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what lies under it: by cause, by context, and in the arguments of urllib3's wrappers."""
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        item = todo.pop()
        if isinstance(item, BaseException) and id(item) not in seen:
            seen.add(id(item))
            yield item
            context = None if item.__suppress_context__ else item.__context__  # else it may be another call's
            todo += [item.__cause__, context, getattr(item, "reason", None), *item.args]
