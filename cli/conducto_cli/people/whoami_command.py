"""``conducto whoami``: the user of the profile's token."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto_cli.app.arguments import add_json
from conducto_cli.app.exit import DONE, FAILED
from conducto_cli.app.output import as_json

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser


def add_arguments(parser: Parser) -> None:
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    from conducto_cli.target import account as cloud_account
    from conducto_cli.text.text import count_of

    account = cloud_account.account_of(arguments.profile)
    if account is None:
        print("null" if arguments.json else cloud_account.NOT_LOGGED_IN)
        return FAILED
    with account.client() as client:
        who = client.who_am_i()
    cloud_account.warn_of_version(who)
    if arguments.json:
        print(as_json({"url": account.url, **who.model_dump(mode="json")}))
        return DONE
    print(
        f"{who.user} of {who.org} at {account.url}\n"
        f"plan: {who.plan}\n"
        f"may: {', '.join(who.permissions)}"
    )
    if who.warm is not None:
        minutes = who.warm.seconds / 60
        print(f"warm pool: up to {count_of(who.warm.workers, 'worker')}, {minutes:g} minutes each")
    return DONE
