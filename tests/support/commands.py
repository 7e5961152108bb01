"""The command line, run as a process."""

import os
import subprocess
import sys

COMMAND = (sys.executable, "-m", "airflow_imiconnect")


def run(*arguments, stdin=b"", **environment):
    """Run the command to its end; return its status and what it has printed to stdout and to stderr."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], input=stdin, capture_output=True, env=os.environ | environment, check=False
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def shell(script, *words):
    """Run a script of bash, in which "$@" is the command, "check" and the words."""
    command = ["bash", "-c", script, "bash", *COMMAND, "check", *map(str, words)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    return done.returncode, done.stdout.decode(), done.stderr.decode()
