"""The page as a whole: pure, from a `Run` to bytes."""

from collections.abc import Iterator
from dataclasses import replace

from conducto.service.export.facts import foot, head, images, title_of
from conducto.service.export.failures import failures
from conducto.service.export.markup import Markup, tag, void
from conducto.service.export.outline import Branch, outline
from conducto.service.export.run import MAX_FAILED, MAX_NODES, Run
from conducto.service.export.style import POLICY, STYLE
from conducto.service.export.timeline import timeline
from conducto.service.export.tree import TreeView

#: Most bytes of a page; a client gets it in one piece, and a Lambda answers no more than 6 MB.
MAX_BYTES = 4_000_000
#: Numbers of nodes and of failures that are tried until the page is small enough. Each text has a
#: limit of its own, so that the last ones always are.
_SIZES = ((MAX_NODES, MAX_FAILED), (1_000, MAX_FAILED), (500, 200), (200, 50), (50, 20), (1, 5))


def page_of(run: Run) -> bytes:
    """Return the page; with fewer nodes, where those of the run make it too large."""
    page = b""
    for nodes, failed in _SIZES:
        page = _page(_with(run, nodes, failed)).encode(errors="replace")
        if len(page) <= MAX_BYTES:
            break
    return page


def _with(run: Run, nodes: int, failed: int) -> Run:
    whole = run.whole and len(run.nodes) <= nodes
    return replace(run, nodes=run.nodes[:nodes], failed=run.failed[:failed], whole=whole)


def _page(run: Run) -> str:
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
    """Return ``{path: id}``: short ids, for a path may hold anything."""
    return {branch.node.path: f"n{number}" for number, branch in enumerate(_all(root))}


def _all(branch: Branch) -> Iterator[Branch]:
    yield branch
    for child in branch.children:
        yield from _all(child)
