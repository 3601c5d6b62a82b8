"""The report at the end of a run: the result and, for failures, the next commands.

For a failure: which node, why, in which container, where in the script, the command, the last
lines of its output, how to see all of it, how to run it again, how to look into it. At most 12
lines around a failure; failures with the same last line are one; `SHOWN` kinds are shown.
"""

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from conducto_cli.text.actions import state_text
from conducto_cli.text.text import (
    Line,
    Marks,
    Role,
    TextSpan,
    clip,
    count_of,
    printable,
    shell_word,
)
from conducto_cli.view.model import PipelineModel, Row, failures, total
from conducto_cli.view.rows import place, problem_lines, time_text
from conducto_client import Client
from conducto_core.run.model.labels import cause_text, failure_text
from conducto_core.run.model.records import AttemptRecord, ImageRecord, ImageState
from conducto_core.run.model.requests import NodeView
from conducto_core.run.model.states import FINISHED, Cause, NodeType, State

#: Kinds of failure that are shown in full, and failures whose output is read to find the kinds.
SHOWN = 3
READ = 100
#: Failures that are checked for these, which may have others between them.
MAX_CHECKED = 10 * READ
COMMAND_LINES = 2
OUTPUT_LINES = 5
#: What a shell means by an exit code (POSIX, Shell Command Language, 2.8.2).
_MEANINGS = {
    126: "not executable: chmod +x it, or name its interpreter",
    127: "command not found: install it in the image, or mend its name",
}
#: Colours, cursor movements and titles, as ECMA-48 writes them.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


@dataclass(frozen=True, slots=True)
class ReportedFailure:
    """A failed Exec and the end of what it printed."""

    view: NodeView
    output: tuple[str, ...] = ()

    @property
    def attempt(self) -> AttemptRecord | None:
        """The newest attempt; None when it never began."""
        return self.view.attempts[-1] if self.view.attempts else None

    @property
    def why(self) -> str:
        if self.view.type is not NodeType.EXEC:
            return failure_text(self.view)
        code = None if self.attempt is None else self.attempt.exit_code
        by_code = self.view.cause in {None, Cause.EXIT_CODE}
        meaning = _MEANINGS.get(code) if by_code and code is not None else None
        said = cause_text(self.view.cause, code)
        return said if meaning is None else f"{said}: {meaning}"

    @property
    def kind(self) -> tuple[str, str]:
        """What it has in common with others: the cause and the last line."""
        group = "" if self.view.type is NodeType.EXEC else self.view.path
        return (self.why, self.output[-1] if self.output else group)


@dataclass(frozen=True, slots=True)
class ReportPage:
    """What a report is written for.

    Attributes:
        columns: Width that quoted lines are clipped to.
    """

    marks: Marks
    columns: int = 160


@dataclass(slots=True)
class ReportGroup:
    """Failures of one kind, the first in definition order at the front."""

    first: ReportedFailure
    paths: list[str] = field(default_factory=list)


def final_report(client: Client, model: PipelineModel, page: ReportPage) -> list[Line]:
    """Return the lines that end a run; ``client`` reads the failures' details and output."""
    if model.summary.state is State.DONE:
        return [_done_line(model, page)]
    failed = list(model.failures())
    if not failed:
        summary = model.summary
        left = count_of(summary.counts.pending, "Exec")
        words = f"{page.marks.pending} {state_text(summary)}: {left} not run"
        if summary.state in FINISHED:
            words = f"{page.marks.failed} {summary.state.value}{_took(model)}"
        why = problem_lines(model, page.columns)
        how = hint("continue:", f"conducto run {summary.pipeline.id}")
        return [(TextSpan(words, Role.WAITING),), *why, how]
    lines: list[Line] = [_failed_line(model, page)]
    broken = [row for row in failed if row.cause is Cause.IMAGE]
    others = [row for row in failed if row.cause is not Cause.IMAGE]
    images = [image for image in model.summary.images if image.state is ImageState.ERROR]
    if images:
        for image in images[:SHOWN]:
            lines += _image_block(model, image, len(broken) if len(images) == 1 else None, page)
    else:
        others = failed
    if others:
        lines += _node_blocks(client, model, others, page)
    else:
        lines.append(hint("rerun:", f"conducto rerun {model.summary.pipeline.id} --failed"))
    return lines


def _took(model: PipelineModel) -> str:
    summary = model.summary
    return "" if summary.ended is None else f" in {time_text(summary, summary.ended)}"


def _done_line(model: PipelineModel, page: ReportPage) -> Line:
    counts = model.summary.counts
    words = f"{page.marks.done} done: {count_of(total(counts), 'Exec')}{_took(model)}"
    notes = []
    if failures(counts):
        notes.append(f"{failures(counts):,} failed, which does not count here")
    if counts.skipped:
        notes.append(f"{counts.skipped:,} skipped")
    if notes:
        words += f" ({'; '.join(notes)})"
    return (TextSpan(words, Role.GOOD),)


def _failed_line(model: PipelineModel, page: ReportPage) -> Line:
    counts = model.summary.counts
    failed = list(model.failures())
    execs, groups = sum(row.is_exec for row in failed), [row for row in failed if row.timed_out]
    parts = [f"{execs:,} of {count_of(total(counts), 'Exec')} failed"] if execs else []
    if groups:
        named = printable(groups[0].path) if len(groups) == 1 else count_of(len(groups), "group")
        parts.append(f"{named} timed out")
    words = f"{page.marks.failed} {', '.join(parts)}{_took(model)}"
    if counts.pending:
        words += f"; {counts.pending:,} not run"
    return (TextSpan(words, Role.BAD),)


def _image_block(
    model: PipelineModel, image: ImageRecord, nodes: int | None, page: ReportPage
) -> Iterator[Line]:
    said = "" if nodes is None else f"; {count_of(nodes, 'Exec')} cannot run without it"
    yield (
        TextSpan(f"  image {printable(image.name)}", Role.STRONG),
        TextSpan(f"  could not be had{said}", Role.BAD),
    )
    lines = plain_lines("" if image.error is None else image.error)
    # Wrapped, not clipped: the end of a sentence says what to do.
    wrapped = [part for line in lines for part in textwrap.wrap(line, max(40, page.columns - 6))]
    yield from _quoted(wrapped[-2 * OUTPUT_LINES :], page)
    name = shell_word(image.name)
    yield hint("whole build:", f"conducto logs {model.summary.pipeline.id} --image {name}")


def _node_blocks(
    client: Client, model: PipelineModel, failed: Sequence[Row], page: ReportPage
) -> Iterator[Line]:
    groups = group_failures(_read(client, model.summary.pipeline.id, failed))
    pipeline_id = model.summary.pipeline.id
    for group in groups[:SHOWN]:
        yield from _group_block(pipeline_id, group, page)
    shown = sum(len(group.paths) for group in groups[:SHOWN])
    if len(failed) > shown:
        yield hint(
            f"{page.marks.more} {len(failed) - shown:,} more:",
            f"conducto show {pipeline_id} --failed",
        )
    yield hint("rerun:", f"conducto rerun {pipeline_id} --failed")
    firsts = (group.first for group in groups)
    execs = [first for first in firsts if _ran_command(first.view)]
    if execs and model.summary.pipeline.engine == "docker":
        yield hint("shell:", _shell_command(pipeline_id, execs[0]))


def _ran_command(view: NodeView) -> bool:
    """Return whether a node is a command, with output and a container; an approval is none."""
    return view.type is NodeType.EXEC and view.approval is None


def _shell_command(pipeline_id: str, failure: ReportedFailure) -> str:
    kept = failure.attempt is not None and failure.attempt.snapshot is not None
    path = shell_word(failure.view.path)
    return f"conducto debug {pipeline_id} {path}{' --snapshot' if kept else ''}"


def _read(client: Client, pipeline_id: str, failed: Sequence[Row]) -> Iterator[ReportedFailure]:
    """Fetch the details and the last output of the first failures."""
    missing = {row.path for row in failed[:READ]}
    found = client.tree(pipeline_id, failed=True, attempts="newest", tails=True)
    for view in islice(found, MAX_CHECKED):
        if view.path in missing:  # else it failed since, or is behind those that are read
            missing.discard(view.path)
            yield ReportedFailure(view, tuple(_last_output(view)))
        if not missing:
            return


def _last_output(view: NodeView) -> list[str]:
    """Return the explanation of a failure: the runner's message, or the last lines of the output.

    Where the command failed by its exit code, its output says more than a message on it.
    """
    said = plain_lines(view.attempts[-1].message or "" if view.attempts else "")
    printed = plain_lines(view.tail or "")
    first, other = (printed, said) if view.cause is Cause.EXIT_CODE else (said, printed)
    return (first or other)[-OUTPUT_LINES:]


def group_failures(found: Iterable[ReportedFailure]) -> list[ReportGroup]:
    """Return the kinds of failure, the most frequent first."""
    groups: dict[tuple[str, str], ReportGroup] = {}
    for failure in found:
        group = groups.setdefault(failure.kind, ReportGroup(failure))
        group.paths.append(failure.view.path)
    return sorted(groups.values(), key=lambda group: -len(group.paths))


def _group_block(pipeline_id: str, group: ReportGroup, page: ReportPage) -> Iterator[Line]:
    failure = group.first
    view, attempt = failure.view, failure.attempt
    path = printable(view.path)
    alike = len(group.paths)
    yield (
        TextSpan(f"  {path}" if alike == 1 else f"  {alike:,} Execs, first {path}", Role.STRONG),
        TextSpan(f"  {failure.why}", Role.BAD),
        TextSpan("".join(f"  {fact}" for fact in _circumstances(view, attempt)), Role.FAINT),
    )
    yield from _command(view.command if attempt is None else attempt.command, page)
    yield from _quoted(failure.output, page)
    if view.type is not NodeType.EXEC:
        yield hint("  what it ended:", f"conducto tree {pipeline_id} {shell_word(view.path)}")
        return
    if _ran_command(view):
        yield hint("  all of it:", f"conducto logs {pipeline_id} {shell_word(view.path)}")


def _circumstances(view: NodeView, attempt: AttemptRecord | None) -> Iterator[str]:
    if attempt is not None and attempt.number > 1:
        yield f"attempt {attempt.number}"
    where = place(view.file, view.line)
    if where:
        yield where
    used = None if attempt is None else attempt.image
    image = view.image if view.image is not None else used
    if image and used != "":  # plain processes have none, which is recorded as an empty name
        yield f"image {printable(image)}"
    if attempt is not None and attempt.container is not None:
        yield f"in {attempt.container}{_use(attempt.position)}"


def _use(position: int | None) -> str:
    """Return how often a container had been used before, where that is known."""
    if position is None:
        return ""
    return " (fresh)" if position == 0 else f" (reused, command {position + 1:,} in it)"


def _command(command: str | None, page: ReportPage) -> Iterator[Line]:
    lines = [line for line in ("" if command is None else command).splitlines() if line.strip()]
    for number, line in enumerate(lines[:COMMAND_LINES]):
        last = number == COMMAND_LINES - 1 and len(lines) > COMMAND_LINES
        text = clip(printable(line), page.columns - 8, page.marks.more)
        yield (TextSpan(f"    $ {text}{f' {page.marks.more}' if last else ''}"),)


def _quoted(lines: Iterable[str], page: ReportPage) -> Iterator[Line]:
    room = page.columns - 6
    for line in lines:
        text = clip(line, room, page.marks.more)
        yield (TextSpan(f"    {page.marks.output} ", Role.FAINT), TextSpan(text))


def plain_lines(text: str) -> list[str]:
    """Return the lines that are not blank; of a progress bar the last visible text."""
    lines = (line.rstrip().rpartition("\r")[2] for line in _ESCAPES.sub("", text).split("\n"))
    return [printable(line.expandtabs(4)) for line in lines if line.strip()]


def hint(label: str, command: str) -> Line:
    return (TextSpan(f"  {label} ", Role.FAINT), TextSpan(command))
