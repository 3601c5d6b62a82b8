"""``conducto tokens``: tokens and browser sessions of members in the cloud."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import TYPE_CHECKING, Any

from conducto.errors import UsageError
from conducto_cli.app.arguments import (
    add_json,
    add_subcommand,
    add_yes,
    dollars_above_0,
)
from conducto_cli.app.exit import DONE
from conducto_cli.app.records import day, delete, show, show_list
from conducto_core.installation.names import PERMISSIONS, SCOPES

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_core.people.model import MemberToken

_HEAD = ("ID", "USER", "NAME", "KIND", "CREATED", "EXPIRES", "PERMISSIONS")
_NAMES = {"token": "program", "session": "browser"}
#: Days of a program's token, and of an assistant's.
_DAYS, _ASSISTANT_DAYS = 90.0, 8 / 24
_UNITS = {"m": 1 / 1440, "h": 1 / 24, "d": 1.0}


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
        help="what it allows, once for each",
    )
    create.add_argument(
        "--assistant",
        action="store_true",
        help="for a coding assistant: with --allow instead of --permission",
    )
    create.add_argument(
        "--allow",
        metavar="SCOPES",
        type=parse_scopes,
        help=f"what an assistant may do, such as read,control: of {', '.join(SCOPES)} "
        "(default: read)",
    )
    create.add_argument(
        "--budget",
        metavar="DOLLARS",
        type=dollars_above_0,
        help="maximum cost of each pipeline launched with it whose tree has none",
    )
    lifetime = create.add_mutually_exclusive_group()
    lifetime.add_argument(
        "--days", type=float, help="after which it ends (default: 90; an assistant's: 8 hours)"
    )
    lifetime.add_argument(
        "--expires", metavar="TIME", type=_days, help="the same as a time, such as 8h or 7d"
    )
    revoke = add_subcommand(kinds, "revoke", "revoke a token")
    revoke.add_argument("id", metavar="TOKEN_ID", help="as 'conducto tokens list' prints it")
    add_yes(revoke)
    end = add_subcommand(kinds, "end-sessions", "end your sessions of browsers, or one session")
    end.add_argument("id", metavar="SESSION_ID", nargs="?", help="only this one")
    for each in (listing, create, revoke):
        each.add_argument(
            "--local", action="store_true", help="tokens of assistants for this machine's agent"
        )
    add_json(listing, sessions, create)


def parse_scopes(text: str) -> tuple[str, ...]:
    found = tuple(text.split(","))
    wrong = [one for one in found if one not in SCOPES]
    if wrong:
        raise ArgumentTypeError(f"{wrong[0]!r} is not a scope; scopes are {', '.join(SCOPES)}")
    return found


def _days(text: str) -> float:
    number, unit = text[:-1], text[-1:]
    try:
        return float(number) * _UNITS[unit]
    except (KeyError, ValueError):
        raise ArgumentTypeError(f"{text!r} is not a time; write 30m, 8h or 7d") from None


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
    from conducto_core.people.operations import LIST_SESSIONS, LIST_TOKENS

    is_sessions = arguments.what == "sessions"
    query = {"user": arguments.user, "everyone": arguments.all}
    found = _call(arguments, LIST_SESSIONS if is_sessions else LIST_TOKENS, query)
    none = "no sessions" if is_sessions else "no tokens"
    return show_list(arguments, found.tokens, _HEAD, _cells, none)


def _cells(one: MemberToken) -> tuple[str, ...]:
    expires = "never" if one.expires is None else day(one.expires)
    current = " (this one)" if one.current else ""
    return (
        one.id,
        one.user,
        one.name + current,
        _NAMES.get(one.kind, one.kind),
        day(one.created),
        expires,
        ", ".join(one.scopes or one.permissions),
    )


def _call(arguments: argparse.Namespace, operation: Any, params: Any, body: Any = None) -> Any:
    """Call an operation of the cloud, or with ``--local`` of this machine's agent."""
    from conducto_cli.target.account import call, checked
    from conducto_cli.target.connection import client_opener

    if not getattr(arguments, "local", False):
        return call(arguments, operation, params, body)
    fields = None if body is None else checked(operation.body, **body)
    with client_opener(arguments.profile, launching=False)() as client:
        return client.call(operation, checked(operation.params, **params), fields)


def _create(arguments: argparse.Namespace) -> int:
    from conducto_core.people.operations import CREATE_TOKEN

    assistant = arguments.assistant or arguments.local
    if assistant and arguments.permission:
        raise UsageError("an assistant's token has scopes: --allow instead of --permission")
    if not assistant and (arguments.allow or not arguments.permission):
        raise UsageError(
            "name what a program may do with --permission, or make a token for an assistant with "
            "--assistant --allow"
        )
    given = {"scopes": arguments.allow or ("read",)} if assistant else {}
    given |= {} if arguments.budget is None else {"budget": arguments.budget}
    days = arguments.expires if arguments.days is None else arguments.days
    if days is None:
        days = _ASSISTANT_DAYS if assistant else _DAYS
    body = {"name": arguments.name, "permissions": arguments.permission or (), "days": days}
    made = _call(arguments, CREATE_TOKEN, {}, {**body, **given})
    shown = "This is the only time that it is shown. A program uses it as CONDUCTO_TOKEN."
    return show(arguments, made, (made.token, shown))


def _revoke(arguments: argparse.Namespace) -> int:
    from conducto_core.people.operations import REVOKE_TOKEN

    return delete(
        arguments,
        f"Revoke the token {arguments.id}? Its programs stop working.",
        lambda: _call(arguments, REVOKE_TOKEN, {"id": arguments.id}),
        lambda _revoked: f"{arguments.id} is revoked; it stops working within 5 seconds",
    )


def _end(arguments: argparse.Namespace) -> int:
    from conducto_cli.target.account import call
    from conducto_core.people.operations import END_ALL_SESSIONS, END_ONE_SESSION

    if arguments.id is None:
        ended = call(arguments, END_ALL_SESSIONS)
    else:
        ended = call(arguments, END_ONE_SESSION, {"id": arguments.id})
    print(f"ended sessions: {ended.revoked}")
    return DONE
