"""``python -m airflow_imiconnect.simulator``: serve until Ctrl-C or SIGTERM."""

# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import textwrap
import threading
from typing import NoReturn

from airflow_imiconnect.simulator.faults import CALL_KINDS, KINDS, Fault
from airflow_imiconnect.simulator.simulator import DEFAULT_APPS, DEFAULT_KEY, Simulator

DEFAULT_PORT = 8085
PORT_TAKEN = 1
BAD_USAGE = 2


class _Parser(argparse.ArgumentParser):
    """Reports a usage error in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_USAGE, f"{self.prog}: {message}\n")


def _fault(text: str) -> tuple[tuple[str, int], Fault]:
    """Parse ``3=7006`` or ``status:2=down:5``."""
    call, equals, fault = text.partition("=")
    kind, colon, number = call.rpartition(":")
    kind = kind if colon else "create"
    if not equals or kind not in CALL_KINDS or not number.isdecimal() or int(number) < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a REQUEST=KIND pair: write a request and a fault, such as 3=7006 or status:2=down:5"
        )
    try:
        return (kind, int(number)), Fault.parse(fault)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def _queue_time(text: str) -> float | None:
    return None if text == "none" else _number(text)


def _fault_help() -> str:
    lines = ["kinds of fault (write the parameter after a colon, as in down:5):"]
    for name, kind in KINDS.items():
        form = f"{name}[:{kind.unit.upper()}]" if kind.unit else name
        default = f" ({kind.default:g})" if isinstance(kind.default, float) else ""
        lines.append(f"  {form:<22}{kind.about}{default}")
    lines.append(f"  {'7006, 7020, ...':<22}a response with this code; nothing is processed")
    return "\n".join(lines)


def make_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = _Parser(
        prog="python -m airflow_imiconnect.simulator",
        usage="%(prog)s [options]",
        description="A local IMIconnect to experiment with: it creates app profiles and reports their status.",
        epilog=_fault_help(),
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=26, width=110),
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="the loopback address to serve on (%(default)s); there is no TLS")
    add("--port", type=_whole_number, default=DEFAULT_PORT, help="the port (%(default)s); 0 picks a free one")
    add("--key", default=DEFAULT_KEY, help="the profile key that requests must carry (%(default)s)")
    add("--app", action="append", metavar="ID", help="the id of an existing app; repeatable (default: some demo apps)")
    add("--latency", type=_number, default=0.0, metavar="SECONDS", help="how long a response takes (%(default)g)")
    add(
        "--queue-time",
        type=_queue_time,
        default=2.0,
        metavar="SECONDS",
        help="how long a create stays queued (%(default)g); none creates the profiles at once",
    )
    add("--rate", type=_number, metavar="N", help="requests per second; those above it get 7020 (default: no limit)")
    add(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar="REQUEST=KIND",
        help="what goes wrong: 3=7006 for the third create, status:2=http_502_html for the second status; repeatable",
    )
    add(
        "--shape",
        choices=("results", "seed"),
        default="results",
        help="the response to a queued create: one result per record, or only the transid (%(default)s)",
    )
    add("--strict", action="store_true", help="refuse an empty status, and require Twitter's tokens")
    add("--whole-call", action="store_true", help="refuse the whole request if the content of one record is invalid")
    return parser  # fmt: skip


def welcome(sim: Simulator) -> str:
    """Return the text to print once the simulator is running."""
    return textwrap.dedent(f"""\
        IMIconnect simulator: {sim.url}
        Its contents:         {sim.url}/ (open it in your browser)
        Apps:                 {", ".join(sim.apps)}
        Point Airflow at it:
          export AIRFLOW_CONN_IMICONNECT_DEFAULT={shlex.quote(sim.connection)}
        Press Ctrl-C to stop it; nothing is saved.""")


def main(arguments: list[str] | None = None) -> int:
    """Serve; return the exit status: 0 after Ctrl-C or SIGTERM, 1 if the port is unavailable, 2 for a bad option."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        sim = Simulator(
            key=options.key,
            apps=options.app or DEFAULT_APPS,
            host=options.host,
            port=options.port,
            latency=options.latency,
            queue_time=options.queue_time,
            rate=options.rate,
            faults=dict(options.fault),
            shape=options.shape,
            strict=options.strict,
            whole_call=options.whole_call,
        )
    except ValueError as error:
        parser.error(str(error))
    end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end.set())
    try:
        sim.start()
    except OSError as error:
        print(f"{parser.prog}: cannot listen on {sim.host}:{sim.port}: {error.strerror}", file=sys.stderr)
        return PORT_TAKEN
    with sim:
        print(welcome(sim), flush=True)
        end.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
