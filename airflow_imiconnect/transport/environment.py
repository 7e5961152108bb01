"""What the environment says about the way to the service: through which proxy, and whose certificates count."""

from __future__ import annotations

import os
import ssl
import threading
from functools import lru_cache
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies, select_proxy

from airflow_imiconnect.transport import hosts
from airflow_imiconnect.transport.connection import Proxy, Route
from airflow_imiconnect.transport.network_errors import unusable_ca_bundle, unusable_proxy
from airflow_imiconnect.transport.settings import Settings

# The first that is set counts.
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
_PROXY_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_lock = threading.Lock()


def proxy_for(settings: Settings) -> str | None:
    """
    Return the URL of the proxy that requests would choose, or None.

    :raises Unusable: what the environment names is not a proxy
    """
    if not settings.may_use_a_proxy:
        return None
    try:
        return select_proxy(settings.base_url, get_environ_proxies(settings.base_url)) or None
    except ValueError:
        raise unusable_proxy() from None


def ca_bundle(settings: Settings) -> str | None:
    """
    Return the file or folder of CAs that counts, or None for the usual ones.

    :raises Unusable: there is none at that path
    """
    path = next(filter(None, map(os.environ.get, _CA_VARIABLES)), None)
    if not path or not settings.speaks_tls:
        return None
    tls_context(path)
    return path


def route(
    settings: Settings,
    proxy: str | None,
    verify: bool | str = True,  # noqa: FBT001, FBT002 - as requests has it
    cert: str | tuple[str, str] | None = None,
) -> Route:
    """
    Return the way to the service.

    :param proxy: the URL of a proxy, or None
    :param verify: a file or folder of CAs; True for the usual ones, False for no check at all
    :param cert: the client's certificate, as requests has it
    :raises Unusable: the proxy or the certificates cannot be used
    """
    url = urlsplit(settings.base_url)
    parsed = _proxy(proxy) if proxy else None
    return Route(
        host=url.hostname or "",
        port=url.port or hosts.usual_port(url.scheme),
        tls=tls_context(verify, cert) if settings.speaks_tls else None,
        proxy=parsed,
        proxy_tls=tls_context(verify) if parsed and parsed.scheme == "https" else None,
    )


def tls_context(
    verify: bool | str = True,  # noqa: FBT001, FBT002 - as requests has it
    cert: str | tuple[str, str] | None = None,
) -> ssl.SSLContext:
    """
    Return the context for a CA bundle; one is built once a process, for that takes some 20 ms.

    :raises Unusable: the certificates cannot be read
    """
    path = DEFAULT_CA_BUNDLE_PATH if verify is True else verify or ""
    try:
        changed_at = Path(path).stat().st_mtime_ns if path else 0  # a bundle that was renewed is read again
        with _lock:  # several threads would build the same one
            return _new_context(path, cert, changed_at)
    except OSError:
        raise unusable_ca_bundle() from None


@lru_cache(maxsize=8)
def _new_context(path: str, cert: str | tuple[str, str] | None, _: int) -> ssl.SSLContext:
    if path:
        is_folder = Path(path).is_dir()
        context = ssl.create_default_context(cafile=None if is_folder else path, capath=path if is_folder else None)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    if cert:
        context.load_cert_chain(*([cert] if isinstance(cert, str) else cert))
    return context


def _proxy(url: str) -> Proxy:
    """Read the URL of a proxy; http is its scheme, unless it says otherwise."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        usual_port = _PROXY_PORTS[parts.scheme]
        return Proxy(parts.scheme, hosts.dns_name(parts.hostname or ""), parts.port or usual_port, _auth(parts))
    except (ValueError, KeyError):
        raise unusable_proxy() from None


def _auth(parts: SplitResult) -> tuple[str, str] | None:
    return (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
