"""Where the API is: the vendor's hosts by region (contract 1), and which addresses may be called at all."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import SplitResult, quote, urlsplit

from airflow_imiconnect.errors import IMIconnectRequestError
from airflow_imiconnect.profile_api.requests import BASE_PATH

REGIONS: Mapping[str, str] = {
    "ca": "api.ca.webexconnect.io",
    "eu": "api.eu.webexconnect.io",
    "uk": "api.uk.webexconnect.io",
    "us": "api.us.webexconnect.io",
    "us1": "api.us1.webexconnect.io",
    "in": "api.in.webexconnect.io",
    "au": "api.au.webexconnect.io",
    "legacy-ca": "api.imiconnect.ca",
    "legacy-emea": "api.imiconnect.io",
    "legacy-uk": "api.imiconnect.eu",
    "legacy-us": "api-us.imiconnect.io",
    "legacy-us-azure": "api.imiconnect.us",
    "legacy-apac": "api.imiconnect.in",
    "legacy-other": "api.imiconnect.com",
}
DEFAULT_REGION = "legacy-emea"
_USUAL_PORTS = {"https": 443, "http": 80}
_LONGEST_LABEL, _LONGEST_NAME = 63, 253
_SAFE = "/%!$&'()*+,;=:@~"  # of a path
# The part of a path that is the API's own (contract 3 and 9): the host is what stands in front of it.
_ENDPOINT = re.compile(
    r"/(resources(/v\d+)?$|resources/v\d+/|customer(app)?profiles?(/|$)|profile/status(/|$))", re.IGNORECASE
)


def base_url(host: str | None = None, region: str | None = None, port: int | None = None) -> str:
    """
    Return the URL in front of ``/resources/v2``, without a slash at its end.

    :param host: a host name or a base URL, with ``/resources/v2`` at its end or without; it wins over the region
    :param region: one of REGIONS; without either, ``api.imiconnect.io``
    :param port: for a host that names none itself
    :raises IMIconnectRequestError: the region is unknown, or the key must not be sent to such an address
    """
    host = (host or "").strip()
    if not host:
        return f"https://{_region_host(region)}"
    try:
        parts = urlsplit(host if "://" in host else f"https://{host}")
        port = parts.port or port
        _check(parts)
        name = dns_name(str(parts.hostname))
    except ValueError:
        raise _bad_host("it is not a valid host or URL") from None
    name = f"[{name}]" if ":" in name else name
    port = None if port == usual_port(parts.scheme) else port
    url = f"{parts.scheme}://{name}{f':{port}' if port else ''}"
    return url + _prefix(parts.path.rstrip("/").removesuffix(BASE_PATH), url)


def _prefix(path: str, url: str) -> str:
    """Return the path in front of the API's own, as a gateway has one; refuse a path of the API itself."""
    path = quote(path, safe=_SAFE)
    if endpoint := _ENDPOINT.search(path):
        raise _bad_host(f"it is a whole endpoint: enter {url}{path[: endpoint.start()]} alone")
    return path


def usual_port(scheme: str) -> int:
    """Return the port that a URL without one means."""
    return _USUAL_PORTS[scheme]


def dns_name(host: str) -> str:
    """
    Return the name as DNS has it, in ASCII: libraries disagree about the others, and about what is wrong with one.

    :raises ValueError: it is not a host name
    """
    if ":" in host:
        return str(ipaddress.ip_address(host))
    name = ".".join(map(_label, host.removesuffix(".").split(".")))
    if len(name) > _LONGEST_NAME:
        raise ValueError("too long")
    return name


def _label(label: str) -> str:
    """Return one label; unlike IDNA, DNS takes an underscore."""
    if not label.isascii() or label.startswith("xn--"):
        import idna  # noqa: PLC0415 - it brings large tables along, and few hosts need them

        return idna.encode(idna.decode(label) if label.isascii() else label, uts46=True).decode()
    if not 0 < len(label) <= _LONGEST_LABEL:
        raise ValueError("empty, or too long")
    return label


def is_loopback(url: str) -> bool:
    """Tell whether the URL's host is this very machine, by its name alone: nothing is looked up."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _region_host(region: str | None) -> str:
    name = (region or "").strip() or DEFAULT_REGION
    if name not in REGIONS:
        raise IMIconnectRequestError(
            f"The connection's region {name!r} is unknown. Use one of {', '.join(REGIONS)}, or set the host."
        )
    return REGIONS[name]


def _check(parts: SplitResult) -> None:
    if parts.scheme not in ("https", "http"):
        raise _bad_host(f"its scheme {parts.scheme!r} is not https")
    if not parts.hostname or any(character.isspace() for character in parts.netloc):
        raise _bad_host("it names no host")
    if parts.username is not None or parts.password is not None:
        raise _bad_host("it holds a user or password; the profile key belongs into the password field")
    if parts.query or parts.fragment:
        raise _bad_host("it holds a query or fragment")
    # Contract 1: HTTPS only. Plain http would show the key to the network; loopback has none.
    if parts.scheme == "http" and not is_loopback(parts.geturl()):
        raise _bad_host("http:// is for loopback addresses only, use https://")


def _bad_host(reason: str) -> IMIconnectRequestError:
    return IMIconnectRequestError(f"The connection's host cannot be used: {reason}.")
