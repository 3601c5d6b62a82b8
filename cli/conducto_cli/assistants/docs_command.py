"""``conducto docs``: a search in the documentation of this version, without a network."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the search is imported when the command runs.

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from conducto_cli.app.arguments import a_count
from conducto_cli.app.exit import DONE, FAILED

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser


def add_arguments(parser: Parser) -> None:
    parser.add_argument("query", metavar="QUERY", nargs="+", help="words, or one name")
    parser.add_argument(
        "--limit", type=a_count, default=3, help="maximum number of sections (default: 3)"
    )


def run(arguments: argparse.Namespace) -> int:
    from conducto_core.assistants.pages import search

    query = " ".join(arguments.query)
    found = search(query, arguments.limit)
    if not found:
        print(f"nothing in the documentation has all words of {query!r}", file=sys.stderr)
        return FAILED
    print("\n\n".join(section.text() for section in found))
    return DONE
