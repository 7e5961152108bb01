"""What an Airflow connection of type imiconnect says, checked, and what every request carries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from airflow_imiconnect import __version__
from airflow_imiconnect.errors import IMIconnectAuthenticationError, IMIconnectRequestError, one_line
from airflow_imiconnect.provider_info import extra_fields
from airflow_imiconnect.transport.hosts import base_url, is_loopback

DEFAULT_TIMEOUT = 30.0
LONGEST_TIMEOUT = 86_400.0  # a day; clocks and selectors end somewhere above it
_CONNECT_TIMEOUT = 10.0
_EXTRAS = tuple(extra_fields())
_OLD_PREFIX = "extra__imiconnect__"  # in front of the names, as forms of Airflow 2 stored them
_LONGEST_NAME = 60


@dataclass(frozen=True)
class Settings:
    """
    What a connection says, checked.

    :param base_url: the URL in front of ``/resources/v2``
    :param key: the profile key; it is left out of the text form
    :param app_id: the default app, or None
    :param requests_per_second: the tenant's limit, or None
    :param timeout: seconds to wait for a response, to its last byte
    """

    base_url: str
    key: str = field(repr=False)
    app_id: str | None = None
    requests_per_second: float | None = None
    timeout: float = DEFAULT_TIMEOUT

    @classmethod
    def from_connection(cls, connection: Any) -> Settings:  # noqa: ANN401 - Airflow has had several Connection classes
        """
        Read an Airflow connection of type ``imiconnect``.

        :raises IMIconnectAuthenticationError: there is no profile key, or it does not fit into a header
        :raises IMIconnectRequestError: the host, region or an extra cannot be right, or an extra is unknown
        """
        extra = _extra(connection)
        _check_names(extra, connection)
        return cls(
            base_url=base_url(connection.host, str(extra.get("region") or ""), connection.port),
            key=_key(connection.password, connection.conn_id),
            app_id=str(extra.get("app_id") or "").strip() or None,
            requests_per_second=_positive(extra.get("requests_per_second"), "requests_per_second"),
            timeout=_timeout(extra.get("timeout")),
        )

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries; the profile key is in it (contract 2)."""
        return {
            "key": self.key,
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",  # responses are small; a compressed one could be a bomb
            "User-Agent": f"airflow-imiconnect/{__version__}",
        }

    @property
    def connect_timeout(self) -> float:
        """Seconds to wait for a connection."""
        return min(_CONNECT_TIMEOUT, self.timeout)

    @property
    def speaks_tls(self) -> bool:
        """Whether certificates matter."""
        return self.base_url.startswith("https:")

    @property
    def may_use_a_proxy(self) -> bool:
        """Whether the environment's proxy counts: none leads to this machine, and plain http would show it the key."""
        return not is_loopback(self.base_url)


def _extra(connection: Any) -> Mapping[str, object]:  # noqa: ANN401 - as above
    extra: object = connection.extra_dejson
    # Airflow turns what is not JSON into nothing: the request would go to the default host.
    if not isinstance(extra, Mapping) or (not extra and (connection.extra or "{}").strip() not in ("{}", "null", '""')):
        raise IMIconnectRequestError(f"The extra of connection {connection.conn_id!r} is not a JSON object.")
    return extra


def _check_names(extra: Iterable[str], connection: Any) -> None:  # noqa: ANN401 - as above
    """Refuse an unknown extra: one that was passed over, a misspelt region say, would lead the key to another host."""
    for name in extra:
        if name not in _EXTRAS:
            shown = _shown(name, (connection.password or "").strip())
            raise IMIconnectRequestError(
                f"Connection {connection.conn_id!r} has an unknown extra {shown!r}: {_advice(name)} Nothing was sent."
            )


def _shown(name: str, key: str) -> str:
    """Return a name for a message, without the profile key, which may have been put there by mistake."""
    return one_line(name.replace(key, "***") if key else name)[:_LONGEST_NAME]


def _advice(name: str) -> str:
    plain = name.lower().replace("-", "_").removeprefix(_OLD_PREFIX)
    nearest = get_close_matches(plain[:_LONGEST_NAME], _EXTRAS, n=1)
    known = f"the known ones are {', '.join(_EXTRAS)}."
    return f"did you mean {nearest[0]!r}?" if nearest else f"{known} Remove it."


def _key(password: str | None, conn_id: str) -> str:
    key = (password or "").strip()
    if not key:
        raise IMIconnectAuthenticationError(
            f"Connection {conn_id!r} holds no profile key: put the client profile key into its password."
        )
    if not (key.isascii() and key.isprintable()):
        raise IMIconnectAuthenticationError(
            f"The password of connection {conn_id!r} is not a profile key: its characters do not fit into a header."
        )
    return key


def _timeout(value: object) -> float:
    timeout = _positive(value, "timeout") or DEFAULT_TIMEOUT
    if timeout > LONGEST_TIMEOUT:
        raise IMIconnectRequestError(f"The connection's extra 'timeout' must be at most {LONGEST_TIMEOUT:g} seconds.")
    return timeout


def _positive(value: object, name: str) -> float | None:
    if value is None or value == "":
        return None
    try:
        number = float(str(value))
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise IMIconnectRequestError(f"The connection's extra {name!r} must be a number above 0.")
    return number
