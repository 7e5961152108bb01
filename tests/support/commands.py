"""The command line, run as a process."""

import os
import re
import subprocess
import sys

_LOGS = re.compile(r"^\d{4}-\d\d-\d\dT.*\n", re.MULTILINE)  # of Airflow, which tells more in some versions
COMMAND = (sys.executable, "-m", "airflow_imiconnect")


def run(*arguments, stdin=b"", logs=False, **environment):
    """Run the command to its end; return its status and what it, and Airflow where asked for, has printed."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], input=stdin, capture_output=True, env=os.environ | environment, check=False
    )
    errors = done.stderr.decode()
    return done.returncode, done.stdout.decode(), errors if logs else without_logs(errors)


def without_logs(text):
    """Leave out the lines that Airflow logs."""
    return _LOGS.sub("", text)


def shell(script, *words):
    """Run a script of bash, in which "$@" is the command, "check" and the words."""
    command = ["bash", "-c", script, "bash", *COMMAND, "check", *map(str, words)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    return done.returncode, done.stdout.decode(), without_logs(done.stderr.decode())
