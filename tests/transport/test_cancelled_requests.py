"""Requests of the asynchronous client that are cancelled: they are, and leave nothing behind."""

import asyncio
from contextlib import suppress

import pytest
from support.stand_ins import KEY

from airflow_imiconnect.profile_api.requests import status_request
from airflow_imiconnect.transport.async_client import AsyncClient
from airflow_imiconnect.transport.settings import Settings

STATUS = status_request("T")


def test_a_request_that_is_cancelled_in_the_moment_of_its_response_is_cancelled_all_the_same(sim):
    """Python 3.10 and 3.11 lose a cancellation where a task that was made for the call is done, and the call is not."""

    async def ask_and_cancel():
        async with AsyncClient(Settings(sim.url, KEY)) as client:
            await client.exchange(STATUS)
            others = asyncio.all_tasks()
            call = asyncio.ensure_future(client.exchange(STATUS))
            made = set()
            while not (call.done() or any(task.done() for task in made)):
                await asyncio.sleep(0)
                made |= asyncio.all_tasks() - others - {call}
            call.cancel()
            with suppress(asyncio.CancelledError):
                await call
            return call.cancelled() or not made

    assert asyncio.run(ask_and_cancel()) is True


@pytest.mark.parametrize("turns", range(12))
def test_a_client_that_is_cancelled_while_it_closes_leaves_nothing_open(sim, turns):
    """What is left open warns when it is collected, and a warning is an error here."""

    async def ask_and_be_cancelled():
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def cancel(left):
            loop.call_soon(cancel, left - 1) if left else task.cancel()

        async with AsyncClient(Settings(sim.url, KEY)) as client:
            await asyncio.gather(*(client.exchange(STATUS) for _ in range(8)))
            cancel(turns)
        await asyncio.sleep(1)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(ask_and_be_cancelled())


def test_requests_that_are_cut_short_leave_no_client_behind(sim):
    async def ask_and_cancel():
        async with AsyncClient(Settings(sim.url, KEY)) as client:
            for number in range(20):
                calls = [asyncio.ensure_future(client.exchange(STATUS)) for _ in range(4)]
                await asyncio.sleep(number / 2000)
                for call in calls:
                    call.cancel()
                await asyncio.gather(*calls, return_exceptions=True)
            answers = await asyncio.gather(*(client.exchange(STATUS) for _ in range(8)))
            return len(client._free), {answer.status for answer in answers}

    clients, statuses = asyncio.run(ask_and_cancel())
    assert clients <= 8
    assert statuses == {200}
