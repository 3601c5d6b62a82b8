"""One line of text for a node, an image, the whole pipeline."""

import os.path
import textwrap
from collections.abc import Iterable, Iterator

from conducto_cli.text.actions import state_text
from conducto_cli.text.text import Line, Marks, Role, TextSpan, pad, printable, shell_word
from conducto_cli.view.model import PipelineModel, Row, failures, total
from conducto_core.approvals.model import WaitingApproval
from conducto_core.run.model.labels import cause_text, duration, explained, timeout_text
from conducto_core.run.model.records import Counts, ImageRecord, ImageState, PipelineRecord
from conducto_core.run.model.requests import PipelineSummary
from conducto_core.run.model.states import FINISHED, State
from conducto_core.run.rules.activity import active_time, wall_time
from conducto_core.secrets.rules import withheld

ROLE_OF_STATE = {
    State.PENDING: Role.FAINT,
    State.QUEUED: Role.WAITING,
    State.RUNNING: Role.BUSY,
    State.DONE: Role.GOOD,
    State.ERROR: Role.BAD,
    State.KILLED: Role.BAD,
}
#: Lines that tell why a pipeline does not continue.
_PROBLEM_LINES = 8
#: Approvals that are shown with their commands.
_APPROVALS = 3


def mark(state: State, marks: Marks) -> TextSpan:
    signs = {
        State.PENDING: marks.pending,
        State.QUEUED: marks.queued,
        State.RUNNING: marks.running,
        State.DONE: marks.done,
        State.ERROR: marks.failed,
        State.KILLED: marks.failed,
    }
    return TextSpan(signs[state], ROLE_OF_STATE[state])


def place(file: str | None, line: int | None) -> str:
    """Return where a node was defined, e.g. ``pipeline.py:41``; empty if unknown."""
    if file is None:
        return ""
    name = printable(os.path.basename(file))  # noqa: PTH119 - a path of another machine, maybe
    return name if line is None else f"{name}:{line}"


def elapsed(row: Row, now: float) -> str:
    """Return how long a node ran or has been running; empty if it never began."""
    if row.started is None:
        return ""
    # A group that waits for an approval has ended so far.
    over = row.ended is not None and (row.state in FINISHED or not row.is_exec)
    end = row.ended if over and row.ended is not None else now
    return duration(max(0.0, end - row.started - row.idle))


def name_of(row: Row, columns: int = 0) -> str:
    """Return a node's name as it is shown, with blanks up to ``columns``."""
    return pad(printable(row.name) if row.name else "/", columns)


def why_failed(row: Row) -> str:
    if row.timed_out:
        return timeout_text(row.max_time, row.counts)
    if row.stopped_by is not None:
        return f"ended with {printable(row.stopped_by)}"
    return printable(explained(cause_text(row.cause, row.exit_code), row.cause, row.message))


def exec_line(row: Row, name: str, now: float, marks: Marks, *, stated: bool = False) -> Line:
    """Return the line of an Exec; without the word for its state where that is ``stated``."""
    if row.skipped:
        return (TextSpan(f"{marks.skipped} {name}{'' if stated else '  skipped'}", Role.FAINT),)
    facts = [elapsed(row, now)]
    if row.failed:
        facts.insert(0, why_failed(row))
        facts.append(place(row.file, row.line) if row.is_failure else "")
    elif row.state in {State.QUEUED, State.PENDING}:
        facts = [printable(row.waits_for or "") or ("" if stated else row.state.value)]
    if row.attempt > 1:
        facts.insert(len(facts) - row.failed, f"attempt {row.attempt}")
    tail = "  ".join(fact for fact in facts if fact)
    role = Role.BAD if row.is_failure else Role.FAINT
    shown = TextSpan(name, shrinks=not row.waits_for)  # otherwise, the end of the sentence is cut
    return (
        mark(row.state, marks),
        TextSpan(" "),
        shown,
        TextSpan(f"  {tail}" if tail else "", role),
    )


def group_line(
    row: Row, name: str, now: float, marks: Marks, *, opened: bool, stated: bool = False
) -> Line:
    """Return the line of a group: its progress, and the failures below."""
    fold = TextSpan(marks.opened if opened else marks.closed, Role.FAINT)
    if row.skipped:
        word = "" if stated else " skipped"
        return (fold, TextSpan(f" {name}  {marks.skipped}{word}", Role.FAINT))
    role = Role.PLAIN if row.state is State.PENDING else Role.STRONG
    spans = [fold, TextSpan(" "), TextSpan(name, role, shrinks=True)]
    spans += progress(row.counts, marks)
    took = "" if row.path == "/" else elapsed(row, now)  # the pipeline's own line tells it
    if row.timed_out:
        spans.append(TextSpan(f"  {why_failed(row)}", Role.BAD))
    if row.state is State.PENDING:
        spans += [] if stated else [TextSpan("  pending", Role.FAINT)]
    elif took:
        spans.append(TextSpan(f"  {took}", Role.FAINT))
    if row.warning:
        spans.append(TextSpan("  with suppressed errors", Role.WAITING))
    return tuple(spans)


def progress(counts: Counts | None, marks: Marks) -> list[TextSpan]:
    if counts is None:
        return []
    done = Role.GOOD if counts.done else Role.FAINT
    spans = [TextSpan(f"  {marks.done} {counts.done:,}/{total(counts):,}", done)]
    if failures(counts):
        spans.append(TextSpan(f"  {marks.failed} {failures(counts):,}", Role.BAD))
    if counts.running:
        spans.append(TextSpan(f"  {marks.running} {counts.running:,}", Role.BUSY))
    if counts.queued:
        spans.append(TextSpan(f"  {marks.queued} {counts.queued:,}", Role.WAITING))
    return spans


def image_line(image: ImageRecord, last: str, now: float, marks: Marks) -> Line:
    """Return how far an image is, with the last line its build printed."""
    failed = image.state is ImageState.ERROR
    sign = TextSpan(marks.failed, Role.BAD) if failed else TextSpan(marks.running, Role.BUSY)
    since = "" if image.started is None else duration((image.ended or now) - image.started)
    words = f" image {printable(image.name)}  {'failed' if failed else image.state.value}  {since}"
    return (
        sign,
        TextSpan(words.rstrip()),
        TextSpan(f"  {printable(last)}" if last else "", Role.FAINT),
    )


def header_line(model: PipelineModel, now: float, marks: Marks) -> Line:
    summary = model.summary
    record = summary.pipeline
    took = "" if summary.started is None else f" {time_text(summary, now)}"
    return (
        mark(summary.state, marks),
        TextSpan(" "),
        TextSpan(printable(record.title), Role.STRONG, shrinks=True),
        TextSpan(f"  {record.id}  ", Role.FAINT),
        TextSpan(f"{state_text(summary)}{took}", ROLE_OF_STATE[summary.state]),
    )


def time_text(summary: PipelineSummary, now: float) -> str:
    active, wall = active_time(summary, now), wall_time(summary, now)
    if active is None:
        return ""
    return (
        duration(active) if wall is None else f"{duration(active)} at work, {duration(wall)} in all"
    )


def problem_lines(model: PipelineModel, columns: int) -> list[Line]:
    """Return the problem of the pipeline as a whole, such as a full disk; often none."""
    record = model.summary.pipeline
    lines: list[Line] = []
    for problem in filter(None, (record.problem, withheld(record))):
        words = textwrap.wrap(printable(problem), max(20, columns - 2))
        lines += [(TextSpan(f"  {line}", Role.BAD),) for line in words[:_PROBLEM_LINES]]
    return lines


def approval_lines(model: PipelineModel) -> list[Line]:
    """Return the commands that decide waiting approvals, the oldest first; often none."""
    lines: list[Line] = []
    for asked in model.summary.approvals[:_APPROVALS]:
        lines.append(
            (
                TextSpan("  waits for approval: ", Role.WAITING),
                TextSpan(approve_command(model.summary.pipeline.id, asked)),
                TextSpan(
                    f"  {printable(' '.join(asked.message.split()))}", Role.FAINT, shrinks=True
                ),
            )
        )
        lines += [
            (TextSpan(f"    asked again: {printable(why)}", Role.WAITING, shrinks=True),)
            for why in asked.withdrawn
        ]
    return lines


def approve_command(pipeline_id: str, asked: WaitingApproval) -> str:
    """Return the command that approves a node as it waits now."""
    again = f" --attempt {asked.attempt}" if asked.withdrawn else ""
    return f"conducto approve {pipeline_id} {shell_word(asked.path)}{again}"


def parent_lines(record: PipelineRecord) -> list[Line]:
    """Return the attempt whose command launched the pipeline, or the pipeline that it repeats."""
    parent = record.parent
    if parent is None:
        words = f"launched again from {record.copy_of}"
        return [] if record.copy_of is None else [(TextSpan(words, Role.FAINT),)]
    words = f"launched by {parent.pipeline} {printable(parent.path)}, attempt {parent.attempt}"
    return [(TextSpan(words, Role.FAINT),)]


def counts_line(counts: Counts) -> Line:
    """Return the line of the six counts, those that are not zero in colour."""
    letters = [
        ("P", counts.pending, State.PENDING),
        ("Q", counts.queued, State.QUEUED),
        ("R", counts.running, State.RUNNING),
        ("D", counts.done, State.DONE),
        ("E", counts.error, State.ERROR),
        ("K", counts.killed, State.KILLED),
    ]
    spans = [
        TextSpan(
            f"{'  ' if place else ''}{letter} {number:,}",
            ROLE_OF_STATE[state] if number else Role.FAINT,
        )
        for place, (letter, number, state) in enumerate(letters)
    ]
    if counts.skipped:
        spans.append(TextSpan(f"  skipped {counts.skipped:,}", Role.FAINT))
    return tuple(spans)


# ----------------------------------------------------------------------------------------
# The tree of a pipeline as lines of text.


_WIDEST_STATE = 8


def tree_lines(roots: Iterable[Row], now: float, marks: Marks) -> Iterator[Line]:
    """Yield a line for each node of these trees, parents before children."""
    for root in roots:
        stack = [(root, 0)]
        while stack:
            row, depth = stack.pop()
            name = root.path if row is root else row.name
            yield (_state(row), TextSpan("  " * depth), *_line(row, name, now, marks))
            stack += [(child, depth + 1) for child in reversed(row.children.values())]


def _state(row: Row) -> TextSpan:
    word = "skipped" if row.skipped else row.state.value
    return TextSpan(f"{word:{_WIDEST_STATE}}", Role.FAINT)


def _line(row: Row, name: str, now: float, marks: Marks) -> Line:
    shown = printable(name)
    if row.is_exec:
        return exec_line(row, shown, now, marks, stated=True)
    return group_line(row, shown, now, marks, opened=bool(row.children), stated=True)


def flat_line(row: Row, now: float, marks: Marks) -> Line:
    return (_state(row), *_line(row, row.path, now, marks))
