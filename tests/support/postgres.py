"""A PostgreSQL of the tests' own: Debian's, in a folder of its own, on a port of this machine."""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path

import psycopg2

SETTINGS = ("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off")
NEEDED = "PostgreSQL is not installed. Debian and Ubuntu: apt-get install postgresql."


def programs():
    """Return the folder of initdb and postgres, or None."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


class Postgres:
    """Starts at once; ``stop`` ends it and removes its folder."""

    def __init__(self):
        self._folder = Path(tempfile.mkdtemp(prefix="imiconnect-postgres-"))
        self._user = self._someone()
        self.port = _free_port()
        data = str(self._folder / "data")
        self._run("initdb", "-D", data, "-A", "trust", "-U", "airflow", "--no-sync", "--locale", "C.UTF-8")
        self._process = subprocess.Popen(
            [programs() / "postgres", "-D", data, "-p", str(self.port), "-k", self._folder, *SETTINGS], **self._as
        )
        self._wait()

    @property
    def connection(self):
        """The connection as AIRFLOW_CONN_… takes it."""
        return self.with_extra()

    def with_extra(self, **extra):
        fields = {"conn_type": "postgres", "host": "127.0.0.1", "port": self.port}
        return json.dumps(fields | {"login": "airflow", "schema": "postgres", "extra": extra})

    def connect(self):
        return psycopg2.connect(host="127.0.0.1", port=self.port, user="airflow", dbname="postgres")

    def run(self, *statements):
        with closing(self.connect()) as connection, connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def stop(self):
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _someone(self):
        """PostgreSQL refuses to run as root."""
        if os.geteuid():
            return None
        names = {user.pw_name for user in pwd.getpwall()}
        user = "postgres" if "postgres" in names else "nobody"
        shutil.chown(self._folder, user)
        return user

    @property
    def _as(self):
        return {"cwd": self._folder, "user": self._user, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

    def _run(self, program, *arguments):
        subprocess.run([programs() / program, *arguments], check=True, **self._as)

    def _wait(self):
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with suppress(psycopg2.OperationalError):
                self.connect().close()
                return
            time.sleep(0.1)
        self.stop()
        raise TimeoutError("PostgreSQL has not started")


def _free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
