"""What the verbs of the ``conducto`` command are made of, and how typed values are read."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from conducto.wire.fields import parse_duration
from conducto_cli.argument_parser import Parser

if TYPE_CHECKING:
    from conducto_cli.argument_parser import Parser

    Verbs = argparse._SubParsersAction[Parser]  # noqa: SLF001 - it has no other name


ID_HELP = "the pipeline; the beginning of its id is enough"
PATHS_HELP = "nodes, each with all below it; wildcards *, ? and ** are allowed"


def add_verb(verbs: Verbs, name: str, summary: str, more: str = "") -> Parser:
    """Add a verb to a command; ``summary`` is its line in the list of all."""
    return verbs.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}. {more}".strip(),
    )


def add_id(parser: argparse.ArgumentParser) -> None:
    """Add the pipeline that a verb is about."""
    parser.add_argument("id", metavar="ID", help=ID_HELP)


def add_json(*parsers: argparse.ArgumentParser) -> None:
    """Let verbs answer programs."""
    for parser in parsers:
        parser.add_argument("--json", action="store_true", help="machine-readable")


def a_time(text: str) -> float:
    """Return the seconds of a time that was typed."""
    try:
        return parse_duration(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be a time such as 30m or 2h, got {text!r}"
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


#: What is said to who gives a secret's value as a word.
NAME_ALONE = (
    "Give the name alone: a value on the command line is seen in the list of processes and stays "
    "in the shell's history. Type it when asked, pipe it in, or use --from-env VARIABLE"
)
