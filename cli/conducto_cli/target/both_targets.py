"""Lists of both targets: this machine and the cloud."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from conducto_cli.target.connection import OpenClient
    from conducto_client import Client, ClientError

R = TypeVar("R")

#: The targets in the order of requests: the name, and the option that selects only the other.
_TARGETS = (("this machine", "--cloud"), ("the cloud", "--local"))


def gathered(
    openers: Sequence[OpenClient], read: Callable[[Client], Iterable[R]]
) -> tuple[list[R], dict[int, ClientError]]:
    """Return the entries of all targets, and ``{index of a target: error}``.

    Raises:
        conducto_client.ClientError: no target responds.
    """
    from conducto_cli.target.connection import message_of
    from conducto_client import ClientError

    found: list[R] = []
    away: dict[int, ClientError] = {}
    for number, open_client in enumerate(openers):
        try:
            with open_client() as client:
                found += read(client)
        except ClientError as error:
            away[number] = error
    if len(away) == len(openers):
        first, *others = away.values()
        for other in others:
            print(f"conducto: {message_of(other)}", file=sys.stderr)
        raise first
    return found, away


def report_away(away: Mapping[int, ClientError], what: str, command: str) -> None:
    """Print a warning for each target that did not respond.

    Args:
        away: From `gathered`.
    """
    from conducto_cli.target.connection import message_of

    for number, error in away.items():
        target, option = _TARGETS[number]
        print(
            f"conducto: the {what} of {target} are not listed: {message_of(error)}\n"
            f"To leave {target} out: conducto {command} {option}",
            file=sys.stderr,
        )
