"""What became of a submission: its counts, its rejects, its error."""

import json
import stat
import time

from airflow_imiconnect.errors import (
    IMIconnectAmbiguousError,
    IMIconnectAuthenticationError,
    IMIconnectInvalidRecordError,
    IMIconnectRecordsFailedError,
    IMIconnectRequestError,
    IMIconnectTransientError,
)
from airflow_imiconnect.pacing.backoff import RetryPolicy
from airflow_imiconnect.profile_api.operations import CREATE
from airflow_imiconnect.profile_api.results import Receipt, RecordResult, Transaction
from airflow_imiconnect.records.batches import make_batches
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.preview import Preview
from airflow_imiconnect.records.rejects import RejectsFile
from airflow_imiconnect.records.sources.lists import ListSource
from airflow_imiconnect.records.sources.raw import RawRecord
from airflow_imiconnect.records.validation import check_records
from airflow_imiconnect.submission.engine import Engine
from airflow_imiconnect.submission.ledger import Ledger
from airflow_imiconnect.submission.senders import Delivery
from airflow_imiconnect.submission.summary import Summary


def batches(count, size=1):
    source = ListSource([{"customerId": f"C{i}", "Attributes": {}} for i in range(count)])
    return make_batches(check_records(source), CREATE, "a_1", size)


def number(batch):
    return int(batch.records[0].customer_id[1:])


def submitted(tmp_path, send, count=3, size=1):
    with RejectsFile(_Local(tmp_path / "rejects.jsonl")) as rejects:
        submission = Summary(CREATE, "a_1", rejects)
        Engine(send, Ledger(None), 1, policy=RetryPolicy(first_wait=0.0)).run(batches(count, size), submission.add)
    return submission


class _Local:
    """A local path as ObjectStoragePath shows it."""

    protocol = ""

    def __init__(self, path):
        self.path = str(path)


def test_the_result_counts_every_record(tmp_path):
    submission = submitted(tmp_path, lambda batch: Receipt((f"T{number(batch)}",), "queued"))
    assert submission.error(tolerate_refused=False) is None
    assert submission.to_submission().to_json() == {
        "operation": "create", "app_id": "a_1", "records": 3, "accepted": 3, "invalid": 0, "refused": 0,
        "existing": 0, "rejects": None, "resent": [], "transids": ["T0", "T1", "T2"], "transaction_records": [1, 1, 1],
        "transaction_places": [[0, 1], [1, 2], [2, 3]], "notes": [],
    }  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_a_finished_call_leaves_nothing_to_wait_for(tmp_path):
    submission = submitted(tmp_path, lambda batch: Receipt((f"T{number(batch)}",), "finished"))
    assert (submission.accepted, submission.to_submission().to_json()["transids"]) == (3, [])


def test_refused_records_fail_the_task_and_stand_in_the_rejects(tmp_path):
    def send(batch):
        code = "7003" if number(batch) == 1 else "1000"
        return Receipt((f"T{number(batch)}",), "queued", (RecordResult(f"C{number(batch)}", code, "the words"),))

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
        "position": "records[1]", "stage": "refused", "code": "7003", "transid": "T1", "customerId": "C1",
        "description": "the words (the record lacks status, which every channel requires)",
        "record": {"customerId": "C1", "Attributes": {}},
    }  # fmt: skip


def test_a_record_that_lacks_what_its_channel_requires_says_so_in_rejects_and_error(tmp_path):
    def send(batch):
        return Receipt(
            ("T",), "finished", (RecordResult("C0", "7003", "param missing"), RecordResult("C1", "7015", "x"))
        )

    submission = submitted(tmp_path, send, count=2, size=2)
    lacks = "lacks status, which every channel requires"
    assert f"First customer ids: C0 (7003, {lacks}), C1 (7015)." in str(submission.refusal())
    lines = map(json.loads, (tmp_path / "rejects.jsonl").read_text().splitlines())
    assert [line["description"] for line in lines] == [f"param missing (the record {lacks})", "x"]


def test_a_transaction_holds_the_records_that_were_not_refused_at_once(tmp_path):
    def send(batch):
        return Receipt(("T",), "queued", (RecordResult("C1", "7003", ""), RecordResult("C0", "1000", "QUEUED")))

    (transaction,) = submitted(tmp_path, send, count=4, size=4).to_submission().transactions
    assert (transaction.transid, transaction.records) == ("T", 3)


def test_7015_after_a_lost_response_is_no_failure_and_counted_apart(tmp_path):
    calls = []

    def send(_batch):
        calls.append(1)
        if len(calls) == 1:
            raise IMIconnectAmbiguousError("lost")
        return Receipt(("T",), "finished", (RecordResult("C0", "7015", "exists"),))

    submission = submitted(tmp_path, send, count=1)
    counts = submission.to_submission().to_json()
    assert (counts["accepted"], counts["existing"], counts["refused"]) == (1, 1, 0)
    assert "1 of them existed already" in str(submission)
    assert submission.error(tolerate_refused=False) is None


def test_an_error_says_what_had_been_accepted(tmp_path):
    def send(batch):
        if number(batch) == 2:
            raise IMIconnectRequestError("IMIconnect said no.", code="7018")
        return Receipt((f"T{number(batch)}",), "queued")

    error = submitted(tmp_path, send, count=9).error(tolerate_refused=True)
    assert str(error).startswith(
        "IMIconnect said no. The request held 1 record, from records[2] to records[2]. 2 records were accepted in 2 batches"
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
        result = Summary(CREATE, "a_1", rejects, "another attempt resumes from there")
        for batch, error in zip(
            batches(2), (IMIconnectTransientError("later"), IMIconnectAuthenticationError("no")), strict=True
        ):
            result.add(Delivery(batch, None, error))
    assert isinstance(result.error(tolerate_refused=True), IMIconnectAuthenticationError)


def test_where_another_attempt_resumes_it_says_so(tmp_path):
    with RejectsFile(None) as rejects:
        result = Summary(CREATE, "a_1", rejects, "another attempt resumes from there")
        first, second = batches(2)
        result.add(Delivery(first, Receipt(("T",), "queued")))
        result.add(Delivery(second, None, IMIconnectTransientError("later.")))
    assert str(result.error(tolerate_refused=True)).endswith(
        "1 record was accepted in 1 batch: another attempt resumes from there."
    )


def refused(receipt, count=3, *, resent=False):
    source = ListSource([{"customerId": f"C{i}", "Attributes": {}} for i in range(count)])
    (batch,) = make_batches(check_records(source), CREATE, "a_1")
    with RejectsFile(None) as rejects:
        result = Summary(CREATE, "a_1", rejects)
        result.add(Delivery(batch, receipt, resent=resent))
    return result.accepted, [(item.customer_id, item.code) for item in result._refused]


def test_refusals_that_name_nobody_are_those_of_the_records_that_no_result_names():
    results = (RecordResult("C1", "1000", "SUCCESS"), RecordResult("", "7003", "x"), RecordResult("", "7003", "x"))
    assert refused(Receipt(("T",), "finished", results)) == (1, [("C0", "7003"), ("C2", "7003")])


def test_a_record_is_refused_once_however_often_it_is_named():
    results = (RecordResult("C1", "7003", "x"),) * 5
    assert refused(Receipt(("T",), "finished", results)) == (2, [("C1", "7003")])


def test_strangers_cannot_be_more_than_there_are_records():
    results = tuple(RecordResult(f"X{n}", "7003", "x") for n in range(5))
    assert refused(Receipt(("T",), "finished", results))[0] == 0


def test_what_a_transaction_holds_is_known_where_one_holds_all():
    def deliver(*receipts):
        source = ListSource([{"customerId": f"C{i}", "Attributes": {}} for i in range(3)])
        (batch,) = make_batches(check_records(source), CREATE, "a_1")
        result = Summary(CREATE, "a_1", RejectsFile(None))
        for receipt in receipts:
            result.add(Delivery(batch, receipt))
        return [each._replace(places=None) for each in result.transactions]

    refusal = (RecordResult("C1", "7003", "x"),)
    assert deliver(Receipt(("T1",), "queued"), Receipt(("T2",), "queued")) == [
        Transaction("T1", "create", 3),
        Transaction("T2", "create", 3),
    ]
    assert deliver(Receipt(("T1", "T2"), "queued")) == [Transaction("T1", "create"), Transaction("T2", "create")]
    assert deliver(Receipt(("T1",), "queued", refusal)) == [Transaction("T1", "create", 2)]
    assert deliver(Receipt(("T1", "T2"), "queued", refusal)) == [Transaction("T1"), Transaction("T2")]


def test_what_was_sent_again_is_marked():
    (batch,) = batches(1)
    result = Summary(CREATE, "a_1", RejectsFile(None))
    result.add(Delivery(batch, Receipt(("T1",), "queued"), resent=True))
    result.add(Delivery(batch, Receipt(("T2",), "finished"), resent=True))
    result.add(Delivery(batch, Receipt(("T3",), "queued")))
    assert [each[:4] for each in result.transactions] == [("T1", "create", 1, True), ("T3", "create", 1, False)]
    assert result.resent == ["T1", "T2"]


def test_the_result_names_the_rejects_and_what_would_have_been_sent(tmp_path):
    def send(batch):
        return Receipt((), "finished", (RecordResult(f"C{number(batch)}", "7003", "x"),))

    submission = submitted(tmp_path, send, count=2)
    result = submission.to_submission().to_json()
    assert (result["rejects"], result["refused"], result["accepted"]) == (f"file://{tmp_path}/rejects.jsonl", 2, 0)
    assert f"All of them: file://{tmp_path}/rejects.jsonl." in str(submission.refusal())
    assert str(submission.refusal()).endswith("Retries will not resend them: correct and resubmit them.")


def test_it_tells_how_it_stands():
    result = Summary(CREATE, "a_1", RejectsFile(None))
    assert str(result) == "IMIconnect app a_1: 0 records in 0 batches: 0 accepted, 0 invalid, 0 refused."
    assert result.progress() == "0 records, 0 requests answered (0.0 a second), 0 rejects"
    (batch,) = batches(1)
    result.add(Delivery(batch, Receipt(("T1",), "queued"), known=True))
    assert str(result) == (
        "IMIconnect app a_1: 1 record in 1 batch: 1 accepted, 0 invalid, 0 refused. "
        "Earlier attempts had sent 1 of the batches."
    )
    result.add(Delivery(batch, Receipt((), "finished", (RecordResult("C0", "7015", "x"),)), resent=True))
    result.add(Delivery(batch, Receipt((), "finished", (RecordResult("C0", "7003", "x"),))))
    result.add_invalid(RawRecord("p", None), IMIconnectInvalidRecordError("p", "it is empty"))
    counts = result.to_submission()
    assert (counts.records, counts.accepted, counts.invalid, counts.refused, counts.existing) == (4, 2, 1, 1, 1)
    assert str(result) == (
        "IMIconnect app a_1: 4 records in 3 batches: 2 accepted, 1 invalid, 1 refused. 1 of them existed already. "
        "Earlier attempts had sent 1 of the batches."
    )


def test_progress_is_records_requests_rate_and_rejects(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    result = Summary(CREATE, "a_1", RejectsFile(None))
    for batch in batches(3):
        result.add(Delivery(batch, Receipt(("T",), "queued")))
    result.add_invalid(RawRecord("p", None), IMIconnectInvalidRecordError("p", "it is empty"))
    result.add(Delivery(batch, Receipt((), "finished", (RecordResult("C2", "7003", "x"),))))
    assert result.progress() == "5 records, 4 requests answered (4000.0 a second), 2 rejects"
    now[0] += 8
    assert result.progress() == "5 records, 4 requests answered (0.5 a second), 2 rejects"


def test_an_error_before_anything_was_accepted_says_so(tmp_path):
    source = ListSource([{"customerId": f"C{i}", "Attributes": {}} for i in range(2)])
    (batch,) = make_batches(check_records(source), CREATE, "a_1")
    result = Summary(CREATE, "a_1", RejectsFile(None))
    result.add(Delivery(batch, None, IMIconnectTransientError("Not now.")))
    assert str(result.error(tolerate_refused=True)) == (
        "Not now. The request held 2 records, from records[0] to records[1]. No record was accepted."
    )


def test_where_nothing_resumes_it_says_only_what_was_accepted():
    result = Summary(CREATE, "a_1", RejectsFile(None))
    first, second = batches(2)
    result.add(Delivery(first, Receipt(("T",), "queued")))
    result.add(Delivery(second, None, IMIconnectTransientError("Later.")))
    assert str(result.error(tolerate_refused=True)).endswith(" 1 record was accepted in 1 batch.")


def test_a_dry_run_says_what_would_have_been_sent():
    source = ListSource([{"customerId": f"C{i}", "Attributes": {}} for i in range(3)])
    preview = Preview(2, Notes())
    for record in check_records(source):
        preview.add(record)
    result = Summary(CREATE, "a_1", RejectsFile(None))
    result.note_preview(preview)
    sent = result.to_submission().to_json()
    assert (sent["records"], sent["accepted"], sent["dry_run"]) == (3, 0, preview.to_json())
