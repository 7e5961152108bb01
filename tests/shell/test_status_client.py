"""The client that asks in the triggerer, and in a worker that waits."""

import asyncio
import gc

import pytest
from conftest import KEY

from airflow_imiconnect.settings import Settings
from airflow_imiconnect.status_client import StatusClient


def test_whoever_is_cancelled_while_it_closes_leaves_no_connection_open(sim):
    """Airflow ends a task at any moment; what is left open warns later on, in whatever runs then."""

    async def ask_and_be_cancelled():
        async with StatusClient(Settings(sim.url, KEY)) as client:
            answers = await asyncio.gather(*(client.get_profile_status("no-such-id") for _ in range(8)))
            asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)
        return answers

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(ask_and_be_cancelled())
    gc.collect()
