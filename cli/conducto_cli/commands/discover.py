"""``conducto discover``: a pipeline of the test files in a directory, printed, written or run."""

import argparse
import sys
from pathlib import Path

from conducto import discovery
from conducto import main as launching
from conducto.tree.nodes import Parallel
from conducto_cli.exit_codes import DONE, USAGE

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


def discover(arguments: argparse.Namespace) -> int:
    """Print the tree; with ``--write`` write a script; with launch flags launch it."""
    directory = Path(arguments.directory)
    try:
        tree = discovery.find_tests(str(directory), arguments.image)
    except discovery.NothingFoundError as error:
        print(f"conducto discover: {error}", file=sys.stderr)
        return USAGE
    if arguments.write is not None:
        return _write(Path(arguments.write), directory, arguments.image)

    def tests() -> Parallel:
        return tree

    run = getattr(launching, "main", launching)
    return int(run(variables={}, argv=_flags(arguments), default=tests, filename="conducto"))


def _flags(arguments: argparse.Namespace) -> list[str]:
    """Return the words of a launch as a script takes them."""
    names = ("local", "run", "detach", "plain")
    return [f"--{name}" for name in names if getattr(arguments, name)]


def _write(path: Path, directory: Path, image: str | None) -> int:
    target = directory / path
    if target.exists():
        print(f"conducto discover: {target}: is there already; give another name", file=sys.stderr)
        return USAGE
    given = "" if image is None else f", {image!r}"
    target.write_text(_SCRIPT.format(name=directory.resolve().name, image=given))
    print(f"{target} written; run it: python {target} --local --run")
    return DONE
