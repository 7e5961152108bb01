"""The two clients as plain functions, and requests for them."""

import asyncio
from contextlib import contextmanager

from airflow_imiconnect.profile_api.requests import Request
from airflow_imiconnect.transport.async_client import AsyncClient
from airflow_imiconnect.transport.sync_client import SyncClient

READ = Request("GET", "/resources/v2/profile/status/T", "status of T")
WRITE = Request("POST", "/resources/v2/customerappprofile/a_1", "create for app a_1", b'{"Records": []}')


@contextmanager
def in_a_thread(settings):
    client = SyncClient(settings)
    yield client.exchange
    client.close()


@contextmanager
def in_an_event_loop(settings):
    loop = asyncio.new_event_loop()

    async def enter():
        return await AsyncClient(settings).__aenter__()

    client = loop.run_until_complete(enter())
    yield lambda request: loop.run_until_complete(client.exchange(request))
    loop.run_until_complete(client.__aexit__(None, None, None))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
