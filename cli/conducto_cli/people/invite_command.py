"""``conducto invite``: invitations to an organisation in the cloud."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto_cli.app.arguments import add_json, add_subcommand
from conducto_cli.app.exit import DONE
from conducto_cli.app.records import day, show, show_list

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from conducto_cli.app.arguments import Parser
    from conducto_core.people.model import Invitation, InvitationLink

#: Roles of a member.
ROLES = ("viewer", "member", "admin", "owner")


def add_arguments(parser: Parser) -> None:
    kinds = parser.add_subparsers(dest="what", metavar="create|list|withdraw", required=True)
    create = add_subcommand(
        kinds,
        "create",
        "invite somebody",
        "It prints a link that is valid for 7 days and once. It is mailed only where the "
        "installation has a mail server (the setting smtp_url).",
    )
    create.add_argument("email", metavar="EMAIL")
    create.add_argument("--role", choices=ROLES, default="member", help="(default: member)")
    create.add_argument(
        "--user",
        help="user id, for example of somebody who left, to give their data and secrets back "
        "(default: a new one, from the address)",
    )
    listing = add_subcommand(kinds, "list", "list the invitations that can still be accepted")
    withdraw = add_subcommand(kinds, "withdraw", "withdraw an invitation")
    withdraw.add_argument("id", metavar="INVITATION_ID", help="as 'conducto invite list' prints it")
    add_json(create, listing)


def run(arguments: argparse.Namespace) -> int:
    return {"create": _create, "list": _list, "withdraw": _withdraw}[arguments.what](arguments)


def _create(arguments: argparse.Namespace) -> int:
    from conducto_cli.target.account import call, needed_account
    from conducto_core.people.operations import CREATE_INVITATION

    request = {name: getattr(arguments, name) for name in ("email", "role", "user")}
    made = call(arguments, CREATE_INVITATION, body=request)
    return show(arguments, made, lines_of(made, needed_account(arguments.profile).url))


def lines_of(made: InvitationLink, url: str = "URL") -> Iterator[str]:
    invitation = made.invitation
    sent = " and mailed" if made.mailed else ", not mailed: send this yourself"
    yield f"{invitation.email} is invited as {invitation.user} ({invitation.role}){sent}"
    if made.url:
        yield f"  in a browser:  {made.url}"
    yield f"  in a terminal: conducto login --url {url} --invitation"
    yield f"                 it asks for the code {made.code}"
    yield "The code is shown only now, and can be used once within 7 days."


def _list(arguments: argparse.Namespace) -> int:
    from conducto_cli.target.account import call
    from conducto_core.people.operations import LIST_INVITATIONS

    found = call(arguments, LIST_INVITATIONS)
    head = ("ID", "EMAIL", "USER", "ROLE", "INVITED BY", "EXPIRES")
    none = "no open invitations; invite somebody: conducto invite create EMAIL"
    return show_list(arguments, found.invitations, head, _cells, none)


def _cells(one: Invitation) -> tuple[str, ...]:
    return (one.id, one.email, one.user, one.role, one.invited_by, day(one.expires))


def _withdraw(arguments: argparse.Namespace) -> int:
    from conducto_cli.target.account import call
    from conducto_core.people.operations import WITHDRAW_INVITATION

    withdrawn = call(arguments, WITHDRAW_INVITATION, {"id": arguments.id})
    print(f"the invitation of {withdrawn.email} is withdrawn")
    return DONE
