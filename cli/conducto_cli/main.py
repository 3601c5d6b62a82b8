"""The entry point of the ``conducto`` command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from conducto_cli.app.exit import USAGE
from conducto_cli.app.parser import build_parser
from conducto_cli.app.registry import COMMANDS, RunSignature

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from conducto_cli.target.connection import OpenClient

    Opener = Callable[[str | None], OpenClient]


def main(argv: Sequence[str] | None = None, opener: Opener | None = None) -> int:
    """Run one command of ``conducto``; return its exit code.

    Args:
        argv: The words after ``conducto``; None takes those of the process.
        opener: Returns a factory of clients of a profile's agent. None: this machine's agent.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    first = words[0] if words else ""
    if first == "complete-words":  # run by completion in a shell, not by people
        from conducto_cli.app.completion import complete_words  # noqa: PLC0415 - no other command needs it

        return complete_words(words[1:])
    if first in COMMANDS and COMMANDS[first].call is RunSignature.WORDS:
        return int(COMMANDS[first].load().run(words[1:]))
    parser = build_parser()
    try:
        arguments = parser.parse_args(words)
    except SystemExit as stop:  # argparse has printed the usage, an error or the version
        return stop.code if isinstance(stop.code, int) else USAGE
    if arguments.verb is None:
        parser.print_help()
        return USAGE
    from conducto_cli.target.connection import guarded  # noqa: PLC0415 - not for --help

    return guarded(lambda: _run(arguments, opener))


def _run(arguments: argparse.Namespace, opener: Opener | None) -> int:
    command = COMMANDS[arguments.verb]
    run = command.load().run
    if command.call is RunSignature.ARGUMENTS:
        return int(run(arguments))
    if opener is not None:
        return int(run(arguments, opener(arguments.profile)))
    from conducto_cli.target.target import opener_for  # noqa: PLC0415 - not for --help

    return int(run(arguments, opener_for(arguments)))
