"""The result of a pipeline in markdown, for the summary page of a CI job."""

from itertools import islice

from conducto_cli.text.text import count_of, printable
from conducto_cli.view.model import total
from conducto_cli.view.report import plain_lines
from conducto_cli.view.rows import place
from conducto_client import Client
from conducto_core.model.labels import duration, failure_text
from conducto_core.model.requests import NodeView, PipelineSummary
from conducto_core.model.states import State

#: Failures in the summary, and lines of output of each; GitHub shows a megabyte.
_SHOWN = 20
_LINES = 20
_COLUMNS = 300


def job_summary(client: Client, summary: PipelineSummary) -> str:
    """Return the summary of a pipeline that has ended."""
    counts = summary.counts
    took = ""
    if summary.started is not None and summary.ended is not None:
        took = f" in {duration(summary.ended - summary.started)}"
    mark = "✅" if summary.state is State.DONE else "❌"
    failed = counts.error + counts.killed
    lines = [
        f"### {mark} {_inline(summary.pipeline.title)}",
        "",
        f"Pipeline `{summary.pipeline.id}`: {summary.state.value}{took}.",
        "",
        "| Execs | done | failed | not run | skipped |",
        "| --- | --- | --- | --- | --- |",
        (
            f"| {total(counts):,} | {counts.done:,} | {failed:,} | {counts.pending:,} | "
            f"{counts.skipped:,} |"
        ),
        "",
    ]
    failures = client.tree(
        summary.pipeline.id, failed=True, attempts="newest", tails=True, limit=_SHOWN
    )
    shown = list(islice(failures, _SHOWN))
    for view in shown:
        lines += _failure(view)
    if failed > len(shown):
        lines += [f"… and {count_of(failed - len(shown), 'more failure')}.", ""]
    return "\n".join(lines)


def _failure(view: NodeView) -> list[str]:
    facts = [failure_text(view), place(view.file, view.line)]
    said = ", ".join(_html(fact) for fact in facts if fact)
    output = [line[:_COLUMNS] for line in plain_lines(view.tail or "")[-_LINES:]]
    fence = _fence("\n".join(output))
    return [
        f"<details><summary><code>{_html(view.path)}</code> {said}</summary>",
        "",
        fence,
        *output,
        fence,
        "",
        "</details>",
        "",
    ]


def _fence(text: str) -> str:
    """Return a fence that the text does not contain."""
    fence = "```"
    while fence in text:
        fence += "`"
    return fence


def _html(text: str) -> str:
    """Return text for a block of HTML, in which markdown has no effect."""
    shown = printable(text)
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _inline(text: str) -> str:
    """Return text for a line of markdown, without effects of markdown or HTML."""
    return "".join(f"\\{char}" if char in "\\`*_~[]()#|!$" else char for char in _html(text))
