"""
Do the tests notice a mistake? Mutates profile_api, submission and polling, and runs the three rooms' own tests.

``make mutants`` tries a sample of the mutants that mutmut makes, and prints those that survive. ``ARGS="--sample 300
--seed 7"`` takes more of them, or others; ``ARGS="NAME ..."`` takes exactly these (``*`` stands for anything). The
survivors that change nothing a caller can see are listed in tests/mutants.md, with the reason. It fails if less than
90 % of the rest are caught. ``.venv/bin/mutmut browse`` shows the last run.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parents[1]
os.chdir(PROJECT)  # mutmut reads pyproject.toml when it is imported

from mutmut.mutation.data import SourceFileMutationData  # noqa: E402 - as above
from mutmut.mutation.diff_apply import get_diff_for_mutant  # noqa: E402
from mutmut.mutation.file_mutation import mutate_file_contents  # noqa: E402
from mutmut.stats import status_by_exit_code  # noqa: E402
from mutmut.utils.format_utils import get_mutant_name, orig_function_and_class_names_from_key  # noqa: E402

ROOMS = ("profile_api", "submission", "polling")
LISTED = PROJECT / "tests" / "mutants.md"
WANTED = 90  # per cent
SURVIVED = ("survived", "no tests")
CAUGHT = ("killed", "timeout", "segfault")  # what runs for too long is killed at last, which mutmut calls a segfault


class Mutant(NamedTuple):
    """A mutant and what came of it."""

    name: str
    path: Path
    status: str = ""

    @property
    def room(self) -> str:
        """The room that it is in."""
        return self.path.parts[1]

    @property
    def change(self) -> list[str]:
        """The lines that differ, as in a diff."""
        lines = get_diff_for_mutant(self.name, path=self.path).splitlines()[2:]
        return [line for line in lines if line[:1] in "+-"]

    @property
    def is_listed(self) -> bool:
        """Whether tests/mutants.md says why no test can catch it."""
        listed = [line.strip() for line in LISTED.read_text(encoding="utf-8").splitlines()]
        return "\n".join(_plain(self.change)) in "\n".join(_plain(listed))

    @property
    def line(self) -> int:
        """Where it is in its file."""
        function, owner = orig_function_and_class_names_from_key(self.name)
        tree: ast.AST = ast.parse(self.path.read_text(encoding="utf-8"))
        if owner:
            tree = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == owner)
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        found = next(node for node in ast.walk(tree) if isinstance(node, kinds) and node.name == function)
        return found.lineno + _first_changed(get_diff_for_mutant(self.name, path=self.path).splitlines())


def _plain(lines: Iterable[str]) -> list[str]:
    return [line[:1] + line[1:].strip() for line in lines]


def _first_changed(diff: Sequence[str]) -> int:
    at = next(index for index, line in enumerate(diff) if line.startswith("@@"))
    start = int(diff[at].split()[1].lstrip("-").partition(",")[0])
    return start - 1 + next(index for index, line in enumerate(diff[at + 1 :]) if line[:1] in "+-")


def all_mutants() -> list[Mutant]:
    """Return every mutant of the rooms, in the order of files and lines."""
    paths = sorted(path for room in ROOMS for path in Path("airflow_imiconnect", room).glob("*.py"))
    return [
        Mutant(get_mutant_name(path, name), path)
        for path in paths
        for name in mutate_file_contents(str(path), path.read_text(encoding="utf-8")).mutant_names
    ]


def run(mutants: Sequence[Mutant]) -> list[Mutant]:
    """Run the tests on each mutant, and return the mutants with what came of them."""
    shutil.rmtree("mutants", ignore_errors=True)  # what an earlier run knows of the tests may be out of date
    mutmut = Path(sys.executable).with_name("mutmut")
    run = [str(mutmut), "run", "--max-children", str(os.cpu_count() or 1), *(mutant.name for mutant in mutants)]
    answer = subprocess.run(run, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if answer.returncode:
        said = answer.stdout.replace("\r", "\n").splitlines()
        told = [line[:200] for line in said if line.strip() and " Running " not in line]
        sys.exit(f"{chr(10).join(told[-40:])}\nerror: mutmut has failed; see above.")
    codes = {}
    for path in {mutant.path for mutant in mutants}:
        data = SourceFileMutationData(path=path)
        data.load()
        codes.update(data.exit_code_by_key)
    return [mutant._replace(status=status_by_exit_code[codes[mutant.name]]) for mutant in mutants]


def report(mutants: Sequence[Mutant]) -> int:
    """Print the survivors and the figures; return the exit code."""
    survivors = [mutant for mutant in mutants if mutant.status in SURVIVED]
    equivalent = {mutant.name for mutant in survivors if mutant.is_listed}
    for mutant in survivors:
        if mutant.name not in equivalent:
            print(f"\n{mutant.path}:{mutant.line}: {mutant.status}: {mutant.name}", *mutant.change, sep="\n")
    print(f"\n{'room':<12}{'mutants':>8}{'caught':>8}{'listed':>8}{'missed':>8}")
    for room in ROOMS:
        here = [mutant for mutant in mutants if mutant.room == room]
        caught = sum(mutant.status in CAUGHT for mutant in here)
        listed = sum(mutant.name in equivalent for mutant in here)
        missed = sum(mutant.status in SURVIVED for mutant in here) - listed
        print(f"{room:<12}{len(here):>8}{caught:>8}{listed:>8}{missed:>8}")
    statuses = Counter(mutant.status for mutant in mutants)
    caught, judged = sum(statuses[status] for status in CAUGHT), sum(statuses[status] for status in CAUGHT + SURVIVED)
    share = 100 * caught / max(1, judged - len(equivalent))
    print(f"\n{share:.1f} % of those not listed in {LISTED.relative_to(PROJECT)} were caught. {dict(statuses)}")
    return int(judged < len(mutants) or share < WANTED)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().partition("\n")[0])
    parser.add_argument("names", nargs="*", help="mutants; without them, a sample of all")
    parser.add_argument("--sample", type=int, default=150, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (default: %(default)s)")
    arguments = parser.parse_args()
    mutants = all_mutants()
    if arguments.names:
        chosen = [mutant for mutant in mutants if any(fnmatch(mutant.name, name) for name in arguments.names)]
        what = "those named"
    else:
        count = min(arguments.sample, len(mutants))
        chosen = sorted(random.Random(arguments.seed).sample(mutants, count))  # noqa: S311 - no secret
        what = f"a sample with the seed {arguments.seed}"
    if not chosen:
        parser.error("no mutant has such a name")
    print(f"{len(chosen)} of {len(mutants)} mutants, {what}. This takes some minutes ...", flush=True)
    started = time.monotonic()
    code = report(run(chosen))
    print(f"{time.monotonic() - started:.0f} s")
    return code


if __name__ == "__main__":
    sys.exit(main())
