"""An export as a download."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import TYPE_CHECKING

from conducto_core.api.downloads import ByteRange, Download
from conducto_core.export import texts
from conducto_core.export.collect import (
    MAX_FAILED,
    MAX_NODES,
    MAX_OUTPUTS,
    OUTPUT_LINES,
    Branch,
    ExportReport,
    Source,
    collect,
    outline,
)
from conducto_core.export.timeline import HEIGHTS, WAITS, Chart
from conducto_core.run.model.labels import duration
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.states import State
from conducto_core.run.rules.activity import active_time, wall_time
from conducto_core.secrets.rules import withheld

if TYPE_CHECKING:
    from jinja2 import Template

#: Maximum bytes of a page; it is sent as one response, and Lambda allows 6 MB.
MAX_BYTES = 4_000_000
#: Maximum numbers of nodes and failures, tried until the page is small enough. Each text has a
#: limit of its own, so that the last ones always fit.
_SIZES = ((MAX_NODES, MAX_FAILED), (1_000, MAX_FAILED), (500, 200), (200, 50), (50, 20), (1, 5))


def page_of(run: ExportReport) -> bytes:
    """Return the page; with fewer nodes if it would be too large."""
    page = b""
    for nodes, failed in _SIZES:
        page = _page(_with(run, nodes, failed)).encode(errors="replace")
        if len(page) <= MAX_BYTES:
            break
    return page


def _with(run: ExportReport, nodes: int, failed: int) -> ExportReport:
    whole = run.whole and len(run.nodes) <= nodes
    return replace(run, nodes=run.nodes[:nodes], failed=run.failed[:failed], whole=whole)


@cache
def _template() -> "Template":
    """Return the template of the page. It escapes every text."""
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - only exports need it

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    filters = (texts.clipped, texts.last_lines, texts.short, texts.visible)
    environment.filters.update({each.__name__: each for each in filters})
    environment.filters["thousands"] = "{:,}".format
    style = _lines_of("style.css")
    environment.globals.update(
        HEIGHTS=HEIGHTS,
        MARKS=texts.MARKS,
        MAX_OUTPUTS=MAX_OUTPUTS,
        OUTPUT_LINES=OUTPUT_LINES,
        State=State,
        WAITS=WAITS,
        container=texts.container,
        duration=duration,
        ending=texts.ending,
        facts_of=texts.facts_of,
        hash=base64.b64encode(sha256(style.encode()).digest()).decode(),
        mark=texts.mark,
        moment=texts.moment,
        place=texts.place,
        shown_path=texts.shown_path,
        state_word=texts.state_word,
        style=style,
    )
    return environment.from_string(_lines_of("page.jinja"))


def _lines_of(name: str) -> str:
    """Return a file of this package as one line, without indentation."""
    text = (resources.files(__package__) / name).read_text("utf-8")
    return "".join(line.strip() for line in text.splitlines())


def _page(run: ExportReport) -> str:
    record, counts, root = run.summary.pipeline, run.summary.counts, outline(run.nodes)
    branches = () if root is None else _all(root)
    failed = len(run.failed)
    return _template().render(
        run=run,
        title=texts.short(record.title) or record.id,
        facts=_facts(run),
        withheld=withheld(record),
        failed=failed if failed < MAX_FAILED else max(failed, counts.error + counts.killed),
        chart=Chart(run),
        root=root,
        # Short ids, since a path may contain any character.
        anchors={branch.node.path: f"n{number}" for number, branch in enumerate(branches)},
    )


def _all(branch: Branch) -> Iterator[Branch]:
    yield branch
    for child in branch.children:
        yield from _all(child)


def _facts(run: ExportReport) -> Iterator[tuple[str, str]]:
    summary, record = run.summary, run.summary.pipeline
    if summary.started is not None:
        over = summary.ended if summary.settled else None
        yield "Began", texts.moment(summary.started)
        if over is not None:
            yield "Ended", texts.moment(over)
        end = run.made if over is None else over
        active, wall = active_time(summary, end), wall_time(summary, end)
        took = "" if active is None else duration(active)
        took = took if wall is None else f"{took} at work, {duration(wall)} in all"
        yield "Runs for" if over is None else "Took", took
    if record.owner:
        yield "Owner", texts.short(record.owner)
    yield "Ran", "in the cloud" if record.mode == "cloud" else f"locally, {record.engine}"
    if record.program is not None:
        yield "Script", texts.short(record.program.rpartition("/")[2])


async def export_response(
    source: Source, params: PipelineParams, made: float, span: ByteRange | None
) -> Download:
    """Return a pipeline's export, made at ``made``, as a download of the page or a part of it.

    Raises:
        NotFoundError: there is no such pipeline.
    """
    run = await collect(source, params, made)
    page = await asyncio.to_thread(page_of, run)
    first, count = (0, len(page)) if span is None else span.within(len(page))

    async def chunks() -> AsyncIterator[bytes]:
        yield page[first : first + count]

    version = sha256(page).hexdigest()[:32]
    return Download(
        texts.file_name(run.summary.pipeline), len(page), first, count, version, chunks()
    )
