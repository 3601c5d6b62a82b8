"""Text from users and commands, cleaned for a page, and the labels of the page."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime

from conducto_core.run.model.labels import cause_text, duration, failure_text
from conducto_core.run.model.records import AttemptRecord, PipelineRecord
from conducto_core.run.model.requests import NodeView
from conducto_core.run.model.states import FAILED, State

#: A sign for each state: no state is shown by colour alone.
MARKS = {
    State.PENDING: "○",
    State.QUEUED: "◌",
    State.RUNNING: "●",
    State.DONE: "✔",
    State.ERROR: "✘",
    State.KILLED: "✘",
}
SKIPPED_MARK = "⊘"
_MAX_NAME = 100
#: As in the web app: CSI sequences; OSC and other strings up to their end; two-letter escapes.
_SEQUENCES = re.compile(
    r"\x1b\[[0-9:;<=>?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]"
)
#: Controls but for tab and line end; characters that change the direction of text; surrogates.
_UNFIT = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def plain(output: str) -> str:
    """Return terminal output as text: without colours, each line in its final form."""
    return "\n".join(map(_plain_line, output.split("\n")))


def _plain_line(line: str) -> str:
    shown = line.rstrip("\r").rpartition("\r")[2]  # a progress bar overwrites itself
    return _UNFIT.sub("", _SEQUENCES.sub("", shown))


def last_lines(output: str, count: int) -> str:
    """Return the last lines of terminal output as text."""
    return "\n".join(plain(output).rstrip().split("\n")[-count:])


def visible(text: str) -> str:
    """Return a text that is safe in a page: controls are shown by their code.

    A name comes from a program: it must not change the display of the text around it.
    """
    return _UNFIT.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def clipped(text: str, maximum: int) -> str:
    """Return a text, shortened at its end to ``maximum`` characters."""
    return text if len(text) <= maximum else f"{text[:maximum]}…"


def short(text: str) -> str:
    """Return a name, shortened at its end."""
    return visible(clipped(text, 300))


def shown_path(path: str, maximum: int = 500) -> str:
    """Return a path, shortened at its start: its end tells nodes apart."""
    return visible(path if len(path) <= maximum else f"…{path[-maximum:]}")


def moment(time: float) -> str:
    """Return a time in UTC: a reader may be in any time zone."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def place(node: NodeView) -> str | None:
    """Return the source line of a node, without the directory: ``pipeline.py:41``."""
    if node.file is None:
        return None
    name = node.file.rpartition("/")[2]
    return visible(name if node.line is None else f"{name}:{node.line}")


def state_word(node: NodeView) -> str:
    return "skipped" if node.skipped else node.state.value


def mark(node: NodeView) -> str:
    """Return the sign for the state of a node."""
    return SKIPPED_MARK if node.skipped else MARKS[node.state]


def ending(node: NodeView, now: float) -> Iterator[str]:
    """Yield the result of an Exec's newest attempt, and its duration."""
    newest = node.attempts[-1] if node.attempts else None
    if node.state in FAILED:
        yield failure_text(node)
    if newest is None:
        return
    seconds = _seconds_of(newest, now)
    if seconds is not None and node.state is not State.PENDING:
        yield duration(seconds)
    if newest.number > 1:
        yield f"attempt {newest.number}"


def facts_of(attempt: AttemptRecord, now: float) -> Iterator[str]:
    """Yield the result of an attempt, its duration and its container."""
    if attempt.state in FAILED:
        yield cause_text(attempt.cause, attempt.exit_code)
    elif attempt.exit_code is not None:
        yield f"exit {attempt.exit_code}"
    seconds = _seconds_of(attempt, now)
    if seconds is not None:
        yield duration(seconds)
    if attempt.container is not None:
        yield container(attempt.container, attempt.position or 0)


def container(name: str, others: int) -> str:
    """Return the label of the container or worker of an attempt."""
    used = f" (after {others:,} other{'' if others == 1 else 's'})" if others else ""
    return f"in {short(name)}{used}"


def _seconds_of(attempt: AttemptRecord, now: float) -> float | None:
    """Return the running time of an attempt so far; None if it did not start."""
    if attempt.started is None:
        return None
    if attempt.ended is None and attempt.state is not State.RUNNING:
        return None
    return (now if attempt.ended is None else attempt.ended) - attempt.started


def file_name(record: PipelineRecord) -> str:
    """Return the file name of an export: its title, or its id without one."""
    title = unicodedata.normalize("NFC", record.title)
    fit = re.sub(r"[^\w.+-]+", "-", title).strip("-.")[:_MAX_NAME]
    return f"{fit or record.id}.html"
