"""``conducto cache``: the entries of the cache."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto.errors import UsageError
from conducto_cli.app.arguments import add_json, add_subcommand, add_yes
from conducto_cli.app.records import delete, moment, show, show_list, using
from conducto_cli.cache import verify_command
from conducto_cli.text.text import printable, table

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_core.cache.model import CacheItem

_COLUMNS = ("ID", "COMMAND", "MADE", "TOOK", "HITS", "KB")


def add_arguments(parser: Parser) -> None:
    verbs = "list|show|delete|verify|usage"
    commands = parser.add_subparsers(dest="what", metavar=verbs, required=True)
    listing = add_subcommand(commands, "list", "list the entries, the last used ones first")
    usage = add_subcommand(commands, "usage", "show the size of the cache, and what it saved")
    for each in (listing, usage):
        each.add_argument(
            "text", metavar="TEXT", nargs="?", default="", help="in a pipeline, path or program"
        )
    listing.add_argument("--limit", type=int, default=100, help="maximum number (default: 100)")
    showing = add_subcommand(commands, "show", "show an entry")
    deleting = add_subcommand(commands, "delete", "delete an entry: its command runs again")
    for each in (showing, deleting):
        each.add_argument("id", metavar="ID", help="ID of an entry, as listed")
    add_yes(deleting)
    verifying = add_subcommand(
        commands, "verify", "run a command again without the cache, and compare its outcome"
    )
    verify_command.add_arguments(verifying)
    add_json(listing, usage, showing, deleting, verifying)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    verbs = {
        "list": _list,
        "show": _show,
        "delete": _delete,
        "usage": _usage,
        "verify": verify_command.run,
    }
    return verbs[arguments.what](arguments, open_client)


def _list(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_core.cache.model import MAX_LISTED, CacheQuery

    if not 1 <= arguments.limit <= MAX_LISTED:
        raise UsageError(f"--limit is a number from 1 to {MAX_LISTED}, got {arguments.limit}")
    with open_client() as client:
        found = client.list_cache(CacheQuery(text=arguments.text, limit=arguments.limit))
    none = "no entries; commands with cache=True make them"
    more = () if found.complete else (f"the last used {len(found.entries):,}; --limit lists more",)
    return show_list(arguments, found.entries, _COLUMNS, _cells, none, whole=found, more=more)


def _show(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_core.cache.model import CacheEntryParams

    with open_client() as client:
        found = client.get_cache_entry(CacheEntryParams(id=verify_command.entry_id(arguments.id)))
    source = found.source
    rows = [
        ("entry", found.id),
        ("made by", printable(source.text)),
        ("program", printable(found.program)),
        ("made", moment(found.made)),
        ("took", _duration(found.seconds)),
        ("used", f"{found.hits:,} times, last {moment(found.used)}"),
        ("size", f"{found.size:,} bytes"),
        ("differs", ", ".join(map(printable, found.varies)) or "never"),
        ("for", "the organisation" if found.private_to is None else printable(found.private_to)),
    ]
    return show(arguments, found, (line.rstrip() for line in table(rows)))


def _delete(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_core.cache.model import CacheEntryParams

    params = CacheEntryParams(id=verify_command.entry_id(arguments.id))
    return delete(
        arguments,
        f"Delete the entry {arguments.id}?",
        using(open_client, lambda client: client.delete_cache_entry(params)),
        lambda found: f"{found.id} is deleted; the next command with its inputs runs",
    )


def _usage(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_core.cache.model import CacheQuery

    with open_client() as client:
        found = client.get_cache_usage(CacheQuery(text=arguments.text))
    saved = _duration(found.seconds_saved)
    lines = (
        f"{found.entries:,} entries, {found.bytes / 1e6:,.1f} MB",
        f"{found.hits:,} commands did not run, which took {saved} when they ran",
    )
    return show(arguments, found, lines)


def _cells(entry: CacheItem) -> tuple[str, ...]:
    source = entry.source
    command = f"{source.pipeline} {printable(source.path)} #{source.attempt}"
    size = f"{entry.size / 1000:,.1f}"
    made, took = moment(entry.made), _duration(entry.seconds)
    return (entry.id, command, made, took, f"{entry.hits:,}", size)


def _duration(seconds: float) -> str:
    from conducto_core.run.model.labels import duration

    return duration(seconds)
