"""``conducto destroy``: removes an installation from an AWS account, except its data."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto_cli.arguments import add_stage
from conducto_cli.confirmation import asker
from conducto_cli.deploy.ports import AccountError
from conducto_cli.exit_codes import DONE

if TYPE_CHECKING:
    import argparse

    from conducto_cli.argument_parser import Parser
    from conducto_cli.deploy.ports import Account


def add_arguments(parser: Parser) -> None:
    """Add the options."""
    add_stage(parser)
    parser.add_argument("--stop-workers", action="store_true", help="also while commands run")
    parser.add_argument("--yes", action="store_true", help="ask nothing")


def run(arguments: argparse.Namespace, account: Account | None = None) -> int:
    """Remove the stacks that hold no data, and list the others; return the exit code."""
    from conducto_cli.commands.deploy import failed, say
    from conducto_cli.deploy.aws import BotoAccount
    from conducto_cli.deploy.deployment import DeployError
    from conducto_cli.deploy.removal import remove

    try:
        there = BotoAccount(arguments.region) if account is None else account
        ask = asker(yes=arguments.yes)
        remove(there, ask, say, arguments.stage, stop_workers=arguments.stop_workers)
    except (AccountError, DeployError) as error:
        return failed(error)
    return DONE
