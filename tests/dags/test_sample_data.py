"""The sample files are what their script makes, hold the contract's attributes, and no two share a key."""

import json
from collections import Counter

import make_sample_data
import pytest
from local_airflow import DAGS

DATA = DAGS / "data"
CHANNELS = ("facebook", "twitter", "wechat", "in_app", "push")
FILES = make_sample_data.sample_files()


def records_of(channel):
    return json.loads(FILES[f"{channel}.json"])["Records"]


def test_the_folder_holds_the_files_that_the_script_makes_and_no_others():
    assert {path.name: path.read_text(encoding="utf-8") for path in DATA.iterdir()} == FILES


@pytest.mark.parametrize("channel", CHANNELS)
def test_json_and_json_lines_hold_the_same_records(channel):
    assert [json.loads(line) for line in FILES[f"{channel}.jsonl"].splitlines()] == records_of(channel)


@pytest.mark.parametrize("key", ["customerId", "psid", "twitterid", "deviceId", "rtmId", "pushId"])
def test_no_two_records_share_a_key(key):
    rows = [record["Attributes"] for channel in CHANNELS for record in records_of(channel)]
    rows += make_sample_data.csv.DictReader(FILES["in_app_250.csv"].splitlines())
    counts = Counter(row[key] for row in rows if key in row)
    assert counts
    assert counts.total() == len(counts)


def test_the_large_file_needs_three_calls():
    assert len(FILES["in_app_250.csv"].splitlines()) == 1 + 250
