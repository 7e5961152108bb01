"""Customer and device pairs that occur more than once: all of them, with their places, in little memory."""

import gc
import random
import tracemalloc

import pytest

from airflow_imiconnect.records import duplicates
from airflow_imiconnect.records.duplicates import Duplicates, profile_key


def found_in(keys):
    counted = Duplicates()
    for number, key in enumerate(keys):
        counted.add(f"line {number}", key)
    return counted.found()


@pytest.mark.parametrize(
    ("one", "other", "are_the_same"),
    [
        ({}, {}, True),
        ({"rtmId": "R"}, {"rtmId": "R"}, True),
        ({"rtmId": "R", "deviceId": "D"}, {"rtmId": "S", "deviceId": "D"}, False),
        ({"rtmId": "R", "deviceId": "D"}, {"rtmId": "R", "deviceId": "E"}, True),
        ({"deviceId": "D"}, {"deviceId": "D", "os": "x"}, True),
        ({"deviceId": "D"}, {"deviceId": "E"}, False),
        ({"deviceId": "D", "rtmId": ""}, {"deviceId": "D"}, True),
        ({"deviceId": "X"}, {"rtmId": "X"}, False),
        ({"deviceId": "D"}, {}, False),
        ({"psid": "1"}, {"psid": "2"}, True),
    ],
)
def test_a_profile_is_a_customer_on_a_device(one, other, are_the_same):
    assert (profile_key("C", one, "In-App") == profile_key("C", other, "In-App")) is are_the_same
    assert profile_key("C", one, "In-App") != profile_key("D", one, "In-App")


def test_without_a_device_a_customer_is_one_profile_of_each_channel():
    assert profile_key("C", {}, "Facebook") == profile_key("C", {}, "Facebook")
    assert profile_key("C", {}, "Facebook") != profile_key("C", {}, "Twitter")


def test_nothing_is_found_where_all_differ():
    assert (found_in(range(1000)).count, found_in([]).count, str(found_in(range(5)))) == (0, 0, "")


def test_each_record_that_repeats_one_is_counted_and_the_first_three_are_named():
    found = found_in([1, 2, 1, 3, 2, 1, 1])
    assert (found.count, str(found)) == (
        4, "line 2 (as line 0); line 4 (as line 1); line 5 (as line 0); and 1 more",
    )  # fmt: skip


@pytest.mark.parametrize("length", [99, 100, 101, 200, 1234])
@pytest.mark.parametrize("different", [1, 3, 60, 900])
def test_what_is_no_longer_in_memory_is_counted_as_well(monkeypatch, length, different):
    monkeypatch.setattr(duplicates, "_CHUNK", 100)
    keys = [random.Random(length + different).randrange(different) for _ in range(length)]
    repeats = [number for number, key in enumerate(keys) if key in keys[:number]]
    found = found_in(keys)
    assert found.count == length - len(set(keys)) == len(repeats)
    assert [place.partition(" (as ")[0] for place in found.positions] == [f"line {number}" for number in repeats[:3]]
    for place in found.positions:
        later, earlier = (int(part.strip("line )")) for part in place.split(" (as "))
        assert earlier < later
        assert keys[earlier] == keys[later]


def test_the_first_are_first_in_the_input_wherever_what_they_repeat_stands(monkeypatch):
    monkeypatch.setattr(duplicates, "_CHUNK", 100)
    numbers = random.Random(1).sample(range(1000), 1000)
    found = found_in([*numbers, *reversed(numbers), *numbers[:50], *numbers[:50]])
    assert (found.count, found.positions) == (
        1100, ["line 1000 (as line 999)", "line 1001 (as line 998)", "line 1002 (as line 997)"],
    )  # fmt: skip


def test_it_may_be_asked_at_any_time(monkeypatch):
    monkeypatch.setattr(duplicates, "_CHUNK", 100)
    counted = Duplicates()
    for number in range(350):
        counted.add(f"a\\b\ud83d line {number}", number % 330)
        if number in (0, 99, 250, 340):
            assert counted.found() == counted.found()
    assert (counted.found().count, counted.found().positions[0]) == (20, "a\\b\ud83d line 330 (as a\\b\ud83d line 0)")


def test_memory_does_not_grow_with_the_input(monkeypatch):
    monkeypatch.setattr(duplicates, "_CHUNK", 5_000)

    def peak(count, of):
        gc.collect()
        tracemalloc.start()
        assert found_in(number % of for number in range(count)).count == count - min(count, of)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    few = peak(6_000, 6_000)
    assert peak(60_000, 60_000) < few + 500_000
    assert peak(60_000, 1) < few + 500_000, "one pair again and again"
