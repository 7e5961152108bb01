"""
Run the benchmarks and say whether what must hold of them holds: ``make bench``.

A new benchmark is a file ``bench_<name>.py`` with a function ``run() -> Report``, and a line in BENCHMARKS.
"""
# ruff: noqa: T201, E402 - a command line prints; the modules beside it are found only after the path is set

import argparse
import json
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]  # tests/support, and the package itself

import bench_import
import bench_ledger
import bench_sizes
import bench_submitting
import bench_today
import bench_waiting
import psutil

BENCHMARKS = {
    "import": bench_import.run,
    "submitting": bench_submitting.run,
    "sizes": bench_sizes.run,
    "today": bench_today.run,
    "ledger": bench_ledger.run,
    "waiting": bench_waiting.run,
}


def environment():
    """Return what the figures depend on, but not whose machine it was."""
    return {
        "airflow": version("apache-airflow"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": psutil.cpu_count(),
        "load": round(psutil.getloadavg()[0], 2),
    }


def main():
    """Run the chosen benchmarks; return the exit status: 1 when something does not hold."""
    parser = argparse.ArgumentParser(description="Measure what must hold.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(BENCHMARKS)} (all of them)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    reports, about = {}, environment()
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    for name in options.names or BENCHMARKS:
        started = time.monotonic()
        reports[name] = BENCHMARKS[name]()
        print(f"\n== {name} ({time.monotonic() - started:.0f} s)\n{reports[name]}", flush=True)
    if options.json:
        figures = {"environment": about, **{name: report.to_json() for name, report in reports.items()}}
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0 if all(report.holds for report in reports.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
