"""The pace, with callers that sleep on a clock of the test's own."""

import heapq
import itertools
import threading
import time
from types import SimpleNamespace

import pytest

from airflow_imiconnect.pacing import rate_limiter
from airflow_imiconnect.pacing.rate_limiter import RateLimiter

LATENCY = 0.05


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(rate_limiter, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def calls_of(clock, pace, callers, seconds, service):
    """Let callers call one after another for so long; return when calls started, and whether they were taken."""
    began, calls, tie = clock.now, [], itertools.count()

    def caller():
        while True:
            yield from pace.pauses()
            started = clock.now - began
            taken = service(started)
            calls.append((started, taken))
            yield LATENCY
            pace.speed_up() if taken else pace.slow_down()

    agenda = [(clock.now, next(tie), caller()) for _ in range(callers)]
    while agenda[0][0] < began + seconds:
        clock.now, _, one = heapq.heappop(agenda)
        heapq.heappush(agenda, (clock.now + next(one), next(tie), one))
    return calls


def taken_between(calls, first, last):
    return sum(1 for started, taken in calls if taken and first <= started < last)


def limited_to(rate, burst=10):
    """Return a service that takes so many calls a second, and refuses the others."""
    bucket = SimpleNamespace(tokens=burst, at=0.0)

    def service(now):
        bucket.tokens, bucket.at = min(burst, bucket.tokens + (now - bucket.at) * rate), now
        taken = bucket.tokens >= 1
        bucket.tokens -= taken
        return taken

    return service


@pytest.mark.parametrize("callers", [1, 4, 64])
@pytest.mark.parametrize("refusing", [5, 30, 300])
@pytest.mark.parametrize("limit", [None, 20])
def test_after_a_time_of_refusals_the_rate_is_back_within_seconds(clock, callers, refusing, limit):
    well = 10.0 + refusing
    calls = calls_of(clock, RateLimiter(limit), callers, well + 20, lambda now: not 10 <= now < well)
    usual = taken_between(calls, 0, 10) / 10
    assert taken_between(calls, well, well + 2.5) >= 1
    assert taken_between(calls, well + 10, well + 20) / 10 > 0.8 * usual


@pytest.mark.parametrize("taken", [0.0, 0.1])
def test_a_service_that_takes_hardly_a_call_from_the_beginning_holds_nobody_up_afterwards(clock, taken):
    chance = itertools.cycle([True] * int(10 * taken) + [False] * int(10 - 10 * taken))
    calls = calls_of(clock, RateLimiter(), 64, 30 + 20, lambda now: now >= 30 or next(chance))
    assert taken_between(calls, 40, 50) / 10 > 0.8 * 64 / LATENCY


def test_a_service_that_refuses_all_is_not_flooded(clock):
    calls = calls_of(clock, RateLimiter(), 64, 60, lambda _: False)
    assert sum(1 for started, _ in calls if started > 30) <= 16


@pytest.mark.parametrize("callers", [1, 8, 64])
def test_the_own_limit_is_kept_in_every_second_and_calls_are_spread_evenly(clock, callers):
    calls = [started for started, _ in calls_of(clock, RateLimiter(10), callers, 20, lambda _: True)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(calls)]
    assert min(gaps) > 0.0999
    assert len(calls) >= 198


@pytest.mark.parametrize(("callers", "limit"), [(4, 20), (8, 40), (64, 40), (64, 3), (64, 200)])
def test_the_rate_settles_near_a_limit_that_is_not_known(clock, callers, limit):
    calls = calls_of(clock, RateLimiter(), callers, 140, limited_to(limit))
    later = [taken for started, taken in calls if started > 40]
    possible = 100 * min(limit, callers / LATENCY)
    assert sum(later) > 0.7 * possible
    assert later.count(False) < 0.15 * len(later)


def test_a_retry_after_holds_all_calls(clock):
    pace = RateLimiter()
    pace.slow_down(30)
    calls = calls_of(clock, pace, 8, 40, lambda _: True)
    assert 29.9 < calls[0][0] < 31


def test_who_gives_up_waiting_holds_nobody_up(clock):
    pace = RateLimiter(1)
    assert list(pace.pauses()) == [], "the first turn is there at once"
    waiting = [pace.pauses() for _ in range(50)]
    assert [next(one) for one in waiting] == [0.5] * 50
    for one in waiting:
        one.close()
    clock.now += 1
    assert list(pace.pauses()) == []


def test_a_pace_slows_down_once_for_many_refusals_and_never_exceeds_its_own_limit():
    pace = RateLimiter(100)
    for _ in range(50):
        pace.slow_down()
    slow = pace.requests_per_second
    assert 0 < slow < 100
    for _ in range(10_000):
        pace.speed_up()
    assert pace.requests_per_second == 100
    crawling = RateLimiter(0.05)
    crawling.slow_down()
    assert crawling.requests_per_second == 0.05


def test_a_stop_wakes_who_waits_for_a_turn():
    pace, stopped = RateLimiter(0.001), threading.Event()
    pace.wait(stopped)
    stopped.set()
    started = time.monotonic()
    pace.wait(stopped)
    assert time.monotonic() - started < 5
