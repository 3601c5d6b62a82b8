"""The section for failures: for each Exec the cause, its source, its command and last output."""

from collections.abc import Iterator, Mapping

from conducto_core.api.export.attempts import ending, message, output, where
from conducto_core.api.export.markup import Markup, joined, tag
from conducto_core.api.export.report import MAX_FAILED, MAX_OUTPUTS, OUTPUT_LINES, Report
from conducto_core.api.export.text import (
    clipped,
    last_lines,
    mark,
    place,
    short,
    shown_path,
    state_word,
    visible,
)
from conducto_core.model.requests import NodeView

#: Maximum number of failures listed by name, after those with details.
_NAMED = 200
_COMMAND = 2_000


def failures(run: Report, anchors: Mapping[str, str]) -> Markup:
    """Return the section; empty if nothing failed."""
    counts = run.summary.counts
    known = len(run.failed)
    total = known if known < MAX_FAILED else max(known, counts.error + counts.killed)
    if not run.failed:
        return Markup("")
    told = run.failed[:MAX_OUTPUTS]
    named = run.failed[MAX_OUTPUTS : MAX_OUTPUTS + _NAMED]
    rest = total - len(told) - len(named)
    return tag(
        "section",
        tag("h2", f"Failures ({total:,})"),
        *(_card(node, run, anchors) for node in told),
        *((_named(named, run, rest),) if named else ()),
        id="failures",
    )


def _card(node: NodeView, run: Report, anchors: Mapping[str, str]) -> Markup:
    path = shown_path(node.path)
    anchor = anchors.get(node.path)
    name = path if anchor is None else tag("a", path, href=f"#{anchor}")
    sign = tag("span", mark(node), class_=node.state.value)
    return tag(
        "article",
        tag("h3", tag("code", sign, " ", name)),
        tag("p", joined(_facts(node, run.made), " · ")),
        *(tag("pre", f"$ {_command(text)}") for text in (node.command,) if text),
        *message(node),
        *_output(node),
        class_="card",
    )


def _facts(node: NodeView, now: float) -> Iterator[str]:
    why, *rest = ending(node, now)
    yield tag("span", state_word(node), class_=f"state {node.state.value}")
    yield tag("b", why)
    yield from rest
    written = place(node)
    if written is not None:
        yield tag("code", written)
    if node.image is not None:
        yield joined(("image ", tag("code", short(node.image))))
    if node.attempts:
        yield from where(node.attempts[-1])


def _command(text: str) -> str:
    return visible(clipped(text.strip(), _COMMAND))


def _output(node: NodeView) -> Iterator[Markup]:
    text = last_lines(node.tail or "", OUTPUT_LINES)
    if text.strip():
        yield output(text, node)
    elif node.attempts:
        yield tag("p", "It printed nothing.", class_="muted")


def _named(nodes: tuple[NodeView, ...], run: Report, rest: int) -> Markup:
    lines = [
        tag("li", tag("code", shown_path(node.path)), "  ", ", ".join(ending(node, run.made)))
        for node in nodes
    ]
    if rest > 0:
        lines.append(tag("li", f"… {rest:,} more", class_="muted"))
    return tag("ul", *lines)
