"""The text of a diagnosis, fitted to a number of bytes.

Whole parts are left out, the least important first; the head and the next steps stay longest. Text
of commands is in lines ``| …`` between ``<output NONCE>`` tags, and paths and titles are JSON
strings: a reader can tell it from the text of Conducto.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from conducto_core.annotations.model import line_of
from conducto_core.diagnosis.model import Diagnosis, FailureCause, NextStep, PipelineChange
from conducto_core.diagnosis.rules.first_error import clean, shortened
from conducto_core.programs.history import ChangedField
from conducto_core.test_results.model import PipelineTest, PipelineTests, TestChange

_MAX_LINE = 400
_MAX_COMMAND_LINES = 8
_CUT = "… cut: ask with a larger max_bytes"

#: Marks text of commands.
Fence = Callable[[Sequence[str]], str]


class _Detail(NamedTuple):
    """The amount of detail: causes, lines of an excerpt, and parts beside them."""

    causes: int
    lines: int
    extras: int


_DETAILS = (
    _Detail(20, 30, 3),
    _Detail(20, 16, 3),
    _Detail(10, 12, 3),
    _Detail(10, 6, 2),
    _Detail(10, 1, 2),
    _Detail(5, 4, 1),
    _Detail(3, 1, 1),
    _Detail(1, 4, 0),
    _Detail(1, 1, 0),
)


def render(diagnosis: Diagnosis, max_bytes: int, nonce: str) -> str:
    """Return the text of a diagnosis, of at most ``max_bytes`` in UTF-8.

    Args:
        diagnosis: The diagnosis.
        max_bytes: At least `MIN_BYTES`.
        nonce: Unpredictable letters: no output can contain the end of its own mark.
    """

    def fence(lines: Sequence[str]) -> str:
        marked = [f"| {shortened(clean(line), _MAX_LINE)}" for line in lines]
        return "\n".join((f"<output {nonce}>", *marked, f"</output {nonce}>"))

    text = ""
    for detail in _DETAILS:
        text = "\n".join(_parts(diagnosis, detail, fence))
        if len(text.encode()) <= max_bytes:
            return text
    return _cut(text, diagnosis.next_steps, max_bytes)


def quoted(text: str, limit: int = 200) -> str:
    """Return a path or title as a JSON string on one line."""
    return json.dumps(shortened(clean(text).replace("\n", " "), limit), ensure_ascii=False)


def _parts(found: Diagnosis, detail: _Detail, fence: Fence) -> Iterator[str]:
    yield _head(found)
    if found.problem:
        yield f"paused: {quoted(found.problem)}"
    if not found.failures:
        yield "no node failed"
    else:
        yield _headline(found)
    for number, cause in enumerate(found.causes[: detail.causes], 1):
        lines = detail.lines if number <= 3 else min(detail.lines, 6)  # noqa: PLR2004
        yield from _cause(number, cause, detail._replace(lines=lines), fence)
    hidden = found.causes[detail.causes :]
    more = len(hidden) + found.more_causes
    if more:
        rest = sum(each.count for each in hidden) + found.more_failures
        yield f"… {more} more causes with {rest} failures: explain one by its path"
    if found.tests is not None and detail.extras >= 1:
        yield from _tests(found.tests, detail.lines, fence)
    if found.annotations and detail.extras >= 1:
        yield "\nlines of files:"
        yield fence([line_of(each) for each in found.annotations[: max(1, detail.lines // 2)]])
    if detail.extras >= 1:
        yield from _changed(found, fence, long=detail.extras >= 2)  # noqa: PLR2004
    if found.blocked:
        names = ", ".join(map(quoted, found.blocked_paths))
        yield f"\nnot run because of it: {found.blocked}" + (f" ({names})" if names else "")
    yield _next_steps(found.next_steps)


def _tests(tests: PipelineTests, limit: int, fence: Fence) -> Iterator[str]:
    """Yield the failed tests; their names and messages are text of commands."""
    shown = tests.tests[: max(1, limit // 2)]
    notes = {"new": tests.new_failures, "quarantined": tests.quarantined}
    known = ", ".join(f"{number} {name}" for name, number in notes.items() if number)
    yield f"\nfailed tests: {tests.counts.failed}" + (f" ({known})" if known else "")
    yield fence([line_of_test(each) for each in shown])


def line_of_test(test: PipelineTest) -> str:
    """Return a failed test on one line."""
    is_new = test.change is TestChange.NEW_FAILURE
    known = {"new": is_new, "flaky": test.flaky, "quarantined": test.quarantined}
    marks = [word for word, is_set in known.items() if is_set]
    note = f" [{', '.join(marks)}]" if marks else ""
    return f"{test.name}{note}: {test.message}".replace("\n", " ")


def _head(found: Diagnosis) -> str:
    counts = ", ".join(
        f"{number} {name}" for name, number in found.counts.model_dump().items() if number
    )
    running = "" if found.settled else " (still running)"
    seconds = "" if found.seconds is None else f"; {found.seconds:.1f} s"
    title = quoted(found.title, 80)
    return f"pipeline {found.pipeline} {title}: {found.state.value}{running}; {counts}{seconds}"


def _headline(found: Diagnosis) -> str:
    causes = len(found.causes) + found.more_causes
    more = "" if found.complete else " or more"
    words = "1 cause" if causes == 1 else f"{causes} causes"
    parts = [f"{found.failures}{more} failed, {words}"]
    if len(found.earlier) > 1:
        parts.append(f"{found.newly_failing} newly, {found.still_failing} still failing")
    if found.fixed:
        parts.append(f"{found.fixed} fixed")
    if found.flaky:
        parts.append(f"{found.flaky} flaky")
    return f"\n{'; '.join(parts)}:"


def _cause(number: int, cause: FailureCause, detail: _Detail, fence: Fence) -> Iterator[str]:
    names = ", ".join(map(quoted, cause.paths))
    rest = cause.count - len(cause.paths)
    since = f"; since {cause.since}" if cause.since else ""
    more = f" and {rest} more" if rest else ""
    yield f"\n[{number}] {cause.count} x {cause.reason}{since}: {names}{more}"
    if detail.extras >= 1 and cause.command:
        lines = cause.command.split("\n")
        hidden = len(lines) - _MAX_COMMAND_LINES
        shown = [*lines[:_MAX_COMMAND_LINES], *([f"… {hidden} more lines"] if hidden > 0 else [])]
        place = "" if cause.place is None else f" ({quoted(cause.place)})"
        yield f"  command{place}, attempt {cause.attempt}:"
        yield fence(shown)
    yield from _excerpt(cause, detail.lines, fence)
    if cause.searched:
        yield "  (searched in the first 8 MB of output: its attempt has no record of the error)"
    if cause.changed and detail.extras >= 1:
        where = "" if cause.passed_in is None else f" in {cause.passed_in}"
        fields = "; ".join(map(_field, cause.changed))
        yield f"  changed since it passed{where}: {fields}"
    if cause.outcomes and detail.extras >= 3:  # noqa: PLR2004
        flaky = ", flaky" if cause.flaky else ""
        yield f"  in the last {len(cause.outcomes)} pipelines: {cause.outcomes}{flaky}"


def _excerpt(cause: FailureCause, width: int, fence: Fence) -> Iterator[str]:
    found = cause.excerpt
    if found is None or not found.lines:
        if cause.error:
            yield "  error:"
            yield fence(cause.error.split("\n"))
        else:
            yield "  it printed nothing"
        return
    middle = len(found.lines) - 1 if found.error is None else found.error
    low = max(0, middle - width + 1 + width // 3)
    lines = list(found.lines[low : low + width])
    at = middle - low
    if at < len(lines):
        lines[at] = f"> {lines[at]}"
    where: list[str] = [found.stream or "message"]
    if found.first is not None:
        where.append(f"line {found.first + middle + 1}")
    yield f"  {'last line' if found.error is None else 'first error'} ({', '.join(where)}):"
    yield fence(lines)


def _field(change: ChangedField) -> str:
    if not change.names:
        return change.field
    more = change.count - len(change.names[:5])
    rest = f" and {more} more" if more > 0 else ""
    return f"{change.field} {', '.join(map(quoted, change.names[:5]))}{rest}"


def _changed(found: Diagnosis, fence: Fence, *, long: bool) -> Iterator[str]:
    if found.baseline is None:
        if found.failures and len(found.earlier) <= 1:
            yield "\nno earlier pipeline of this program to compare with"
        return
    when = ""
    if found.baseline.started is not None:
        when = f", {datetime.fromtimestamp(found.baseline.started, UTC):%Y-%m-%d %H:%M} UTC"
    bad = f"; bad since {found.first_bad}" if found.first_bad else ""
    yield f"\nchanged since {found.baseline.id}, the last good pipeline{when}{bad}:"
    for each in found.changes if long else found.changes[:5]:
        yield f"  {_change(each)}"
    if found.unchanged:
        yield f"  unchanged: {', '.join(found.unchanged)}"
    if found.commits:
        shown = found.commits[: 10 if long else 3]
        more = f" of {len(found.commits)}{'+' if found.more_commits else ''}"
        yield f"  commits{more if len(shown) < len(found.commits) else ''}:"
        yield fence([f"{each.sha[:10]} {each.subject} ({each.author})" for each in shown])


def _change(change: PipelineChange) -> str:
    values = ""
    if change.before is not None or change.after is not None:
        pair = ["-" if each is None else quoted(each, 80) for each in (change.before, change.after)]
        values = f" {' → '.join(pair)}"
    names = f": {', '.join(map(quoted, change.names[:5]))}" if change.names else ""
    causes = ", ".join(f"[{each + 1}]" for each in change.causes)
    suspect = f" (suspect of {causes})" if change.suspect else ""
    return f"{change.kind} {quoted(change.name)}{names}{values}{suspect}"


def _next_steps(steps: Sequence[NextStep]) -> str:
    if not steps:
        return ""
    calls = [
        f"{each.tool}({', '.join(f'{k}={_argument(v)}' for k, v in each.arguments.items())})"
        for each in steps
    ]
    return "\nnext: " + "\n      ".join(calls)


def _argument(value: str | float) -> str:
    return quoted(value, 4096) if isinstance(value, str) else json.dumps(value)


def _cut(text: str, steps: Sequence[NextStep], max_bytes: int) -> str:
    """Return the first lines, and the next steps; an open mark of output is closed.

    Steps with the longest arguments are left out if they take more than half of the room.
    """
    kept = list(steps)
    end = f"\n{_CUT}{_next_steps(kept)}"
    while kept and len(end.encode()) > max_bytes // 2:
        kept.remove(max(kept, key=lambda each: len(str(each.arguments))))
        end = f"\n{_CUT}{_next_steps(kept)}"
    lines: list[str] = []
    room, closing = max_bytes - len(end.encode()), ""
    for line in text.split("\n"):
        after = closing
        if line.startswith("<output "):
            after = f"</{line[1:]}"
        elif line.startswith("</output "):
            after = ""
        size = len(line.encode()) + 1
        if size + len(after.encode()) + 1 > room:
            break
        lines.append(line)
        room -= size
        closing = after
    return "\n".join([*lines, *([closing] if closing else [])]) + end
