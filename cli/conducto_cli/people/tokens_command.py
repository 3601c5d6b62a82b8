"""``conducto tokens``: tokens and browser sessions of members in the cloud."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto_cli.app.arguments import add_json, add_subcommand, add_yes, confirmed
from conducto_cli.app.exit import DONE, FAILED
from conducto_cli.app.output import as_json, day, print_records
from conducto_core.installation.names import PERMISSIONS

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_core.people.model import MemberToken

_HEAD = ("ID", "USER", "NAME", "CREATED", "EXPIRES", "PERMISSIONS")


def add_arguments(parser: Parser) -> None:
    kinds = parser.add_subparsers(
        dest="what", metavar="list|create|revoke|sessions|end-sessions", required=True
    )
    listing = add_subcommand(kinds, "list", "list your tokens")
    sessions = add_subcommand(kinds, "sessions", "list your sessions of browsers")
    for each in (listing, sessions):
        each.add_argument("--user", help="those of this member; needs an administrator")
        each.add_argument("--all", action="store_true", help="those of all members; the same")
    create = add_subcommand(
        kinds,
        "create",
        "create a token for a program, with at most your permissions",
        "It is shown only once. It ends when your membership does.",
    )
    create.add_argument("name", metavar="NAME", help="to recognise it in the list")
    create.add_argument(
        "--permission",
        action="append",
        choices=PERMISSIONS,
        required=True,
        help="what it allows, once for each",
    )
    create.add_argument("--days", type=float, default=90, help="after which it ends (default: 90)")
    revoke = add_subcommand(kinds, "revoke", "revoke a token")
    revoke.add_argument("id", metavar="TOKEN_ID", help="as 'conducto tokens list' prints it")
    add_yes(revoke)
    end = add_subcommand(kinds, "end-sessions", "end your sessions of browsers, or one session")
    end.add_argument("id", metavar="SESSION_ID", nargs="?", help="only this one")
    add_json(listing, sessions, create)


def run(arguments: argparse.Namespace) -> int:
    verbs = {
        "list": _list,
        "sessions": _list,
        "create": _create,
        "revoke": _revoke,
        "end-sessions": _end,
    }
    return verbs[arguments.what](arguments)


def _list(arguments: argparse.Namespace) -> int:
    from conducto_cli.target.account import call
    from conducto_core.people.operations import LIST_SESSIONS, LIST_TOKENS

    is_sessions = arguments.what == "sessions"
    query = {"user": arguments.user, "everyone": arguments.all}
    found = call(arguments, LIST_SESSIONS if is_sessions else LIST_TOKENS, query)
    none = "no sessions" if is_sessions else "no tokens"
    print_records(found.tokens, _HEAD, _cells, none, as_document=arguments.json)
    return DONE


def _cells(one: MemberToken) -> tuple[str, ...]:
    name = one.name or {"login": "(login)", "session": "(browser)"}.get(one.kind, "")
    expires = "never" if one.expires is None else day(one.expires)
    current = " (this one)" if one.current else ""
    return (
        one.id,
        one.user,
        name + current,
        day(one.created),
        expires,
        ", ".join(one.permissions),
    )


def _create(arguments: argparse.Namespace) -> int:
    from conducto_cli.target.account import call
    from conducto_core.people.operations import CREATE_TOKEN

    names = {"name": arguments.name, "permissions": tuple(arguments.permission)}
    made = call(arguments, CREATE_TOKEN, body={**names, "days": arguments.days})
    if arguments.json:
        print(as_json(made))
        return DONE
    print(made.token)
    print("This is the only time that it is shown. A program uses it as CONDUCTO_TOKEN.")
    return DONE


def _revoke(arguments: argparse.Namespace) -> int:
    from conducto_cli.target.account import call
    from conducto_core.people.operations import REVOKE_TOKEN

    if not confirmed(
        f"Revoke the token {arguments.id}? Its programs stop working.", yes=arguments.yes
    ):
        return FAILED
    call(arguments, REVOKE_TOKEN, {"id": arguments.id})
    print(f"{arguments.id} is revoked; it stops working within 5 seconds")
    return DONE


def _end(arguments: argparse.Namespace) -> int:
    from conducto_cli.target.account import call
    from conducto_core.people.operations import END_ALL_SESSIONS, END_ONE_SESSION

    if arguments.id is None:
        ended = call(arguments, END_ALL_SESSIONS)
    else:
        ended = call(arguments, END_ONE_SESSION, {"id": arguments.id})
    print(f"ended sessions: {ended.revoked}")
    return DONE
