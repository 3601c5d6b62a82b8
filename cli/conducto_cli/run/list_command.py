"""``conducto list``: pipelines, newest first."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from conducto_cli.app.arguments import a_positive, add_json
from conducto_cli.app.exit import DONE
from conducto_cli.app.output import as_json, listing
from conducto_cli.app.records import moment
from conducto_cli.target.both_targets import gathered, report_away
from conducto_cli.text.text import printable, table
from conducto_core.run.model.states import State

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Iterator, Sequence
    from typing import Any

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_client import Client, ClientError
    from conducto_core.run.model.requests import PipelineSummary


def add_arguments(parser: Parser) -> None:
    states = tuple(state.value for state in State)
    parser.add_argument("--state", choices=states, help="only those in this state")
    parser.add_argument("--tag", metavar="TAG", help="only those that have this tag")
    parser.add_argument("--owner", metavar="NAME", help="only those of this person")
    parser.add_argument(
        "--text", metavar="TEXT", help="only those whose id, title, tags or script hold this"
    )
    parser.add_argument(
        "--parent", metavar="ID", help="only those that commands of this pipeline launched"
    )
    parser.add_argument("--all", action="store_true", help="archived ones as well")
    parser.add_argument(
        "-n", "--limit", metavar="N", type=a_positive, help="no more than the newest N"
    )
    add_json(parser)


_FILTERS = ("state", "tag", "owner", "text", "parent")


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_cli.target.target import second_opener

    beside = second_opener(arguments)
    return list_of((open_client,) if beside is None else (open_client, beside), arguments)


def list_of(openers: Sequence[OpenClient], arguments: argparse.Namespace) -> int:
    """Print the pipelines of one target, or of both: this machine and the cloud.

    If one of two targets does not respond, the pipelines of the other are printed, with a warning
    on stderr. The exit code is 0, and ``--json`` prints a list.

    Raises:
        conducto_client.ClientError: no target responds.
    """
    filters = {name: getattr(arguments, name) for name in _FILTERS}
    filters = {name: value for name, value in filters.items() if value is not None}
    if arguments.all:
        filters["lifecycle"] = "all"
    summaries, away = _gathered(openers, filters, arguments.limit)
    if arguments.json:
        print(as_json(listing(summaries)))
    elif not summaries:
        print(_none(away, filtered=bool(filters)))
    else:
        both = len(openers) > 1 or any(each.agent is not None for each in summaries)
        for line in table([_head(both=both), *(_cells(each, both=both) for each in summaries)]):
            print(line)
    report_away(away, "pipelines", "list")
    return DONE


def _gathered(
    openers: Sequence[OpenClient], filters: dict[str, Any], maximum: int | None
) -> tuple[list[PipelineSummary], dict[int, ClientError]]:
    """Return the pipelines of all targets, the newest first, and ``{index of a target: error}``."""
    found, away = gathered(
        openers, lambda client: islice(_pipelines(client, filters, maximum), maximum)
    )
    if len(openers) > 1:
        found = _without_relayed(found)
    found.sort(key=lambda summary: summary.pipeline.created, reverse=True)
    return found[:maximum], away


def _without_relayed(found: list[PipelineSummary]) -> list[PipelineSummary]:
    """Return the pipelines; those of this machine only once if its agent is linked."""
    here = {each.pipeline.id for each in found if each.pipeline.mode == "local" and not each.agent}
    return [each for each in found if not (each.agent and _plain_id(each) in here)]


def _plain_id(summary: PipelineSummary) -> str:
    from conducto_client.agents import split

    return split(summary.pipeline.id)[1]


def _none(away: Collection[int], *, filtered: bool) -> str:
    if away:
        where = "in the cloud" if 0 in away else "on this machine"
        return f"no {'such ' if filtered else ''}pipelines {where}"
    none = "no pipelines yet; launch one: python pipeline.py --local --run"
    return "no such pipelines" if filtered else none


def _pipelines(
    client: Client, filters: dict[str, Any], maximum: int | None
) -> Iterator[PipelineSummary]:
    from conducto_core.run.model.params import MAX_PIPELINES_PAGE, ListParams

    limit = MAX_PIPELINES_PAGE if maximum is None else min(maximum, MAX_PIPELINES_PAGE)
    query = ListParams(**_with_parent(client, filters), limit=limit)
    return client.iterate(query)


def _with_parent(client: Client, filters: dict[str, Any]) -> dict[str, Any]:
    """Return the filters with the id of the parent; one that was deleted is named by its id."""
    if "parent" not in filters:
        return filters
    from conducto_cli.target.lookup import matching, only_one

    found = matching(client, filters["parent"])
    if not found:
        return filters
    return {**filters, "parent": only_one(filters["parent"], found).pipeline.id}


def _head(*, both: bool) -> tuple[str, ...]:
    return ("ID", *(("TARGET",) if both else ()), "STATE", "DONE", "CREATED", "TITLE")


def _cells(summary: PipelineSummary, *, both: bool) -> tuple[str, ...]:
    from conducto_cli.text.actions import state_text
    from conducto_cli.view.model import total

    counts, record = summary.counts, summary.pipeline
    return (
        record.id,
        *((_target(summary),) if both else ()),
        state_text(summary),
        f"{counts.done:,}/{total(counts):,}",
        moment(record.created),
        printable(record.title),
    )


def _target(summary: PipelineSummary) -> str:
    agent = summary.agent
    if agent is None:
        return summary.pipeline.mode
    from conducto_cli.remote.agents_command import online_text

    host = printable(agent.host)
    return host if agent.online else f"{host} ({online_text(online=False, seen=agent.seen)})"
