"""The ``conducto`` command: which function carries out which verb, imported when it is called."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

from conducto_cli.exit_codes import USAGE
from conducto_cli.parser import build_parser

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from conducto_cli.connection import OpenClient

    Opener = Callable[[str | None], OpenClient]

_ORDERS = "commands.actions:order"
#: ``{verb: module of this package : function}``; the function takes the arguments and what makes
#: clients of the agent. The first client starts it, so wrong usage is told before.
VERBS = {
    "list": "commands.list:list_",
    "show": "commands.show:show",
    "tree": "commands.tree:tree",
    "logs": "commands.logs:logs",
    "diff": "commands.diff:diff",
    "export": "commands.export:export",
    "images": "commands.images:images",
    "data": "commands.data:data",
    "run": _ORDERS,
    "pause": _ORDERS,
    "reset": _ORDERS,
    "skip": _ORDERS,
    "unskip": _ORDERS,
    "kill": _ORDERS,
    "rebuild": _ORDERS,
    "modify": _ORDERS,
    "sleep": _ORDERS,
    "wake": _ORDERS,
    "archive": _ORDERS,
    "debug": "commands.debug:debug",
    "livedebug": "commands.debug:debug",
    "secrets": "commands.secrets:secrets",
    "dump-serialization": "commands.dump:dump_serialization",
    "gc": "commands.gc:gc",
    "usage": "commands.usage:usage",
}
#: Those that need no agent: the function takes the arguments only.
ALONE = {
    "agent": "commands.agent:agent",
    "admin": "commands.admin:admin",
    "cloud-emulator": "commands.cloud_emulator:cloud_emulator",
    "deploy": "commands.deploy:deploy",
    "destroy": "commands.deploy:destroy",
    "doctor": "commands.doctor:doctor",
    "login": "commands.login:login",
    "logout": "commands.login:logout",
    "whoami": "commands.login:whoami",
    "discover": "commands.discover:discover",
    "completion": "commands.completion:completion",
    "share-directory": "commands.share:share_directory",
}


def main(argv: Sequence[str] | None = None, opener: Opener | None = None) -> int:
    """Run one command of ``conducto``; return its exit code.

    Args:
        argv: The words after ``conducto``; None takes those of the process.
        opener: Gives, for a profile, what makes clients of its agent; None is this machine's.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    if words[:1] == ["compile"]:  # what comes behind its FILE belongs to the script
        from conducto_cli.commands.compile import compile_command  # noqa: PLC0415

        return compile_command(words[1:])
    if words[:1] == ["plan"]:
        from conducto_cli.commands.plan import plan_command  # noqa: PLC0415

        return plan_command(words[1:])
    if words[:1] == ["complete-words"]:  # asked by the shell; no command for people
        from conducto_cli.commands.complete_words import complete_words  # noqa: PLC0415

        return complete_words(words[1:])
    parser = build_parser()
    try:
        arguments = parser.parse_args(words)
    except SystemExit as stop:  # argparse has printed the usage, an error or the version
        return stop.code if isinstance(stop.code, int) else USAGE
    if arguments.verb is None:
        parser.print_help()
        return USAGE
    from conducto_cli import connection  # noqa: PLC0415 - not for --help

    return connection.guarded(lambda: _run(arguments, opener))


def _run(arguments: argparse.Namespace, opener: Opener | None) -> int:
    if arguments.verb in ALONE:
        return int(function(ALONE[arguments.verb])(arguments))
    if opener is not None:
        clients = opener(arguments.profile)
    else:
        from conducto_cli.target import opener_for  # noqa: PLC0415 - not for --help

        clients = opener_for(arguments)
    return int(function(VERBS[arguments.verb])(arguments, clients))


def function(where: str) -> Callable[..., int]:
    """Return the function that ``module:function`` names."""
    module, _, name = where.partition(":")
    found: Callable[..., int] = getattr(importlib.import_module(f"conducto_cli.{module}"), name)
    return found
