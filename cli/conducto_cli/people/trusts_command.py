"""``conducto trusts``: the CI runs that may get tokens of the organisation."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto_cli.app.arguments import add_json, add_subcommand, add_yes, confirmed
from conducto_cli.app.exit import FAILED
from conducto_cli.app.records import owner, show_list

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_core.people.model import Trust

_COLUMNS = ("NAME", "REPOSITORY", "REF", "ENVIRONMENT", "OWNER", "PERMISSIONS")


def add_arguments(parser: Parser) -> None:
    commands = parser.add_subparsers(dest="what", metavar="list|add|rm", required=True)
    listing = add_subcommand(commands, "list", "list the trusts of the organisation")
    adding = add_subcommand(
        commands,
        "add",
        "let CI runs of a repository get tokens",
        "A run gets a token of an hour with 'conducto login --ci'. Name a ref or an environment: "
        "otherwise every branch gets one.",
    )
    adding.add_argument("name", metavar="NAME", help="name of the trust")
    adding.add_argument(
        "--repository",
        metavar="ID",
        required=True,
        help="numeric id of the repository: 'gh api repos/OWNER/NAME --jq .id' prints it",
    )
    adding.add_argument("--ref", help="only runs of this ref, such as refs/heads/main")
    adding.add_argument("--environment", metavar="NAME", help="only runs of this environment")
    adding.add_argument(
        "--permission",
        action="append",
        metavar="NAME",
        help="a permission of the tokens; may be given several times (default: read, write_data, "
        "launch and change_state)",
    )
    removing = add_subcommand(commands, "rm", "delete a trust and revoke its tokens")
    removing.add_argument("name", metavar="NAME")
    add_yes(removing)
    add_json(listing, adding, removing)


def run(arguments: argparse.Namespace) -> int:
    from conducto_cli.target.account import call
    from conducto_core.people.operations import DELETE_TRUST, LIST_TRUSTS, PUT_TRUST

    if arguments.what == "add":
        given = {name: getattr(arguments, name) for name in ("repository", "ref", "environment")}
        if arguments.permission:
            given["permissions"] = tuple(arguments.permission)
        call(arguments, PUT_TRUST, {"name": arguments.name}, given)
    if arguments.what == "rm":
        if not confirmed(
            f"Delete the trust {arguments.name} and revoke its tokens?", yes=arguments.yes
        ):
            return FAILED
        found = call(arguments, DELETE_TRUST, {"name": arguments.name})
    else:
        found = call(arguments, LIST_TRUSTS)
    none = "no trusts yet; add one: conducto trusts add NAME --repository ID --ref REF"
    return show_list(arguments, found.trusts, _COLUMNS, _cells, none, whole=found)


def _cells(trust: Trust) -> tuple[str, ...]:
    permissions = ", ".join(trust.permissions)
    return (
        trust.name,
        trust.repository,
        trust.ref or "any",
        trust.environment or "any",
        owner(trust),
        permissions,
    )
