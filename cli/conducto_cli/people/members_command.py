"""``conducto members``: the members of an organisation in the cloud."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto_cli.app.arguments import add_json, add_subcommand, add_yes, confirmed
from conducto_cli.app.exit import DONE, FAILED
from conducto_cli.app.output import as_json
from conducto_cli.app.records import day, delete, show, show_list
from conducto_cli.people.invite_command import ROLES

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from conducto_cli.app.arguments import Parser
    from conducto_core.people.model import Member, OwnedRecord


def add_arguments(parser: Parser) -> None:
    kinds = parser.add_subparsers(
        dest="what", metavar="list|set-role|remove|take-over|leave|export|erase", required=True
    )
    listing = add_subcommand(kinds, "list", "list the members and their roles")
    role = add_subcommand(kinds, "set-role", "change the role of a member")
    remove = add_subcommand(
        kinds,
        "remove",
        "remove a member and revoke their tokens and sessions",
        "Pipelines, data and secrets stay. Trusts, notification rules and triggers of the member "
        "are listed and suspended.",
    )
    taking = add_subcommand(
        kinds,
        "take-over",
        "become the owner of a suspended trust, notification rule or trigger",
        "It works again then. 'conducto trusts list', 'conducto notify list' and 'conducto trigger "
        "list' mark those that are suspended.",
    )
    taking.add_argument("kind", choices=("trust", "rule", "trigger"))
    taking.add_argument("name", metavar="NAME")
    leave = add_subcommand(kinds, "leave", "leave the organisation")
    export = add_subcommand(kinds, "export", "print all data about a user, as JSON")
    erase = add_subcommand(
        kinds,
        "erase",
        "erase the data about a user who is not a member any more",
        "Secrets, data and invitations are deleted, and the user's name in the audit log is "
        "replaced. Pipelines stay.",
    )
    for each in (role, remove, export, erase):
        each.add_argument("user", metavar="USER")
    role.add_argument("role", choices=ROLES)
    add_yes(remove, leave, erase)
    add_json(listing)


def run(arguments: argparse.Namespace) -> int:
    verbs = {
        "list": _list,
        "set-role": _set_role,
        "remove": _remove,
        "take-over": _take_over,
        "leave": _leave,
        "export": _export,
        "erase": _erase,
    }
    return verbs[arguments.what](arguments)


def _list(arguments: argparse.Namespace) -> int:
    from conducto_cli.target.account import call
    from conducto_core.people.operations import LIST_MEMBERS

    found = call(arguments, LIST_MEMBERS)
    head = ("USER", "ROLE", "JOINED", "EMAIL")
    none = "no members yet, only tokens; invite one: conducto invite create EMAIL"
    return show_list(arguments, found.members, head, _cells, none)


def _cells(member: Member) -> tuple[str, ...]:
    return (member.user, member.role, day(member.joined), member.email or "")


def _set_role(arguments: argparse.Namespace) -> int:
    from conducto_cli.target.account import call
    from conducto_core.people.operations import CHANGE_ROLE

    member = call(arguments, CHANGE_ROLE, {"user": arguments.user}, {"role": arguments.role})
    text = f"{member.user} is now {member.role}; this takes effect within 5 seconds"
    return show(arguments, member, _with_suspended(text, member.suspended))


def _with_suspended(text: str, records: Sequence[OwnedRecord]) -> Iterator[str]:
    yield text
    if records:
        yield "Suspended until another administrator takes it over, or deletes it:"
    for record in records:
        yield f"  conducto members take-over {record.kind} {record.name}"


def _take_over(arguments: argparse.Namespace) -> int:
    from conducto_cli.target.account import call
    from conducto_core.people.operations import TAKE_OVER

    taken = call(arguments, TAKE_OVER, {"kind": arguments.kind, "name": arguments.name})
    text = f"the {taken.kind} {taken.name} is of {taken.owner} now, and works again"
    return show(arguments, taken, text)


def _remove(arguments: argparse.Namespace) -> int:
    from conducto_cli.target.account import call
    from conducto_core.people.operations import REMOVE_MEMBER

    text = f"{arguments.user} is removed; pipelines, data and secrets stay"
    return delete(
        arguments,
        f"Remove {arguments.user} and revoke their tokens?",
        lambda: call(arguments, REMOVE_MEMBER, {"user": arguments.user}),
        lambda removed: _with_suspended(text, removed.suspended),
    )


def _leave(arguments: argparse.Namespace) -> int:
    from conducto_cli.target import account as cloud_account
    from conducto_core.people.operations import LEAVE

    account = cloud_account.needed_account(arguments.profile)
    question = f"Leave the organisation {account.org or 'of this profile'}?"
    if not confirmed(question, yes=arguments.yes):
        return FAILED
    left = cloud_account.call(arguments, LEAVE)
    cloud_account.forget(arguments.profile)
    text = "you left the organisation; this profile is logged out"
    return show(arguments, left, _with_suspended(text, left.suspended))


#: The lists of an export that come in parts.
_LONG = ("files", "pipelines", "audit")


def _export(arguments: argparse.Namespace) -> int:
    from conducto_cli.target.account import call, checked
    from conducto_core.people.model import ExportParams
    from conducto_core.people.operations import EXPORT_MEMBER

    query = checked(ExportParams, user=arguments.user)
    whole = part = call(arguments, EXPORT_MEMBER, query)
    while part.next is not None:
        part = call(arguments, EXPORT_MEMBER, query.model_copy(update={"after": part.next}))
        more = {name: getattr(whole, name) + getattr(part, name) for name in _LONG}
        whole = whole.model_copy(update=more)
    print(as_json(whole.model_dump(mode="json", exclude={"next"})))
    return DONE


def _erase(arguments: argparse.Namespace) -> int:
    from conducto_cli.target.account import call
    from conducto_core.people.operations import ERASE_MEMBER

    question = f"Erase the secrets and data of {arguments.user}? This cannot be undone."
    return delete(
        arguments,
        question,
        lambda: call(arguments, ERASE_MEMBER, {"user": arguments.user}),
        lambda done: (
            f"erased: {done.secrets} secrets, the data, and the name in {done.audit} "
            f"entries of the audit log, now {done.replacement}"
        ),
    )
