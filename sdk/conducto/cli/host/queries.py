"""The verbs that show pipelines: ``list`` and ``show``."""

import argparse
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any

from conducto.cli.host import selection
from conducto.cli.host.addresses import UsageError
from conducto.cli.host.connection import OpenClient, find_pipeline, message_of
from conducto.cli.host.exit_codes import DONE
from conducto.cli.host.output import as_json, listing, pipeline_document
from conducto.cli.host.sides import opener_beside
from conducto.cli.host.view.model import PipelineModel, total
from conducto.cli.host.view.rows import counts_line, header_line, place, problem_lines, state_text
from conducto.cli.host.view.table import table
from conducto.cli.host.view.text import printable
from conducto.client import Client, ClientError
from conducto.model.api import PipelineSummary
from conducto.model.params import MAX_PIPELINES_PAGE, ListParams
from conducto.model.words import failure_text

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
        conducto.client.ClientError: no side answers.
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
    sides: Sequence[OpenClient], filters: dict[str, Any], most: int | None
) -> tuple[list[PipelineSummary], dict[int, ClientError]]:
    """Return the pipelines of all sides, the newest first, and ``{number of a side: error}``."""
    found: list[PipelineSummary] = []
    away: dict[int, ClientError] = {}
    for number, side in enumerate(sides):
        try:
            with side() as client:
                found += islice(_pipelines(client, filters, most), most)
        except ClientError as error:
            away[number] = error
    if len(away) == len(sides):
        first, *others = away.values()
        for other in others:
            print(f"conducto: {message_of(other)}", file=sys.stderr)
        raise first
    found.sort(key=lambda summary: summary.pipeline.created, reverse=True)
    return found[:most], away


def _none(away: Collection[int], *, filtered: bool) -> str:
    """Return what is printed in place of a list that is empty."""
    if away:
        where = "in the cloud" if 0 in away else "on this machine"
        return f"no {'such ' if filtered else ''}pipelines {where}"
    none = "no pipelines yet; launch one: python pipeline.py --local --run"
    return "no such pipelines" if filtered else none


def _pipelines(
    client: Client, filters: dict[str, Any], most: int | None
) -> Iterator[PipelineSummary]:
    limit = MAX_PIPELINES_PAGE if most is None else min(most, MAX_PIPELINES_PAGE)
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


def show(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    """Print or watch one pipeline, or print all about one node."""
    if arguments.app:
        return _show_app(arguments.id, open_client)
    if arguments.id is None:
        raise UsageError("no pipeline is named; 'conducto list' lists them, --app in a browser")
    with open_client() as client:
        summary = find_pipeline(client, arguments.id)
        pipeline_id = summary.pipeline.id
        if arguments.path is not None:
            from conducto.cli.host.node_page import show_node  # noqa: PLC0415

            return show_node(client, pipeline_id, arguments.path, json=arguments.json)
        if arguments.json:
            only = selection.failed(client, pipeline_id, attempts="all")
            nodes = only if arguments.failed else client.tree(pipeline_id)
            print(as_json(pipeline_document(summary, nodes)))
            return DONE
        if arguments.failed:
            return _show_failed(client, summary)
        if arguments.once or (not sys.stdout.isatty() and not arguments.plain):
            return _show_once(client, summary)
    from conducto.cli.host.session import stay  # noqa: PLC0415

    return stay(open_client, pipeline_id, plain=arguments.plain, since=time.time(), linger=True)


def _show_app(named: str | None, open_client: OpenClient) -> int:
    from conducto.cli.host.web_page import open_page  # noqa: PLC0415

    with open_client() as client:
        found = None if named is None else find_pipeline(client, named).pipeline.id
        page = open_page(client, found)
    print(page.address)
    print(page.code_line())
    return DONE


def _loaded(client: Client, summary: PipelineSummary) -> PipelineModel:
    model = PipelineModel(summary)
    model.add(client.tree(summary.pipeline.id, attempts="newest"))
    return model


def _show_failed(client: Client, summary: PipelineSummary) -> int:
    found = False
    for view in selection.failed(client, summary.pipeline.id, attempts="newest"):
        found = True
        facts = (printable(view.path), printable(failure_text(view)), place(view.file, view.line))
        print("  ".join(fact for fact in facts if fact))
    if not found:
        print("nothing failed", file=sys.stderr)
    return DONE


def _show_once(client: Client, summary: PipelineSummary) -> int:
    from conducto.cli.host.session import page, write_lines  # noqa: PLC0415
    from conducto.cli.host.tree import tree_lines  # noqa: PLC0415

    model = _loaded(client, summary)
    marks, now, columns = page().marks, time.time(), page().columns
    head = [header_line(model, now, marks), counts_line(summary.counts)]
    write_lines([*head, *problem_lines(model, columns)])
    if model.root is not None:
        write_lines(tree_lines([model.root], now, marks))
    return DONE
