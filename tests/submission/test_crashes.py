"""
Random histories of a submission whose process dies, again and again, at any moment: before and after each request and
each operation of the store, with lost responses, refusals and records that exist already, in one to eight threads.

IMICONNECT_TESTS=long plays 2,000 of them; IMICONNECT_SEED repeats the choices of an earlier run.
"""

import os
import random
import threading
import time
from collections import Counter, defaultdict

import pytest

from airflow_imiconnect.errors import IMIconnectAmbiguousError, IMIconnectRequestError, IMIconnectTransientError
from airflow_imiconnect.pacing.backoff import RetryPolicy
from airflow_imiconnect.profile_api.operations import CREATE
from airflow_imiconnect.profile_api.results import Receipt, RecordResult
from airflow_imiconnect.records.rejects import RejectsFile
from airflow_imiconnect.records.sources.lists import ListSource
from airflow_imiconnect.submission.ledger import Ledger
from airflow_imiconnect.submission.ledger_entries import Accepted
from airflow_imiconnect.submission.submit import Order, submit
from airflow_imiconnect.submission.summary import Summary

HISTORIES = 2000 if os.environ.get("IMICONNECT_TESTS") == "long" else 100
SEED = int(os.environ.get("IMICONNECT_SEED") or random.randrange(1_000_000))
AT_ONCE = 20
REFUSED, EXISTS = "7011", "7015"


class DiedError(BaseException):
    """The process is no more: none of its threads does anything from then on."""


class Life:
    """A process that dies after so many events; 0 for one that lives."""

    def __init__(self, events):
        self._left, self._lock = events or float("inf"), threading.Lock()

    def event(self):
        with self._lock:
            self._left -= 1
            if self._left <= 0:
                raise DiedError


class Store:
    """Airflow's task_state_store, which outlives a process."""

    def __init__(self):
        self.values, self.life = {}, Life(0)

    def get(self, key, default=None):
        self.life.event()
        return self.values.get(key, default)

    def set(self, key, value):
        self.life.event()
        time.sleep(0.0002)  # other threads note something meanwhile
        self.values[key] = value
        self.life.event()


class Service:
    """IMIconnect, and all that it knows: who exists, who was refused, who was created by which transaction."""

    def __init__(self, choice, existing, refused, *, whole):
        self._choice, self._lock = choice, threading.Lock()
        self._refused, self._whole = refused, whole
        self.exists, self.life = set(existing), Life(0)
        self.created = defaultdict(set)
        self.requests = Counter()  # by the key of their batch
        self.answers = defaultdict(list)  # the transactions of each batch that were processed
        self.returned = set()  # batches whose response has come back
        self.faults = 0.2

    def send(self, batch):
        self.life.event()
        with self._lock:
            self.requests[batch.key] += 1
            fault = self._choice.random() < self.faults and self._choice.choice(["refuses", "loses", "never gets"])
            if fault == "refuses":
                raise IMIconnectTransientError("internal error", code="7006")
            if fault == "never gets":
                raise IMIconnectAmbiguousError("lost")
            receipt = self._process(batch)
        self.life.event()
        if fault == "loses":
            raise IMIconnectAmbiguousError("lost")
        self.returned.add(batch.key)
        return receipt

    def _process(self, batch):
        ids = [record.customer_id for record in batch.records]
        if self._whole and self._refused.intersection(ids):
            raise IMIconnectRequestError("invalid value", code=REFUSED)
        transid = f"T-{batch.key}-{self.requests[batch.key]}"
        results = [self._process_one(customer_id, transid) for customer_id in ids]
        self.answers[batch.key].append(transid)
        is_queued = any(result.code == "1000" for result in results)
        return Receipt((transid,) if is_queued else (), "queued" if is_queued else "finished", tuple(results))

    def _process_one(self, customer_id, transid):
        if customer_id in self._refused:
            return RecordResult(customer_id, REFUSED, "")
        if customer_id in self.exists:
            return RecordResult(customer_id, EXISTS, "")
        self.exists.add(customer_id)
        self.created[transid].add(customer_id)
        return RecordResult(customer_id, "1000", "QUEUED")


class History:
    """One submission, from its first attempt to its end."""

    def __init__(self, seed):
        self.choice = choice = random.Random(seed)
        self.ids = [f"C{number}" for number in range(choice.randint(1, 60))]
        self.existing = {one for one in self.ids if choice.random() < choice.choice([0, 0.1])}
        self.refused = {one for one in self.ids if choice.random() < choice.choice([0, 0.1])} - self.existing
        self.store = Store()
        self.service = Service(choice, self.existing, self.refused, whole=choice.random() < 0.3)
        # fmt: off
        self.order = Order(
            CREATE, "a_1", choice.randint(1, 7), choice.randint(1, 8), on_invalid="skip",
            policy=RetryPolicy(max_attempts=3, first_wait=0.0),
        )
        # fmt: on
        self.recorded = {}

    def play(self):
        """Let processes die, then let one live to the end; return its result."""
        for _ in range(self.choice.randint(0, 4)):
            before = self.service.requests.copy()
            died = self._attempt(Life(self.choice.randint(1, 60))) is None
            self._check_what_was_recorded(before, died=died)
        self.service.faults = 0.0
        before = self.service.requests.copy()
        summary = self._attempt(Life(0))
        self._check_what_was_recorded(before, died=False)
        assert summary is not None
        assert summary.error(tolerate_refused=True) is None
        return summary.to_submission()

    def _attempt(self, life):
        self.store.life = self.service.life = life
        source = ListSource([{"customerId": one, "Attributes": {"status": "1"}} for one in self.ids])
        try:
            ledger = Ledger(self.store)
            with RejectsFile(None) as rejects:
                summary = Summary(CREATE, "a_1", rejects)
                submit(self.order, source, self.service.send, ledger, summary, threading.Event(), lambda _: None)
        except DiedError:
            return None
        return summary

    def _check_what_was_recorded(self, before, *, died):
        """Hold against each other what earlier processes had recorded, and what this one has sent."""
        for key in self.recorded:
            assert self.service.requests[key] == before[key], "what had been recorded as accepted was sent again"
        self.store.life = Life(0)
        ledger = Ledger(self.store)
        entries = {key: ledger.find(key) for key in self.service.requests}
        recorded = {key: entry for key, entry in entries.items() if isinstance(entry, Accepted)}
        assert recorded.items() >= self.recorded.items(), "what had been recorded was forgotten"
        self.recorded = recorded
        unrecorded = self.service.returned - recorded.keys()
        assert len(unrecorded) <= (self.order.max_concurrency if died else 0), "responses were not recorded"
        self.service.returned.clear()


def check(history, result):
    service = history.service
    truly_created = set().union(*service.created.values())
    assert service.exists == set(history.ids) - history.refused, "a record was lost"
    assert result.records == len(history.ids) == result.accepted + result.refused
    assert result.accepted - result.existing <= len(truly_created), "a record that was refused counts as created"
    known = len(history.refused), len(history.refused | history.existing)
    assert known[0] <= result.refused <= known[1], "a record that was created counts as refused"
    assert result.existing + result.refused >= len(history.existing | history.refused)
    told = {transaction.transid for transaction in result.transactions}
    assert len(told) == len(result.transactions)
    for key, transids in service.answers.items():
        queued = [transid for transid in transids if service.created[transid]]
        if service.requests[key] == 1:
            assert told.issuperset(queued), "an accepted transaction was lost"
        elif len(transids) > 1 and told.intersection(transids):
            assert set(result.resent).intersection(transids), "a batch was processed twice, and nobody is told"
    unsure = len(result.resent) + sum(not service.created[one] for ones in service.answers.values() for one in ones)
    assert result.existing == 0 or unsure


@pytest.mark.parametrize("start", range(0, HISTORIES, AT_ONCE))
def test_whenever_a_process_dies_nothing_is_lost_and_nothing_counts_for_what_it_is_not(start):
    for number in range(start, start + AT_ONCE):
        history = History(f"{SEED}-{number}")
        try:
            check(history, history.play())
        except AssertionError as error:
            raise AssertionError(f"IMICONNECT_SEED={SEED}, history {number}: {error}") from error
