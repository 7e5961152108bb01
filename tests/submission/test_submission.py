"""What travels through XCom."""

import json

import pytest

from airflow_imiconnect.errors import IMIconnectRequestError
from airflow_imiconnect.profile_api.results import Transaction
from airflow_imiconnect.submission.submission import Submission, transactions_of

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
    transactions = transactions_of(value)
    assert [each.transid for each in transactions] == transids
    assert [each.transid for each in transactions if each.resent] == resent


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        7,
        [7],
        [None],
        ["\ud800"],
        ["a\udfffz"],
        b"T1",
        [b"T1"],
        {},
        {"transids": "T1"},
        {"transids": None},
        [[]],
    ],
)
def test_what_cannot(value):
    with pytest.raises(
        IMIconnectRequestError, match=r"^transids must be an id, .* \(transids=submit.output\): nothing was polled.$"
    ):
        transactions_of(value)


def test_a_submission_comes_back_as_it_went():
    transactions = (Transaction("T1", "create", 100), Transaction("T2", "create", None, resent=True))
    sent = Submission(
        "create", "a_1", records=150, accepted=140, invalid=1, refused=9, existing=3, transactions=transactions,
        resent=("T2",), rejects="file:///r",
    )  # fmt: skip
    assert Submission.from_json(json.loads(json.dumps(sent.to_json()))) == sent


@pytest.mark.parametrize("size", [True, 0, -3, "3", 1.5, None])
def test_a_size_that_is_none_is_not_known(size):
    submission = Submission.from_json({"transids": ["T1"], "transaction_records": [size]})
    assert submission.transactions == (Transaction("T1"),)


def test_what_version_0_1_wrote_is_understood():
    old = {
        "operation": "create", "app_id": "a_1", "records": 5, "accepted": 5, "invalid": 0, "refused": 0,
        "transids": ["T1", "T2"], "resent": ["T2"], "rejects": None,
    }  # fmt: skip
    submission = Submission.from_json(old)
    assert submission.transactions == (Transaction("T1"), Transaction("T2", resent=True))
    assert submission.to_json() | old == submission.to_json()


def test_each_transaction_is_judged_by_its_own_operation():
    with pytest.raises(IMIconnectRequestError):
        transactions_of([{"operation": "unheard of", "transids": ["T1"]}])
    assert transactions_of(SUBMITTED)[0].operation == "create"


def test_how_many_records_a_transaction_holds_and_which_travels_with_it():
    sizes = {**SUBMITTED, "transaction_records": [100, 7], "transaction_places": [[0, 100], ["x", None]]}
    assert [each.records for each in transactions_of([sizes, "T3"])] == [100, 7, None]
    assert [each.places for each in transactions_of([sizes, "T3"])] == [(0, 100), None, None]


def test_what_a_task_adds_stands_in_the_result_and_its_rejects_too():
    sent = Submission("create", "a_1", more={"dry_run": {"records": 3}})
    assert sent.to_json()["dry_run"] == {"records": 3}
    waited = sent.with_outcome({"failed": 1}, "file:///r")
    assert (waited.to_json()["outcome"], waited.to_json()["rejects"], waited.app_id) == (
        {"failed": 1},
        "file:///r",
        "a_1",
    )


@pytest.mark.parametrize("sizes", [None, 7, [1], [1, 2, 3], ["1", "2"], [None, None]])
def test_sizes_that_are_not_those_of_the_transactions_are_none(sizes):
    transactions = transactions_of({"transids": ["T1", "T2"], "transaction_records": sizes})
    assert transactions == (Transaction("T1"), Transaction("T2"))


def test_what_a_task_leaves_out_is_nothing():
    assert Submission.from_json({"transids": ["T1"], "accepted": None, "app_id": None}) == Submission(
        "create", "", transactions=(Transaction("T1"),)
    )


def test_ids_that_come_alone_are_judged_by_the_operation_that_the_user_names():
    with pytest.raises(IMIconnectRequestError):
        transactions_of("T1", "unheard of")
    with pytest.raises(IMIconnectRequestError):
        transactions_of([SUBMITTED, "T3"], "unheard of")


def test_of_a_transaction_that_is_named_twice_the_first_word_counts():
    assert transactions_of([SUBMITTED, "T2"])[1].resent
    assert not transactions_of(["T2", SUBMITTED])[0].resent
