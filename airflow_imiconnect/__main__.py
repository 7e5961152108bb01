"""The command line: ``python -m airflow_imiconnect``."""

import sys

from airflow_imiconnect.cli.command_line import run

if __name__ == "__main__":
    sys.exit(run(prog="python -m airflow_imiconnect"))
