"""Rounds of questions: when they end, and who is asked in them. The service is a function."""

import asyncio
import time
from collections import Counter

import pytest

from airflow_imiconnect.errors import IMIconnectRequestError, IMIconnectTransientError
from airflow_imiconnect.models import TransactionStatus
from airflow_imiconnect.pace import Pace
from airflow_imiconnect.retry import Limit, PollPolicy
from airflow_imiconnect.waiting import Watch


def a_watch(count, finished, max_concurrency=8):
    return Watch(
        [f"T{number}" for number in range(count)], finished.append, max_concurrency=max_concurrency, pace=Pace()
    )


def within(seconds, more=0.0):
    return Limit(time.time() + seconds, time.time() + seconds + more)


def answer(transid, state="succeeded"):
    return TransactionStatus(transid, state)


def waited(watch, ask, seconds, poll_interval):
    policy = PollPolicy(poll_interval)
    return asyncio.run(watch.until_finished(ask, policy, policy.limit(time.time() + seconds), lambda _: None))


def test_a_round_ends_in_time_though_cancellations_are_lost():
    """Python 3.10 and 3.11 lose one where the answer comes at that very moment (asyncio.wait_for)."""

    async def ask(transid):
        try:
            await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            return answer(transid)
        return answer(transid)

    finished = []
    watch = a_watch(2000, finished)
    started = time.monotonic()
    asyncio.run(watch.ask_round(ask, within(0)))
    assert time.monotonic() - started < 2
    assert len(finished) + watch.left == 2000
    assert len(finished) < 1000


def test_the_last_round_goes_on_while_it_finds_transactions_finished():
    async def ask(transid):
        await asyncio.sleep(0.02)
        return answer(transid)

    assert waited(a_watch(800, []), ask, seconds=0, poll_interval=30), "it takes two seconds"


@pytest.mark.parametrize(("poll_interval", "least", "most"), [(0.5, 0.9, 1.5), (2.0, 1.9, 2.9), (30, 3.4, 5.0)])
def test_the_last_round_ends_within_a_poll_and_soon_after_the_last_news(poll_interval, least, most):
    async def ask(transid):
        await asyncio.sleep(0.05)
        if int(transid[1:]) > 80:
            await asyncio.sleep(60)
        return answer(transid)

    watch = a_watch(200, [])
    started = time.monotonic()
    assert not waited(watch, ask, 0, poll_interval)
    assert least < time.monotonic() - started < most
    assert watch.left < 200


def test_the_last_round_waits_for_its_first_answer():
    async def ask(transid):
        await asyncio.sleep(1.5)
        return answer(transid)

    assert waited(a_watch(1, []), ask, seconds=0, poll_interval=30)


def test_the_last_round_asks_about_all_be_it_in_vain():
    async def ask(transid):
        await asyncio.sleep(0)
        return answer(transid, "waiting" if int(transid[1:]) < 300 else "succeeded")

    watch = a_watch(400, [])
    assert not waited(watch, ask, seconds=0.5, poll_interval=30)
    assert (watch.left, watch.first(1)) == (300, ["T0"])


def test_a_transaction_that_could_not_be_counted_is_asked_for_again():
    finished = []

    def count(status):
        if not finished:
            finished.append(None)
            raise OSError("the disk is full")
        finished.append(status.transid)

    async def ask(transid):
        return answer(transid)

    watch = Watch(["T0"], count, max_concurrency=1, pace=Pace())
    with pytest.raises(OSError, match="full"):
        asyncio.run(watch.ask_round(ask, within(1)))
    assert watch.left == 1
    asyncio.run(watch.ask_round(ask, within(1)))
    assert (watch.left, finished) == (0, [None, "T0"])


def test_those_that_fail_are_asked_again_until_all_are_answered_for():
    calls = Counter()

    def failures(transid):
        return {"1": 1, "2": 2, "3": 3}.get(transid[-1], 0)

    async def ask(transid):
        calls[transid] += 1
        if calls[transid] <= failures(transid):
            raise IMIconnectTransientError("not now")
        return answer(transid, "waiting" if int(transid[1:]) % 3 else "succeeded")

    finished = []
    watch = a_watch(600, finished)
    asyncio.run(watch.ask_all(ask, within(10)))
    assert (len(finished), watch.left) == (200, 400)
    assert calls == {transid: 1 + failures(transid) for transid in calls}


@pytest.mark.parametrize(("count", "calls_at_most"), [(1, 1), (50, 50), (5000, 110)])
def test_it_gives_up_where_there_is_no_answer_at_all(count, calls_at_most):
    calls = []

    async def ask(transid):
        calls.append(transid)
        raise IMIconnectTransientError("not now")

    watch = a_watch(count, [])
    asyncio.run(watch.ask_all(ask, within(10)))
    assert watch.left == count
    assert len(calls) <= calls_at_most


def test_a_retry_after_is_kept_before_those_that_failed_are_asked_again():
    times = []

    async def ask(transid):
        times.append(time.monotonic())
        if len(times) == 1:
            raise IMIconnectTransientError("not now", retry_after=1)
        return answer(transid)

    watch = a_watch(3, [], max_concurrency=1)
    asyncio.run(watch.ask_all(ask, within(10)))
    assert watch.left == 0
    assert times[2] - times[0] < 0.5
    assert times[3] - times[0] >= 1


def test_a_permanent_error_ends_a_round_at_once_and_no_error_is_left_behind():
    async def ask(transid):
        await asyncio.sleep(0)
        raise IMIconnectRequestError(f"{transid} is no id")

    with pytest.raises(IMIconnectRequestError):
        asyncio.run(a_watch(50, []).ask_round(ask, within(10)))


def test_what_was_asked_longest_ago_is_asked_first():
    asked = []

    async def ask(transid):
        asked.append(transid)
        return answer(transid, "waiting")

    watch = a_watch(250, [], max_concurrency=1)

    async def three_rounds():
        for _ in range(3):
            await watch.ask_round(ask, within(10))

    asyncio.run(three_rounds())
    assert asked == [f"T{number % 250}" for number in range(300)]


def test_the_first_of_those_that_wait_are_named_in_the_order_of_submission():
    async def ask(transid):
        return answer(transid, "succeeded" if transid == "T1" else "waiting")

    watch = a_watch(5, [])
    asyncio.run(watch.ask_round(ask, within(10)))
    assert watch.first(3) == ["T0", "T2", "T3"]
