"""A coroutine that runs in a thread, and is cancelled from another one."""

import asyncio
import threading

import pytest

from airflow_imiconnect.polling.background_loop import BackgroundLoop


def test_it_returns_what_the_coroutine_returns():
    async def work():
        await asyncio.sleep(0)
        return 7

    assert BackgroundLoop(work).run() == 7


def test_it_raises_what_the_coroutine_raises():
    async def work():
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        BackgroundLoop(work).run()


def test_it_is_cancelled_from_another_thread():
    begun, ended = threading.Event(), []

    async def work():
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    loop = BackgroundLoop(work)

    def cancel():
        assert begun.wait(10)
        loop.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(asyncio.CancelledError):
        loop.run()
    thread.join()
    assert ended == [True]


def test_what_is_cancelled_before_it_begins_does_nothing():
    done = []

    async def work():
        done.append(True)

    loop = BackgroundLoop(work)
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run()
    assert done == []


def test_a_cancellation_that_comes_too_late_changes_nothing():
    async def work():
        return 7

    loop = BackgroundLoop(work)
    assert loop.run() == 7
    loop.cancel()


def test_generators_that_it_leaves_open_are_closed():
    closed, kept = [], []

    async def numbers():
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    async def work():
        kept.append(numbers())
        return await anext(kept[0])

    assert BackgroundLoop(work).run() == 1
    assert closed == [True]
