"""What became of a submission: its counts, its rejects, its error."""

import json
import stat

from airflow_imiconnect.batches import check_records, make_batches
from airflow_imiconnect.errors import (
    IMIconnectAmbiguousError,
    IMIconnectAuthenticationError,
    IMIconnectRecordsFailedError,
    IMIconnectRequestError,
    IMIconnectTransientError,
)
from airflow_imiconnect.ledger import Ledger
from airflow_imiconnect.models import Receipt, RecordResult
from airflow_imiconnect.protocol import CREATE
from airflow_imiconnect.rejects import RejectsFile
from airflow_imiconnect.result import SubmissionResult
from airflow_imiconnect.retry import RetryPolicy
from airflow_imiconnect.sources import ListSource
from airflow_imiconnect.submission import Delivery, Engine


def batches(count):
    source = ListSource([{"customerId": f"C{i}", "Attributes": {}} for i in range(count)])
    return make_batches(check_records(source), CREATE, "a_1", 1)


def number(batch):
    return int(batch.records[0].customer_id[1:])


def submitted(tmp_path, send, count=3):
    with RejectsFile(_Local(tmp_path / "rejects.jsonl")) as rejects:
        submission = SubmissionResult(CREATE, "a_1", rejects)
        for delivery in Engine(send, Ledger(None), 1, policy=RetryPolicy(first_wait=0.0)).deliver(batches(count)):
            submission.add(delivery)
    return submission


class _Local:
    """A local path as ObjectStoragePath shows it."""

    protocol = ""

    def __init__(self, path):
        self.path = str(path)


def test_the_result_counts_every_record(tmp_path):
    submission = submitted(tmp_path, lambda batch: Receipt(f"T{number(batch)}", "queued"))
    assert submission.error(tolerate_refused=False) is None
    assert submission.to_json() == {
        "operation": "create", "app_id": "a_1", "records": 3, "accepted": 3, "invalid": 0, "refused": 0,
        "transids": ["T0", "T1", "T2"], "resent": [], "rejects": None,
    }  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_a_finished_call_leaves_nothing_to_wait_for(tmp_path):
    submission = submitted(tmp_path, lambda batch: Receipt(f"T{number(batch)}", "finished"))
    assert (submission.accepted, submission.to_json()["transids"]) == (3, [])


def test_refused_records_fail_the_task_and_stand_in_the_rejects(tmp_path):
    def send(batch):
        code = "7003" if number(batch) == 1 else "1000"
        return Receipt("T", "queued", (RecordResult(f"C{number(batch)}", code, "the words"),))

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
        if number(batch) == 2:
            raise IMIconnectRequestError("IMIconnect said no.", code="7018")
        return Receipt(f"T{number(batch)}", "queued")

    error = submitted(tmp_path, send, count=9).error(tolerate_refused=True)
    assert str(error).startswith(
        "IMIconnect said no. The call held 1 records, from records[2] to records[2]. 2 records were accepted in 2 batches"
    )
    assert error.code == "7018"


def test_a_crash_leaves_no_half_rejects_file(tmp_path):
    path = tmp_path / "rejects.jsonl"
    rejects = RejectsFile(_Local(path))
    with rejects:
        rejects.add("invalid", position="p")
        assert not path.exists()
    assert path.read_text().endswith("\n")


def test_the_error_that_stopped_it_all_is_the_one_that_is_shown(tmp_path):
    with RejectsFile(None) as rejects:
        result = SubmissionResult(CREATE, "a_1", rejects, resumes=True)
        for batch, error in zip(
            batches(2), (IMIconnectTransientError("later"), IMIconnectAuthenticationError("no")), strict=True
        ):
            result.add(Delivery(batch, None, error))
    assert isinstance(result.error(tolerate_refused=True), IMIconnectAuthenticationError)


def test_where_another_try_continues_it_says_so(tmp_path):
    with RejectsFile(None) as rejects:
        result = SubmissionResult(CREATE, "a_1", rejects, resumes=True)
        first, second = batches(2)
        result.add(Delivery(first, Receipt("T", "queued")))
        result.add(Delivery(second, None, IMIconnectTransientError("later.")))
    assert str(result.error(tolerate_refused=True)).endswith(
        "1 records were accepted in 1 batches: another try continues from there."
    )


def refused(receipt, count=3, *, resent=False):
    source = ListSource([{"customerId": f"C{i}", "Attributes": {}} for i in range(count)])
    (batch,) = make_batches(check_records(source), CREATE, "a_1")
    with RejectsFile(None) as rejects:
        result = SubmissionResult(CREATE, "a_1", rejects)
        result.add(Delivery(batch, receipt, resent=resent))
    return result.accepted, [(item.customer_id, item.code) for item in result._refused]


def test_refusals_that_name_nobody_are_those_of_the_records_that_no_result_names():
    results = (RecordResult("C1", "1000", "SUCCESS"), RecordResult("", "7003", "x"), RecordResult("", "7003", "x"))
    assert refused(Receipt("T", "finished", results)) == (1, [("C0", "7003"), ("C2", "7003")])


def test_a_record_is_refused_once_however_often_it_is_named():
    results = (RecordResult("C1", "7003", "x"),) * 5
    assert refused(Receipt("T", "finished", results)) == (2, [("C1", "7003")])


def test_strangers_cannot_be_more_than_there_are_records():
    results = tuple(RecordResult(f"X{n}", "7003", "x") for n in range(5))
    assert refused(Receipt("T", "finished", results))[0] == 0
