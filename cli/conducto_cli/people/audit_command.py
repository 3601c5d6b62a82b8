"""``conducto audit``: the requests in an organisation that did more than read."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from conducto_cli.app.arguments import a_count, add_json
from conducto_cli.app.exit import DONE
from conducto_cli.app.output import as_json
from conducto_cli.text.text import table

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_core.people.model import AuditEntry


def add_arguments(parser: Parser) -> None:
    parser.add_argument("--user", help="only requests of this user")
    parser.add_argument("--operation", help="only requests for this operation, such as control")
    parser.add_argument(
        "--limit", type=a_count, default=100, help="maximum number of entries (default: 100)"
    )
    parser.add_argument(
        "--after", metavar="POSITION", help="continue there, as the last page printed it"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    from conducto_cli.target.account import call
    from conducto_core.people.model import MAX_AUDIT_PAGE
    from conducto_core.people.operations import LIST_AUDIT

    entries: list[AuditEntry] = []
    after = arguments.after
    while (left := arguments.limit - len(entries)) > 0:
        who = {"user": arguments.user, "operation": arguments.operation}
        limit = min(left, MAX_AUDIT_PAGE)
        page = call(arguments, LIST_AUDIT, {**who, "after": after, "limit": limit})
        entries += page.entries
        after = page.next
        if after is None:
            break
    if arguments.json:
        document = [entry.model_dump(mode="json") for entry in entries]
        print(as_json({"entries": document, "next": after}))
    else:
        _print(entries, after)
    return DONE


def _print(entries: list[AuditEntry], after: str | None) -> None:
    if not entries:
        print("no entries")
    else:
        head = ("TIME", "USER", "OPERATION", "SUBJECT", "STATUS", "TOKEN", "ASSISTANT")
        for line in table([head, *map(_cells, entries)]):
            print(line)
        if any(entry.status is None for entry in entries):
            print(
                "unknown: the request has not ended, or was interrupted; it may have been executed"
            )
    if after is not None:
        print(f"older entries: conducto audit --after '{after}'")


def _cells(entry: AuditEntry) -> tuple[str, ...]:
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.time))
    subject = " ".join([entry.subject, *entry.paths[:3]]).strip()
    more = f" +{len(entry.paths) - 3}" if len(entry.paths) > 3 else ""  # noqa: PLR2004
    status = "unknown" if entry.status is None else str(entry.status)
    # The name is the client's own: anybody could have written it.
    assistant = f"{entry.client or 'unnamed'} ({','.join(entry.scopes)})" if entry.scopes else ""
    return (moment, entry.user, entry.operation, subject + more, status, entry.token, assistant)
