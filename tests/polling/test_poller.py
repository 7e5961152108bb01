"""Rounds of polling: when they end, and what is polled in them. The service is a function."""

import asyncio
import logging
import time
from collections import Counter
from contextlib import asynccontextmanager
from itertools import islice

import pytest

from airflow_imiconnect.errors import IMIconnectRateLimitError, IMIconnectRequestError, IMIconnectTransientError
from airflow_imiconnect.pacing.backoff import PollPolicy
from airflow_imiconnect.polling.poller import Poller
from airflow_imiconnect.profile_api.results import Transaction, TransactionStatus


def a_poller(count, finished, poll, *, max_concurrency=8, policy=None, **more):
    @asynccontextmanager
    async def connect():
        yield lambda transaction: poll(transaction.transid)

    return Poller(
        [Transaction(f"T{number}") for number in range(count)],
        finished.append if isinstance(finished, list) else finished,
        connect,
        policy or PollPolicy(30),
        max_concurrency=max_concurrency,
        log=logging.getLogger(__name__),
        **more,
    )


def answer(transid, state="succeeded"):
    return TransactionStatus(transid, state)


def first(poller, count):
    return list(islice(poller.waiting, count))


def waited(poller, seconds):
    return asyncio.run(poller.until_finished(time.monotonic() + seconds))


def one_round(poller, seconds, *, thorough=False):
    asyncio.run(poller.once(time.monotonic() + seconds, thorough=thorough))


def test_a_round_ends_in_time_though_cancellations_are_lost():
    """Python 3.10 and 3.11 lose one where the answer comes at that very moment (asyncio.wait_for)."""

    async def poll(transid):
        try:
            await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            return answer(transid)
        return answer(transid)

    finished = []
    poller = a_poller(2000, finished, poll, policy=PollPolicy(0))
    one_round(poller, 0)
    assert len(finished) + poller.left == 2000
    assert len(finished) < 1000


def test_the_last_round_goes_on_while_it_finds_transactions_finished():
    async def poll(transid):
        await asyncio.sleep(0.02)
        return answer(transid)

    assert waited(a_poller(800, [], poll), 0), "it takes two seconds"


@pytest.mark.parametrize(
    ("policy", "least", "most"),
    [
        (PollPolicy(0.1, least_round=1.0, news=60), 0.9, 20),
        (PollPolicy(2.0, news=60), 1.9, 20),
        (PollPolicy(60, news=1.0), 1.0, 20),
    ],
    ids=["a second at least", "within a poll interval", "soon after the last news"],
)
def test_the_last_round_ends(policy, least, most):
    async def poll(transid):
        await asyncio.sleep(0.05)
        if int(transid[1:]) > 80:
            await asyncio.sleep(60)
        return answer(transid)

    poller = a_poller(200, [], poll, policy=policy)
    started = time.monotonic()
    assert not waited(poller, 0)
    assert least < time.monotonic() - started < most
    assert poller.left < 200


def test_the_last_round_waits_for_its_first_answer():
    async def poll(transid):
        await asyncio.sleep(1.5)
        return answer(transid)

    assert waited(a_poller(1, [], poll), 0)


def test_the_last_round_asks_about_all_be_it_in_vain():
    async def poll(transid):
        await asyncio.sleep(0)
        return answer(transid, "waiting" if int(transid[1:]) < 300 else "succeeded")

    poller = a_poller(400, [], poll)
    assert not waited(poller, 0.5)
    assert (poller.left, first(poller, 1)) == (300, ["T0"])


def test_a_transaction_that_could_not_be_counted_is_asked_for_again():
    finished = []

    def count(status):
        if not finished:
            finished.append(None)
            raise OSError("the disk is full")
        finished.append(status.transid)

    async def poll(transid):
        return answer(transid)

    poller = a_poller(1, count, poll)
    with pytest.raises(OSError, match="full"):
        one_round(poller, 1)
    assert poller.left == 1
    one_round(poller, 1)
    assert (poller.left, finished) == (0, [None, "T0"])


def test_those_that_fail_are_asked_again_until_all_are_answered_for():
    calls = Counter()

    def failures(transid):
        return {"1": 1, "2": 2, "3": 3}.get(transid[-1], 0)

    async def poll(transid):
        calls[transid] += 1
        if calls[transid] <= failures(transid):
            raise IMIconnectTransientError("not now")
        return answer(transid, "waiting" if int(transid[1:]) % 3 else "succeeded")

    finished = []
    poller = a_poller(600, finished, poll)
    one_round(poller, 10, thorough=True)
    assert (len(finished), poller.left) == (200, 400)
    assert calls == {transid: 1 + failures(transid) for transid in calls}


@pytest.mark.parametrize(("count", "calls_at_most"), [(1, 1), (50, 50), (5000, 110)])
def test_it_gives_up_where_there_is_no_answer_at_all(count, calls_at_most):
    calls = []

    async def poll(transid):
        calls.append(transid)
        raise IMIconnectTransientError("not now")

    poller = a_poller(count, [], poll)
    one_round(poller, 10, thorough=True)
    assert poller.left == count
    assert len(calls) <= calls_at_most


def test_a_retry_after_is_kept_before_those_that_failed_are_asked_again():
    times = []

    async def poll(transid):
        times.append(time.monotonic())
        if len(times) == 1:
            raise IMIconnectTransientError("not now", retry_after=1)
        return answer(transid)

    poller = a_poller(3, [], poll, max_concurrency=1)
    one_round(poller, 10, thorough=True)
    assert poller.left == 0
    assert times[2] - times[0] < 0.5
    assert times[3] - times[0] >= 1


def test_a_permanent_error_ends_a_round_at_once_and_no_error_is_left_behind():
    async def poll(transid):
        await asyncio.sleep(0)
        raise IMIconnectRequestError(f"{transid} is not an id")

    with pytest.raises(IMIconnectRequestError):
        one_round(a_poller(50, [], poll), 10)


def test_what_was_asked_longest_ago_is_asked_first():
    asked = []

    async def poll(transid):
        asked.append(transid)
        return answer(transid, "waiting")

    poller = a_poller(250, [], poll, max_concurrency=1)

    for _ in range(3):
        one_round(poller, 10)
    assert asked == [f"T{number % 250}" for number in range(300)]


def test_the_first_of_those_that_wait_are_named_in_the_order_of_submission():
    async def poll(transid):
        return answer(transid, "succeeded" if transid == "T1" else "waiting")

    poller = a_poller(5, [], poll)
    one_round(poller, 10)
    assert first(poller, 3) == ["T0", "T2", "T3"]


def test_a_status_that_leaves_records_open_is_waited_for_and_named_at_the_deadline(caplog):
    async def poll(transid):
        return TransactionStatus(transid, "waiting", is_open=transid == "T1")

    finished = []
    poller = a_poller(3, finished, poll, policy=PollPolicy(0.01))
    with caplog.at_level(logging.INFO):
        assert not waited(poller, 0.05)
    assert not finished
    assert [text.split(")")[0] for text in caplog.messages if "leaves open" in text] == ["1 transactions (first: T1"]
    assert caplog.messages[-1] == "0 of 3 transactions have finished."


def test_a_status_that_tells_all_at_last_is_no_longer_named(caplog):
    polled = Counter()

    async def poll(transid):
        polled[transid] += 1
        return answer(transid) if polled[transid] > 1 else TransactionStatus(transid, "waiting", is_open=True)

    finished = []
    with caplog.at_level(logging.INFO):
        assert waited(a_poller(1, finished, poll, policy=PollPolicy(0.01)), 30)
    assert [status.transid for status in finished] == ["T0"]
    assert "leaves open" not in caplog.text


def test_no_more_than_max_concurrency_are_in_flight():
    flying, most = set(), []

    async def poll(transid):
        flying.add(transid)
        most.append(len(flying))
        await asyncio.sleep(0.001)
        flying.remove(transid)
        return answer(transid)

    one_round(a_poller(50, [], poll, max_concurrency=4), 10)
    assert max(most) == 4


def test_no_more_requests_start_in_a_second_than_the_user_says():
    started = time.monotonic()

    async def poll(transid):
        return answer(transid)

    one_round(a_poller(11, [], poll, requests_per_second=50), 10)
    assert time.monotonic() - started >= 0.19


def test_one_that_came_too_fast_is_asked_again_in_the_same_round_after_the_pause():
    asked = []

    async def poll(transid):
        asked.append((transid, time.monotonic()))
        if len(asked) == 1:
            raise IMIconnectRateLimitError("slower", retry_after=0.3)
        return answer(transid)

    finished = []
    poller = a_poller(3, finished, poll, max_concurrency=1)
    one_round(poller, 10)
    assert [transid for transid, _ in asked] == ["T0", "T1", "T2", "T0"]
    assert asked[1][1] - asked[0][1] >= 0.29
    assert (len(finished), poller.left, poller.total, poller.asked_for) == (3, 0, 3, 0.0)


def test_one_that_failed_is_asked_again_in_a_later_round_and_a_retry_after_is_known():
    asked = []

    async def poll(transid):
        asked.append(transid)
        if len(asked) == 1:
            raise IMIconnectTransientError("not now", retry_after=100)
        return answer(transid)

    poller = a_poller(3, [], poll, max_concurrency=1)
    one_round(poller, 10)
    assert asked == ["T0", "T1", "T2"]
    assert (poller.left, first(poller, 9)) == (1, ["T0"])
    assert 90 < poller.asked_for <= 100


def test_a_round_waits_for_no_retry_after_that_ends_too_late():
    async def poll(transid):
        if transid == "T0":
            raise IMIconnectTransientError("not now", retry_after=30)
        return answer(transid)

    poller, started = a_poller(2, [], poll, policy=PollPolicy(1)), time.monotonic()
    one_round(poller, 5, thorough=True)
    assert time.monotonic() - started < 5
    assert poller.left == 1


def test_the_next_round_waits_for_a_retry_after():
    asked = []

    async def poll(transid):
        asked.append(time.monotonic())
        if len(asked) == 1:
            raise IMIconnectTransientError("not now", retry_after=0.5)
        return answer(transid)

    assert waited(a_poller(1, [], poll, policy=PollPolicy(0.01)), 10)
    assert 0.45 <= asked[1] - asked[0] < 5


def test_rounds_without_news_are_further_and_further_apart():
    asked = []

    async def poll(transid):
        asked.append(transid)
        return answer(transid, "waiting")

    assert not waited(a_poller(1, [], poll, policy=PollPolicy(0.02, max_poll_interval=60)), 1)
    assert 5 < len(asked) < 25, "at the same distance it would be fifty"


def test_rounds_with_news_are_not():
    async def poll(transid):
        return answer(transid, "succeeded" if transid == f"T{19 - len(rounds)}" else "waiting")

    rounds = []

    def finished(status):
        rounds.append(status.transid)

    assert waited(a_poller(20, finished, poll, max_concurrency=1, policy=PollPolicy(0.02, max_poll_interval=60)), 10)


def test_requests_in_flight_have_ended_when_the_round_ends():
    begun, ended = [], []

    async def poll(transid):
        begun.append(transid)
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            ended.append(transid)

    async def a_round():
        await a_poller(9, [], poll, max_concurrency=4, policy=PollPolicy(0, least_round=0.05)).once(0, thorough=False)
        return len(asyncio.all_tasks())

    assert asyncio.run(a_round()) == 1
    assert sorted(ended) == sorted(begun) == ["T0", "T1", "T2", "T3"]


def test_requests_that_failed_are_told_of_once_with_the_last_error(caplog):
    asked = []

    async def poll(transid):
        asked.append(transid)
        if len(asked) <= 3:
            raise IMIconnectTransientError(f"not now {len(asked)}")
        return answer(transid, "waiting")

    poller = a_poller(3, [], poll, max_concurrency=1)
    with caplog.at_level(logging.INFO):
        one_round(poller, 10)
        one_round(poller, 10)
    assert [(record.levelname, record.getMessage()) for record in caplog.records if record.name == __name__] == [
        ("WARNING", "3 status requests failed and are sent again. The last: not now 3"),
        ("INFO", "0 of 3 transactions have finished."),
        ("INFO", "0 of 3 transactions have finished."),
    ]


def test_where_all_are_finished_nothing_more_is_told(caplog):
    async def poll(transid):
        return answer(transid)

    with caplog.at_level(logging.INFO):
        one_round(a_poller(3, [], poll), 10)
        assert waited(a_poller(3, [], poll), 10)
    assert [record for record in caplog.records if record.name == __name__] == []


def test_records_left_open_are_told_of_in_full(caplog):
    async def poll(transid):
        return TransactionStatus(transid, "waiting", is_open=transid in ("T1", "T2"))

    with caplog.at_level(logging.INFO):
        one_round(a_poller(3, [], poll, max_concurrency=1), 10)
    assert caplog.messages[0] == (
        "2 transactions (first: T1) have a status that leaves open what became of some records. They are polled until "
        "it tells."
    )


def test_a_thorough_round_asks_about_all_though_there_are_no_news_and_ends_then():
    asked = []

    async def poll(transid):
        asked.append(transid)
        return answer(transid, "waiting")

    started = time.monotonic()
    one_round(a_poller(300, [], poll), 60, thorough=True)
    assert sorted(asked) == sorted(f"T{number}" for number in range(300))
    assert time.monotonic() - started < 0.9


def test_progress_is_told_every_half_minute(caplog, monkeypatch):
    clock, later, asked = time.monotonic, 0.0, []
    monkeypatch.setattr(time, "monotonic", lambda: clock() + later)

    async def poll(transid):
        nonlocal later
        asked.append(transid)
        later += 31 if len(asked) in (2, 4) else 1
        return answer(transid, "succeeded" if len(asked) == 6 else "waiting")

    with caplog.at_level(logging.INFO):
        assert waited(a_poller(1, [], poll, policy=PollPolicy(0.01)), 1000)
    assert caplog.messages.count("0 of 1 transactions have finished.") == 2
