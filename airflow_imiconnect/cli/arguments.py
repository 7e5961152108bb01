"""What the command line takes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from airflow_imiconnect import __version__
from airflow_imiconnect.cli.flags import TAB, in_flags
from airflow_imiconnect.profile_api.operations import MAX_RECORDS
from airflow_imiconnect.records.profile import CUSTOMER_ID
from airflow_imiconnect.records.sources.file_source import FORMATS
from airflow_imiconnect.records.sources.options import UTF8, ReadOptions
from airflow_imiconnect.tasks.arguments import options_problem

_VERSION = f"airflow-imiconnect {__version__}"
_STATUS = (
    "The exit status is 0 when all records can be sent, 1 when some cannot or the input cannot be read, "
    "2 for a mistake in the command line."
)


def parse(prog: str, arguments: Sequence[str] | None) -> argparse.Namespace:
    """
    Return the arguments; how the input is read is ``read_options`` among them.

    :param prog: what the command is called
    :param arguments: None for those of the process
    :raises SystemExit: with status 2 if they are wrong, with 0 after ``--help`` and ``--version``
    """
    parser = argparse.ArgumentParser(prog=prog, description="Tools beside the operators.")
    parser.add_argument("--version", action="version", version=_VERSION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "check",
        help="read and check input as the operator would, and send nothing",
        description=f"Read and check input as the operator would: say what is wrong and what would be sent. {_STATUS}",
    )
    _add_all(command)
    options = parser.parse_args(arguments)
    options.read_options = _read_options(options)
    if problem := _problem(options):
        command.error(problem)
    return options


def _add_all(command: argparse.ArgumentParser) -> None:
    command.add_argument("--version", action="version", version=_VERSION)
    command.add_argument(
        "path", nargs="+", metavar="PATH", help="a file, a folder, a pattern, a URL, a pipe, or - for standard input"
    )
    command.add_argument("--format", choices=FORMATS, default="auto", help="by default the ending of the name tells")
    command.add_argument("--strict", action="store_true", help="also ask for the attributes that a channel requires")
    command.add_argument(
        "--batch-size", type=_batch_size, default=MAX_RECORDS, metavar="N", help=f"records a request, {MAX_RECORDS}"
    )
    command.add_argument("--rejects", type=_file, metavar="FILE", help="where to write the records that cannot be sent")
    command.add_argument("--json", action="store_true", help="write one JSON object to stdout")
    _add_rows(command.add_argument_group("rows (CSV, Parquet, flat JSON objects)"))
    _add_text(command.add_argument_group("text (CSV, JSON, JSON Lines)"))


def _add_rows(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--customer-id-column", default=CUSTOMER_ID, metavar="COLUMN", help=f"what holds the id, {CUSTOMER_ID}"
    )
    group.add_argument(
        "--column",
        action="append",
        type=_column,
        default=[],
        metavar="COLUMN=ATTRIBUTE",
        help="what a column is called as an attribute; without ATTRIBUTE it is left out. COLUMN#2 is the second of "
        "that name; = alone leaves out a column without a name, *= all columns that are not named; may be repeated",
    )
    group.add_argument(
        "--attribute",
        action="append",
        type=_attribute,
        default=[],
        metavar="NAME=VALUE",
        help="what every row has; may be repeated",
    )
    group.add_argument(
        "--null-value",
        action="append",
        default=[],
        metavar="WORD",
        help="a text that stands for a missing value; may be repeated",
    )


def _add_text(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--encoding", default=UTF8, help=f"of the text, {UTF8}")
    group.add_argument("--skip-rows", type=_count, default=0, metavar="N", help="lines of CSV before the header row")
    for name in ("delimiter", "quotechar", "escapechar"):
        group.add_argument(f"--{name}", type=_character, metavar="CHARACTER", help="of CSV")


def _read_options(options: argparse.Namespace) -> ReadOptions:
    return ReadOptions(
        customer_id_column=options.customer_id_column,
        columns=dict(options.column),
        attributes=dict(options.attribute),
        null_values=tuple(options.null_value),
        encoding=options.encoding,
        skip_rows=options.skip_rows,
        delimiter=options.delimiter,
        quotechar=options.quotechar,
        escapechar=options.escapechar,
    )


def _problem(options: argparse.Namespace) -> str | None:
    for flag, pairs in (("--column", options.column), ("--attribute", options.attribute)):
        names = [name for name, _ in pairs]
        for name in names:
            if names.count(name) > 1:
                return f"argument {flag}: {name!r} is given more than once"
    problem = options_problem(options.read_options)
    return in_flags(problem) if problem else None


def _column(text: str) -> tuple[str, str | None]:
    column, sign, attribute = text.rpartition("=")  # an attribute's name has no =, a column's may
    if not sign:
        raise argparse.ArgumentTypeError(f"{text!r} is not COLUMN=ATTRIBUTE")
    return column, attribute or None


def _attribute(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise argparse.ArgumentTypeError("it must be NAME=VALUE")
    return name, value


def _file(text: str) -> str:
    if text in ("", "-"):
        raise argparse.ArgumentTypeError("it must be the path of a file")
    return text


def _character(text: str) -> str:
    text = TAB if text in ("\\t", "tab") else text
    if len(text) != 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not one character")
    return text


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError("must be a whole number")
    return int(text)


def _batch_size(text: str) -> int:
    if not 1 <= _count(text) <= MAX_RECORDS:
        raise argparse.ArgumentTypeError(f"must be 1 to {MAX_RECORDS}")
    return int(text)
