import json
import stat
import threading
import time

import pytest

from airflow_imiconnect.batches import check_records, make_batches
from airflow_imiconnect.errors import (
    IMIconnectAmbiguousError,
    IMIconnectAuthenticationError,
    IMIconnectRecordsFailedError,
    IMIconnectRequestError,
    IMIconnectTransientError,
)
from airflow_imiconnect.models import Receipt, RecordResult
from airflow_imiconnect.pace import Pace
from airflow_imiconnect.protocol import CREATE
from airflow_imiconnect.rejects import RejectsFile
from airflow_imiconnect.retry import RetryPolicy
from airflow_imiconnect.sources import ListSource
from airflow_imiconnect.submission import Submission, deliver

NO_WAIT = RetryPolicy(first_wait=0.0)


def batches(count, read=None):
    for batch in make_batches(
        check_records(ListSource([{"customerId": f"C{i}", "Attributes": {}} for i in range(count)])), CREATE, "a_1", 1
    ):
        if read is not None:
            read.append(batch.index)
        yield batch


def run(count, send, *, max_concurrency=3, policy=NO_WAIT):
    return list(deliver(batches(count), send, max_concurrency=max_concurrency, pace=Pace(None), policy=policy))


def test_deliveries_come_in_source_order_whatever_the_order_of_the_answers():
    def send(batch):
        time.sleep(0.02 if batch.index % 3 == 0 else 0)
        return Receipt(f"T{batch.index}", "queued")

    assert [d.receipt.transid for d in run(20, send)] == [f"T{i}" for i in range(20)]


def test_no_more_than_max_concurrency_are_in_flight_and_the_source_is_read_no_faster():
    read, in_flight, most, lock = [], set(), [], threading.Lock()

    def send(batch):
        with lock:
            in_flight.add(batch.index)
            most.append(len(in_flight))
            assert len(read) - batch.index <= 4 + 1
        time.sleep(0.01)
        with lock:
            in_flight.discard(batch.index)
        return Receipt("T", "queued")

    deliveries = list(deliver(batches(30, read), send, max_concurrency=4, pace=Pace(None), policy=NO_WAIT))
    assert len(deliveries) == 30
    assert max(most) == 4


def test_a_permanent_error_stops_the_submission_and_what_is_in_flight_is_awaited():
    sent = []

    def send(batch):
        sent.append(batch.index)
        if batch.index == 2:
            raise IMIconnectAuthenticationError("no", code="7001")
        time.sleep(0.05)
        return Receipt(f"T{batch.index}", "queued")

    deliveries = run(50, send, max_concurrency=4)
    assert len(sent) < 10
    assert sorted(sent) == [d.batch.index for d in deliveries]
    assert [d.batch.index for d in deliveries if d.error] == [2]


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
    assert RetryPolicy(max_attempts=99).wait(passing, 50, 0, 1.0) == 30
    assert policy.wait(IMIconnectTransientError("x", retry_after=7), 1, 0, 0.5) == 7.5
    assert policy.wait(IMIconnectTransientError("x", retry_after=1e9), 1, 0, 0.0) == policy.longest_retry_after
    assert policy.wait(passing, 1, 300, 1.0) is None
    assert policy.wait(IMIconnectRequestError("x"), 1, 0, 1.0) is None


def test_the_pace_is_shared_by_all_threads():
    starts = []
    pace = Pace(50)

    def send(_batch):
        starts.append(time.monotonic())
        return Receipt("T", "queued")

    list(deliver(batches(11), send, max_concurrency=8, pace=pace, policy=NO_WAIT))
    assert max(starts) - min(starts) >= 0.19


# -- what became of it --


def submitted(tmp_path, send, count=3):
    with RejectsFile(_Local(tmp_path / "rejects.jsonl")) as rejects:
        submission = Submission(CREATE, "a_1", rejects)
        for delivery in deliver(batches(count), send, max_concurrency=1, pace=Pace(None), policy=NO_WAIT):
            submission.add(delivery)
    return submission


class _Local:
    """A local path as ObjectStoragePath shows it."""

    protocol = ""

    def __init__(self, path):
        self.path = str(path)


def test_the_result_counts_every_record(tmp_path):
    submission = submitted(tmp_path, lambda batch: Receipt(f"T{batch.index}", "queued"))
    assert submission.error(tolerate_refused=False) is None
    assert submission.to_json() == {
        "operation": "create", "app_id": "a_1", "records": 3, "accepted": 3, "invalid": 0, "refused": 0,
        "transids": ["T0", "T1", "T2"], "resent": [], "rejects": None,
    }  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_a_finished_call_leaves_nothing_to_wait_for(tmp_path):
    submission = submitted(tmp_path, lambda batch: Receipt(f"T{batch.index}", "finished"))
    assert (submission.accepted, submission.to_json()["transids"]) == (3, [])


def test_refused_records_fail_the_task_and_stand_in_the_rejects(tmp_path):
    def send(batch):
        code = "7003" if batch.index == 1 else "1000"
        return Receipt("T", "queued", (RecordResult(f"C{batch.index}", code, "the words"),))

    submission = submitted(tmp_path, send)
    error = submission.error(tolerate_refused=False)
    assert isinstance(error, IMIconnectRecordsFailedError)
    assert error.failures == {"7003": 1}
    assert "refused 1 of 3 records for app a_1: 7003 x 1 (a mandatory parameter is missing)" in str(error)
    assert submission.error(tolerate_refused=True) is None
    path = tmp_path / "rejects.jsonl"
    assert submission.rejects.uri == f"file://{path}"
    assert [p.name for p in tmp_path.iterdir()] == ["rejects.jsonl"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (line,) = map(json.loads, path.read_text().splitlines())
    assert line == {
        "position": "records[1]", "stage": "refused", "code": "7003", "description": "the words", "transid": "T",
        "customerId": "C1", "record": {"customerId": "C1", "Attributes": {}},
    }  # fmt: skip


def test_7015_after_a_lost_answer_is_our_own_record(tmp_path):
    calls = []

    def send(_batch):
        calls.append(1)
        if len(calls) == 1:
            raise IMIconnectAmbiguousError("lost")
        return Receipt("T", "finished", (RecordResult("C0", "7015", "exists"),))

    submission = submitted(tmp_path, send, count=1)
    assert (submission.accepted, submission.to_json()["refused"]) == (1, 0)
    assert submission.error(tolerate_refused=False) is None


def test_an_error_says_what_had_been_accepted(tmp_path):
    def send(batch):
        if batch.index == 2:
            raise IMIconnectRequestError("IMIconnect said no.", code="7018")
        return Receipt(f"T{batch.index}", "queued")

    error = submitted(tmp_path, send, count=9).error(tolerate_refused=True)
    assert str(error).startswith("IMIconnect said no. 2 records had been accepted in 2 calls")
    assert error.code == "7018"


def test_a_crash_leaves_no_half_rejects_file(tmp_path):
    path = tmp_path / "rejects.jsonl"
    rejects = RejectsFile(_Local(path))
    with rejects:
        rejects.add("invalid", position="p")
        assert not path.exists()
    assert path.read_text().endswith("\n")
