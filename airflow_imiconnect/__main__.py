"""The command line: ``python -m airflow_imiconnect``."""

import sys

from airflow_imiconnect.cli.command_line import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m airflow_imiconnect"))
