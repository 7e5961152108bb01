"""
Show the package at work: a real Airflow submits 250 sample profiles to a local IMIconnect simulator.

Everything stays on this machine, in the project's .demo/ folder. Run it with ``make demo``.
"""

from __future__ import annotations

import csv
import os
import shutil
import sys
import traceback
from collections import Counter
from dataclasses import dataclass
from typing import TextIO

import local_airflow as local

from airflow_imiconnect.simulator import Simulator

HOME = local.PROJECT / ".demo" / "airflow"
LOG = local.PROJECT / ".demo" / "demo.log"
SAMPLE = local.DAGS / "data" / "in_app_250.csv"
DAG_ID = "imiconnect_from_file"
APP_ID = "a_636035705699961900"
STORY = f"""\
A real Airflow submits {SAMPLE.relative_to(local.PROJECT)} to an IMIconnect simulator.
Nothing leaves this machine; all files are kept in .demo/ in this folder.
"""
WHERE_TO_LOOK = """
Where to look next
  README.md                      how to point the DAG at your own tenant
  dags/imiconnect_from_file.py   the DAG that has just run, for you to copy
  dags/imiconnect_from_task.py   the same for records returned by a task
  make ui                        this Airflow and the simulator in your browser
  .demo/demo.log                 the log of this Airflow"""


@dataclass(frozen=True)
class Line:
    """One line of the summary; what Airflow reports and what the simulator counted must agree."""

    label: str
    airflow: int
    simulator: int

    def __str__(self) -> str:
        """Return the line, with the discrepancy if there is one."""
        mark = "" if self.airflow == self.simulator else f"   <- but the simulator counts {self.simulator}"
        return f"  {self.label:<28}{self.airflow:>6}{mark}"


def run(terminal: TextIO) -> bool:
    """Run the example DAG against the simulator and report the result."""
    print(STORY, file=terminal)
    print("1. Starting the simulator and an empty Airflow ...", file=terminal)
    shutil.rmtree(HOME, ignore_errors=True)
    local.isolate(HOME)
    with Simulator(apps=(APP_ID,), latency=0.02, queue_time=3) as simulator:
        os.environ[local.CONNECTION_VARIABLE] = simulator.connection
        local.prepare_database()
        dag = local.load_dags()[DAG_ID]
        dag.task_dict["wait"].poke_interval = 1  # the simulator is faster than the service
        print(f"2. Running {DAG_ID}: submit, then wait until every profile exists ...", file=terminal)
        outcome = local.run_dag(dag)
        if outcome.state != "success":
            raise local.DemoError(f"The DAG run ended as {outcome.state}: {outcome.tasks}")
        return report(outcome, simulator, terminal)


def report(outcome: local.Outcome, simulator: Simulator, terminal: TextIO) -> bool:
    """Print the summary; return whether Airflow and the simulator agree."""
    submitted, waited = outcome.results["submit"], outcome.results["wait"]
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        in_file = sum(1 for _ in csv.DictReader(file))
    calls = Counter(call.kind for call in simulator.calls)
    held = len(simulator.profiles[APP_ID])
    seconds = simulator.calls[-1].time - simulator.calls[0].time
    lines = [
        Line("records read", submitted["records"], in_file),
        Line("accepted", submitted["accepted"], held),
        Line("created", waited["succeeded"], held),
        Line("failed", waited["failed"], in_file - held),
        Line("create requests", len(submitted["transids"]), calls["create"]),
    ]
    print("3. Done.\n", file=terminal)
    print(*lines, sep="\n", file=terminal)
    print(f"  {'status requests':<28}{calls['status']:>6}", file=terminal)
    print(f"  {'profiles in the simulator':<28}{held:>6}", file=terminal)
    print(f"  {'seconds, first to last':<28}{seconds:>6.1f}", file=terminal)
    if any(line.airflow != line.simulator for line in lines):
        print("\nThe demo failed: Airflow and the simulator disagree, see above.", file=terminal)
        return False
    print(WHERE_TO_LOOK, file=terminal)
    return True


def main() -> int:
    """Run the demo; return the exit status."""
    terminal = local.divert_chatter(LOG)
    try:
        return 0 if run(terminal) else 1
    except KeyboardInterrupt:
        print("\nStopped.", file=terminal)
        return 130
    except Exception as error:  # noqa: BLE001 - whatever happened, the user needs the cause and the log, not a traceback
        traceback.print_exc()
        print(f"\n{local.last_lines(LOG)}\n\nThe demo failed: {error}", file=terminal)
        print("The lines above are the end of .demo/demo.log; the rest is there.", file=terminal)
        return 1


if __name__ == "__main__":
    sys.exit(main())
