"""The web page that shows the simulator's contents."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from airflow_imiconnect.simulator.gateway import Call, Gateway
from airflow_imiconnect.simulator.service import Stored, Transaction

SHOWN = 50
CALLS_SHOWN = 20
RELOAD_SECONDS = 5


class ProfileRow(NamedTuple):
    """A profile as the page shows it, with only two of its attributes: channel and status."""

    customer_id: str
    device_id: str
    channel: str
    status: str
    created_at: float


class AppView(NamedTuple):
    """An app: its number of profiles, and the latest ones."""

    app_id: str
    total: int
    rows: list[ProfileRow]


class TransactionRow(NamedTuple):
    """A transaction and the counts of its results."""

    transaction: Transaction
    created: int
    failed: int
    codes: list[tuple[str, int]]


class Totals(NamedTuple):
    """Requests since the simulator was constructed; accepted and refused count creates."""

    calls: int
    accepted: int
    refused: int
    status: int
    profiles: int


class Page:
    """
    Renders the page.

    :param gateway: what to show; the template never gets the key
    :param url: the simulator's address
    :param settings: name -> value, shown verbatim
    """

    def __init__(self, gateway: Gateway, *, url: str, apps: tuple[str, ...], settings: Mapping[str, str]) -> None:
        self._gateway = gateway
        self._fixed = {"url": url, "settings": settings, "reload_seconds": RELOAD_SECONDS, "example_app": apps[0]}
        self._apps = apps
        environment = Environment(
            loader=FileSystemLoader(Path(__file__).parent),
            autoescape=True,  # anything shown may come from a client
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["clock"] = lambda seconds: _moment(seconds).strftime("%H:%M:%S")
        environment.filters["date"] = lambda seconds: _moment(seconds).strftime("%Y-%m-%d %H:%M:%S UTC")
        self._template = environment.get_template("page.html")

    def render(self, *, live: bool, open_app: str) -> str:
        """
        Return the page as of now.

        :param live: make the page reload itself
        :param open_app: the app whose profiles are listed; "" for the first app that has any
        """
        service = self._gateway.service
        with service.lock:
            calls = self._gateway.calls
            apps = [_app_view(app_id, *service.latest_profiles(app_id, SHOWN)) for app_id in self._apps]
            count, transactions = service.latest_transactions(SHOWN)
        return self._template.render(
            self._fixed,
            live=live,
            moment=service.clock(),
            totals=_totals(calls, sum(app.total for app in apps)),
            apps=apps,
            open_app=open_app if open_app in self._apps else next((app.app_id for app in apps if app.total), ""),
            transactions=[_transaction_row(transaction) for transaction in transactions],
            transactions_more=count - len(transactions),
            calls=calls[: -CALLS_SHOWN - 1 : -1],
            calls_more=max(0, len(calls) - CALLS_SHOWN),
        )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def _app_view(app_id: str, total: int, latest: list[tuple[tuple[str, str], Stored]]) -> AppView:
    return AppView(app_id, total, [_profile_row(*item) for item in latest])


def _profile_row(identity: tuple[str, str], stored: Stored) -> ProfileRow:
    attributes = json.loads(stored.attributes)
    return ProfileRow(*identity, attributes.get("channel", ""), attributes.get("status", ""), stored.created_at)


def _transaction_row(transaction: Transaction) -> TransactionRow:
    failed = len(transaction.failures)
    created = transaction.records - failed if transaction.state == "finished" else 0
    return TransactionRow(transaction, created, failed, sorted(Counter(transaction.failures.values()).items()))


def _totals(calls: tuple[Call, ...], profiles: int) -> Totals:
    creates = [call for call in calls if call.kind == "create"]
    accepted = sum(call.accepted for call in creates)
    return Totals(len(calls), accepted, len(creates) - accepted, len(calls) - len(creates), profiles)
