"""``conducto list``: pipelines, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto_cli.arguments import (
    a_positive,
    add_id,
    add_json,
    add_verb,
)
from conducto_core.model.states import State

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Iterator, Sequence

    from conducto_cli.arguments import Verbs
    from conducto_core.model.requests import PipelineSummary


import sys
import time
from itertools import islice
from typing import Any

from conducto_cli.connection import OpenClient, message_of
from conducto_cli.exit_codes import DONE
from conducto_cli.output import as_json, listing
from conducto_cli.target import opener_beside
from conducto_cli.text.table import table
from conducto_cli.text.text import printable
from conducto_cli.view.model import total
from conducto_cli.view.rows import state_text
from conducto_client import Client, ClientError
from conducto_core.model.params import MAX_PIPELINES_PAGE, ListParams

_STATES = tuple(state.value for state in State)


def add_lists(verbs: Verbs) -> None:
    """Add what lists pipelines and their images."""
    listing = add_verb(verbs, "list", "list pipelines, the newest first")
    listing.add_argument("--state", choices=_STATES, help="only those in this state")
    listing.add_argument("--tag", metavar="TAG", help="only those that have this tag")
    listing.add_argument("--owner", metavar="NAME", help="only those of this person")
    listing.add_argument(
        "--text", metavar="TEXT", help="only those whose id, title, tags or script hold this"
    )
    listing.add_argument("--all", action="store_true", help="archived ones as well")
    listing.add_argument(
        "-n", "--limit", metavar="N", type=a_positive, help="no more than the newest N"
    )

    images = add_verb(verbs, "images", "list the images of a pipeline and how their builds stand")
    add_id(images)
    images.add_argument("--log", metavar="NAME", help="instead, what the build of one printed")
    images.add_argument(
        "-f", "--follow", action="store_true", help="with --log: stay until the build has ended"
    )
    add_json(listing, images)


_FILTERS = ("state", "tag", "owner", "text")


#: The sides in the order in which a list asks them: what they are called, and which option is for
#: the other one alone.
_SIDES = (("this machine", "--cloud"), ("the cloud", "--local"))


def list_(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    """Print the pipelines, the newest first; of both sides, unless one is asked for."""
    beside = opener_beside(arguments)
    return list_of((open_client,) if beside is None else (open_client, beside), arguments)


def list_of(sides: Sequence[OpenClient], arguments: argparse.Namespace) -> int:
    """Print the pipelines of one side, or of both: this machine and the cloud.

    What one of two sides has is printed also where the other does not answer. That is said on
    stderr, and is no failure: the exit code is 0, and ``--json`` prints a list as ever.

    Raises:
        conducto_client.ClientError: no side answers.
    """
    filters = {name: getattr(arguments, name) for name in _FILTERS}
    filters = {name: value for name, value in filters.items() if value is not None}
    if arguments.all:
        filters["lifecycle"] = "all"
    summaries, away = _gathered(sides, filters, arguments.limit)
    if arguments.json:
        print(as_json(listing(summaries)))
    elif not summaries:
        print(_none(away, filtered=bool(filters)))
    else:
        both = len(sides) > 1
        for line in table([_head(both=both), *(_cells(each, both=both) for each in summaries)]):
            print(line)
    for number, error in away.items():
        side, option = _SIDES[number]
        print(
            f"conducto: the pipelines of {side} are not listed: {message_of(error)}\n"
            f"To leave {side} out: conducto list {option}",
            file=sys.stderr,
        )
    return DONE


def _gathered(
    sides: Sequence[OpenClient], filters: dict[str, Any], maximum: int | None
) -> tuple[list[PipelineSummary], dict[int, ClientError]]:
    """Return the pipelines of all sides, the newest first, and ``{number of a side: error}``."""
    found: list[PipelineSummary] = []
    away: dict[int, ClientError] = {}
    for number, side in enumerate(sides):
        try:
            with side() as client:
                found += islice(_pipelines(client, filters, maximum), maximum)
        except ClientError as error:
            away[number] = error
    if len(away) == len(sides):
        first, *others = away.values()
        for other in others:
            print(f"conducto: {message_of(other)}", file=sys.stderr)
        raise first
    found.sort(key=lambda summary: summary.pipeline.created, reverse=True)
    return found[:maximum], away


def _none(away: Collection[int], *, filtered: bool) -> str:
    """Return what is printed in place of a list that is empty."""
    if away:
        where = "in the cloud" if 0 in away else "on this machine"
        return f"no {'such ' if filtered else ''}pipelines {where}"
    none = "no pipelines yet; launch one: python pipeline.py --local --run"
    return "no such pipelines" if filtered else none


def _pipelines(
    client: Client, filters: dict[str, Any], maximum: int | None
) -> Iterator[PipelineSummary]:
    limit = MAX_PIPELINES_PAGE if maximum is None else min(maximum, MAX_PIPELINES_PAGE)
    query = ListParams(**filters, limit=limit)
    while True:
        page = client.list_page(query)
        yield from page.pipelines
        if page.next is None:
            return
        query = query.model_copy(update={"after": page.next})


def _head(*, both: bool) -> tuple[str, ...]:
    return ("ID", *(("SIDE",) if both else ()), "STATE", "DONE", "CREATED", "TITLE")


def _cells(summary: PipelineSummary, *, both: bool) -> tuple[str, ...]:
    counts, record = summary.counts, summary.pipeline
    return (
        record.id,
        *((record.mode,) if both else ()),
        state_text(summary),
        f"{counts.done:,}/{total(counts):,}",
        time.strftime("%Y-%m-%d %H:%M", time.localtime(record.created)),
        printable(record.title),
    )
