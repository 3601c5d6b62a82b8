"""A run in a CI job: the output of all nodes, in the groups that the CI system can fold."""

import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path
from typing import TextIO

from conducto_cli.logs.pipeline_logs import STREAMS, OutputView, attempt_of, output_of, style_for
from conducto_cli.text.text import count_of, printable, shell_word
from conducto_cli.view.model import AttemptOutput, MergedOutput, PipelineModel, total
from conducto_cli.view.plain import LinePrinter, PlainPrinter, source_name
from conducto_cli.view.report import plain_lines
from conducto_cli.view.rows import elapsed, place, why_failed
from conducto_cli.view.watch import PlainView, View
from conducto_client import Client
from conducto_core.diagnosis.model import DiagnosisParams
from conducto_core.diagnosis.rules.markdown import markdown
from conducto_core.run.model.labels import duration, failure_text
from conducto_core.run.model.requests import EventBatch, NodeView, PipelineSummary
from conducto_core.run.model.states import FAILED, FINISHED, State
from conducto_core.run.rules.activity import active_time

#: GitHub shows ten annotations of a step.
_ANNOTATIONS = 10
#: Bytes of output in one group; the rest can be read with ``conducto logs``.
_GROUP_BYTES = 4 << 20
#: Nodes without output that are done and get a line.
_SILENT = 100


def is_ci(environ: Mapping[str, str]) -> bool:
    """Return whether this is a CI job: GitHub, GitLab, Buildkite and others set ``CI``."""
    return environ.get("CI", "").lower() not in ("", "0", "false", "no")


def streams(
    chosen: bool | None, environ: Mapping[str, str], stream: TextIO, *, plain: bool
) -> bool:
    """Return whether a run prints the output of all nodes: as chosen, else in CI jobs."""
    if chosen is not None:
        return chosen
    return is_ci(environ) and (plain or not stream.isatty())


def write_reports(
    client: Client, summary: PipelineSummary, junit: str | None, environ: Mapping[str, str]
) -> None:
    """Write the JUnit report, and the summary of a job of GitHub Actions.

    Raises:
        UsageError: the report cannot be written.
    """
    page = environ.get("GITHUB_STEP_SUMMARY")
    if page:
        try:
            with Path(page).open("a", encoding="utf-8") as file:
                file.write(job_summary(client, summary))
        except OSError as error:
            print(f"conducto: no job summary: {page}: {error.strerror}", file=sys.stderr)
    if junit is not None:
        from conducto_cli.view.junit import write_junit  # noqa: PLC0415 - rarely needed

        write_junit(client, summary, junit)


@contextmanager
def quoting(environ: Mapping[str, str]) -> Iterator[None]:
    """Print lines of output, of which none acts as a workflow command of GitHub Actions."""
    if not environ.get("GITHUB_ACTIONS"):
        yield
        return
    token = secrets.token_hex(16)
    print(f"::stop-commands::{token}")
    try:
        yield
    finally:
        print(f"::{token}::")


def stream_view(environ: Mapping[str, str]) -> View:
    if environ.get("GITHUB_ACTIONS"):
        return GroupView(environ, _GitHub(environ.get("GITHUB_WORKSPACE") or "."))
    if environ.get("BUILDKITE"):
        return GroupView(environ, _Buildkite())
    return StreamView(environ)


class StreamView:
    """Lines of output as they come, each after the path of its node, and the ends of nodes."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._lines = OutputView(LinePrinter(sys.stdout.write, style_for(environ, [])))
        self._plain = PlainView(sys.stdout)

    def session(
        self, client: Client, pipeline_id: str, pressed: Callable[[str], None]
    ) -> AbstractContextManager[None]:
        """Keep the client; no keys."""
        return self._lines.session(client, pipeline_id, pressed)

    def added(self, model: PipelineModel, views: Sequence[NodeView]) -> None:
        self._lines.added(model, views)
        self._lines.refresh(model)
        self._plain.added(model, views)

    def changed(self, model: PipelineModel, batch: EventBatch) -> None:
        self._lines.changed(model, batch)
        if any(change.state in FINISHED for change in batch.changes):
            self._lines.show()
        self._plain.changed(model, batch)

    def refresh(self, model: PipelineModel) -> None:
        self._lines.refresh(model)
        self._plain.refresh(model)

    def finish(self, model: PipelineModel) -> None:
        self._lines.finish(model)
        self._plain.finish(model)


class _GitHub:
    """Workflow commands of GitHub Actions; files are named relative to the workspace."""

    def __init__(self, workspace: str) -> None:
        self._workspace = workspace
        self._annotated = 0
        self._token = ""

    def begin(self, title: str, *, failed: bool) -> str:
        """Return the lines in front of a node's output, in which no workflow command acts."""
        self._token = secrets.token_hex(16)
        stop = f"::stop-commands::{self._token}\n"
        return f"{stop}{title}\n" if failed else f"::group::{title}\n{stop}"

    def end(self, *, failed: bool) -> str:
        """Return the lines after it."""
        return f"::{self._token}::\n" + ("" if failed else "::endgroup::\n")

    def failure(self, model: PipelineModel, path: str, title: str) -> str:
        """Return an annotation; the first ones of a step are shown."""
        self._annotated += 1
        if self._annotated > _ANNOTATIONS:
            return ""
        row = model.rows[path]
        where = ""
        if row.file is not None:
            file = os.path.relpath(row.file, self._workspace)
            where = f"file={_property(file)},line={row.line or 1},"
        return f"::error {where}title={_property(path)}::{_data(title)}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


class _Buildkite:
    """Groups of Buildkite: those of failed nodes are open."""

    def begin(self, title: str, *, failed: bool) -> str:
        """Return the line in front of a node's output."""
        return f"{'+++' if failed else '---'} {title}\n"

    def end(self, *, failed: bool) -> str:
        """Return nothing: the next group ends this one."""
        del failed
        return ""

    def failure(self, model: PipelineModel, path: str, title: str) -> str:
        del model, path, title
        return ""


def _inert(line: str) -> str:
    """Return a line about a node in which the old form of GitHub's commands does not act."""
    return line.replace("##[", "# #[")


class GroupView:
    """The output of each node when it has ended, in a group of its own."""

    def __init__(self, environ: Mapping[str, str], groups: "_GitHub | _Buildkite") -> None:
        self._groups = groups
        self._environ = environ
        self._heads: list[str] = []
        self._ends = PlainPrinter(self._heads.append)
        self._client: Client | None = None
        self._id = ""
        self._printed: set[tuple[str, int]] = set()
        self._silent = 0

    def session(
        self, client: Client, pipeline_id: str, pressed: Callable[[str], None]
    ) -> AbstractContextManager[None]:
        """Keep the client; no keys."""
        self._client, self._id = client, pipeline_id
        return PlainView(sys.stdout).session(client, pipeline_id, pressed)

    def added(self, model: PipelineModel, views: Sequence[NodeView]) -> None:
        """Print the nodes that have ended already."""
        for view in views:
            output = output_of(view)
            if output is not None and view.state in FINISHED:
                self._print(model, output, view.state)
        self._flush()

    def changed(self, model: PipelineModel, batch: EventBatch) -> None:
        for change in batch.changes:
            row = model.rows.get(change.path)
            if row is not None and row.is_exec and change.state in FINISHED and change.attempt:
                self._print(model, attempt_of(change), change.state)
        self._ends.show(model, batch.model_copy(update={"changes": ()}))
        self._flush()

    def refresh(self, model: PipelineModel) -> None:
        self._ends.images(model)
        self._flush()

    def finish(self, model: PipelineModel) -> None:
        """Print images that moved last."""
        self.refresh(model)

    def _print(self, model: PipelineModel, output: AttemptOutput, state: State) -> None:
        key = (output.path, output.number)
        if key in self._printed or self._client is None:
            return
        self._printed.add(key)
        merged = MergedOutput(self._client, self._id, STREAMS)
        merged.add(output)
        style = style_for(self._environ, [])
        style.paths = False
        printer = LinePrinter(sys.stdout.write, style)
        failed = state in FAILED
        row = model.rows.get(output.path)
        facts = [state.value, source_name(output.path, output.number)]
        if row is not None and row.attempt == output.number:
            facts.append(why_failed(row) if state in FAILED else "")
            facts.append(elapsed(row, row.ended) if row.ended is not None else "")
        title = _inert("  ".join(printable(fact) for fact in facts if fact))
        left = _GROUP_BYTES
        for line in merged.lines(final=True):
            if printer.number == 0:
                sys.stdout.write(self._groups.begin(title, failed=failed))
            left -= len(line.data) + 1
            if left < 0:
                path = shell_word(output.path)
                sys.stdout.write(f"(too long; all of it: conducto logs {self._id} {path})\n")
                break
            printer.show(line)
        if printer.number:
            sys.stdout.write(self._groups.end(failed=failed))
        elif failed or self._silent < _SILENT:
            self._silent += not failed
            print(title)
        if failed:
            sys.stdout.write(self._groups.failure(model, output.path, title))

    def _flush(self) -> None:
        for line in self._heads:
            print(_inert(line))
        self._heads.clear()
        sys.stdout.flush()


# ----------------------------------------------------------------------------------------
# The result of a pipeline in markdown, for the summary page of a CI job.


#: Failures in the summary, and lines of output of each; GitHub shows a megabyte.
_SHOWN = 20
_LINES = 20
_COLUMNS = 300
#: Maximum bytes of the diagnosis above them.
_DIAGNOSIS_BYTES = 8000


def job_summary(client: Client, summary: PipelineSummary) -> str:
    counts = summary.counts
    seconds = active_time(summary, time.time())
    took = "" if seconds is None else f" in {duration(seconds)}"
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
    if failed:
        found = client.get_diagnosis(DiagnosisParams(id=summary.pipeline.id))
        lines += [markdown(found, _DIAGNOSIS_BYTES), ""]
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
