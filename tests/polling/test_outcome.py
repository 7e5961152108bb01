import pytest

from airflow_imiconnect.polling.outcome import Outcome
from airflow_imiconnect.profile_api.results import RecordResult, Transaction, TransactionStatus


def status(transid, *codes, state=None, **counts):
    results = tuple(RecordResult(f"{transid}-{i}", code, "words") for i, code in enumerate(codes))
    failed = any(code != "1000" for code in codes)
    return TransactionStatus(transid, state or ("partial" if failed else "succeeded"), results, **counts)


def outcome_of(*statuses, resent=(), tolerated_codes=()):
    transactions = [Transaction(status.transid, resent=status.transid in resent) for status in statuses]
    outcome = Outcome(transactions, tolerated_codes)
    for status in reversed(statuses):
        outcome.add(status)
    return outcome


def test_counts_and_the_first_failed_records():
    outcome = outcome_of(status("T1", "1000", "7015"), status("T2", "1000", "7003", "7015"))
    result = outcome.to_json("file:///r")
    assert {key: result[key] for key in ("transactions", "records", "succeeded", "failed", "failures", "rejects")} == {
        "transactions": 2, "records": 5, "succeeded": 2, "failed": 3, "failures": {"7015": 2, "7003": 1},
        "rejects": "file:///r",
    }  # fmt: skip
    assert result["failed_records"][0] == {
        "customerId": "T1-1", "code": "7015", "description": "customer or app profile already exists", "transid": "T1",
    }  # fmt: skip
    message = str(outcome.error("file:///r"))
    assert "3 of 5 records failed in IMIconnect: 7003 x 1 (a mandatory parameter is missing), 7015 x 2" in message
    assert "T1-1 (7015), T2-1 (7003)" in message
    assert message.endswith("All of them: file:///r.")


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("customer already exists", "customer already exists"),
        ("CUSTOMER ALREADY EXISTS.", "CUSTOMER ALREADY EXISTS."),
        ("ANA LOPEZ already exists", "customer or app profile already exists"),
        ("", "customer or app profile already exists"),
    ],
)
def test_what_the_service_says_of_a_record_is_shown_as_far_as_it_is_the_code_tables(words, shown):
    results = (RecordResult("C1", "7015", words),)
    outcome = outcome_of(TransactionStatus("T1", "partial", results))
    assert outcome.to_json(None)["failed_records"][0]["description"] == shown
    assert [failed.description for failed in outcome.failed_records] == [words], "the rejects file holds its own words"


def test_only_the_first_100_failed_records_are_listed():
    result = outcome_of(*[status(f"T{i}", *["7003"] * 100) for i in range(3)]).to_json(None)
    assert (result["failed"], len(result["failed_records"])) == (300, 100)


def test_7015_is_no_failure_where_the_batch_was_resent_and_only_there():
    outcome = outcome_of(status("T1", "7015"), status("T2", "7015", "7003", "1000"), resent={"T2"})
    assert (outcome.failed, dict(outcome.failures)) == (2, {"7015": 1, "7003": 1})
    counts = outcome.to_json(None)
    assert {name: counts[name] for name in ("records", "succeeded", "created", "existing", "failed")} == {
        "records": 4, "succeeded": 2, "created": 1, "existing": 1, "failed": 2,
    }  # fmt: skip
    assert "1 existing" in str(outcome)


def test_the_submission_knows_how_many_records_a_transaction_holds():
    outcome = Outcome([Transaction("T1", records=100), Transaction("T2"), Transaction("T3", records=7)])
    outcome.add(TransactionStatus("T3", "succeeded"))
    outcome.add_succeeded(["T1", "T2"], 150)
    assert outcome.to_json(None)["created"] == 157


def test_tolerated_codes_are_counted_and_fail_nothing():
    outcome = outcome_of(status("T1", "7015", "7003"), tolerated_codes={"7015"})
    assert (outcome.failed, outcome.untolerated) == (2, 1)


@pytest.mark.parametrize(("total", "records"), [(None, 3), (7, 7)])
def test_failures_that_no_result_names_are_not_green(total, records):
    outcome = outcome_of(status("T1", state="partial", unnamed_failures={"1002": 3}, total_count=total))
    assert (outcome.failed, outcome.to_json(None)["records"], outcome.untolerated) == (3, records, 3)
    assert outcome.failures == {"1002": 3}


def test_a_success_that_names_no_records_is_counted_by_its_total():
    assert outcome_of(status("T1", total_count=9)).to_json(None)["succeeded"] == 9


def test_it_tells_how_it_ended():
    outcome = outcome_of(status("T1", "1000", "7015"), status("T2", "7003"), resent={"T1"})
    assert str(outcome) == "1 created, 1 existing, 1 failed"
    assert str(outcome_of(status("T1", "1000"))) == "1 created, 0 failed"


def test_the_error_names_the_first_five():
    error = outcome_of(status("T1", *["7003"] * 7)).error(None)
    assert error.customer_ids == tuple(f"T1-{i}" for i in range(5))
    assert error.failures == {"7003": 7}
    assert str(error).startswith("7 of 7 records failed in IMIconnect: 7003 x 7 ")
    assert str(error).endswith("Set rejects_path to keep all of them in a file.")


def test_those_that_succeeded_are_counted_by_what_they_hold():
    def created(count, *sizes):
        outcome = Outcome([Transaction(f"T{i}", records=size) for i, size in enumerate(sizes)])
        outcome.add_succeeded([f"T{i}" for i in range(len(sizes))], count)
        return outcome.to_json(None)["created"]

    assert created(0) == 0
    assert created(7) == 0, "there is none that could hold them"
    assert created(0, 5, 6) == 11
    assert created(11, 5, 6) == 11
    assert created(12, 5, 6) == 12
    assert created(9, 5, None) == 9
    assert created(5, 5, None) == 5
    assert created(1, None) == 1
    assert created(6, 5) == 6


def test_no_more_than_all_records_can_fail():
    outcome = Outcome([Transaction("T1", records=2)])
    outcome.add(status("T1", "7003", "7003", "7003"))
    assert (outcome.succeeded, outcome.failed) == (0, 3)


def test_what_the_submission_says_of_a_transactions_size_counts_before_what_the_service_says():
    outcome = Outcome([Transaction("T1", records=9)])
    outcome.add(status("T1", "1000", "7003", total_count=50))
    assert (outcome.succeeded, outcome.failed) == (8, 1)


def test_the_failed_records_are_complete():
    outcome = outcome_of(status("T1", "7003"), status("T2", "7003"))
    assert [record[:4] for record in outcome.failed_records] == [
        ("T1-0", "7003", "words", "T1"),
        ("T2-0", "7003", "words", "T2"),
    ]
