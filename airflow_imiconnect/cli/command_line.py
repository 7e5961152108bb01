"""The command line: ``airflow-imiconnect``, which is also ``python -m airflow_imiconnect``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from airflow_imiconnect.cli.streams import logs_on_stderr, tell

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None, prog: str = "airflow-imiconnect") -> int:
    """
    Run the command; return its exit status.

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
