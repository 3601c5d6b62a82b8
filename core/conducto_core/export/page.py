"""An export as a download."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from hashlib import sha256

from conducto_core.api.downloads import ByteRange, Download
from conducto_core.export.collect import (
    MAX_FAILED,
    MAX_NODES,
    Branch,
    ExportReport,
    Source,
    collect,
    outline,
)
from conducto_core.export.markup import POLICY, STYLE, Markup, file_name, tag, void
from conducto_core.export.sections import TreeView, failures, foot, head, images, title_of
from conducto_core.export.timeline import timeline
from conducto_core.run.model.params import PipelineParams

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


def _page(run: ExportReport) -> str:
    root = outline(run.nodes)
    anchors = {} if root is None else _anchors(root)
    main = tag(
        "main",
        failures(run, anchors),
        timeline(run),
        *(() if root is None else (TreeView(run, anchors).section(root),)),
        images(run),
    )
    body = tag("body", head(run), main, foot(run))
    document = tag("html", _head(title_of(run)), body, lang="en")
    return f"<!doctype html>\n{document}\n"


def _head(title: str) -> Markup:
    return tag(
        "head",
        void("meta", charset="utf-8"),
        void("meta", http_equiv="Content-Security-Policy", content=POLICY),
        void("meta", name="viewport", content="width=device-width, initial-scale=1"),
        void("meta", name="referrer", content="no-referrer"),
        tag("title", f"{title} · Conducto"),
        tag("style", Markup(STYLE)),
    )


def _anchors(root: Branch) -> dict[str, str]:
    """Return ``{path: id}`` with short ids, since a path may contain any character."""
    return {branch.node.path: f"n{number}" for number, branch in enumerate(_all(root))}


def _all(branch: Branch) -> Iterator[Branch]:
    yield branch
    for child in branch.children:
        yield from _all(child)


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
    return Download(file_name(run.summary.pipeline), len(page), first, count, version, chunks())
