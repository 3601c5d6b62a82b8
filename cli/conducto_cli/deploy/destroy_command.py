"""``conducto destroy``: removes an installation from an AWS account, except its data."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from conducto_cli.app.arguments import add_stage, add_yes, confirmed
from conducto_cli.app.exit import DONE
from conducto_cli.deploy.port import AccountError

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_cli.deploy.port import AwsAccount


def add_arguments(parser: Parser) -> None:
    add_stage(parser)
    parser.add_argument("--stop-workers", action="store_true", help="also while commands run")
    add_yes(parser)


def run(arguments: argparse.Namespace, account: AwsAccount | None = None) -> int:
    from conducto_cli.deploy.aws import BotoAccount
    from conducto_cli.deploy.command import failed, print_line
    from conducto_cli.deploy.deployment import DeployError, remove

    try:
        there = BotoAccount(arguments.region) if account is None else account
        ask = partial(confirmed, yes=arguments.yes)
        remove(there, ask, print_line, arguments.stage, stop_workers=arguments.stop_workers)
    except (AccountError, DeployError) as error:
        return failed(error)
    return DONE
