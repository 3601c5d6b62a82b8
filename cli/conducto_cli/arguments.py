"""Arguments that several commands share, and how typed values are parsed."""

from __future__ import annotations

import argparse
import re
import time
from datetime import datetime
from typing import TYPE_CHECKING

from conducto.wire.fields import parse_duration
from conducto_core.model.deployment import EMULATOR_STAGE

if TYPE_CHECKING:
    from conducto_cli.argument_parser import Parser

    Subcommands = argparse._SubParsersAction[Parser]  # noqa: SLF001 - it has no other name

METHOD_HELP = "returns the tree, with its arguments; may be left out when only one method does"
#: References that need no name: the pipeline launched last, and the last one that failed.
SHORTCUTS = ("@last", "@failed")
ID_HELP = "the pipeline: its id or the beginning of it, its title, @last or @failed"
PATHS_HELP = "nodes, each with all below it; wildcards *, ? and ** are allowed"


def add_subcommand(commands: Subcommands, name: str, summary: str, details: str = "") -> Parser:
    """Add a command below another one, such as ``secrets set``."""
    description = f"{summary[0].upper()}{summary[1:]}. {details}".strip()
    return commands.add_parser(name, help=summary, description=description)


def add_id(parser: argparse.ArgumentParser) -> None:
    """Add the ID of a pipeline."""
    parser.add_argument("id", metavar="ID", help=ID_HELP)


def add_json(*parsers: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    for parser in parsers:
        parser.add_argument("--json", action="store_true", help="machine-readable")


def add_method(parser: argparse.ArgumentParser) -> None:
    """Add the words after a script's FILE, for ``--help`` and completion."""
    parser.add_argument("words", metavar="METHOD", nargs="*", help=METHOD_HELP)


def add_target(parser: argparse.ArgumentParser, text: str) -> None:
    """Add ``--local`` and ``--cloud``, also to the commands below a parser.

    Args:
        parser: Parser of a command.
        text: Their help, with ``{}`` in place of the target.
    """
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for below in action.choices.values():
                add_target(below, text)
    group = parser.add_mutually_exclusive_group()
    for target, place in (("local", "on this machine"), ("cloud", "in the cloud")):
        group.add_argument(
            f"--{target}",
            action="store_const",
            const=target,
            dest="target",
            # An option that is not given does not undo one in front of a subcommand.
            default=argparse.SUPPRESS,
            help=text.format(place),
        )


def add_stage(parser: argparse.ArgumentParser) -> None:
    """Add ``--stage`` and ``--region``, which select an installation."""
    parser.add_argument(
        "--stage", type=a_stage, default="main", help="the installation (default: main)"
    )
    parser.add_argument("--region", help="AWS region (default: that of the AWS configuration)")


def a_stage(text: str) -> str:
    """Return the name of an installation that was typed."""
    if re.fullmatch(r"[a-z][a-z0-9-]{0,15}", text) is None:
        raise argparse.ArgumentTypeError(
            f"must be lower-case letters, digits and '-', at most 16, got {text!r}"
        )
    if text == EMULATOR_STAGE:
        raise argparse.ArgumentTypeError(f"{text!r} is the name of the local emulator")
    return text


def a_time(text: str) -> float:
    """Return the seconds of a time that was typed."""
    try:
        return parse_duration(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be a time such as 30m or 2h, got {text!r}"
        ) from None


def a_time_within(shortest: str, longest: str, text: str) -> float:
    """Return the seconds of a time that was typed."""
    seconds = a_time(text)
    if not a_time(shortest) <= seconds <= a_time(longest):
        raise argparse.ArgumentTypeError(f"must be from {shortest} to {longest}, got {text!r}")
    return seconds


def a_moment(text: str) -> float:
    """Return a time that was typed, as ``10m`` before now or as a date, in seconds since 1970."""
    try:
        return time.time() - parse_duration(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(
            f"must be a time such as 10m or 2026-01-31T18:00, got {text!r}"
        ) from None


def a_positive(text: str) -> int:
    """Return a whole number above 0 that was typed."""
    number = a_count(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {text}")
    return number


def a_count(text: str) -> int:
    """Return a whole number that was typed."""
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}")
    return int(text)


def a_line_range(text: str) -> tuple[int, int | None]:
    """Return ``(first, last)`` of ``N``, ``N:`` or ``N:M``, counted from 1; None is the end."""
    first, colon, last = text.partition(":")
    begin = a_positive(first)
    if not colon:
        return begin, begin
    end = None if last == "" else a_positive(last)
    if end is not None and end < begin:
        raise argparse.ArgumentTypeError(f"ends before it begins: {text}")
    return begin, end
