"""The command line: ``airflow-imiconnect``, which is also ``python -m airflow_imiconnect``."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from airflow_imiconnect.cli.streams import end_report, logs_on_stderr, tell

_INTERRUPTED = 130
_PROG = "airflow-imiconnect"


def run(prog: str = _PROG) -> int:
    """
    Run the command in a process of its own; return its exit status.

    :param prog: what the command is called in its help
    """
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "WARNING")  # Airflow's providers tell much about storages
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path may hold what the terminal cannot show
    status = main(prog=prog)
    end_report()
    return status


def main(arguments: Sequence[str] | None = None, prog: str = _PROG) -> int:
    """
    Run the command in this process; return its exit status.

    :param arguments: those of the command line by default
    :param prog: what the command is called in its help
    """
    try:
        with logs_on_stderr():  # Airflow is loaded here: that takes a second or two, in which Ctrl-C may come
            from airflow_imiconnect.cli.arguments import parse  # noqa: PLC0415
            from airflow_imiconnect.cli.check import check  # noqa: PLC0415
        return check(parse(prog, arguments))
    except KeyboardInterrupt:
        tell("Interrupted.", sys.stderr)
        return _INTERRUPTED
