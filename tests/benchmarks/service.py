"""The simulator in a process of its own, so that its work is not taken for the task's; and a file to submit to it."""

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import psutil

PROJECT = Path(__file__).resolve().parents[2]
KEY = "benchmark-key"


class Service:
    """A running simulator."""

    def __init__(self, process, url):
        self.url = url
        self._process = psutil.Process(process.pid)

    @property
    def connection(self):
        """The Airflow connection to it, as JSON."""
        return json.dumps({"conn_type": "imiconnect", "host": self.url, "password": KEY})

    @property
    def cpu_seconds(self):
        """What it has used so far."""
        times = self._process.cpu_times()
        return times.user + times.system


@contextmanager
def simulator(apps, latency):
    """Run the simulator for as long as the block lasts."""
    options = ["--port", "0", "--key", KEY, "--latency", str(latency), "--queue-time", "0"]
    options += [option for app in apps for option in ("--app", app)]
    command = [sys.executable, "-m", "airflow_imiconnect.simulator", *options]
    process = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        first_line = process.stdout.readline()  # IMIconnect simulator: http://127.0.0.1:43210
        yield Service(process, first_line.split()[-1])
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def write_records(path, count):
    """Write Facebook profiles as JSON Lines."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            attributes = {
                "status": "1",
                "verified": "1",
                "psid": f"{number:016d}",
                "customerId": f"C{number}",
                "name": f"Customer {number}",
                "profile_pic": f"https://example.com/pictures/{number}.jpg",
                "gender": "female",
                "locale": "en_GB",
                "timezone": "1",
                "channel": "fb",
                "createdOn": "2018-08-26 12:26:03",
                "updatedOn": "2018-08-26 12:26:03",
            }
            file.write(json.dumps({"customerId": f"C{number}", "Attributes": attributes}) + "\n")
