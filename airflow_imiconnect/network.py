"""What lies under the errors of the HTTP libraries, which are several; messages of theirs may quote headers."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from airflow_imiconnect import protocol
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


def tls_error(call: protocol.Call, error: ssl.SSLError) -> IMIconnectError:
    """Tell what a handshake ends with for good from what may come when the call has been sent already."""
    reason = getattr(error, "reason", None) or "no reason given"
    if isinstance(error, ssl.SSLCertVerificationError) or reason in _TLS_REFUSALS:
        return protocol.cannot_call(call, f"TLS failed ({reason})")
    return protocol.no_answer(call, f"TLS broke ({reason})", sent=True)


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
