"""
The command line: ``python -m airflow_imiconnect check PATH…`` reads and checks input as the operator would.

Nothing is sent, and no connection is needed. The exit status is 0 when all records can be sent, 1 when some cannot or
the input cannot be read, 2 for a mistake in the command line.
"""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence

from airflow_imiconnect.errors import IMIconnectError
from airflow_imiconnect.profile_api.operations import MAX_RECORDS
from airflow_imiconnect.records.notes import Notes
from airflow_imiconnect.records.preview import Preview
from airflow_imiconnect.records.profile import CUSTOMER_ID
from airflow_imiconnect.records.sources.file_source import FORMATS
from airflow_imiconnect.records.sources.options import ReadOptions
from airflow_imiconnect.records.sources.raw import RawRecord, Source
from airflow_imiconnect.records.validation import check_records
from airflow_imiconnect.tasks.reading.storage import files_source

_PATIENCE = 1.0  # seconds without a progress bar
_PACE = 0.1  # seconds from one look of the bar to the next
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        return check(options)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:  # whoever reads has seen enough
        sys.stderr.close()
        return 1


def check(options: argparse.Namespace) -> int:
    """Check the input, and print what is wrong with it and what would be sent."""
    preview = Preview(options.batch_size, Notes())
    problem: IMIconnectError | None = None
    try:
        source = files_source(options.path, options.format, _table_options(options))
        raw = _with_bar(source, preview)
        for record in check_records(raw, strict=options.strict, on_problem=preview.add_problem):
            preview.add(record)
    except IMIconnectError as error:
        problem = error
    if preview.records or problem is None:
        print(preview)
    if problem:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problem or preview.unfit else 0


def _with_bar(source: Source, preview: Preview) -> Iterator[RawRecord]:
    """Yield the records; where that takes long, show on a terminal how far it is."""
    if not sys.stderr.isatty():
        yield from source
        return
    from rich.console import Console  # noqa: PLC0415 - only where there is somebody to look at it
    from rich.progress import Progress  # noqa: PLC0415 - as above

    with Progress(console=Console(stderr=True), transient=True, auto_refresh=False) as bar:
        task = bar.add_task("Checking", total=1.0, visible=False)
        next_look = time.monotonic() + _PATIENCE
        for raw in source:
            yield raw
            if (now := time.monotonic()) >= next_look:
                next_look = now + _PACE
                words = f"{preview.records:,} records checked, {preview.unfit:,} wrong"
                bar.update(task, description=words, completed=source.fraction, visible=True, refresh=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m airflow_imiconnect", description="Tools beside the operators.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "check",
        help="read and check input as the operator would, and send nothing",
        description="Read and check input as the operator would: say what is wrong and what would be sent, and send "
        "nothing. The exit status is 0 when all records can be sent, 1 when some cannot, 2 for a wrong command line.",
    )
    command.add_argument("path", nargs="+", metavar="PATH", help="a file, a folder, a pattern or a URL")
    command.add_argument("--format", choices=FORMATS, default="auto", help="by default the ending of the name tells")
    command.add_argument("--strict", action="store_true", help="also ask for the attributes that a channel requires")
    command.add_argument("--batch-size", type=_batch_size, default=MAX_RECORDS, metavar="N")
    table = command.add_argument_group("tables (CSV, Parquet)")
    table.add_argument("--customer-id-column", default=CUSTOMER_ID, metavar="COLUMN")
    table.add_argument(
        "--column",
        action="append",
        type=_pair,
        default=[],
        metavar="COLUMN=ATTRIBUTE",
        help="what a column is called as an attribute; nothing behind the = leaves it out",
    )
    table.add_argument(
        "--attribute", action="append", type=_pair, default=[], metavar="NAME=VALUE", help="what every row has"
    )
    for name in ("delimiter", "quotechar", "escapechar"):
        table.add_argument(f"--{name}", type=_character, metavar="CHARACTER")
    return parser


def _table_options(options: argparse.Namespace) -> ReadOptions:
    columns = {column: attribute or None for column, attribute in options.column}
    dialect = (options.delimiter, options.quotechar, options.escapechar)
    return ReadOptions(options.customer_id_column, columns, dict(options.attribute), (), "utf-8", 0, *dialect)


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=VALUE")
    return name, value


def _character(text: str) -> str:
    text = {"\\t": "\t", "tab": "\t"}.get(text, text)
    if len(text) != 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not one character")
    return text


def _batch_size(text: str) -> int:
    if not (text.isdigit() and 1 <= int(text) <= MAX_RECORDS):
        raise argparse.ArgumentTypeError(f"must be 1 to {MAX_RECORDS}")
    return int(text)
