"""``conducto discover``: a pipeline of the test files in a directory, printed, written or run."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

import argparse
import sys
from pathlib import Path

from conducto.tree.nodes import Parallel
from conducto_cli.app.arguments import Parser
from conducto_cli.app.exit import DONE, USAGE

_SCRIPT = '''\
"""The tests of {name}, one node for each file; written by `conducto discover`."""

import os

import conducto as co
from conducto import discovery


def tests() -> co.Parallel:
    """Run every test file."""
    return discovery.find_tests(os.path.dirname(os.path.abspath(__file__)){image})


if __name__ == "__main__":
    co.main(default=tests)
'''


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "directory", metavar="DIR", nargs="?", default=".", help="default: the current one"
    )
    parser.add_argument(
        "--image",
        metavar="IMAGE",
        help="what to run the tests in (default: a Python with pytest and requirements.txt)",
    )
    parser.add_argument("--write", metavar="FILE", help="write a script into DIR instead")
    for name, text in (
        ("local", "launch it on this machine"),
        ("run", "start it at once"),
        ("detach", "do not stay with it"),
        ("plain", "lines instead of the live picture"),
    ):
        parser.add_argument(f"--{name}", action="store_true", help=text)


def run(arguments: argparse.Namespace) -> int:
    from conducto import discovery
    from conducto import main as launching

    directory = Path(arguments.directory)
    try:
        tree = discovery.find_tests(str(directory), arguments.image)
    except discovery.NothingFoundError as error:
        print(f"conducto discover: {error}", file=sys.stderr)
        return USAGE
    if arguments.write is not None:
        path = Path(arguments.write)
        target = directory / path
        if target.exists():
            print(f"conducto discover: {target}: file exists; give another name", file=sys.stderr)
            return USAGE
        given = "" if arguments.image is None else f", {arguments.image!r}"
        target.write_text(_SCRIPT.format(name=directory.resolve().name, image=given))
        print(f"{target} written; run it: python {target} --local --run")
        return DONE

    def tests() -> Parallel:  # `main` reads this annotation
        return tree

    launch = getattr(launching, "main", launching)
    return int(launch(variables={}, argv=_flags(arguments), default=tests, filename="conducto"))


def _flags(arguments: argparse.Namespace) -> list[str]:
    """Return the words of a launch as a script takes them."""
    names = ("local", "run", "detach", "plain")
    return [f"--{name}" for name in names if getattr(arguments, name)]
