"""What the environment says about calls to the service: through which proxy, and whose certificates count."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from airflow_imiconnect import network
from airflow_imiconnect.settings import Settings

# The first that is set counts.
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
_PROXY_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")


def proxy_for(settings: Settings) -> str | None:
    """
    Return the URL of the proxy that requests would choose, or None: the rules are requests' for each way of calling.

    :raises network.Unusable: what the environment names is no proxy
    """
    if not settings.may_use_a_proxy:
        return None
    try:
        named: str | None = select_proxy(settings.base_url, get_environ_proxies(settings.base_url))
        if not named:
            return None
        proxy = named if "://" in named else f"http://{named}"
        parts = parse_url(proxy)
    except (LocationParseError, ValueError):
        raise network.unusable_proxy() from None
    if parts.scheme not in _PROXY_SCHEMES or not parts.host:
        raise network.unusable_proxy()
    return proxy


def ca_bundle(settings: Settings) -> str | None:
    """
    Return the file or folder of CAs that counts for each way of calling, or None for the usual ones.

    :raises network.Unusable: there is none at that path
    """
    path = next(filter(None, map(os.environ.get, _CA_VARIABLES)), None)
    if not path or not settings.speaks_tls:
        return None
    tls_context(path)
    return path


def tls_context(path: str) -> ssl.SSLContext:
    """Return what trusts the CAs of a file or folder; raises network.Unusable."""
    is_folder = Path(path).is_dir()
    try:
        return ssl.create_default_context(cafile=None if is_folder else path, capath=path if is_folder else None)
    except OSError:
        raise network.unusable_ca_bundle() from None
