"""The engine, with a send function in the service's place and a store in Airflow's."""

import sys
import threading
import time

import pytest

from airflow_imiconnect.errors import (
    IMIconnectAmbiguousError,
    IMIconnectAuthenticationError,
    IMIconnectInvalidRecordError,
    IMIconnectRateLimitError,
    IMIconnectRequestError,
    IMIconnectTransientError,
)
from airflow_imiconnect.pacing.backoff import RetryPolicy
from airflow_imiconnect.pacing.rate_limiter import RateLimiter
from airflow_imiconnect.profile_api.operations import CREATE
from airflow_imiconnect.profile_api.results import Receipt, RecordResult
from airflow_imiconnect.records.batches import make_batches
from airflow_imiconnect.records.sources.lists import ListSource
from airflow_imiconnect.records.validation import check_records
from airflow_imiconnect.submission.engine import Engine
from airflow_imiconnect.submission.ledger import Ledger
from airflow_imiconnect.submission.ledger_entries import Accepted, Intended

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
    return Receipt((f"T{number(batch)}",), "queued")


def delivered(engine, source):
    deliveries = []
    engine.run(source, deliveries.append)
    return deliveries


def run(count, send, *, size=1, store=None, max_concurrency=3, **settings):
    engine = Engine(send, Ledger(store), max_concurrency, **{"policy": NO_WAIT, **settings})
    return delivered(engine, batches(count, size))


def known(entry):
    return isinstance(entry, Accepted)


# -- order and bounds --


def test_deliveries_come_in_source_order_whatever_the_order_of_the_answers():
    def send(batch):
        time.sleep(0.02 if number(batch) % 3 == 0 else 0)
        return queued(batch)

    assert [d.receipt.transid for d in run(40, send)] == [f"T{i}" for i in range(40)]


def test_no_more_than_max_concurrency_are_in_flight_and_the_source_is_read_no_faster():
    """All senders are held until as many are in flight as there can be: no more has been read by then."""
    read, sending, all_at_work = [], [], threading.Barrier(4)

    def source():
        for batch in batches(60):
            read.append(number(batch))
            yield batch

    def send(batch):
        sending.append(number(batch))
        all_at_work.wait(10)  # four are here, and nobody else can be
        assert len(read) == len(sending)
        all_at_work.wait(10)
        return queued(batch)

    assert len(delivered(Engine(send, Ledger(None), 4), source())) == 60


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
        return Receipt(("T",), "queued")

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


def test_a_source_that_breaks_off_is_an_error_after_what_was_sent():
    def source():
        yield from batches(3)
        raise IMIconnectInvalidRecordError("a.csv, line 9", "the file has changed")

    deliveries = []
    with pytest.raises(IMIconnectInvalidRecordError):
        Engine(queued, Ledger(None), 2).run(source(), deliveries.append)
    assert [delivery.receipt.transid for delivery in deliveries] == ["T0", "T1", "T2"]


@pytest.mark.parametrize(("error", "attempts"), [(IMIconnectInvalidRecordError("a.csv, line 9", "it is empty"), 2), (OSError("the disk is gone"), 1)])  # fmt: skip
def test_what_the_source_raises_ends_what_is_in_flight_only_where_it_is_a_bug_or_a_broken_machine(error, attempts):
    tried, broken = [], threading.Event()

    def source():
        yield from batches(1)
        assert broken.wait(5)
        raise error

    def send(batch):
        tried.append(number(batch))
        broken.set()
        if len(tried) == 1:
            for thread in threading.enumerate():  # the other sender ends when it has met the error
                if thread.name == "imiconnect-1":
                    thread.join(5)
            raise IMIconnectTransientError("not now")
        return queued(batch)

    deliveries = []
    with pytest.raises(type(error)):
        Engine(send, Ledger(None), 2, policy=NO_WAIT).run(source(), deliveries.append)
    assert (len(tried), len(deliveries)) == (attempts, 1)
    assert bool(deliveries[0].receipt) is (attempts == 2)


def test_the_first_error_is_the_one_that_is_raised():
    def record(delivery):
        raise OSError(f"error {number(delivery.batch)}")

    with pytest.raises(OSError, match="error 0"):
        Engine(queued, Ledger(None), 4).run(batches(50), record)


def test_the_threads_keep_no_process_alive_and_say_what_they_are():
    threads, together = set(), threading.Barrier(3)

    def send(batch):
        threads.add((threading.current_thread().name, threading.current_thread().daemon))
        together.wait(10)
        return queued(batch)

    run(30, send, max_concurrency=3)
    assert threads == {("imiconnect-0", True), ("imiconnect-1", True), ("imiconnect-2", True)}


def test_the_switch_interval_is_as_before_however_it_ends():
    def send(_batch):
        intervals.append(sys.getswitchinterval())
        raise KeyError("a bug")

    usual, intervals = sys.getswitchinterval(), []
    with pytest.raises(KeyError):
        run(1, send)
    assert sys.getswitchinterval() == usual
    assert intervals[0] < usual


def test_a_slow_batch_holds_up_a_bounded_number_of_others():
    slow, sent = threading.Event(), []

    def send(batch):
        if number(batch) == 0:
            assert slow.wait(10)
        sent.append(number(batch))
        if len(sent) == 32:
            threading.Timer(0.1, slow.set).start()
        return queued(batch)

    with_one_held_up = []

    def record(_delivery):
        with_one_held_up.append(len(sent))

    Engine(send, Ledger(None), 2).run(batches(100), record)
    assert with_one_held_up[0] <= 16 * 2 + 2


def test_a_machine_without_threads_is_an_error_and_one_with_few_goes_on(monkeypatch):
    def start(thread):
        started.append(thread)
        if len(started) > most:
            raise RuntimeError("can't start new thread")
        real(thread)

    real = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", start)
    started, most = [], 2
    assert len(run(20, queued, max_concurrency=8)) == 20
    started, most = [], 0
    with pytest.raises(RuntimeError, match="new thread"):
        run(20, queued)


def test_what_comes_after_a_delivery_that_could_not_be_recorded_is_handed_over_all_the_same():
    deliveries = []

    def record(delivery):
        deliveries.append(number(delivery.batch))
        if deliveries == [0, 1]:
            raise OSError("the disk is full")

    sent = []
    with pytest.raises(OSError, match="full"):
        Engine(lambda batch: sent.append(number(batch)) or queued(batch), Ledger(None), 3).run(batches(50), record)
    assert deliveries == sorted(sent)
    assert len(sent) < 10


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

    patient, stopped = RetryPolicy(first_wait=1000, longest_wait=1000, max_seconds=1e9), threading.Event()
    deliveries = []

    def record(delivery):
        deliveries.append(delivery)
        stopped.set()

    started = time.monotonic()
    Engine(send, Ledger(store), 3, policy=patient, stopped=stopped).run(batches(50), record)
    assert time.monotonic() - started < 5
    answered = {number(delivery.batch) for delivery in deliveries if delivery.receipt}
    recorded = {number(batch) for batch in batches(50) if known(Ledger(store).find(batch.key))}
    assert {0, 2} <= answered == recorded
    assert 1 not in recorded


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
    delivered(engine, make_batches(check_records(source), CREATE, "a_1", 2))
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
    assert refused[0].receipt == Receipt((), "finished", (RecordResult(bad[0], code, "the words"),))
    assert [c for d in deliveries for c in ids(d.batch)] == [f"C{i}" for i in range(100)]


def test_a_refusal_without_words_has_none():
    def send(_batch):
        raise IMIconnectRequestError("no", code="7003")

    (delivery,) = run(1, send, split_refused=True)
    assert delivery.receipt.results == (RecordResult("C0", "7003", ""),)


def test_fail_stops_instead():
    (delivery,) = run(100, refuses(["C7"], "7003"), size=100)
    assert delivery.error.code == "7003"


def test_records_that_exist_are_not_our_own_where_nothing_was_sent_before():
    (delivery,) = run(2, refuses(["C1"], "7015"), size=2)
    assert (delivery.error.code, delivery.resent) == ("7015", False)


def test_a_resent_batch_that_is_refused_for_another_reason_stays_whole():
    calls = []

    def send(batch):
        calls.append(ids(batch))
        if len(calls) == 1:
            raise IMIconnectAmbiguousError("lost")
        return refuses(["C1"], "7003")(batch)

    (delivery,) = run(2, send, size=2)
    assert (delivery.error.code, delivery.resent, calls) == ("7003", True, [["C0", "C1"]] * 2)


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

    run(11, send, max_concurrency=8, rate_limiter=RateLimiter(50))
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


def test_what_waits_for_its_turn_is_not_sent_after_the_stop():
    sent = []

    def send(batch):
        sent.append(number(batch))
        raise IMIconnectAuthenticationError("no")

    store = Store()
    deliveries = run(20, send, max_concurrency=8, rate_limiter=RateLimiter(2), store=store)
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


# -- what must not be believed, and what must not be forgotten --


class Pauses(threading.Event):
    """Looks into the ledger in each pause."""

    def __init__(self, store):
        super().__init__()
        self.store, self.found = store, []

    def wait(self, timeout=None):
        self.found.append(Ledger(self.store).find(next(batches(1)).key))
        return super().wait(timeout)


@pytest.mark.parametrize(
    ("error", "found", "resent"),
    [
        (IMIconnectRateLimitError("7020", code="7020"), None, False),
        (IMIconnectTransientError("refused"), None, False),
        (IMIconnectAmbiguousError("lost"), Intended(), True),
    ],
)
def test_in_a_pause_a_batch_counts_as_sent_only_where_it_may_have_been(error, found, resent):
    """A worker that dies in it must not turn a real 7015 into one of its own."""
    store, errors = Store(), [error]

    def send(batch):
        if errors:
            raise errors.pop()
        return queued(batch)

    pauses = Pauses(store)
    (delivery,) = delivered(Engine(send, Ledger(store), 1, policy=NO_WAIT, stopped=pauses), batches(1))
    assert set(pauses.found) == {found}
    assert (delivery.receipt.transid, delivery.resent) == ("T0", resent)


def test_a_transaction_of_another_batch_is_not_believed():
    """A cache, or a response that came late on a kept connection."""
    sent = []

    def send(batch):
        sent.append(number(batch))
        return Receipt((f"T{len(sent) if len(sent) != 2 else 1}",), "queued")

    deliveries = run(3, send, max_concurrency=1)
    assert sent == [0, 1, 1, 2]
    assert [(d.receipt.transid, d.resent) for d in deliveries] == [("T1", False), ("T3", True), ("T4", False)]


def test_a_service_that_gives_the_same_transaction_to_all_is_asked_twice_and_no_more():
    sent = []

    def send(batch):
        sent.append(number(batch))
        return Receipt(("T",), "queued")

    first, second = run(2, send, max_concurrency=1)
    assert (sent, first.receipt.transid) == ([0, 1, 1], "T")
    assert "transaction T, which belongs to another batch" in str(second.error)


def test_a_response_that_names_a_transaction_and_is_not_believed_is_not_asked_for_time_and_again():
    sent = []

    def send(batch):
        sent.append(number(batch))
        raise IMIconnectAmbiguousError("other records", transid=f"T{len(sent)}")

    (delivery,) = run(1, send)
    assert (sent, delivery.error.transid) == ([0, 0], "T2")


def test_a_half_that_was_accepted_is_handed_over_though_the_other_one_fails():
    store = Store()

    def send(batch):
        if len(batch.records) > 1:
            raise IMIconnectRequestError("one of them", code="7003")
        store.set = fail  # from here on
        return queued(batch)

    def fail(*_):
        raise OSError("no store")

    engine, deliveries = Engine(send, Ledger(store), 1, split_refused=True, policy=NO_WAIT), []
    with pytest.raises(OSError, match="no store"):
        engine.run(batches(2, size=2), deliveries.append)
    assert [d.receipt.transid for d in deliveries] == ["T0"]


def test_what_was_not_sent_is_not_handed_over():
    stopped = threading.Event()

    def send(batch):
        stopped.set()
        return queued(batch)

    deliveries = run(20, send, max_concurrency=4, stopped=stopped, rate_limiter=RateLimiter(2))
    assert [d.receipt.transid for d in deliveries] == ["T0"]


def test_a_retry_after_slows_down_the_other_threads_too():
    refused, starts = [], {}

    def send(batch):
        starts.setdefault(number(batch), time.monotonic())
        if number(batch) == 0 and not refused:
            refused.append(time.monotonic())
            raise IMIconnectRateLimitError("slower", retry_after=0.4)
        if number(batch) == 1:
            while not refused or time.monotonic() < refused[0] + 0.1:
                time.sleep(0.01)
        return queued(batch)

    assert len(run(4, send, max_concurrency=2)) == 4
    assert min(starts[2], starts[3]) >= refused[0] + 0.35
