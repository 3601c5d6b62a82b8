"""What the ``conducto`` command takes for the cloud; a part of `grammar`."""

import argparse
from collections.abc import Iterable
from typing import Any

_Parser = argparse.ArgumentParser
#: An option that is not given leaves alone what was given before the verb.
_KEEP: Any = argparse.SUPPRESS
#: What is said to who gives a token as a word.
LOGIN_HINT = (
    "--token takes '-' only, and then reads the token from standard input: "
    "conducto login --url URL --token - <file; without it you are asked"
)


def add_login(login: _Parser, logout: _Parser, whoami: _Parser) -> None:
    """Add the options of the verbs about an account."""
    login.add_argument(
        "--url", metavar="URL", help="of the API, as 'conducto deploy' printed it (default: as now)"
    )
    login.add_argument(
        "--token",
        metavar="-",
        help="read the token from standard input; without it you are asked for it",
    )
    whoami.add_argument("--json", action="store_true", help="machine-readable")
    del logout  # it takes nothing


#: What ``--local`` and ``--cloud`` say of a pipeline.
OF_A_PIPELINE = "the pipeline is {} (default: wherever its ID is known, here first)"


def add_side(parser: _Parser, *, default: str | None = _KEEP, told: str = OF_A_PIPELINE) -> None:
    """Add the options that say on which side a pipeline is, also below a verb's own verbs."""
    for below in _below(parser):
        add_side(below, told=told)
    group = parser.add_mutually_exclusive_group()
    for side, what in (("local", "on this machine"), ("cloud", "in the cloud")):
        group.add_argument(
            f"--{side}",
            action="store_const",
            const=side,
            dest="side",
            default=default,
            help=told.format(what),
        )


def _below(parser: _Parser) -> Iterable[_Parser]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            yield from action.choices.values()
