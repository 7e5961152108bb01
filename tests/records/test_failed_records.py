"""Failed records on disk: their order, their content, and how little memory they need."""

import gc
import random
import threading
import tracemalloc

from airflow_imiconnect.polling.outcome import Outcome
from airflow_imiconnect.profile_api.results import RecordResult, Transaction, TransactionStatus
from airflow_imiconnect.records.failed_records import FailedRecord, FailedRecords, records_failed
from airflow_imiconnect.records.validation import CheckedRecord


def failed(customer_id, transid="T0", code="7015", nth=0, named=1):
    return FailedRecord(customer_id, code, "the words", transid, nth, named)


def failures_of(*transids, places=()):
    places = dict(zip(transids, places, strict=False))
    return FailedRecords([Transaction(transid, places=places.get(transid)) for transid in transids])


def content(customer_id, line):
    return CheckedRecord(f"line {line}", customer_id, {"name": f"n{line}", "ä": "ö"})


def with_contents(failures, *records):
    return [(one.customer_id, one.code, record) for one, record in failures.with_records(iter(records))]


def test_they_come_in_the_order_of_the_transactions_whatever_the_order_in_which_these_finish():
    transids = [f"T{number}" for number in range(30)]
    failures = failures_of(*transids)
    for transid in random.Random(1).sample(transids, 30):
        failures.add(transid, [failed(f"{transid}-{number}", transid) for number in (2, 1, 3)])
    expected = [failed(f"{transid}-{number}", transid) for transid in transids for number in (2, 1, 3)]
    assert list(failures) == list(failures) == expected


def test_none_failed_and_no_source_is_read():
    failures = failures_of("T0")
    assert list(failures) == []
    assert list(failures.with_records(iter(lambda: 1 / 0, None))) == []


def test_each_has_its_content():
    failures = failures_of("T0", "T1")
    failures.add("T1", [failed("C2", "T1")])
    failures.add("T0", [failed("C9"), failed("C1")])
    c9, c1, c2 = content("C9", 4), content("C1", 1), content("C2", 2)
    assert with_contents(failures, content("C0", 0), c1, c2, content("C3", 3), c9) == [
        ("C9", "7015", c9), ("C1", "7015", c1), ("C2", "7015", c2),
    ]  # fmt: skip


def test_what_a_record_lacks_is_known_once_its_content_is():
    failures = failures_of("T0")
    failures.add("T0", [failed(f"C{number}", code="7003") for number in range(5000)] + [failed("X", code="7003")])
    assert {one.lacks for one in failures} == {""}
    records = [content(f"C{number}", number) for number in range(5000)]
    lacks = "lacks status, which every channel requires"
    told = list(failures.with_records(iter(records)))
    assert [(one.customer_id, one.lacks) for one, _ in told] == [*((f"C{n}", lacks) for n in range(5000)), ("X", "")]
    assert list(failures) == [one for one, _ in told]


def test_a_record_that_lacks_nothing_or_failed_for_something_else_says_nothing_of_it():
    failures = failures_of("T0")
    failures.add("T0", [failed("C1", code="7003"), failed("C2", code="7011")])
    full = CheckedRecord("p", "C1", {"status": "1"})
    assert [one.lacks for one, _ in failures.with_records(iter([full, content("C2", 2)]))] == ["", ""]


def test_the_error_names_what_the_first_records_lack():
    error = records_failed("1 failed", {"7003": 1}, [failed("C1", code="7003")._replace(lacks="lacks psid")], None)
    assert "First customer ids: C1 (7003, lacks psid)." in str(error)


def test_a_customer_who_is_there_more_than_once_is_found_by_transaction_and_place():
    failures = failures_of("T0", "T1", "T2", places=[(0, 3), (3, 5), (5, 6)])
    failures.add("T2", [failed("C1", "T2", "7003")])
    failures.add("T0", [failed("C1", nth=1, named=2), failed("C2")])
    contents = [content(customer_id, line) for line, customer_id in enumerate(["C1", "C1", "C2", "C1", "C1", "C1"])]
    assert with_contents(failures, *contents) == [
        ("C1", "7015", contents[1]), ("C2", "7015", contents[2]), ("C1", "7003", contents[5]),
    ]  # fmt: skip


def test_where_the_results_name_a_customer_less_often_than_the_batch_it_is_not_guessed():
    failures = failures_of("T0", places=[(0, 9)])
    failures.add("T0", [failed("twice"), failed("gone"), failed("C1")])
    c1 = content("C1", 5)
    assert with_contents(failures, content("twice", 1), content("twice", 2), c1) == [
        ("twice", "7015", None), ("gone", "7015", None), ("C1", "7015", c1),
    ]  # fmt: skip


def test_without_places_a_customer_is_found_who_is_there_once():
    failures = failures_of("T0", "T1")
    failures.add("T1", [failed("C1", "T1"), failed("twice", "T1")])
    c1 = content("C1", 5)
    assert with_contents(failures, content("twice", 1), c1, content("twice", 9)) == [
        ("C1", "7015", c1), ("twice", "7015", None),
    ]  # fmt: skip


def test_they_are_added_in_one_thread_and_read_in_another():
    failures = failures_of("T0")
    thread = threading.Thread(target=failures.add, args=("T0", [failed("C1")]))
    thread.start()
    thread.join()
    assert list(failures) == [failed("C1")]
    del failures
    gc.collect()  # a database left open would warn


def test_an_outcome_needs_less_than_two_kilobytes_a_transaction_though_all_records_fail():
    count = 1000
    outcome = Outcome([Transaction(f"T{number}") for number in range(count)])

    def finish(number):
        results = [RecordResult(f"C{number}-{place}", "7015", "customer already exists") for place in range(100)]
        outcome.add(TransactionStatus(f"T{number}", "partial", tuple(results)))

    finish(0)
    tracemalloc.start()
    for number in range(1, count):
        finish(number)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (outcome.failed, len(outcome.to_json(None)["failed_records"])) == (100 * count, 100)
    assert kept < 200 * count
    assert peak < 500 * count


def test_contents_need_no_memory_to_speak_of():
    count = 200
    failures = failures_of(*(f"T{number}" for number in range(count)))
    for number in range(count):
        failures.add(f"T{number}", [failed(f"C{number}-{place}") for place in range(100)])
    source = (content(f"C{number}-{place}", number) for number in range(count) for place in range(100))
    tracemalloc.start()
    found = sum(record is not None for _, record in failures.with_records(source))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == 100 * count
    assert peak < 10 * found
