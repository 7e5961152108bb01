"""
What lies under the errors of the HTTP libraries, which are several, and what a person can do about it.

Their messages are never passed on: they may quote headers.
"""

from __future__ import annotations

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
    "yours signs with a CA of its own, name that CA in SSL_CERT_FILE and REQUESTS_CA_BUNDLE."
)
_NO_TLS = "The port may speak no TLS, such as plain HTTP: check the connection's host and its port."
_NAME = "Check the spelling of the connection's host, and that this machine's DNS knows it."
_LISTENER = "Nothing listens there: check the connection's host and its port."
_FIREWALL = (
    "Check the connection's host or region, and that a firewall lets this machine call it; else set HTTPS_PROXY."
)
_SLOW = "Check the connection's host or region, or raise its timeout."
_PROXY = "Check HTTPS_PROXY, and NO_PROXY for hosts that need none."


def tls_error(call: protocol.Call, error: ssl.SSLError) -> IMIconnectError:
    """Tell what a handshake ends with for good from what may come when the call has been sent already."""
    reason = getattr(error, "reason", None) or "no reason given"
    if isinstance(error, ssl.SSLCertVerificationError):
        words = getattr(error, "verify_message", None) or reason
        return protocol.cannot_call(call, f"TLS failed ({words})", _TRUST)
    if reason in _TLS_REFUSALS:
        return protocol.cannot_call(call, f"TLS failed ({reason})", _NO_TLS)
    return protocol.no_answer(call, f"TLS broke ({reason})", sent=True, advice=_NO_TLS)


def no_connection(call: protocol.Call, error: Exception) -> IMIconnectError:
    """Tell why there is no connection: the host was not found, nothing listens there, or no way leads to it."""
    system = tuple(cause for cause in causes(error) if isinstance(cause, OSError) and cause.strerror)
    for kind, words, advice in (
        (socket.gaierror, "host not found: ", _NAME),
        (ConnectionRefusedError, "", _LISTENER),
        (OSError, "", _FIREWALL),
    ):
        for cause in system:
            if isinstance(cause, kind):
                return protocol.no_answer(call, f"no connection ({words}{cause.strerror})", sent=False, advice=advice)
    return protocol.no_answer(call, "no connection", sent=False, advice=_FIREWALL)


def no_connection_in_time(call: protocol.Call) -> IMIconnectError:
    """Tell that nobody took the connection."""
    return protocol.no_answer(call, "no connection in time", sent=False, advice=_FIREWALL)


def no_answer_in_time(call: protocol.Call) -> IMIconnectError:
    """Tell that somebody took the call, and did not answer."""
    return protocol.no_answer(call, "no answer in time", sent=True, advice=_SLOW)


def no_proxy(call: protocol.Call) -> IMIconnectError:
    """Tell that the call went no further than the proxy."""
    return protocol.no_answer(call, "the proxy did not take the call", sent=False, advice=_PROXY)


def broken(call: protocol.Call, error: Exception) -> IMIconnectError:
    """Tell a connection that broke from something that answers, but not in HTTP."""
    if any(isinstance(cause, BadStatusLine) and not isinstance(cause, RemoteDisconnected) for cause in causes(error)):
        return protocol.no_answer(call, "what answers speaks no HTTP", sent=True, advice=CHECK_HOST)
    return protocol.no_answer(call, "the connection broke", sent=True)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what lies under it: by cause, by context, and in the arguments of urllib3's wrappers."""
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        item = todo.pop()
        if isinstance(item, BaseException) and id(item) not in seen:
            seen.add(id(item))
            yield item
            todo += [item.__cause__, item.__context__, getattr(item, "reason", None), *item.args]
