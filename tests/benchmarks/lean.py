"""Run the lean service, make sets of transactions in it, and ask how they stand."""

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import psutil
import requests

SERVER = Path(__file__).with_name("lean_server.py")
KEY = "benchmark-key"


class Lean:
    """
    A running lean service.

    :param url: where it listens
    """

    def __init__(self, process, url):
        self.url = url
        self._process = psutil.Process(process.pid)
        self._session = requests.Session()
        self._session.trust_env = False

    @property
    def connection(self):
        """The Airflow connection to it, as JSON."""
        return json.dumps({"conn_type": "imiconnect", "host": self.url, "password": KEY})

    def new(self, name, count, first, last):
        """Make a set of transactions, which finish that many seconds after the first question about one of them."""
        self._ask(f"/new?name={name}&count={count}&first={first}&last={last}")

    def stand(self, name):
        """Return the set's calls, when it began and when the last was done, and what the service has used."""
        return self._ask(f"/stand?name={name}")

    @property
    def cpu_seconds(self):
        """What it has used so far."""
        times = self._process.cpu_times()
        return times.user + times.system

    def close(self):
        self._session.close()

    def _ask(self, target):
        answer = self._session.get(self.url + target, timeout=10)
        answer.raise_for_status()
        return answer.json()


@contextmanager
def lean_service(latency):
    """Run it for as long as the block lasts."""
    process = subprocess.Popen(
        [sys.executable, str(SERVER), str(latency)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    service = None
    try:
        service = Lean(process, process.stdout.readline().strip())
        yield service
    finally:
        if service:
            service.close()
        process.terminate()
        process.wait(10)
        process.stdout.close()
