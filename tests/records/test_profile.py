import json
import pickle
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pytest
from pydantic import ValidationError

from airflow_imiconnect import errors
from airflow_imiconnect.attributes import (
    FacebookAttributes,
    InAppAttributes,
    PushAttributes,
    RecordProblem,
    TwitterAttributes,
    WeChatAttributes,
    to_strings,
)
from airflow_imiconnect.records.profile import AppProfile

IST = timezone(timedelta(hours=5, minutes=30))
MOMENT = datetime(2018, 4, 2, 12, 55, 22, 660_000, tzinfo=IST)


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("x", "text", "text"),
        ("x", "", ""),
        ("x", 7, "7"),
        ("x", 1652750724851329, "1652750724851329"),
        ("x", 5.5, "5.5"),
        ("x", 5.0, "5"),
        ("x", Decimal("5.50"), "5.50"),
        ("x", Decimal("1E+3"), "1000"),
        ("x", True, "1"),
        ("status", False, "0"),
        ("status", 1, "1"),
        ("status", 1.0, "1"),
        ("x", UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("x", Colour.RED, "red"),
        ("createdOn", MOMENT, "2018-04-02 07:25:22"),
        ("createdOn", datetime(2018, 8, 26, 12, 26, 3), "2018-08-26 12:26:03"),  # noqa: DTZ001 - taken as UTC
        ("createdOn", date(2018, 8, 26), "2018-08-26 00:00:00"),
        ("last_opened", MOMENT, "2018-04-02T07:25:22.660Z"),
        ("last_upgraded", date(2018, 8, 26), "2018-08-26T00:00:00.000Z"),
    ],
)
def test_values_become_the_strings_that_the_service_expects(name, value, expected):
    assert to_strings({name: value}) == {name: expected}


@pytest.mark.parametrize("missing", [None, float("nan"), Decimal("NaN")])
def test_missing_values_are_left_out(missing):
    assert to_strings({"a": "1", "b": missing}) == {"a": "1"}


def test_wechat_writes_all_its_dates_with_t_and_z():
    assert to_strings({"channel": "wechat", "createdOn": MOMENT})["createdOn"] == "2018-04-02T07:25:22.660Z"
    assert to_strings({"nick": "x", "createdOn": MOMENT})["createdOn"] == "2018-04-02T07:25:22.660Z"


SECRET = "planted-value"


@pytest.mark.parametrize(
    ("record", "field", "reason"),
    [
        ([SECRET], None, "a record must be an object, not a list"),
        (SECRET, None, "not a text"),
        ({}, "customerId", "missing or empty"),
        ({"customerId": "  ", "Attributes": {}}, "customerId", "missing or empty"),
        ({"customerId": None, "Attributes": {}}, "customerId", "missing or empty"),
        ({"customerId": True, "Attributes": {}}, "customerId", "is a boolean"),
        ({"customerId": [SECRET], "Attributes": {}}, "customerId", "is a list"),
        ({"customerId": "1"}, "Attributes", "is missing"),
        ({"customerId": "1", "Attributes": None}, "Attributes", "not null"),
        ({"customerId": "1", "Attributes": SECRET}, "Attributes", "not a text"),
        ({"customerId": "1", "Attributes": {"a": {"b": SECRET}}}, "Attributes.a", "nested"),
        ({"customerId": "1", "Attributes": {"a": [SECRET]}}, "Attributes.a", "nested"),
        ({"customerId": "1", "Attributes": {"a": float("inf")}}, "Attributes.a", "finite"),
        ({"customerId": "1", "Attributes": {"a": b"\xe9"}}, "Attributes.a", "that cannot be read"),
        ({"customerId": "1", "Attributes": {"a": object()}}, "Attributes.a", "a text, a number"),
        ({"customerId": "1", "Attributes": {"a": "x\0"}}, "Attributes.a", "a control character"),
        ({"customerId": "nan", "Attributes": {}}, "customerId", "a word for a missing value"),
        ({"customerId": "1", "Attributes": {"a": Decimal("sNaN")}}, "Attributes.a", "cannot be written as text"),
        (
            {"customerId": "1", "Attributes": {"a": datetime.max.replace(tzinfo=timezone(-timedelta(hours=5)))}},
            "Attributes.a",
            "cannot be written",
        ),
        ({"customerId": "1", "Attributes": {"": "x"}}, "Attributes", "name is empty"),
        ({"customerId": "1", "Attributes": {1: "x"}}, "Attributes", "name is empty or no text"),
        ({"customerId": "1", "Attributes": {"status": SECRET}}, "Attributes.status", "must be 0 or 1"),
        ({"customerId": "1", "status": SECRET, "Attributes": {}}, "status", "inside Attributes"),
        ({"customerId": "1", "customerid": "2", "Attributes": {}}, "customerId", "two spellings"),
    ],
)
def test_what_can_never_be_right_is_refused_without_its_value(record, field, reason):
    with pytest.raises(RecordProblem, match=reason) as caught:
        AppProfile.from_record(record)
    assert caught.value.name == field
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "keys", [("customerId", "Attributes"), ("customerid", "attributes"), ("customer_id", "Attributes")]
)
def test_either_spelling_is_taken_and_the_examples_is_sent(keys):
    profile = AppProfile.from_record({keys[0]: 8955, keys[1]: {"anything": "goes"}})
    assert json.loads(json.dumps(profile.to_wire())) == {"customerId": "8955", "Attributes": {"anything": "goes"}}


STRICT = {
    "fb": ({"status": "1", "psid": "1"}, ["status", "psid"]),
    "twitter": ({"status": "1"}, ["status"]),
    "wechat": ({"status": "0"}, ["status"]),
    "rt": ({"status": "1", "connectStatus": "1", "deviceId": "d", "rtmId": "r"}, ["status", "connectStatus", "deviceId", "rtmId"]),
}  # fmt: skip


@pytest.mark.parametrize("channel", STRICT)
def test_strict_asks_for_what_the_channel_requires(channel):
    complete, required = STRICT[channel]
    assert to_strings(complete | {"channel": channel}, strict=True)
    for name in required:
        for incomplete in ({k: v for k, v in complete.items() if k != name}, complete | {name: ""}):
            assert to_strings(incomplete | {"channel": channel})
            with pytest.raises(RecordProblem, match="required") as caught:
                to_strings(incomplete | {"channel": channel}, strict=True)
            assert caught.value.name == name


def test_strict_knows_a_push_profile_that_names_no_channel():
    with pytest.raises(RecordProblem, match="rtmId"):
        to_strings({"status": "1", "connectStatus": "1", "deviceId": "d"}, strict=True)


@pytest.mark.parametrize(
    ("model", "channel"),
    [(FacebookAttributes, "fb"), (TwitterAttributes, "twitter"), (WeChatAttributes, None), (InAppAttributes, "rt"), (PushAttributes, "rt")],
)  # fmt: skip
def test_each_channel_has_a_model_that_takes_further_attributes(model, channel):
    attributes = model(status=1, verified=True, loyalty_tier=SECRET)
    profile = AppProfile(customer_id="C1", attributes=attributes)
    expected = {"status": "1", "verified": "1", "loyalty_tier": SECRET} | ({"channel": channel} if channel else {})
    assert profile.attributes == expected
    for text in (repr(attributes), str(attributes), repr(profile), str(profile)):
        assert SECRET not in text


def test_a_model_is_checked_when_it_is_made():
    with pytest.raises(ValidationError, match="must be 0 or 1") as caught:
        FacebookAttributes(status=SECRET)
    assert SECRET not in str(caught.value)
    with pytest.raises(ValidationError, match="customerId") as caught:
        AppProfile(customerId=None, Attributes={"a": SECRET})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        errors.IMIconnectAmbiguousError(
            "m", code="7016", description="d", http_status=500, transid="t", retry_after=3.0
        ),
        errors.IMIconnectInvalidRecordError("a.csv, line 3", "is missing", field="customerId"),
        errors.IMIconnectRecordsFailedError("m", failures={"7015": 2}, customer_ids=("C1",)),
    ],
)
def test_errors_survive_pickling(error):
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_with_context_keeps_what_the_error_knows():
    error = errors.IMIconnectRequestError("It failed.", code="7018").with_context("3 were accepted.")
    assert (type(error), str(error), error.code) == (
        errors.IMIconnectRequestError,
        "It failed. 3 were accepted.",
        "7018",
    )


def test_an_unpaired_surrogate_in_a_customer_id_is_refused():
    with pytest.raises(RecordProblem, match="an unpaired surrogate"):
        AppProfile.from_record({"customerId": "C7\ud83d", "Attributes": {}})


class Crn(str):
    __slots__ = ()


class Customer(Enum):
    ANA = "C1"


@pytest.mark.parametrize("customer_id", [Crn("C1"), Customer.ANA])
def test_a_customer_id_is_a_plain_text_whatever_it_was(customer_id):
    profile = AppProfile.from_record({"customerId": customer_id, "Attributes": {}})
    assert (type(profile.customer_id), profile.customer_id) == (str, "C1")


def test_early_dates_have_four_digits_for_the_year():
    assert to_strings({"day": date(1, 1, 1), "last_opened": date(99, 1, 2)}) == {
        "day": "0001-01-01 00:00:00", "last_opened": "0099-01-02T00:00:00.000Z",
    }  # fmt: skip


def test_a_field_in_a_message_is_short_and_in_one_line():
    error = errors.IMIconnectInvalidRecordError(
        "a.jsonl, line 1", "is wrong", field="x\nerror: forged\x1b[31m" + "y" * 10_000
    )
    assert str(error).startswith("a.jsonl, line 1: x error: forged [31myyy")
    assert len(str(error)) < 200
