"""
What the service saw of one submission, held against what the task says and against what its ledger had recorded.

The simulator remembers every call and every acceptance, also those whose answer nobody was there to read.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Death:
    """
    One try that was killed.

    :param victim: which process
    :param calls: how many calls had arrived by then, in all tries together
    :param left_at: when the ledger was read, in seconds since 1970; the next try had not begun
    :param ledger: batch key -> the transids of an accepted batch, none for one that was intended
    """

    victim: str
    calls: int
    left_at: float
    ledger: dict

    @property
    def intended(self):
        return {key for key, transids in self.ledger.items() if not transids}

    @property
    def recorded(self):
        return {transid for transids in self.ledger.values() for transid in transids}


def ledger_of(store):
    """Return the transids that a task_state_store holds of each batch since the last Clear."""
    ledger = {}
    for name, value in store.items():
        if re.fullmatch(r"imiconnect-\w+", name):
            head = json.loads(value)
            for number in range(head["segments"]):
                ledger |= json.loads(store[f"{name}-{number}"])
            ledger |= head["batches"]
    return {key: _transids(value) for key, value in ledger.items() if value is not None}


def _transids(value):
    if isinstance(value, str):
        return [value]
    return value.get("t", []) if value else []


def check_result(calls, customer_ids, result):
    """The result names, to the record, what the service has accepted."""
    customers = {call.transid: call.customer_ids for call in calls if call.accepted}
    accepted = {customer for group in customers.values() for customer in group}
    assert accepted == set(customer_ids), "every record of the input was accepted at least once, and no other"
    counts = {name: result[name] for name in ("records", "accepted", "invalid", "refused")}
    assert counts == {"records": len(customer_ids), "accepted": len(customer_ids), "invalid": 0, "refused": 0}
    named = [customer for transid in result["transids"] for customer in customers[transid]]
    assert named == list(customer_ids), "the transactions stand for every record once, in the order of the source"


def check_deaths(calls, deaths, ledger, result, max_concurrency):
    """What was recorded was never sent again, and little else was; the result tells which."""
    digests = {call.transid: call.digest for call in calls if call.accepted}
    in_the_end = [transid for transids in ledger.values() for transid in transids]
    assert sorted(in_the_end) == sorted(result["transids"]), "the ledger and the result name the same transactions"
    for number, death in enumerate(deaths, start=1):
        recorded = {digests[transid] for transid in death.recorded}
        later = {call.digest for call in calls if call.time > death.left_at}
        assert not recorded & later, f"batches recorded as accepted by try {number} were sent again later"
        assert len(death.intended) <= max_concurrency, f"try {number} left more batches open than it can have in flight"
    _check_repeats(calls, deaths, max_concurrency)
    _check_resent(calls, deaths, ledger, result)


def _check_repeats(calls, deaths, max_concurrency):
    seen = set()
    for number, sent in enumerate(_sent_by_try(calls, deaths), start=1):
        again = seen.intersection(sent)
        assert len(sent) == len(set(sent)), f"try {number} sent a batch twice by itself"
        assert len(again) <= max_concurrency, f"try {number} sent {len(again)} batches again"
        seen.update(sent)


def _check_resent(calls, deaths, ledger, result):
    intended = {key for death in deaths for key in death.intended}
    expected = {transid for key in intended for transid in ledger[key]}
    assert result["resent"] == [transid for transid in result["transids"] if transid in expected], (
        "resent are those that a dead try had intended and not recorded"
    )
    resent = {call.digest for call in calls if call.transid in expected}
    times = Counter(call.digest for call in calls)
    assert {digest for digest, count in times.items() if count > 1} <= resent, "what was sent twice is in resent"


def _sent_by_try(calls, deaths):
    """Return the digests of what each try sent."""
    starts = [0.0, *(death.left_at for death in deaths)]
    ends = [*starts[1:], float("inf")]
    return [
        [call.digest for call in calls if start < call.time <= end] for start, end in zip(starts, ends, strict=True)
    ]
