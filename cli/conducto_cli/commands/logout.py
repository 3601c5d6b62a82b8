"""``conducto logout``: forget the token of the cloud installation."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto_cli.exit_codes import DONE

if TYPE_CHECKING:
    import argparse

    from conducto_cli.argument_parser import Parser


def add_arguments(_parser: Parser) -> None:
    """Add nothing: the command has no arguments."""


def run(arguments: argparse.Namespace) -> int:
    """Forget the profile's token."""
    from conducto_cli import cloud_account

    if not cloud_account.forget(arguments.profile):
        print("not logged in")
        return DONE
    print(
        "logged out; the token itself stays valid until it expires: revoke it with 'conducto "
        "tokens revoke', or ask an administrator to"
    )
    return DONE
