"""The verbs that show pipelines: ``list`` and ``show``."""

import argparse
import sys
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

from conducto.cli.host.connection import OpenClient, find_pipeline
from conducto.cli.host.exit_codes import DONE
from conducto.cli.host.output import as_json, listing, pipeline_document
from conducto.cli.host.view.model import PipelineModel, total
from conducto.cli.host.view.rows import cause_text, counts_line, header_line, place
from conducto.cli.host.view.table import table
from conducto.cli.host.view.text import printable
from conducto.client import Client
from conducto.model.api import PipelineSummary
from conducto.model.params import MAX_PIPELINES_PAGE, ListParams
from conducto.model.records import Lifecycle

_LIST_COLUMNS = ("ID", "STATE", "DONE", "CREATED", "TITLE")
_FILTERS = ("state", "tag", "owner", "text")


def list_(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    """Print the pipelines, the newest first."""
    filters = {name: getattr(arguments, name) for name in _FILTERS}
    filters = {name: value for name, value in filters.items() if value is not None}
    if arguments.all:
        filters["lifecycle"] = "all"
    with open_client() as client:
        summaries = list(islice(_pipelines(client, filters, arguments.limit), arguments.limit))
    if arguments.json:
        print(as_json(listing(summaries)))
    elif not summaries:
        none = "no pipelines yet; launch one: python pipeline.py --local --run"
        print("no such pipelines" if filters else none)
    else:
        for line in table([_LIST_COLUMNS, *map(_cells, summaries)]):
            print(line)
    return DONE


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


def _cells(summary: PipelineSummary) -> tuple[str, ...]:
    counts, record = summary.counts, summary.pipeline
    return (
        record.id,
        _state(summary),
        f"{counts.done:,}/{total(counts):,}",
        time.strftime("%Y-%m-%d %H:%M", time.localtime(record.created)),
        printable(record.title),
    )


def _state(summary: PipelineSummary) -> str:
    asleep = summary.pipeline.lifecycle is not Lifecycle.ACTIVE
    state = summary.state.value
    return f"{state}, {summary.pipeline.lifecycle.value}" if asleep else state


def show(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    """Print or watch one pipeline, or print all about one node."""
    with open_client() as client:
        summary = find_pipeline(client, arguments.id)
        pipeline_id = summary.pipeline.id
        if arguments.app:
            from conducto.cli.host.web_page import open_page  # noqa: PLC0415

            print(open_page(client, pipeline_id))
            return DONE
        if arguments.path is not None:
            from conducto.cli.host.node_page import show_node  # noqa: PLC0415

            return show_node(client, pipeline_id, arguments.path, json=arguments.json)
        if arguments.json:
            print(as_json(pipeline_document(summary, client.tree(pipeline_id))))
            return DONE
        if arguments.failed:
            return _show_failed(client, summary)
        if arguments.once or (not sys.stdout.isatty() and not arguments.plain):
            return _show_once(client, summary)
    from conducto.cli.host.session import stay  # noqa: PLC0415

    return stay(open_client, pipeline_id, plain=arguments.plain, since=time.time(), linger=True)


def _loaded(client: Client, summary: PipelineSummary) -> PipelineModel:
    model = PipelineModel(summary)
    model.add(client.tree(summary.pipeline.id, attempts="newest"))
    return model


def _show_failed(client: Client, summary: PipelineSummary) -> int:
    for row in _loaded(client, summary).failed_execs():
        facts = (
            printable(row.path),
            cause_text(row.cause, row.exit_code),
            place(row.file, row.line),
        )
        print("  ".join(fact for fact in facts if fact))
    return DONE


def _show_once(client: Client, summary: PipelineSummary) -> int:
    from conducto.cli.host.session import page, write_lines  # noqa: PLC0415
    from conducto.cli.host.tree import tree_lines  # noqa: PLC0415

    model = _loaded(client, summary)
    marks, now = page().marks, time.time()
    write_lines([header_line(model, now, marks), counts_line(summary.counts)])
    if model.root is not None:
        write_lines(tree_lines([model.root], now, marks))
    return DONE
