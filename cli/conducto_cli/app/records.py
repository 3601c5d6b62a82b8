"""Shows, lists and deletes records: as text for people, with ``--json`` for programs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from conducto_cli.app.arguments import confirmed
from conducto_cli.app.exit import DONE, FAILED
from conducto_cli.app.output import as_json
from conducto_cli.text.text import table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence

    from conducto_cli.target.connection import OpenClient
    from conducto_client import Client
    from conducto_core.notifications.model import NotificationRule
    from conducto_core.people.model import Trust
    from conducto_core.record import Record
    from conducto_core.triggers.model import Trigger

R = TypeVar("R", bound="Record")


def show(arguments: argparse.Namespace, found: object, text: str | Iterable[str]) -> int:
    """Print a record as JSON, if the command has ``--json``, or as text; return the exit code."""
    if getattr(arguments, "json", False):
        print(as_json(found))
    elif isinstance(text, str):
        print(text)
    else:
        for line in text:
            print(line)
    return DONE


def show_list(
    arguments: argparse.Namespace,
    records: Sequence[R],
    head: Sequence[str],
    cells: Callable[[R], Sequence[str]],
    none: str,
    *,
    whole: Record | None = None,
    more: Iterable[str] = (),
) -> int:
    """Print records as JSON (of ``whole``, where it is given) or as a table.

    Args:
        none: Printed without any records; it says what to do.
        more: Lines below the table.
    """
    document = whole or [record.model_dump(mode="json") for record in records]
    lines = [*table([head, *map(cells, records)]), *more] if records else [none]
    return show(arguments, document, lines)


def delete(
    arguments: argparse.Namespace,
    question: str,
    deleting: Callable[[], R],
    text: Callable[[R], str | Iterable[str]],
) -> int:
    """Ask, call ``deleting``, and print its response; return the exit code."""
    if not confirmed(question, yes=arguments.yes):
        return FAILED
    deleted = deleting()
    return show(arguments, deleted, text(deleted))


def using(open_client: OpenClient, action: Callable[[Client], R]) -> Callable[[], R]:
    """Return a function that opens a client and calls ``action`` with it."""

    def act() -> R:
        with open_client() as client:
            return action(client)

    return act


def owner(record: Trust | NotificationRule | Trigger) -> str:
    """Return the owner of a record, and whether it is suspended."""
    return f"{record.owner or '-'}{' (suspended)' if record.suspended else ''}"


def moment(seconds: float) -> str:
    """Return a time to the minute, in the zone of this machine."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def day(seconds: float) -> str:
    """Return the date of a time, in UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
