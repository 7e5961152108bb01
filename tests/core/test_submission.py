"""The engine, with a send function in the service's place and a store in Airflow's."""

import threading
import time

import pytest

from airflow_imiconnect.batches import check_records, make_batches
from airflow_imiconnect.errors import (
    IMIconnectAmbiguousError,
    IMIconnectAuthenticationError,
    IMIconnectInvalidRecordError,
    IMIconnectRateLimitError,
    IMIconnectRequestError,
    IMIconnectTransientError,
)
from airflow_imiconnect.ledger import Ledger
from airflow_imiconnect.models import Receipt, RecordResult
from airflow_imiconnect.pace import Pace
from airflow_imiconnect.protocol import CREATE
from airflow_imiconnect.retry import RetryPolicy
from airflow_imiconnect.sources import ListSource
from airflow_imiconnect.submission import Engine

NO_WAIT = RetryPolicy(first_wait=0.0)


class Store(dict):
    """A store of JSON values."""

    def set(self, key, value):
        self[key] = value


def batches(count, size=1):
    source = ListSource([{"customerId": f"C{i}", "Attributes": {}} for i in range(count)])
    return make_batches(check_records(source), CREATE, "a_1", size)


def ids(batch):
    return [record.customer_id for record in batch.records]


def number(batch):
    return int(ids(batch)[0][1:])


def queued(batch):
    return Receipt(f"T{number(batch)}", "queued")


def run(count, send, *, size=1, store=None, max_concurrency=3, **settings):
    engine = Engine(send, Ledger(store), max_concurrency, **{"policy": NO_WAIT, **settings})
    return list(engine.deliver(batches(count, size)))


# -- order and bounds --


def test_deliveries_come_in_source_order_whatever_the_order_of_the_answers():
    def send(batch):
        time.sleep(0.02 if number(batch) % 3 == 0 else 0)
        return queued(batch)

    assert [d.receipt.transid for d in run(40, send)] == [f"T{i}" for i in range(40)]


def test_no_more_than_max_concurrency_are_in_flight_and_the_source_is_read_no_faster():
    read, in_flight, most, lock = [], set(), [], threading.Lock()

    def source():
        for batch in batches(60):
            read.append(number(batch))
            yield batch

    def send(batch):
        with lock:
            in_flight.add(number(batch))
            most.append(len(in_flight))
            started = len(most)
            assert len(read) <= started + 4
        time.sleep(0.005)
        with lock:
            in_flight.discard(number(batch))
        return queued(batch)

    deliveries = list(Engine(send, Ledger(None), 4).deliver(source()))
    assert len(deliveries) == 60
    assert max(most) == 4


def test_one_slow_batch_does_not_stop_the_others():
    done = threading.Event()

    def send(batch):
        if number(batch) == 0:
            assert done.wait(5)
        if number(batch) == 20:
            done.set()
        return queued(batch)

    assert [d.receipt.transid for d in run(30, send, max_concurrency=2)] == [f"T{i}" for i in range(30)]


# -- errors --


def test_a_permanent_error_stops_the_submission_and_what_is_in_flight_is_awaited():
    sent = []

    def send(batch):
        sent.append(number(batch))
        if number(batch) == 2:
            raise IMIconnectAuthenticationError("no", code="7001")
        time.sleep(0.05)
        return queued(batch)

    deliveries = run(50, send, max_concurrency=4)
    assert len(sent) < 10
    assert sorted(sent) == [number(d.batch) for d in deliveries]
    assert [number(d.batch) for d in deliveries if d.error] == [2]


def test_what_waits_for_its_retry_is_not_sent_after_the_stop():
    sent, failed = [], threading.Event()

    def send(batch):
        sent.append(number(batch))
        if number(batch) == 0:
            failed.set()
            raise IMIconnectTransientError("not now")
        assert failed.wait(5)
        raise IMIconnectAuthenticationError("no")

    started = time.monotonic()
    first, second = run(2, send, policy=RetryPolicy(first_wait=1000, longest_wait=1000, max_seconds=1e9))
    assert (sorted(sent), time.monotonic() - started < 5) == ([0, 1], True)
    assert (type(first.error), type(second.error)) == (IMIconnectTransientError, IMIconnectAuthenticationError)


@pytest.mark.parametrize(("error", "resent"), [(IMIconnectTransientError, False), (IMIconnectAmbiguousError, True)])
def test_a_passing_error_is_retried_and_a_lost_answer_remembered(error, resent):
    calls = []

    def send(_batch):
        calls.append(1)
        if len(calls) < 3:
            raise error("not now")
        return Receipt("T", "queued")

    (delivery,) = run(1, send)
    assert (len(calls), delivery.resent, delivery.receipt.transid) == (3, resent, "T")


def test_retries_are_bounded_by_count():
    calls = []

    def send(_batch):
        calls.append(1)
        raise IMIconnectTransientError("not now")

    (delivery,) = run(1, send)
    assert len(calls) == NO_WAIT.max_attempts
    assert delivery.error


def test_the_wait_grows_with_full_jitter_and_honours_retry_after():
    policy, passing = RetryPolicy(), IMIconnectTransientError("x")
    assert [policy.wait(passing, n, 0, 1.0) for n in (1, 2, 3, 4, 5)] == [1, 2, 4, 8, None]
    assert policy.wait(passing, 4, 0, 0.25) == 2
    assert RetryPolicy(max_attempts=9999).wait(passing, 5000, 0, 1.0) == 30
    assert policy.wait(IMIconnectTransientError("x", retry_after=7), 1, 0, 0.5) == 7.5
    assert policy.wait(IMIconnectTransientError("x", retry_after=1e9), 1, 0, 0.0) == policy.longest_retry_after
    assert policy.wait(passing, 1, 300, 1.0) is None
    assert policy.wait(IMIconnectRequestError("x"), 1, 0, 1.0) is None
    assert policy.wait(IMIconnectRateLimitError("x"), 50, 0, 1.0) is not None
    assert policy.wait(IMIconnectRateLimitError("x"), 50, 300, 1.0) is None


def test_a_source_that_breaks_off_is_an_error_after_what_was_sent():
    def source():
        yield from batches(3)
        raise IMIconnectInvalidRecordError("a.csv, line 9", "the file has changed")

    deliveries = Engine(queued, Ledger(None), 2).deliver(source())
    assert [next(deliveries).receipt.transid for _ in range(3)] == ["T0", "T1", "T2"]
    with pytest.raises(IMIconnectInvalidRecordError):
        next(deliveries)


def test_a_task_that_is_ended_from_outside_stops_at_once_and_records_what_was_in_flight():
    store, waiting, sending = Store(), threading.Event(), threading.Event()

    def send(batch):
        if number(batch) == 0:
            assert waiting.wait(5)
            assert sending.wait(5)
        if number(batch) == 1:
            waiting.set()
            raise IMIconnectTransientError("not now")
        if number(batch) == 2:
            sending.set()
            time.sleep(0.2)
        return queued(batch)

    patient = RetryPolicy(first_wait=1000, longest_wait=1000, max_seconds=1e9)
    deliveries = Engine(send, Ledger(store), 3, policy=patient).deliver(batches(50))
    next(deliveries)
    started = time.monotonic()
    deliveries.close()
    assert time.monotonic() - started < 5
    known = {number(batch) for batch in batches(50) if (entry := Ledger(store).find(batch.key)) and entry.receipt}
    assert {0, 2} <= known
    assert 1 not in known


def test_a_bug_is_no_quiet_end():
    def send(batch):
        if number(batch) == 5:
            raise KeyError("a bug")
        return queued(batch)

    with pytest.raises(KeyError):
        run(50, send)


# -- the ledger --


def test_a_later_try_sends_only_what_was_not_accepted():
    store, sent = Store(), []

    def first_try(batch):
        sent.append(number(batch))
        if number(batch) == 7:
            raise IMIconnectAuthenticationError("no")
        return queued(batch)

    def second_try(batch):
        sent.append(number(batch))
        return queued(batch)

    run(20, first_try, store=store)
    accepted = set(sent) - {7}
    del sent[:]
    deliveries = run(20, second_try, store=store)
    assert not set(sent) & accepted
    assert [d.receipt.transid for d in deliveries] == [f"T{i}" for i in range(20)]
    assert {number(d.batch) for d in deliveries if d.known} == accepted
    assert not any(d.resent for d in deliveries), "7 was refused: it was not taken before"


def test_what_was_intended_and_not_recorded_is_sent_again_and_reported():
    store, sent = Store(), []
    frozen = Store()

    def killed(batch):
        sent.append(number(batch))
        if number(batch) == 5:
            frozen.update(store)  # the moment of the kill: what the store holds now is what the next try finds
        return queued(batch)

    run(20, killed, store=store, max_concurrency=3)
    del sent[:]
    deliveries = run(20, lambda batch: sent.append(number(batch)) or queued(batch), store=frozen)
    again = {number(d.batch) for d in deliveries if d.resent}
    assert 5 in again
    assert 1 <= len(again) <= 3, "at most one a thread"
    assert [d.receipt.transid for d in deliveries] == [f"T{i}" for i in range(20)]
    assert again <= set(sent)
    assert {number(d.batch) for d in deliveries if d.known} == set(range(20)) - set(sent)


def test_an_answer_lost_for_good_leaves_the_intention():
    store = Store()

    def lost(_batch):
        raise IMIconnectAmbiguousError("lost")

    (delivery,) = run(1, lost, store=store)
    assert delivery.error
    (delivery,) = run(1, queued, store=store)
    assert (delivery.known, delivery.resent) == (False, True)


def test_a_changed_or_reordered_input_never_skips_a_new_record():
    store, sent = Store(), []
    run(4, queued, size=2, store=store)
    source = ListSource([{"customerId": c, "Attributes": {}} for c in ("C0", "C1", "C3", "C2", "C4")])
    engine = Engine(lambda batch: sent.append(ids(batch)) or queued(batch), Ledger(store), 2)
    list(engine.deliver(make_batches(check_records(source), CREATE, "a_1", 2)))
    assert sorted(sent) == [["C3", "C2"], ["C4"]]


def test_a_store_that_cannot_be_written_sends_nothing():
    class Broken(Store):
        def set(self, key, value):
            raise RuntimeError("the API server is gone")

    sent = []
    with pytest.raises(RuntimeError, match="API server"):
        run(5, sent.append, store=Broken())
    assert sent == []


# -- one bad record --


def refuses(bad, code):
    def send(batch):
        if set(ids(batch)) & set(bad):
            raise IMIconnectRequestError("no", code=code, description="the words")
        return queued(batch)

    return send


@pytest.mark.parametrize("code", ["7000", "7003", "7011", "7015", "7017"])
@pytest.mark.parametrize("bad", [["C0"], ["C99"], ["C7", "C42", "C43"]])
def test_the_culprits_stand_alone_and_all_others_are_taken(code, bad):
    deliveries = run(100, refuses(bad, code), size=100, split_refused=True)
    refused = [d for d in deliveries if d.receipt.refused]
    assert [ids(d.batch) for d in refused] == [[customer] for customer in bad]
    assert refused[0].receipt.results == (RecordResult(bad[0], code, "the words"),)
    assert [c for d in deliveries for c in ids(d.batch)] == [f"C{i}" for i in range(100)]


def test_fail_stops_instead():
    (delivery,) = run(100, refuses(["C7"], "7003"), size=100)
    assert delivery.error.code == "7003"


@pytest.mark.parametrize("code", ["7012", "7018", "7013", "9999"])
def test_what_is_no_records_fault_is_not_halved(code):
    (delivery,) = run(100, refuses(["C7"], code), size=100, split_refused=True)
    assert delivery.error.code == code


def test_a_later_try_does_not_ask_the_halved_batch_again():
    store, sent = Store(), []
    run(8, refuses(["C3"], "7003"), size=8, store=store, split_refused=True)
    deliveries = run(8, lambda batch: sent.append(ids(batch)), size=8, store=store, split_refused=True)
    assert sent == []
    assert [ids(d.batch) for d in deliveries if d.receipt.refused] == [["C3"]]


def test_a_resent_batch_of_which_some_exist_already_is_halved_whatever_the_user_said():
    calls = []

    def send(batch):
        calls.append(ids(batch))
        if len(calls) == 1:
            raise IMIconnectAmbiguousError("lost")
        return refuses(["C1"], "7015")(batch)

    deliveries = run(2, send, size=2)
    assert [(ids(d.batch), d.resent) for d in deliveries] == [(["C0"], True), (["C1"], True)]
    assert deliveries[1].receipt.refused[0].code == "7015"


# -- pace --


def test_the_pace_is_shared_by_all_threads():
    starts = []

    def send(batch):
        starts.append(time.monotonic())
        return queued(batch)

    run(11, send, max_concurrency=8, pace=Pace(50))
    assert max(starts) - min(starts) >= 0.19


def test_the_rate_settles_near_the_limit_of_the_service():
    limit, taken, refused, lock = 40.0, [], [], threading.Lock()
    bucket = {"tokens": limit / 4, "at": time.monotonic()}

    def send(batch):
        with lock:
            now = time.monotonic()
            bucket["tokens"] = min(limit / 4, bucket["tokens"] + (now - bucket["at"]) * limit)
            bucket["at"] = now
            if bucket["tokens"] < 1:
                refused.append(now)
                raise IMIconnectRateLimitError("slower", code="7020")
            bucket["tokens"] -= 1
            taken.append(now)
        return queued(batch)

    deliveries = run(250, send, max_concurrency=8, policy=RetryPolicy(first_wait=0.1))
    assert all(d.receipt for d in deliveries)
    seconds = max(taken) - min(taken)
    assert 250 / seconds > 0.5 * limit
    assert len(refused) < 125


def test_waits_grow_for_each_error_but_too_many_calls():
    policy = RetryPolicy()
    waits = {kind: policy.wait(kind(), 4, 20.0, 1.0) for kind in (IMIconnectTransientError, IMIconnectRateLimitError)}
    assert waits == {IMIconnectTransientError: 8.0, IMIconnectRateLimitError: 1.0}


def test_what_waits_for_its_turn_is_not_sent_after_the_stop():
    sent = []

    def send(batch):
        sent.append(number(batch))
        raise IMIconnectAuthenticationError("no")

    store = Store()
    deliveries = run(20, send, max_concurrency=8, pace=Pace(2), store=store)
    assert sent == [0]
    assert deliveries[0].error
    assert not any(d.error or d.receipt for d in deliveries[1:])
    assert not any(Ledger(store).find(batch.key) for batch in batches(20)), "what was not sent was not intended"


def test_a_retry_after_of_a_day_is_cut_for_the_pace_too():
    calls = []

    def send(batch):
        calls.append(1)
        if len(calls) == 1:
            raise IMIconnectRateLimitError("slower", retry_after=86_400)
        return queued(batch)

    started = time.monotonic()
    (delivery,) = run(1, send, policy=RetryPolicy(first_wait=0.0, longest_retry_after=0.2))
    assert delivery.receipt
    assert time.monotonic() - started < 10


def test_a_pace_slows_down_once_for_many_refusals_and_never_exceeds_its_own_limit():
    pace = Pace(100)
    for _ in range(50):
        pace.slow_down()
    slow = pace.calls_per_second
    assert 0 < slow < 100
    for _ in range(10_000):
        pace.speed_up()
    assert pace.calls_per_second == 100
    crawling = Pace(0.05)
    crawling.slow_down()
    assert crawling.calls_per_second == 0.05


def test_a_stop_wakes_who_waits_for_a_turn():
    pace, stopped = Pace(0.001), threading.Event()
    pace.wait(stopped)
    stopped.set()
    started = time.monotonic()
    pace.wait(stopped)
    assert time.monotonic() - started < 5
