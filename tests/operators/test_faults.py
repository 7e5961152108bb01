"""
The fault suite: whatever happens to a call, nothing is lost, nothing recorded is sent twice, nothing failed is green.

The simulator is the witness: it remembers every call and every acceptance, also those whose answer was lost.
"""

from collections import Counter

import pytest
from support.stand_ins import APP, KEY, Store, Ti, records

from airflow_imiconnect.errors import IMIconnectError
from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator
from airflow_imiconnect.sensors import IMIconnectProfileStatusSensor

SECRET = "planted-value"
FAULTS = [
    "down:0.1", "reset_before", "reset_after", "cut_off", "hang_after", "http_500", "http_502_html", "http_503", "http_429", "7006",
    "7016", "7019", "7020", "not_json", "other_shape", "no_transid", "wrong_types", "slow_body", "huge_body", "redirect", "7010",
]  # fmt: skip
SIZE = 5
CONCURRENCY = 4


def run(items, store, **arguments):
    """Try until it succeeds, as Airflow and a person would; return the result and how many tries it took."""
    arguments = {"batch_size": SIZE, "max_concurrency": CONCURRENCY, **arguments}
    errors = []
    for tries in range(1, 6):
        operator = IMIconnectCreateAppProfileOperator(task_id="submit", records=items, **arguments)
        try:
            result = operator.execute({"ti": Ti(), "task_state_store": store})
        except IMIconnectError as error:
            errors.append(str(error))
        else:
            assert KEY not in str(errors)
            assert SECRET not in str(errors)
            return result, tries
    raise AssertionError(f"five tries were not enough: {errors[-1]}")


def check(sim, items, result):
    """Hold the result against the witness."""
    accepted = [call for call in sim.calls if call.accepted]
    times = Counter(customer for call in accepted for customer in call.customer_ids)
    assert set(times) == {item["customerId"] for item in items}, "every record was accepted at least once"
    assert (result["records"], result["accepted"], result["refused"]) == (len(items), len(items), 0)
    transid_of = {call.transid: call for call in accepted}
    in_order = [customer for transid in result["transids"] for customer in transid_of[transid].customer_ids]
    assert in_order == [item["customerId"] for item in items], (
        "the result names one transaction for each batch, in order"
    )
    twice = {customer for customer, count in times.items() if count > 1}
    resent = {customer for transid in result["resent"] for customer in transid_of[transid].customer_ids}
    assert twice <= resent, "what was accepted twice is reported"
    assert len(sim.profiles[APP]) == len(items)


@pytest.mark.parametrize("batches", [1, 20])
@pytest.mark.parametrize("fault", FAULTS)
def test_fault(simulator, connect, no_waiting, everything_logged, fault, batches):
    sim = simulator(faults={1 if batches == 1 else 10: fault})
    connect(host=sim.url, extra={"app_id": APP, "timeout": 0.4})
    items = records(batches * SIZE, twitter_name=SECRET)
    result, tries = run(items, Store())
    check(sim, items, result)
    assert tries <= 2
    extra = [call for call in sim.calls if call.kind == "create"][batches:]
    assert len(extra) <= 1 + CONCURRENCY, "only what was not recorded is sent again"
    outcome = IMIconnectProfileStatusSensor(task_id="wait", transids=result, poke_interval=0.05, timeout=10).execute(
        {"ti": Ti()}
    )
    assert (outcome["succeeded"], outcome["failed"]) == (len(items), 0)
    assert KEY not in everything_logged.text
    assert SECRET not in everything_logged.text


def test_every_other_call_fails_somehow(simulator, connect, no_waiting):
    passing = [fault for fault in FAULTS if fault not in ("down:0.1", "hang_after", "slow_body", "huge_body")]
    sim = simulator(faults={2 * n: fault for n, fault in enumerate(passing * 2, start=1)})
    connect(host=sim.url, extra={"app_id": APP, "timeout": 0.4})
    items = records(20 * SIZE)
    result, _ = run(items, Store())
    check(sim, items, result)


def test_a_profile_that_was_there_before_is_never_taken_for_our_own(simulator, no_waiting):
    sim = simulator(faults={2: "7020"})
    sim.seed_profile(APP, "C7")
    result, _ = run(records(15), Store())
    assert result["resent"] == []
    with pytest.raises(IMIconnectError, match="1 of 15 records failed in IMIconnect: 7015 x 1"):
        IMIconnectProfileStatusSensor(task_id="wait", transids=result, poke_interval=0.05).execute({"ti": Ti()})


@pytest.mark.parametrize("fault", ["hang_after", "reset_after", "7020"])
def test_a_rate_of_the_tenant_and_a_fault_together(simulator, connect, no_waiting, fault):
    sim = simulator(rate=40, faults={4: fault})
    connect(host=sim.url, extra={"app_id": APP, "timeout": 0.4})
    items = records(30 * SIZE)
    result, _ = run(items, Store(), max_concurrency=8)
    check(sim, items, result)
