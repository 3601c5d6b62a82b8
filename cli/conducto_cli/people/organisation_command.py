"""``conducto org``: the organisations of a person in the cloud."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from conducto_cli.app.arguments import add_json, add_subcommand
from conducto_cli.app.exit import DONE, FAILED
from conducto_cli.app.records import show
from conducto_cli.text.text import table

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_core.people.model import MemberLogin


def add_arguments(parser: Parser) -> None:
    kinds = parser.add_subparsers(dest="what", metavar="list|switch|create|delete", required=True)
    listing = add_subcommand(
        kinds, "list", "list your organisations: of this login, and of other profiles"
    )
    switch = add_subcommand(
        kinds, "switch", "use another organisation of yours, by a profile of its own"
    )
    create = add_subcommand(kinds, "create", "create an organisation and become its owner")
    delete = add_subcommand(
        kinds,
        "delete",
        "delete an organisation with its pipelines, data and secrets",
        "It is refused while pipelines run.",
    )
    for each in (switch, create, delete):
        each.add_argument("name", metavar="NAME")
    delete.add_argument("--confirm", metavar="NAME", help="its name again, to be asked nothing")
    add_json(listing)


def run(arguments: argparse.Namespace) -> int:
    verbs = {"list": _list, "switch": _switch, "create": _create, "delete": _delete}
    return verbs[arguments.what](arguments)


def _list(arguments: argparse.Namespace) -> int:
    from conducto_cli.target import account as cloud_account
    from conducto_core.people.operations import LIST_ORGANISATIONS

    found = cloud_account.call(arguments, LIST_ORGANISATIONS).organisations
    url = cloud_account.needed_account(arguments.profile).url
    known = {one.name for one in found}
    rows = [(one.name, one.user, one.role or "", "*" if one.current else "") for one in found]
    rows += [
        (account.org, account.user, "", "")
        for _, account in cloud_account.profiles()
        if account.url == url and account.org not in known
    ]
    document = [one.model_dump(mode="json") for one in found]
    return show(arguments, document, table([("NAME", "USER", "ROLE", "CURRENT"), *rows]))


def _switch(arguments: argparse.Namespace) -> int:
    from conducto_cli.target import account as cloud_account
    from conducto_core.people.operations import SWITCH_ORGANISATION

    url = cloud_account.needed_account(arguments.profile).url
    for profile, account in cloud_account.profiles():
        if (account.url, account.org) == (url, arguments.name):
            cloud_account.use_by_default(profile)
            print(f"now {account.user} of {account.org} (profile {profile})")
            return DONE
    login = cloud_account.call(arguments, SWITCH_ORGANISATION, {"org": arguments.name})
    return _save_login(url, login)


def _create(arguments: argparse.Namespace) -> int:
    from conducto_cli.target import account as cloud_account
    from conducto_core.people.operations import CREATE_ORGANISATION

    url = cloud_account.needed_account(arguments.profile).url
    login = cloud_account.call(arguments, CREATE_ORGANISATION, body={"name": arguments.name})
    return _save_login(url, login)


def _save_login(url: str, login: MemberLogin) -> int:
    from conducto_cli.target import account as cloud_account

    name = cloud_account.save_login(
        cloud_account.SignedInAccount(url, login.token, login.org, login.user)
    )
    print(f"now {login.user} of {login.org}, as {login.role} (profile {name})")
    return DONE


def _delete(arguments: argparse.Namespace) -> int:
    from conducto_cli.target import account as cloud_account
    from conducto_core.people.operations import DELETE_ORGANISATION

    confirm = arguments.confirm
    if confirm is None:
        if not sys.stdin.isatty():
            print("conducto: repeat the name with --confirm NAME", file=sys.stderr)
            return FAILED
        print(f"This deletes {arguments.name} with all its pipelines, data and secrets, for good.")
        confirm = input("Its name, to confirm: ").strip()
    if confirm != arguments.name:
        print("conducto: the names differ; nothing was deleted", file=sys.stderr)
        return FAILED
    params: dict[str, object] = {"org": arguments.name, "confirm": confirm}
    done = cloud_account.call(arguments, DELETE_ORGANISATION, params)
    cloud_account.forget(arguments.profile)
    print(f"{done.name} is deleted, with {done.pipelines} pipelines; this profile is logged out")
    return DONE
