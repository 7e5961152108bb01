"""The service's state and its responses. No HTTP, no timers: overdue work is done at the next access."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Literal, NamedTuple

from airflow_imiconnect.simulator import rules
from airflow_imiconnect.simulator.rules import Record, Refusal

Shape = Literal["results", "seed"]
_EPOCH = time.time() - time.monotonic()


def now() -> float:
    """Return the seconds since 1970; unlike ``time.time``, it never goes backwards."""
    return _EPOCH + time.monotonic()


class Result(NamedTuple):
    """The outcome of one record."""

    customer_id: str
    code: str
    description: str


@dataclass(frozen=True, slots=True)
class Transaction:
    """
    An accepted create request.

    Times are in seconds since 1970. ``failures`` maps the position of each failed record to its code.
    """

    transid: str
    app_id: str
    accepted_at: float
    due_at: float
    customer_ids: tuple[str, ...]
    state: Literal["queued", "finished"] = "queued"
    failures: Mapping[int, str] = field(default_factory=dict)

    @property
    def records(self) -> int:
        """The number of records in it."""
        return len(self.customer_ids)

    @property
    def results(self) -> tuple[Result, ...]:
        """The results, in the order of the records."""
        return tuple(self._result(index, customer_id) for index, customer_id in enumerate(self.customer_ids))

    def _result(self, index: int, customer_id: str) -> Result:
        if self.state == "queued":
            return Result(customer_id, "1000", "QUEUED")
        code = self.failures.get(index, "1000")
        return Result(customer_id, code, rules.describe(code))


class Stored(NamedTuple):
    """A profile: its attributes as JSON text, and its creation time (seconds since 1970)."""

    attributes: bytes
    created_at: float


class Profiles(Mapping[tuple[str, str], dict[str, str]]):
    """A snapshot of one app's profiles: (customerId, deviceId or "") -> attributes."""

    def __init__(self, stored: Mapping[tuple[str, str], Stored]) -> None:
        self._stored = stored

    def __getitem__(self, identity: tuple[str, str]) -> dict[str, str]:
        attributes: dict[str, str] = json.loads(self._stored[identity].attributes)
        return attributes

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)

    def __repr__(self) -> str:
        return f"<{len(self)} profiles>"


@dataclass(frozen=True, slots=True)
class Answer:
    """The service's response to a request; ``accepted`` if it took the records of a create."""

    payload: Mapping[str, Any]
    http_status: int = rules.HTTP_ANSWERED
    accepted: bool = False
    transid: str | None = None
    customer_ids: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """The code of the response, in either shape."""
        return str(self.payload.get("response", self.payload)["code"])


class Service:
    """
    One tenant of the service. Thread-safe.

    :param key: the profile key that a request must carry
    :param apps: the ids of the apps linked to the key
    :param queue_time: seconds from accepting a request to creating its profiles; None creates them at once
    :param rate: the tenant's requests per second, create and status together; None for no limit
    :param shape: the shape of the response to a queued create (contract 5)
    :param strict: enforce everything that the code table calls required, see :func:`rules.problem_of`
    :param whole_call: one record with invalid content fails the whole request
    :param clock: seconds since 1970, never going backwards
    """

    def __init__(
        self,
        *,
        key: str,
        apps: tuple[str, ...],
        queue_time: float | None = 0.0,
        rate: float | None = None,
        shape: Shape = "results",
        strict: bool = False,
        whole_call: bool = False,
        clock: Callable[[], float] = now,
    ) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self._key = key
        self._queue_time = queue_time
        self._shape = shape
        self._strict = strict
        self._whole_call = whole_call
        self._bucket = rules.Bucket(rate, clock)
        self._profiles: dict[str, dict[tuple[str, str], Stored]] = {app_id: {} for app_id in apps}
        self._transactions: dict[str, Transaction] = {}
        self._queue: deque[tuple[str, tuple[Record, ...]]] = deque()  # in order of acceptance, and therefore of due_at

    # -- the two operations --

    def create(self, key: str | None, app_id: str, body: bytes) -> Answer:
        """Handle ``POST /customerappprofile/{app_id}``. If several things are wrong, the first failed check decides."""
        with self.lock:
            self._settle()
            try:
                self._check_key(key)
                document = rules.parse(body)
                if app_id not in self._profiles:
                    raise Refusal("7018")  # noqa: TRY301 - handled like the refusals of the helpers
                records = rules.read_records(document, strict=self._strict, whole_call=self._whole_call)
                self._check_rate()
            except Refusal as refusal:
                return _refused(refusal)
            return self._accept(app_id, records)

    def status(self, key: str | None, transid: str) -> Answer:
        """Handle ``GET /profile/status/{transid}``."""
        with self.lock:
            self._settle()
            try:
                self._check_key(key)
                self._check_rate()
            except Refusal as refusal:
                return _refused(refusal)
            transaction = self._transactions.get(transid)
            if transaction is None or not self._is_visible(transaction):
                return Answer({"code": "7600", "description": rules.describe("7600"), "transid": transid})
            return Answer(_report(transaction))

    def _check_key(self, key: str | None) -> None:
        if not key:
            raise Refusal("7002")
        if key != self._key:
            raise Refusal("7001")

    def _check_rate(self) -> None:
        if not self._bucket.take():
            raise Refusal("7020")

    def _is_visible(self, transaction: Transaction) -> bool:
        """Return whether the service knows it yet: in the first half of the queue time it returns 7600 (contract 5)."""
        half = (transaction.accepted_at + transaction.due_at) / 2
        return transaction.state == "finished" or self.clock() >= half

    def _accept(self, app_id: str, records: tuple[Record, ...]) -> Answer:
        moment = self.clock()
        transaction = Transaction(
            transid=str(uuid.uuid4()),
            app_id=app_id,
            accepted_at=moment,
            due_at=moment + (self._queue_time or 0.0),
            customer_ids=tuple(record.customer_id for record in records),
        )
        self._transactions[transaction.transid] = transaction
        self._queue.append((transaction.transid, records))
        if self._queue_time is None:
            self._settle()
            transaction = self._transactions[transaction.transid]
            payload, http_status = _report(transaction), rules.HTTP_ANSWERED
        else:
            payload = _seed_receipt(transaction) if self._shape == "seed" else _report(transaction)
            http_status = rules.HTTP_QUEUED
        return Answer(payload, http_status, True, transaction.transid, transaction.customer_ids)

    # -- the queue --

    def _settle(self) -> None:
        """Create the profiles of all transactions that are due, in order of acceptance."""
        moment = self.clock()
        while self._queue and self._transactions[self._queue[0][0]].due_at <= moment:
            transid, records = self._queue.popleft()
            self._finish(self._transactions[transid], records)

    def _finish(self, transaction: Transaction, records: tuple[Record, ...]) -> None:
        profiles = self._profiles[transaction.app_id]
        failures = {}
        for index, record in enumerate(records):
            code = record.problem or ("7015" if record.identity in profiles else None)
            if code:
                failures[index] = code
            else:
                profiles[record.identity] = Stored(record.attributes, transaction.due_at)
        self._transactions[transaction.transid] = replace(transaction, state="finished", failures=failures)

    # -- inspection and set-up --

    def seed_profile(self, app_id: str, customer_id: str, device_id: str, attributes: Mapping[str, str]) -> None:
        """Add a profile as if it had been created earlier; raises ValueError for an unknown app."""
        with self.lock:
            self._settle()
            if app_id not in self._profiles:
                raise ValueError(f"Unknown app {app_id!r}: the simulator has {', '.join(self._profiles)}.")
            text = json.dumps(dict(attributes), separators=(",", ":")).encode()
            self._profiles[app_id][customer_id, device_id] = Stored(text, self.clock())

    @property
    def profiles(self) -> dict[str, Profiles]:
        """All profiles at this moment, by app."""
        with self.lock:
            self._settle()
            return {app_id: Profiles(dict(stored)) for app_id, stored in self._profiles.items()}

    @property
    def transactions(self) -> dict[str, Transaction]:
        """All transactions at this moment, oldest first, by transid."""
        with self.lock:
            self._settle()
            return dict(self._transactions)

    def latest_profiles(self, app_id: str, limit: int) -> tuple[int, list[tuple[tuple[str, str], Stored]]]:
        """Return the number of profiles of an app, and the latest ones, newest first."""
        with self.lock:
            self._settle()
            profiles = self._profiles[app_id]
            return len(profiles), list(islice(reversed(profiles.items()), limit))

    def latest_transactions(self, limit: int) -> tuple[int, list[Transaction]]:
        """Return the number of transactions, and the latest ones, newest first."""
        with self.lock:
            self._settle()
            return len(self._transactions), list(islice(reversed(self._transactions.values()), limit))


# -- responses (contract 5) --


def _refused(refusal: Refusal) -> Answer:
    return Answer({"code": refusal.code, "description": refusal.description})


def _seed_receipt(transaction: Transaction) -> dict[str, Any]:
    return {"response": {"code": "1001", "description": rules.describe("1001"), "transid": transaction.transid}}


def _report(transaction: Transaction) -> dict[str, Any]:
    failed = len(transaction.failures)
    code = "1002" if failed else "1000"
    return {
        "code": code,
        "description": "QUEUED" if transaction.state == "queued" else rules.describe(code),
        "transid": transaction.transid,
        "TotalCount": transaction.records,
        "SuccessCount": transaction.records - failed,
        "FailureCount": failed,
        "Results": [
            {"customerId": result.customer_id, "code": result.code, "description": result.description}
            for result in transaction.results
        ],
    }
