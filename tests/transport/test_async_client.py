"""The client of an event loop."""

import asyncio
import gc

import psutil
import pytest
from support.peers import server
from support.stand_ins import KEY

from airflow_imiconnect.errors import IMIconnectTransientError
from airflow_imiconnect.profile_api.requests import status_request
from airflow_imiconnect.transport.async_client import AsyncClient
from airflow_imiconnect.transport.settings import Settings


def test_whoever_is_cancelled_while_it_closes_leaves_no_connection_open(sim):
    """Airflow ends a task at any moment; what is left open warns later on, in whatever runs then."""

    async def ask_and_be_cancelled():
        async with AsyncClient(Settings(sim.url, KEY)) as client:
            await asyncio.gather(*(client.exchange(status_request("no-such-id")) for _ in range(8)))
            asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)
            await asyncio.sleep(1)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(ask_and_be_cancelled())
    gc.collect()


def test_a_flood_is_taken_no_faster_than_it_is_read():
    def serve(peer):
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        peer.drip((b"1;" + b"x" * 30_000 + b"\r\n \r\n") * 16, 0)

    async def poll(url):
        process, sizes = psutil.Process(), []
        async with AsyncClient(Settings(url, KEY, timeout=2)) as client:
            request = asyncio.ensure_future(client.exchange(status_request("T")))
            while not request.done():
                sizes.append(process.memory_info().rss)
                await asyncio.sleep(0.01)
            with pytest.raises(IMIconnectTransientError):
                await request
        return (max(sizes) - sizes[0]) / 2**20

    with server(serve) as there:
        assert asyncio.run(poll(there.url)) < 100  # MB; it was a GB a second
