"""
One measurement in a process of its own: wait for a set of transactions with one trigger, or make bare httpx calls.

``python one_wait.py '{"kind": "trigger", "name": "a", "count": 10000, …}'`` prints the figures as JSON.
"""
# ruff: noqa: T201 - the figures go to stdout

import asyncio
import gc
import json
import sys
import time

import httpx
import psutil

PAUSE = 0.1


def transids(name, count):
    """Return ids as long as the service's own: number, filler, name of the set."""
    return [f"{number:08d}-0000-4000-8000-{name:0>12}" for number in range(count)]


class Beside:
    """Another trigger's stand-in: a loop of asyncio.sleep(0.1), which sees gaps and the process's memory."""

    def __init__(self):
        self._process = psutil.Process()
        self.gap = 0.0
        self.memory = self._process.memory_info().rss

    async def __aenter__(self):
        self._task = asyncio.create_task(self._loop())
        return self

    async def __aexit__(self, *_):
        self._task.cancel()

    async def _loop(self):
        woken = time.perf_counter()
        while True:
            await asyncio.sleep(PAUSE)
            now = time.perf_counter()
            self.gap, woken = max(self.gap, now - woken), now
            self.memory = max(self.memory, self._process.memory_info().rss)


async def with_trigger(name, count, poll_interval, max_poll_interval, concurrency, **_):
    """Wait with one trigger; return its event and the size of its row and event."""
    from airflow_imiconnect.triggers import IMIconnectProfileStatusTrigger  # noqa: PLC0415 - bare calls need none of it  # noqa: PLC0415 - bare httpx does without

    trigger = IMIconnectProfileStatusTrigger(
        transids=transids(name, count),
        imiconnect_conn_id="imiconnect_default",
        poll_interval=poll_interval,
        max_poll_interval=max_poll_interval,
        deadline=time.time() + 120,
        max_concurrency=concurrency,
    )
    events = [event async for event in trigger.run()]
    [payload] = [event.payload for event in events]
    if payload["state"] != "finished":
        raise RuntimeError(f"The trigger ended with {payload}.")
    return {"row_bytes": len(json.dumps(trigger.serialize())), "event_bytes": len(json.dumps(payload))}


async def with_httpx(name, count, url, key, concurrency, waiting, **_):
    """Make as many calls with httpx alone: first those that are told to wait, then those that are done."""
    urls = iter(
        [f"{url}/resources/v2/profile/status/{transid}" for transid in transids(f"{name}a", count)[:1] * waiting]
        + [f"{url}/resources/v2/profile/status/{transid}" for transid in transids(f"{name}b", count)]
    )

    async def ask(client):
        for one in urls:
            answer = await client.get(one)
            json.loads(answer.content)

    async with httpx.AsyncClient(headers={"key": key, "Accept": "application/json"}) as client:
        await asyncio.gather(*(ask(client) for _ in range(concurrency)))
    return {}


async def main(kind, warm_up, **options):
    """Import and connect once before the clock starts, then measure."""
    measured = with_trigger if kind == "trigger" else with_httpx
    await measured(**options | {"name": warm_up, "count": 1, "waiting": 0})
    gc.collect()
    async with Beside() as beside:
        await asyncio.sleep(2 * PAUSE)
        memory, beside.gap, cpu, started = beside.memory, 0.0, time.process_time(), time.perf_counter()
        figures = await measured(**options)
        ended_at, seconds = time.time(), time.perf_counter() - started
        cpu = time.process_time() - cpu
        await asyncio.sleep(2 * PAUSE)  # a gap right before the end must be seen
    grown = beside.memory - memory
    return figures | {"ended_at": ended_at, "seconds": seconds, "cpu_seconds": cpu, "gap": beside.gap, "grown": grown}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(**json.loads(sys.argv[1])))))
