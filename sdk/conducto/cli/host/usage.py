"""``conducto usage``: what was spent in the cloud, by month, pipeline and node."""

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from conducto.cli.host.connection import OpenClient
from conducto.cli.host.exit_codes import DONE
from conducto.cli.host.output import as_json, dollars
from conducto.cli.host.view.table import table
from conducto.cli.host.view.text import clip, duration, printable
from conducto.client import Client
from conducto.model.api import PipelineSummary
from conducto.semantics.fargate import PRICES
from conducto.semantics.spending import Use, total, use_of

#: Nodes that are named for each pipeline, the dearest first.
MOST_NODES = 5
_TITLE_COLUMNS = 40


@dataclass(frozen=True, slots=True)
class PipelineUse:
    """What a pipeline took in a month.

    Attributes:
        nodes: ``{path: its part}``.
    """

    id: str
    title: str
    month: str
    nodes: Mapping[str, Use]

    @property
    def all(self) -> Use:
        """The sum of its nodes."""
        return total(self.nodes.values())


def usage(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    """Print it; return the exit code."""
    with open_client() as client:
        pipelines = [s for s in client.list(lifecycle="all") if s.pipeline.mode == "cloud"]
        found = [use for summary in pipelines for use in _uses(client, summary)]
    if arguments.month is not None:
        found = [use for use in found if use.month == arguments.month]
    found.sort(key=lambda use: (use.month, use.all.dollars), reverse=True)
    if arguments.json:
        print(as_json(_document(found)))
    else:
        for line in _lines(found, arguments.month):
            print(line)
    return DONE


def _uses(client: Client, summary: PipelineSummary) -> Iterator[PipelineUse]:
    """Yield what a pipeline took, for each month in which a command of it ended."""
    months: dict[str, dict[str, Use]] = {}
    for view in client.tree(summary.pipeline.id):
        for attempt in view.attempts:
            if attempt.started is not None and attempt.ended is not None:
                nodes = months.setdefault(_month(attempt.ended), {})
                nodes.setdefault(view.path, Use()).add(use_of(attempt))
    for month, nodes in months.items():
        yield PipelineUse(summary.pipeline.id, summary.pipeline.title, month, nodes)


def _month(moment: float) -> str:
    return time.strftime("%Y-%m", time.gmtime(moment))


def _by_month(found: Sequence[PipelineUse]) -> dict[str, Use]:
    months: dict[str, Use] = {}
    for use in found:
        months.setdefault(use.month, Use()).add(use.all)
    return months


def _lines(found: Sequence[PipelineUse], month: str | None) -> Iterator[str]:
    if not found:
        yield f"nothing ran in the cloud in {month}" if month else "nothing ran in the cloud yet"
        return
    months = _by_month(found)
    head = ("MONTH", "ATTEMPTS", "TIME", "vCPU-HOURS", "DOLLARS")
    yield from table([head, *((name, *_cells(use)) for name, use in months.items())])
    yield ""
    columns = ("MONTH", "PIPELINE", "ATTEMPTS", "TIME", "vCPU-HOURS", "DOLLARS", "TITLE")
    yield from table([columns, *map(_pipeline_cells, found)])
    if month is not None:
        yield from _node_lines(found)
    yield ""
    yield (
        f"prices of {PRICES.date} in {PRICES.region}, on demand, while commands ran; workers' "
        "starts and waiting, storage and requests are on top"
    )


def _node_lines(found: Sequence[PipelineUse]) -> Iterator[str]:
    for pipeline in found:
        dearest = sorted(pipeline.nodes.items(), key=lambda item: -item[1].dollars)
        yield ""
        yield f"{pipeline.id}:"
        rows = [(printable(path), *_cells(use)) for path, use in dearest[:MOST_NODES]]
        head = ("NODE", "ATTEMPTS", "TIME", "vCPU-HOURS", "DOLLARS")
        yield from (f"  {line}" for line in table([head, *rows]))
        if len(dearest) > MOST_NODES:
            rest = total(use for _, use in dearest[MOST_NODES:])
            yield f"  and {len(dearest) - MOST_NODES} more nodes, {dollars(rest.dollars)}"


def _pipeline_cells(pipeline: PipelineUse) -> tuple[str, ...]:
    title = clip(printable(pipeline.title), _TITLE_COLUMNS)
    return (pipeline.month, pipeline.id, *_cells(pipeline.all), title)


def _cells(use: Use) -> tuple[str, ...]:
    hours = use.cpu_seconds / 3600
    return (f"{use.attempts:,}", duration(use.seconds), f"{hours:.2f}", dollars(use.dollars))


def _document(found: Sequence[PipelineUse]) -> dict[str, Any]:
    return {
        "prices": {"date": PRICES.date, "region": PRICES.region},
        "months": {name: asdict(use) for name, use in _by_month(found).items()},
        "pipelines": [
            {
                "id": use.id,
                "title": use.title,
                "month": use.month,
                **asdict(use.all),
                "nodes": {path: asdict(part) for path, part in use.nodes.items()},
            }
            for use in found
        ],
    }
