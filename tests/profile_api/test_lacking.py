"""What is said of a 7003: the names of the required attributes that a record lacks, and no value."""

import pytest

from airflow_imiconnect.profile_api.lacking import lacking, lacking_in_request, with_lacking
from airflow_imiconnect.records.validation import CheckedRecord

IN_APP = {"channel": "rt", "status": "1", "connectStatus": "1", "deviceId": "D1", "rtmId": "R1"}


@pytest.mark.parametrize(
    ("attributes", "operation", "expected"),
    [
        ({"channel": "fb", "status": "1"}, "create", "lacks psid, which Facebook requires"),
        ({"channel": "fb"}, "create", "lacks status and psid, which Facebook requires"),
        ({"channel": "fb", "status": "1", "psid": ""}, "create", "lacks psid, which Facebook requires"),
        ({"channel": "fb", "status": "1", "psid": "9"}, "create", ""),
        ({"channel": "rt"}, "create", "lacks status, connectStatus, deviceId and rtmId, which In-App requires"),
        ({"pushId": "p"}, "create", "lacks status, connectStatus, deviceId and rtmId, which Push requires"),
        ({"channel": "rt"}, "update", "lacks status, rtmId and deviceId, which In-App requires"),
        (IN_APP, "create", ""),
        (IN_APP | {"connectStatus": ""}, "create", "lacks connectStatus, which In-App requires"),
        (IN_APP | {"connectStatus": ""}, "update", ""),
        (
            {"channel": "twitter", "status": "1", "screenName": "s"},
            "create",
            "lacks access_token, access_token_expiry and access_token_secret, which Twitter requires",
        ),
        ({"channel": "twitter", "status": "1"}, "update", ""),
        ({"nick": "n"}, "create", "lacks status, which WeChat requires"),
        ({}, "create", "lacks status, which every channel requires"),
        ({"channel": "planted-value"}, "create", "lacks status, which every channel requires"),
    ],
)
def test_each_channel_and_operation_requires_its_own(attributes, operation, expected):
    assert lacking("7003", operation, attributes) == expected


@pytest.mark.parametrize("code", ["7011", "7015", "1000", ""])
def test_other_codes_say_nothing_of_it(code):
    assert lacking(code, "create", {}) == ""


@pytest.mark.parametrize(
    ("description", "lacks", "expected"),
    [
        ("words", "lacks a", "words (the record lacks a)"),
        ("words", "", "words"),
        ("", "lacks a", "lacks a"),
        ("", "", ""),
    ],
)
def test_the_services_words_come_first(description, lacks, expected):
    assert with_lacking(description, lacks) == expected


def checked(number, **attributes):
    return CheckedRecord(f"line {number}", f"C{number}", {"channel": "fb", **attributes})


def test_a_whole_request_names_the_first_three_records():
    records = [checked(number, status="1") for number in range(5)] + [checked(9, status="1", psid="9")]
    assert lacking_in_request("7003", "create", records) == (
        "In 5 of its 6 records required attributes are missing: C0 lacks psid, which Facebook requires; C1 lacks psid, which "
        "Facebook requires; C2 lacks psid, which Facebook requires; and 2 more."
    )
    assert lacking_in_request("7003", "create", records[4:]) == (
        "In 1 of its 2 records required attributes are missing: C4 lacks psid, which Facebook requires."
    )
    assert lacking_in_request("7003", "create", records[5:]) == ""
    assert lacking_in_request("7011", "create", records) == ""
