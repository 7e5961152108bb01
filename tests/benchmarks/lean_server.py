"""
A service that costs next to nothing, run as a process of its own: ``python lean_server.py LATENCY``.

It accepts whatever is submitted. A transaction of an app whose name has at most twelve signs is done half a second later.

It knows sets of transactions. A set's clock starts with the first question about it; from then on its transactions
finish one after another, at moments drawn at random. It counts the questions and knows when the last one finished.
"""
# ruff: noqa: T201 - its address goes to stdout

import asyncio
import json
import random
import re
import sys
import time
from collections import defaultdict
from urllib.parse import parse_qsl, urlsplit

STATUS = b"GET /resources/v2/profile/status/"
SUBMIT = b"POST /resources/v2/customerappprofile/"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
WAITING = json.dumps({"code": "7600", "description": "no result found"}).encode()
RESULTS = 3
QUEUE_SECONDS = 0.5


class Transactions:
    """A set of transactions that finish between ``first`` and ``last`` seconds after the first question."""

    def __init__(self, count, first, last, seed):
        chance = random.Random(seed)
        self.due = [chance.uniform(first, last) for _ in range(count)]
        self.started = self.started_at = None
        self.calls = 0
        self.finished = set()
        self.told_at = None

    def ask(self, number):
        """Count a question; tell whether the transaction has finished."""
        now = time.monotonic()
        if self.started is None:
            self.started, self.started_at = now, time.time()
        self.calls += 1
        return now - self.started >= self.due[number]

    def records(self, _):
        return RESULTS

    def told(self, number):
        """Take note that the caller has been told that it has finished."""
        self.finished.add(number)
        self.told_at = time.time()

    def to_json(self):
        last = self.started_at + max(self.due) if self.started_at else None
        return {"calls": self.calls, "told": len(self.finished), "told_at": self.told_at, "last_at": last}


class Submitted:
    """The transactions of an app, each with its moment and its records: done some seconds after it was accepted."""

    def __init__(self, accepted):
        self._accepted = accepted

    def ask(self, number):
        return time.monotonic() - self._accepted[number][0] >= QUEUE_SECONDS

    def records(self, number):
        return self._accepted[number][1]

    def told(self, _):
        """Nobody counts these."""


class Service:
    """All sets, by name: a transaction's id is its number, a filler, and the name of its set in twelve places."""

    def __init__(self, latency):
        self.latency = latency
        self.sets = {}
        self.submitted = defaultdict(list)

    def status(self, transid):
        number, name = int(transid[:8]), transid[-12:].lstrip("0")
        transactions = self.sets.get(name) or Submitted(self.submitted[name])
        if not transactions.ask(number):
            return WAITING
        transactions.told(number)
        count = transactions.records(number)
        customers = [{"customerId": f"C{number}-{place}", **_SUCCESS} for place in range(count)]
        counts = {"TotalCount": count, "SuccessCount": count, "FailureCount": 0}
        return json.dumps({**_SUCCESS, "transid": transid, **counts, "Results": customers}).encode()

    def accept(self, app, records):
        accepted = self.submitted[app]
        transid = f"{len(accepted):08d}-0000-4000-8000-{app:0>12}"
        accepted.append((time.monotonic(), records))
        return json.dumps({"response": {"code": "1001", "description": "Queued", "transid": transid}}).encode()

    def control(self, target):
        """Do what the benchmark asks for: make a set, or tell how it stands."""
        url = urlsplit(target)
        query = dict(parse_qsl(url.query))
        if url.path == "/new":
            numbers = (float(query[name]) for name in ("first", "last"))
            self.sets[query["name"]] = Transactions(int(query["count"]), *numbers, query["name"])
        figures = self.sets[query["name"]].to_json() | {"cpu_seconds": time.process_time(), "now": time.time()}
        return json.dumps(figures).encode()


_SUCCESS = {"code": "1000", "description": "SUCCESS"}


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive. asyncio sets TCP_NODELAY by itself."""

    def __init__(self, service):
        self._service = service
        self._buffer = bytearray()

    def connection_made(self, transport):
        self._transport = transport
        self._later = asyncio.get_running_loop().call_later

    def data_received(self, data):
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._buffer[:end])
            length = LENGTH.search(head)
            after = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < after:
                return
            records = self._buffer.count(b'"Attributes"', end, after)
            del self._buffer[:after]
            if head.startswith(SUBMIT):
                app = head[len(SUBMIT) : head.index(b" ", len(SUBMIT))].decode()
                self._later(self._service.latency, self._answer, self._service.accept, app, records)
            elif head.startswith(STATUS):
                transid = head[len(STATUS) : head.index(b" ", len(STATUS))].decode()
                self._later(self._service.latency, self._answer, self._service.status, transid)
            else:
                self._answer(self._service.control, head.split(b" ", 2)[1].decode())

    def _answer(self, handler, *arguments):
        body = handler(*arguments)
        if not self._transport.is_closing():
            self._transport.write(_HEAD % len(body) + body)


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


async def main(latency):
    """Serve until the process is ended."""
    service = Service(latency)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(service), "127.0.0.1", 0, backlog=256)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
