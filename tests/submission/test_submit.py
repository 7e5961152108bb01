"""The use case: what an order says is what is checked, sent, recorded and summed up. The service is a function."""

import threading
import time

import pytest
from support.stand_ins import Store, record, records

from airflow_imiconnect.errors import (
    IMIconnectAuthenticationError,
    IMIconnectInvalidRecordError,
    IMIconnectRequestError,
    IMIconnectTransientError,
)
from airflow_imiconnect.pacing.backoff import RetryPolicy
from airflow_imiconnect.profile_api.operations import CREATE
from airflow_imiconnect.profile_api.results import Receipt, RecordResult
from airflow_imiconnect.records.batches import make_batches
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.rejects import RejectsFile
from airflow_imiconnect.records.sources.lists import ListSource
from airflow_imiconnect.records.sources.raw import RawRecord
from airflow_imiconnect.records.validation import check_records
from airflow_imiconnect.submission.engine import Delivery
from airflow_imiconnect.submission.ledger import Ledger
from airflow_imiconnect.submission.submit import Order, check_all, submit
from airflow_imiconnect.submission.summary import Summary

INCOMPLETE = {"customerId": "C1", "Attributes": {"channel": "fb", "psid": "1"}}  # only strict finds it
NO_ID = {"customerId": "", "Attributes": {}}


class Service:
    """Takes each batch, or raises what it is told to."""

    def __init__(self, error=None):
        self.error, self.sent, self.starts = error, [], []

    def __call__(self, batch):
        self.starts.append(time.monotonic())
        self.sent.append([sent.customer_id for sent in batch.records])
        if self.error:
            raise self.error
        return Receipt((f"T{len(self.sent)}",), "queued")


def submitted(source, send, *, store=None, stopped=None, **order):
    """Submit; return the summary and what was said beforehand."""
    source = ListSource(source) if isinstance(source, list) else source
    order = Order(CREATE, "a_1", **{"policy": RetryPolicy(first_wait=0.0), "max_concurrency": 1, **order})
    said, summary = [], Summary(CREATE, order.app_id, RejectsFile(None))
    submit(order, source, send, Ledger(store), summary, stopped or threading.Event(), said.append)
    return summary, said


# -- the check before the first request --


def checked(source, *, stopped=None, **order):
    seen = []
    order = Order(CREATE, "a_1", **order)
    check_all(order, ListSource(source), Notes(), lambda: seen.append(1), stopped or threading.Event())
    return len(seen)


def test_the_check_reads_every_record():
    assert checked(records(3)) == 3


def test_the_check_ends_with_the_first_record_that_can_never_be_right():
    with pytest.raises(IMIconnectInvalidRecordError, match=r"records\[1\]"):
        checked([record(0), NO_ID, record(2)])


def test_the_check_is_as_strict_as_the_order():
    assert checked([INCOMPLETE]) == 1
    with pytest.raises(IMIconnectInvalidRecordError, match="strict|require|missing"):
        checked([INCOMPLETE], strict=True)


def test_a_check_that_is_stopped_reads_no_further():
    stopped = threading.Event()
    stopped.set()
    assert checked(records(9), stopped=stopped) == 1


# -- what is sent --


def test_it_sends_batches_of_the_orders_size_for_its_app():
    service = Service()
    summary, said = submitted(records(5), service, batch_size=2)
    assert service.sent == [["C0", "C1"], ["C2", "C3"], ["C4"]]
    assert (summary.accepted, summary.batches, said) == (5, 3, [])


def test_what_is_skipped_is_counted_and_the_others_are_sent():
    service = Service()
    summary, _ = submitted([record(0), NO_ID, record(2)], service, on_invalid="skip")
    assert (service.sent, summary.invalid, summary.accepted) == ([["C0", "C2"]], 1, 2)


@pytest.mark.parametrize(("strict", "invalid"), [(False, 0), (True, 1)])
def test_what_is_sent_is_as_strict_as_the_order(strict, invalid):
    summary, _ = submitted([record(0), INCOMPLETE], Service(), on_invalid="skip", strict=strict)
    assert (summary.invalid, summary.accepted) == (invalid, 2 - invalid)


def test_an_invalid_record_ends_it_where_none_is_to_be_skipped():
    service = Service()
    summary, _ = submitted([record(0), NO_ID, record(2)], service, batch_size=1)
    assert isinstance(summary.error(tolerate_refused=True), IMIconnectInvalidRecordError)
    assert (service.sent, summary.invalid) == ([["C0"]], 0)


def test_the_errors_of_requests_are_the_summarys():
    summary, _ = submitted(records(3), Service(IMIconnectAuthenticationError("no", code="7001")), batch_size=1)
    error = summary.error(tolerate_refused=True)
    assert (type(error), error.code) == (IMIconnectAuthenticationError, "7001")


def test_a_failed_request_is_sent_again_as_often_as_the_policy_says():
    service = Service(IMIconnectTransientError("not now"))
    submitted(records(1), service, policy=RetryPolicy(max_attempts=3, first_wait=0.0))
    assert len(service.sent) == 3


def test_no_more_requests_start_in_a_second_than_the_order_says():
    service = Service()
    submitted(records(6), service, batch_size=1, max_concurrency=4, requests_per_second=25)
    assert max(service.starts) - min(service.starts) >= 0.15


def test_no_more_requests_are_in_flight_than_the_order_says():
    together = threading.Barrier(3)

    def send(batch):
        together.wait(10)
        return Receipt((f"T-{batch.key}",), "queued")

    summary, _ = submitted(records(6), send, batch_size=1, max_concurrency=3)
    assert summary.accepted == 6


def test_what_is_stopped_sends_nothing():
    stopped, service = threading.Event(), Service()
    stopped.set()
    summary, _ = submitted(records(3), service, stopped=stopped)
    assert (service.sent, summary.accepted) == ([], 0)


@pytest.mark.parametrize(("on_invalid", "sent"), [("skip", [["C0", "C1"], ["C0"], ["C1"]]), ("fail", [["C0", "C1"]])])
def test_a_batch_that_is_refused_as_a_whole_is_halved_where_records_may_be_skipped(on_invalid, sent):
    service = Service(IMIconnectRequestError("no", code="7011"))
    submitted(records(2), service, on_invalid=on_invalid)
    assert service.sent == sent


# -- a later attempt --


def test_the_same_input_is_not_sent_again_and_nothing_is_said():
    store = Store()
    submitted(records(2), Service(), store=store)
    service = Service()
    summary, said = submitted(records(2), service, store=store)
    assert (service.sent, said, summary.known_batches) == ([], [], 1)


def test_another_input_is_sent_as_perhaps_sent_before_and_the_user_is_told():
    store = Store()
    submitted(records(4), Service(), store=store, batch_size=2)
    summary, said = submitted(records(5), Service(), store=store, batch_size=2)
    assert summary.resent == ["T1"]
    (words,) = said
    assert words.startswith("The input, or how it is read and sent, has changed since an earlier attempt, which had 2 ")
    assert words.endswith("submit the rejects file.")


def test_a_ledger_without_a_store_has_nothing_to_compare():
    submitted(records(4), Service())
    assert submitted(records(5), Service())[1] == []


@pytest.mark.parametrize(
    "other",
    [{"app_id": "a_2"}, {"batch_size": 7}, {"on_invalid": "skip"}, {"strict": True}, {"operation": CREATE._replace(name="x")}],
)  # fmt: skip
def test_orders_that_make_other_batches_have_another_digest(other):
    source, same = ListSource(records(3)), {"operation": CREATE, "app_id": "a_1"}
    digest = Order(**same).digest(source)
    assert Order(**{**same, **other}).digest(source) != digest
    assert Order(**same).digest(ListSource(records(4))) != digest
    assert Order(**same, max_concurrency=9, requests_per_second=5).digest(ListSource(records(3))) == digest
    assert len(digest) == 16


# -- the summary of records that are not sent --


def test_an_invalid_record_stands_in_the_rejects_with_its_reason(rejects_of):
    error = IMIconnectInvalidRecordError("a.csv, line 3", "it is empty", field="customerId")
    summary, lines = rejects_of(lambda summary: summary.add_invalid(RawRecord("a.csv, line 3", {"x": "1"}), error))
    assert (summary.records, summary.invalid, summary.accepted) == (1, 1, 0)
    assert lines == [
        {"position": "a.csv, line 3", "stage": "invalid", "code": None, "description": "customerId: it is empty",
         "transid": None, "customerId": None, "record": {"x": "1"}},
    ]  # fmt: skip


def test_a_reason_that_is_of_no_field_stands_alone(rejects_of):
    error = IMIconnectInvalidRecordError("a.csv, line 3", "it is not an object")
    _, (line,) = rejects_of(lambda summary: summary.add_invalid(RawRecord("a.csv, line 3", 7), error))
    assert line["description"] == "it is not an object"


def test_a_refusal_that_names_nobody_has_no_record_where_none_is_left(rejects_of):
    results = (RecordResult("C0", "1000", "SUCCESS"), RecordResult("", "7003", "x"))
    (batch,) = make_batches(check_records(ListSource(records(1))), CREATE, "a_1")
    summary, (line,) = rejects_of(lambda summary: summary.add(Delivery(batch, Receipt((), "finished", results))))
    assert (line["customerId"], line["position"], line["record"], line["transid"]) == ("", None, None, None)
    assert summary.accepted == 0
