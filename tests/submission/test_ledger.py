import threading
import time

import pytest

from airflow_imiconnect.errors import IMIconnectRequestError
from airflow_imiconnect.profile_api.results import Receipt, RecordResult
from airflow_imiconnect.submission.ledger import SUCCESS, Ledger
from airflow_imiconnect.submission.ledger_entries import Accepted, Intended, Split

T = Receipt(("T1",), "queued")


class Store(dict):
    """A store of texts that counts reads and writes."""

    def __init__(self, delay=0.0):
        super().__init__()
        self.reads = self.writes = 0
        self.delay = delay

    def get(self, key, default=None):
        self.reads += 1
        return super().get(key, default)

    def set(self, key, value):
        assert isinstance(value, str)
        time.sleep(self.delay)
        self.writes += 1
        self[key] = value


def known(ledger, numbers):
    return sum(ledger.find(f"{number:032}") is not None for number in numbers)


def test_an_intention_is_stored_before_it_is_acted_upon():
    store = Store()
    Ledger(store).intend("k")
    assert Ledger(store).find("k") == Intended()
    assert Ledger(store).find("other") is None


@pytest.mark.parametrize(
    "receipt",
    [
        T,
        Receipt(("T1", "T2", "T3"), "queued"),
        Receipt((), "finished"),
        Receipt(("T1",), "finished"),
        Receipt(("T1",), "queued", (RecordResult("C1", "7015", "exists"),)),
    ],
)
@pytest.mark.parametrize("resent", [False, True])
def test_an_acceptance_comes_back_as_it_was(receipt, resent):
    store = Store()
    ledger = Ledger(store)
    ledger.intend("k")
    ledger.accept("k", receipt, resent=resent)
    ledger.flush()
    assert Ledger(store).find("k") == Accepted(receipt, resent=resent)


def test_an_acceptance_is_stored_with_the_next_intention():
    store = Store()
    ledger = Ledger(store)
    ledger.intend("a")
    ledger.accept("a", T, resent=False)
    assert Ledger(store).find("a") == Intended()
    ledger.intend("b")
    assert Ledger(store).find("a") == Accepted(T)
    assert store.writes == 2


TAKEN, REFUSED, NAMELESS = (
    RecordResult("C1", "1000", "QUEUED"),
    RecordResult("C2", "7003", "x"),
    RecordResult("", "7003", "x"),
)


@pytest.mark.parametrize(
    ("results", "kept"),
    [
        ((TAKEN, REFUSED), (REFUSED,)),
        ((TAKEN, REFUSED, NAMELESS), (TAKEN, REFUSED, NAMELESS)),
        ((TAKEN,), ()),
    ],
)
def test_results_are_kept_that_tell_which_records_were_refused(results, kept):
    store = Store()
    ledger = Ledger(store)
    ledger.accept("k", Receipt(("T",), "queued", results), resent=False)
    ledger.flush()
    assert Ledger(store).find("k").receipt.results == kept


def test_a_withdrawn_intention_was_never_there():
    store = Store()
    ledger = Ledger(store)
    ledger.intend("a")
    ledger.withdraw("a")
    ledger.intend("b")
    again = Ledger(store)
    assert again.find("a") is None
    assert again.find("b") == Intended()


def test_what_is_withdrawn_and_sent_after_all_is_there():
    store = Store()
    ledger = Ledger(store)
    ledger.intend("a")
    ledger.withdraw("a")
    ledger.flush()
    ledger = Ledger(store)
    assert ledger.find("a") is None
    ledger.intend("a")
    assert Ledger(store).find("a") == Intended()


def test_a_withdrawn_intention_is_gone_from_older_segments_too():
    store = Store()
    ledger = Ledger(store)
    ledger.intend("a")
    for number in range(800):
        ledger.accept(f"{number:032}", T, resent=False)
    ledger.accept("a", T, resent=False)
    ledger.withdraw("a")
    ledger.flush()
    assert len(store) > 1
    assert Ledger(store).find("a") is None


def test_the_later_word_on_a_batch_counts_whatever_segment_it_stands_in():
    store = Store()
    for number in range(30):
        ledger = Ledger(store)
        for other in range(20):
            ledger.intend(f"{number}-{other}")
        ledger.accept("a", Receipt((f"T{number}",), "queued"), resent=False)
        ledger.flush()
    assert Ledger(store).find("a").receipt.transid == "T29"


def transid(number):
    return f"5f1c0d0e-0000-4000-8000-{number:012}"


def submit(ledger, numbers):
    for number in numbers:
        ledger.intend(f"{number:032}")
        ledger.accept(f"{number:032}", Receipt((transid(number),), "queued"), resent=False)
    ledger.flush()


def test_ten_thousand_batches_are_a_few_small_values():
    store = Store()
    submit(Ledger(store), range(10_000))
    assert len(store) < 300
    assert max(map(len, store.values())) < 8_000
    assert store.writes < 10_000 + 300
    assert sum(map(len, store.values())) < 10_000 * 75, "a key of 32 characters, an id of 36, six of JSON"
    again = Ledger(store)
    assert all(again.find(f"{number:032}").receipt.transid == transid(number) for number in range(10_000))
    assert store.reads <= len(store) + 1, "each value once"


def test_many_refusals_at_once_are_several_values():
    store = Store()
    ledger = Ledger(store)
    refused = tuple(RecordResult(f"customer-{number:040}", "7003", "an invalid value " * 5) for number in range(100))
    for number in range(8):
        ledger.accept(f"{number:032}", Receipt((transid(number),), "queued", refused), resent=False)
    ledger.flush()
    again = Ledger(store)
    assert all(again.find(f"{number:032}").receipt.refused == refused for number in range(8))
    assert max(map(len, store.values())) < 64_000


def test_whoever_only_finishes_reads_the_head_alone():
    store = Store()
    submit(Ledger(store), range(500))
    before = store.reads
    Ledger(store).finish()
    assert store.reads == before + 1
    assert known(Ledger(store), range(500)) == 500


def test_a_part_that_is_gone_is_an_error_and_not_a_batch_to_be_sent():
    store = Store()
    submit(Ledger(store), range(500))
    [name] = [name for name in store if name.endswith("-1")]
    del store[name]
    ledger = Ledger(store)
    for _ in range(2):
        with pytest.raises(IMIconnectRequestError, match=f"has lost {name} .*Nothing was sent.* delete {name[:-2]} "):
            ledger.find("a")


def test_opening_writes_nothing():
    store = Store()
    finished(store, mark=2)
    before = store.writes
    for mark in (2, 3):
        assert Ledger(store, mark).is_kept
    assert store.writes == before


def test_what_is_known_needs_no_write():
    store = Store()
    submit(Ledger(store), range(200))
    before = store.writes
    ledger = Ledger(store)
    ledger.flush()
    assert store.writes == before


@pytest.mark.parametrize("dies_before", range(40))
def test_a_worker_that_dies_between_two_writes_leaves_a_ledger_that_can_be_read(dies_before):
    store = Store()
    first = Ledger(store)
    submit(first, range(30))
    snapshots, write = [], store.set

    def snapshot_and_write(key, value):
        write(key, value)
        snapshots.append(dict(store))

    store.set = snapshot_and_write
    submit(first, range(30, 60))
    died = Store()
    died.update(snapshots[min(dies_before, len(snapshots) - 1)])
    second = Ledger(died)
    count = known(second, range(100))
    assert 30 <= count <= 60
    assert all(second.find(f"{number:032}").receipt for number in range(count - 1)), "all but what was in flight"
    submit(second, range(count - 1, 300))
    third = Ledger(died)
    assert all(third.find(f"{number:032}").receipt.transid == transid(number) for number in range(300))


def test_a_segment_that_cannot_be_written_is_written_later():
    store = Store()
    ledger = Ledger(store)
    submit(ledger, range(20))
    write, failures = store.set, []

    def fail_for_a_segment(key, value):
        if key.endswith("-0") and not failures:
            failures.append(key)
            raise ConnectionError(key)
        write(key, value)

    store.set = fail_for_a_segment
    with pytest.raises(ConnectionError):
        submit(ledger, range(20, 100))
    assert known(Ledger(store), range(100)) >= 20
    submit(ledger, range(20, 100))
    assert failures
    again = Ledger(store)
    assert all(again.find(f"{number:032}").receipt for number in range(100))


def test_one_write_serves_all_who_wait():
    store = Store(delay=0.02)
    ledger = Ledger(store)

    def work(thread):
        for number in range(5):
            ledger.intend(f"{thread}-{number}")
            assert Ledger(store).find(f"{thread}-{number}")
            ledger.accept(f"{thread}-{number}", T, resent=False)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.writes < 20, "40 intentions and as many acceptances"


def test_a_failed_write_is_made_up_for():
    store = Store()
    ledger = Ledger(store)
    ledger.accept("a", T, resent=False)
    store.set, original = None, store.set
    with pytest.raises(TypeError):
        ledger.intend("b")
    store.set = original
    ledger.flush()
    assert Ledger(store).find("a") == Accepted(T)
    assert Ledger(store).find("b") is None, "it was never sent"


def test_what_one_service_has_taken_another_has_not():
    store = Store()
    ledger = Ledger(store, service="https://one.example.com")
    ledger.accept("k", T, resent=False)
    ledger.flush()
    assert Ledger(store, service="https://one.example.com").find("k")
    assert Ledger(store, service="https://two.example.com").find("k") is None


def finished(store, mark):
    ledger = Ledger(store, mark)
    ledger.intend("k")
    ledger.accept("k", T, resent=False)
    ledger.finish()


def test_after_a_full_success_a_clear_sends_everything_again():
    store = Store()
    finished(store, mark=2)
    assert Ledger(store, mark=3).find("k") is None
    finished(store, mark=3)
    assert Ledger(store, mark=4).find("k") is None


def test_a_worker_that_died_after_the_last_batch_sends_nothing_again():
    store = Store()
    finished(store, mark=2)
    assert Ledger(store, mark=2).find("k") == Accepted(T)


def test_a_worker_that_died_after_the_last_batch_and_fails_then_is_continued_by_a_clear():
    store = Store()
    finished(store, mark=2)
    Ledger(store, mark=2).begin()
    assert Ledger(store, mark=3).find("k") == Accepted(T)


def test_a_clear_after_a_long_submission_takes_none_of_its_segments_for_its_own():
    store = Store()
    ledger = Ledger(store, mark=2)
    submit(ledger, range(500))
    ledger.finish()
    ledger = Ledger(store, mark=3)
    ledger.begin()
    submit(ledger, range(300, 420))
    assert known(ledger, range(1000)) == known(Ledger(store, mark=3), range(1000)) == 120
    submit(ledger, range(420, 1000))
    assert Ledger(store, mark=3).find(f"{0:032}") is None
    assert known(Ledger(store, mark=3), range(1000)) == 700


def test_after_a_failure_a_clear_continues():
    store = Store()
    ledger = Ledger(store, mark=2)
    ledger.accept("k", T, resent=False)
    ledger.flush()
    assert Ledger(store, mark=3).find("k") == Accepted(T)


def test_a_try_that_failed_after_a_clear_is_continued_too():
    store = Store()
    finished(store, mark=2)
    ledger = Ledger(store, mark=3)
    ledger.begin()
    ledger.accept("new", T, resent=False)
    ledger.flush()
    assert Ledger(store, mark=3).find("new") == Accepted(T)
    assert Ledger(store, mark=3).find("k") is None


def test_without_a_store_nothing_is_remembered_and_nothing_fails():
    ledger = Ledger(None)
    ledger.intend("k")
    ledger.accept("k", T, resent=False)
    ledger.finish()
    assert ledger.find("k") is None


def test_a_change_is_remembered_though_the_input_is_changed_back():
    store = Store()
    for begun_with, changed in [("a", False), ("a", False), ("b", True), ("a", True), ("a", True)]:
        ledger = Ledger(store)
        ledger.begin(begun_with)
        assert ledger.has_changed is changed
        ledger.intend(begun_with)
        ledger.accept(begun_with, T, resent=False)
        ledger.flush()
    ledger.finish("success")
    for _ in range(2):
        ledger = Ledger(store)
        ledger.begin("c")
        assert not ledger.has_changed
        ledger.intend("c")


def test_accepted_batches_that_an_attempt_does_not_make_are_unclaimed():
    store = Store()
    ledger = Ledger(store)
    for key in "abc":
        ledger.intend(key)
        ledger.accept(key, Receipt((f"T{key}",), "queued"), resent=False)
    ledger.intend("d")
    ledger.flush()
    again = Ledger(store)
    again.find("b")
    assert [receipt.transid for receipt in again.unclaimed()] == ["Ta", "Tc"]


def test_it_counts_the_batches_that_were_accepted():
    store = Store()
    submit(Ledger(store), range(150))
    ledger = Ledger(store)
    ledger.intend("a")
    ledger.intend("b")
    ledger.withdraw("b")
    ledger.split("c", resent=True)
    assert ledger.accepted_batches == 150


def test_a_batch_that_was_split_is_remembered_as_it_was():
    store = Store()
    ledger = Ledger(store)
    ledger.split("a", resent=True)
    ledger.split("b", resent=False)
    ledger.flush()
    assert (Ledger(store).find("a"), Ledger(store).find("b")) == (Split(resent=True), Split(resent=False))


def begun(store, begun_with, mark=2):
    ledger = Ledger(store, mark)
    ledger.begin(begun_with)
    return ledger


def test_another_input_is_noticed_for_as_long_as_the_ledger_lives():
    store = Store()
    first = begun(store, "one")
    first.intend("k")
    assert not first.has_changed
    assert not begun(store, "one").has_changed
    for _ in range(2):
        changed = begun(store, "two")
        changed.flush()
        assert changed.has_changed
    assert begun(store, "one").has_changed, "other batches have been sent since"


def test_another_input_after_a_success_is_no_change():
    store = Store()
    first = begun(store, "one")
    first.intend("k")
    first.finish()
    second = begun(store, "two", mark=3)
    assert (second.has_changed, second.was_begun) == (False, False)
    second.intend("k")
    assert not begun(store, "two", mark=3).has_changed
    assert begun(store, "one", mark=3).has_changed


def test_where_nothing_was_sent_the_input_may_change():
    store = Store()
    ledger = begun(store, "one")
    ledger.intend("k")
    ledger.withdraw("k")
    ledger.flush()
    assert not begun(store, "two").has_changed


def test_a_success_that_airflow_has_noted_ends_the_ledger_whatever_the_mark():
    store = Store()
    ledger = begun(store, "one")
    ledger.intend("k")
    ledger.finish(SUCCESS)
    assert Ledger(store, mark=2).find("k") is None
    assert not Ledger(store, mark=2).was_begun


def test_only_a_ledger_with_a_store_is_kept():
    assert Ledger(Store()).is_kept
    assert not Ledger(None).is_kept
    assert Ledger(None).accepted_batches == 0
