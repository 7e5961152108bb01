import pytest

from airflow_imiconnect.errors import IMIconnectRequestError
from airflow_imiconnect.models import RecordResult, TransactionStatus
from airflow_imiconnect.outcome import Outcome, Transactions

SUBMITTED = {"operation": "create", "transids": ["T1", "T2"], "resent": ["T2"]}


@pytest.mark.parametrize(
    ("value", "transids", "resent"),
    [
        ("T1", ["T1"], []),
        (["T1", "T2", "T1"], ["T1", "T2"], []),
        (("T1",), ["T1"], []),
        ([], [], []),
        ({"T3", "T1", "T2"}, ["T1", "T2", "T3"], []),
        ({"transids": [" T1 "], "resent": [" T1 "]}, ["T1"], ["T1"]),
        (SUBMITTED, ["T1", "T2"], ["T2"]),
        ({"transids": []}, [], []),
        ([SUBMITTED, {"transids": ["T3"], "resent": []}], ["T1", "T2", "T3"], ["T2"]),
    ],
)
def test_what_can_be_waited_for(value, transids, resent):
    assert Transactions.of(value) == (tuple(transids), frozenset(resent))


@pytest.mark.parametrize(
    "value", [None, "", " ", 7, [7], [None], ["\ud800"], {}, {"transids": "T1"}, {"transids": None}, [[]]]
)
def test_what_cannot(value):
    with pytest.raises(IMIconnectRequestError, match="transids must be"):
        Transactions.of(value)


def status(transid, *codes, state=None, **counts):
    results = tuple(RecordResult(f"{transid}-{i}", code, "words") for i, code in enumerate(codes))
    failed = any(code != "1000" for code in codes)
    return TransactionStatus(transid, state or ("partial" if failed else "succeeded"), results, **counts)


def outcome_of(*statuses, resent=(), tolerated_codes=()):
    transids = tuple(status.transid for status in statuses)
    outcome = Outcome(Transactions(transids, frozenset(resent)), tolerated_codes)
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
        "customerId": "T1-1", "code": "7015", "description": "words", "transid": "T1",
    }  # fmt: skip
    message = str(outcome.error("file:///r"))
    assert "3 of 5 records failed in IMIconnect: 7003 x 1 (a mandatory parameter is missing), 7015 x 2" in message
    assert "T1-1 (7015), T2-1 (7003)" in message
    assert message.endswith("All of them: file:///r.")


def test_only_the_first_100_failed_records_are_listed():
    result = outcome_of(*[status(f"T{i}", *["7003"] * 100) for i in range(3)]).to_json(None)
    assert (result["failed"], len(result["failed_records"])) == (300, 100)


def test_7015_counts_as_created_where_the_batch_was_resent_and_only_there():
    outcome = outcome_of(status("T1", "7015"), status("T2", "7015", "7003"), resent={"T2"})
    assert (outcome.failed, dict(outcome.failures)) == (2, {"7015": 1, "7003": 1})
    assert outcome.records == 3


def test_tolerated_codes_are_counted_and_fail_nothing():
    outcome = outcome_of(status("T1", "7015", "7003"), tolerated_codes={"7015"})
    assert (outcome.failed, outcome.untolerated) == (2, 1)


@pytest.mark.parametrize(("total", "records"), [(None, 3), (7, 7)])
def test_failures_that_no_result_names_are_not_green(total, records):
    outcome = outcome_of(status("T1", state="partial", unnamed_failures={"1002": 3}, total_count=total))
    assert (outcome.failed, outcome.records, outcome.untolerated) == (3, records, 3)
    assert outcome.failures == {"1002": 3}


def test_a_success_that_names_no_records_is_counted_by_its_total():
    assert outcome_of(status("T1", total_count=9)).to_json(None)["succeeded"] == 9
