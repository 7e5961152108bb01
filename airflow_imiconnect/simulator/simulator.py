"""The simulator as an object: start it, stop it, connect to it and inspect it."""

from __future__ import annotations

import ipaddress
import json
import math
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import get_args

from fastapi import FastAPI

from airflow_imiconnect.simulator.app import create_app
from airflow_imiconnect.simulator.faults import Faults, plan_of
from airflow_imiconnect.simulator.gateway import Call, Gateway
from airflow_imiconnect.simulator.page import Page
from airflow_imiconnect.simulator.server import Serving, listen
from airflow_imiconnect.simulator.service import Profiles, Service, Shape, Transaction
from airflow_imiconnect.simulator.wire import Wire

DEFAULT_APPS = ("demo-facebook", "demo-twitter", "demo-wechat", "demo-in-app", "demo-push", "a_636035705699961900")
DEFAULT_KEY = "simulator-key"


class Simulator:
    """
    A local IMIconnect. Use it in a ``with`` statement, or call :meth:`start` and :meth:`stop`.

    An invalid setting raises ValueError.

    :param key: the profile key that requests must carry in their ``key`` header; printable ASCII
    :param apps: the ids of the existing apps
    :param host: the loopback address to serve on; other addresses are refused because there is no TLS
    :param port: the port; 0 picks a free one, which is kept for later starts
    :param latency: seconds to wait before each API response; concurrent requests overlap
    :param queue_time: seconds from accepting a create to creating its profiles; None creates them before responding
    :param rate: requests per second, create and status together; those above it get 7020. None for no limit
    :param faults: what goes wrong: {3: "7006", ("status", 2): Fault("down", seconds=2)}, where a bare number means a
        create, counted from 1; or a function of kind ("create", "status") and number that returns a fault or None.
        The kinds are listed in ``faults.py`` and by ``python -m airflow_imiconnect.simulator --help``
    :param shape: the response to a queued create: "results" for one result per record, "seed" for only the transid
    :param strict: refuse an empty status, and require Twitter's tokens
    :param whole_call: one record with invalid content fails the whole request, instead of failing by itself
    """

    def __init__(
        self,
        *,
        key: str = DEFAULT_KEY,
        apps: Iterable[str] = DEFAULT_APPS,
        host: str = "127.0.0.1",
        port: int = 0,
        latency: float = 0.0,
        queue_time: float | None = 0.0,
        rate: float | None = None,
        faults: Faults | None = None,
        shape: Shape = "results",
        strict: bool = False,
        whole_call: bool = False,
    ) -> None:
        self.key = _checked_key(key)
        self.apps = _checked_apps(apps)
        self.host = _checked_host(host)
        self.port = _checked_port(port)
        self._latency = _seconds("latency", latency)
        queue_time = None if queue_time is None else _seconds("queue_time", queue_time)
        if rate is not None and not (math.isfinite(rate) and rate > 0):
            raise ValueError(f"rate must be a number > 0, or None for no limit, not {rate}.")
        if shape not in get_args(Shape):
            raise ValueError(f"shape must be one of {', '.join(get_args(Shape))}, not {shape!r}.")
        service = Service(
            key=key, apps=self.apps, queue_time=queue_time, rate=rate, shape=shape, strict=strict, whole_call=whole_call
        )
        self._gateway = Gateway(service, faults)
        self._faults: Faults = {} if faults is None else faults
        self._settings = {
            "latency": f"{self._latency:g} s",
            "queue time": "none" if queue_time is None else f"{queue_time:g} s",
            "rate": "unlimited" if rate is None else f"{rate:g} requests/s",
            "shape": shape,
            "strict": "yes" if strict else "no",
            "whole call": "yes" if whole_call else "no",
        }
        self._serving: Serving | None = None

    def __repr__(self) -> str:
        state = "running" if self._serving else "stopped"
        return f"<Simulator {self.host}:{self.port} {state}>"  # never the key

    # -- starting and stopping --

    def start(self) -> None:
        """
        Start serving; return once connections are accepted. Does nothing if it is running. Keeps what it held before.

        :raises OSError: the port is taken, or not permitted
        :raises RuntimeError: the server did not start
        """
        if self._serving is None:
            sock = listen(self.host, self.port)
            self.port = sock.getsockname()[1]
            self._serving = Serving(self._create_app, sock)

    def stop(self) -> None:
        """Stop: free the port, and cut open connections as an outage would. Does nothing if it is not running."""
        serving, self._serving = self._serving, None
        if serving is not None:
            serving.stop()

    def __enter__(self) -> Simulator:  # noqa: PYI034 - typing.Self is Python 3.11's
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _create_app(self, wire: Wire) -> FastAPI:
        page = Page(self._gateway, url=self.url, apps=self.apps, settings=self._settings)
        return create_app(self._gateway, wire, latency=self._latency, page=page)

    # -- connecting to it --

    @property
    def url(self) -> str:
        """Its address; with port 0, raises RuntimeError before the first start."""
        if not self.port:
            raise RuntimeError("The simulator has no address yet: start it first.")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def connection(self) -> str:
        """The Airflow connection to it, as JSON for AIRFLOW_CONN_IMICONNECT_DEFAULT. It contains the key."""
        extra = {"app_id": self.apps[0]}
        return json.dumps({"conn_type": "imiconnect", "host": self.url, "password": self.key, "extra": extra})

    # -- inspecting it --

    @property
    def calls(self) -> tuple[Call, ...]:
        """All API requests, in order of arrival."""
        return self._gateway.calls

    @property
    def profiles(self) -> Mapping[str, Profiles]:
        """All profiles at this moment: app id -> (customerId, deviceId or "") -> attributes."""
        return self._gateway.service.profiles

    @property
    def transactions(self) -> Mapping[str, Transaction]:
        """All transactions at this moment, oldest first: transid -> Transaction."""
        return self._gateway.service.transactions

    # -- setting it up --

    @property
    def faults(self) -> Faults:
        """The plan of faults. It may be set at any time; the numbering of requests continues."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults | None) -> None:
        self._gateway.plan = plan_of(faults)
        self._faults = {} if faults is None else faults

    def seed_profile(
        self, app_id: str, customer_id: str, device_id: str = "", attributes: Mapping[str, str] | None = None
    ) -> None:
        """Add a profile that already exists; raises ValueError for an unknown app."""
        self._gateway.service.seed_profile(app_id, customer_id, device_id, attributes or {})


def _checked_key(key: str) -> str:
    if not key or not key.isascii() or not key.isprintable() or key != key.strip():
        raise ValueError("key must be non-empty printable ASCII without leading or trailing spaces.")
    return key


def _checked_apps(apps: Iterable[str]) -> tuple[str, ...]:
    checked = tuple(dict.fromkeys([apps] if isinstance(apps, str) else apps))
    if not checked or not all(isinstance(app_id, str) and app_id and "/" not in app_id for app_id in checked):
        raise ValueError("apps must be one or more app ids, each a non-empty string without a slash.")
    return checked


def _checked_host(host: str) -> str:
    address = "127.0.0.1" if host == "localhost" else host
    try:
        loopback = ipaddress.ip_address(address).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError(
            f"The simulator has no TLS and serves only on loopback addresses such as 127.0.0.1, not on {host!r}."
        )
    return address


def _checked_port(port: int) -> int:
    if not 0 <= port <= 65535:  # noqa: PLR2004 - the largest port
        raise ValueError(f"port must be from 0 to 65535, not {port}.")
    return port


def _seconds(name: str, value: float) -> float:
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} must be a number of seconds >= 0, not {value}.")
    return float(value)
