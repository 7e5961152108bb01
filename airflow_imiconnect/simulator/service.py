"""The service's state and what it answers. No HTTP and no timers: work that is due is done at the next look."""

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
    """Return the seconds since 1970; unlike ``time.time`` it never runs backwards."""
    return _EPOCH + time.monotonic()


class Result(NamedTuple):
    """What became of one record."""

    customer_id: str
    code: str
    description: str


@dataclass(frozen=True, slots=True)
class Transaction:
    """
    A create call that was accepted.

    Times are seconds since 1970. ``failures`` holds the codes of the records that failed, by position.
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
        """How many records it holds."""
        return len(self.customer_ids)

    @property
    def results(self) -> tuple[Result, ...]:
        """The results in the order of the records."""
        return tuple(self._result(index, customer_id) for index, customer_id in enumerate(self.customer_ids))

    def _result(self, index: int, customer_id: str) -> Result:
        if self.state == "queued":
            return Result(customer_id, "1000", "QUEUED")
        code = self.failures.get(index, "1000")
        return Result(customer_id, code, rules.describe(code))


class Stored(NamedTuple):
    """A profile: its attributes as JSON text, and when it was created (seconds since 1970)."""

    attributes: bytes
    created_at: float


class Profiles(Mapping[tuple[str, str], dict[str, str]]):
    """The profiles of one app at one moment: (customerId, deviceId or "") -> attributes."""

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
    """What the service says to a call; ``accepted`` where it has taken the records of a create."""

    payload: Mapping[str, Any]
    http_status: int = rules.HTTP_ANSWERED
    accepted: bool = False
    transid: str | None = None
    customer_ids: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """The code of the answer, in either shape."""
        return str(self.payload.get("response", self.payload)["code"])


class Bucket:
    """
    The tenant's limit of transactions a second (contract 7), as a token bucket of about one second's worth.

    :param rate: calls a second; None for no limit
    """

    def __init__(self, rate: float | None, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._capacity = max(1.0, rate or 0.0)
        self._tokens = self._capacity
        self._filled_at = clock()

    def take(self) -> bool:
        """Take one token; False where there is none."""
        if self._rate is None:
            return True
        moment = self._clock()
        self._tokens = min(self._capacity, self._tokens + (moment - self._filled_at) * self._rate)
        self._filled_at = moment
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Service:
    """
    One tenant of the service. Safe to use from several threads.

    :param key: the profile key that a call must bear
    :param apps: the ids of the apps that are linked to it
    :param queue_time: seconds from accepting a call to creating its profiles; None creates them at once
    :param rate: the tenant's calls a second, create and status together; None for no limit
    :param shape: the shape of the answer to a queued create (contract 5)
    :param strict: ask for all that the code table calls required, see :func:`rules.problem_of`
    :param whole_call: a record of bad content refuses its whole call
    :param clock: seconds since 1970, never running backwards
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
        self._bucket = Bucket(rate, clock)
        self._profiles: dict[str, dict[tuple[str, str], Stored]] = {app_id: {} for app_id in apps}
        self._transactions: dict[str, Transaction] = {}
        self._queue: deque[tuple[str, tuple[Record, ...]]] = deque()  # in the order of acceptance, so of due_at too

    # -- the two operations --

    def create(self, key: str | None, app_id: str, body: bytes) -> Answer:
        """Answer ``POST /customerappprofile/{app_id}``. The order of the checks decides between several faults."""
        with self.lock:
            self._settle()
            try:
                self._check_key(key)
                document = rules.parse(body)
                if app_id not in self._profiles:
                    raise Refusal("7018")  # noqa: TRY301 - refusals of this method and of its helpers are answered alike
                records = rules.read_records(document, strict=self._strict, whole_call=self._whole_call)
                self._check_rate()
            except Refusal as refusal:
                return _refused(refusal)
            return self._accept(app_id, records)

    def status(self, key: str | None, transid: str) -> Answer:
        """Answer ``GET /profile/status/{transid}``."""
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
        """Tell whether the service knows it yet: in the first half of the queue time it says 7600 (contract 5)."""
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
        """Create the profiles of all transactions that are due, in the order of acceptance."""
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

    # -- looking in, and setting the scene --

    def seed_profile(self, app_id: str, customer_id: str, device_id: str, attributes: Mapping[str, str]) -> None:
        """Put a profile there as if it had been created before; ValueError for an app that is not there."""
        with self.lock:
            self._settle()
            if app_id not in self._profiles:
                raise ValueError(f"There is no app {app_id!r} here, only {', '.join(self._profiles)}.")
            text = json.dumps(dict(attributes), separators=(",", ":")).encode()
            self._profiles[app_id][customer_id, device_id] = Stored(text, self.clock())

    @property
    def profiles(self) -> dict[str, Profiles]:
        """All profiles as of now, by app."""
        with self.lock:
            self._settle()
            return {app_id: Profiles(dict(stored)) for app_id, stored in self._profiles.items()}

    @property
    def transactions(self) -> dict[str, Transaction]:
        """All transactions as of now, oldest first, by transid."""
        with self.lock:
            self._settle()
            return dict(self._transactions)

    def latest_profiles(self, app_id: str, limit: int) -> tuple[int, list[tuple[tuple[str, str], Stored]]]:
        """Return how many profiles an app has, and the latest of them, newest first."""
        with self.lock:
            self._settle()
            profiles = self._profiles[app_id]
            return len(profiles), list(islice(reversed(profiles.items()), limit))

    def latest_transactions(self, limit: int) -> tuple[int, list[Transaction]]:
        """Return how many transactions there are, and the latest of them, newest first."""
        with self.lock:
            self._settle()
            return len(self._transactions), list(islice(reversed(self._transactions.values()), limit))


# -- answers (contract 5) --


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
