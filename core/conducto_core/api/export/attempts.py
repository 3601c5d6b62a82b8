"""The attempts of an Exec, in the sections for failures and for the tree."""

from collections.abc import Iterator

from conducto_core.api.export.markup import Markup, tag
from conducto_core.api.export.text import clipped, last_lines, seconds_of, short, shown_path
from conducto_core.model.labels import cause_text, duration, failure_text
from conducto_core.model.records import AttemptRecord
from conducto_core.model.requests import NodeView
from conducto_core.model.states import FAILED, State

#: Maximum number of attempts shown per node, the newest ones.
_MAX = 5
_MESSAGE_LINES, _MESSAGE = 20, 2_000


def attempt_lines(node: NodeView, now: float) -> Iterator[Markup]:
    """Yield a line for each of the newest attempts."""
    hidden = len(node.attempts) - _MAX
    if hidden > 0:
        yield tag("li", f"{hidden:,} earlier attempts", class_="muted")
    for attempt in node.attempts[-_MAX:]:
        state = tag("span", attempt.state.value, class_=attempt.state.value)
        yield tag("li", f"attempt {attempt.number}: ", state, *_rest(attempt, now))


def _rest(attempt: AttemptRecord, now: float) -> Iterator[str]:
    facts = []
    if attempt.state in FAILED:
        facts.append(cause_text(attempt.cause, attempt.exit_code))
    elif attempt.exit_code is not None:
        facts.append(f"exit {attempt.exit_code}")
    seconds = seconds_of(attempt, now)
    if seconds is not None:
        facts.append(duration(seconds))
    facts += where(attempt)
    yield "".join(f", {fact}" for fact in facts)


def where(attempt: AttemptRecord) -> Iterator[str]:
    """Yield the container or worker of an attempt, if there was one."""
    if attempt.container is not None:
        others = attempt.position or 0
        used = f" (after {others:,} other{'' if others == 1 else 's'})" if others else ""
        yield f"in {short(attempt.container)}{used}"


def ending(node: NodeView, now: float) -> Iterator[str]:
    """Yield the result of an Exec's newest attempt, and its duration."""
    newest = node.attempts[-1] if node.attempts else None
    if node.state in FAILED:
        yield failure_text(node)
    if newest is None:
        return
    seconds = seconds_of(newest, now)
    if seconds is not None and node.state is not State.PENDING:
        yield duration(seconds)
    if newest.number > 1:
        yield f"attempt {newest.number}"


def output(text: str, node: NodeView) -> Markup:
    """Return the end of an Exec's output; long lines scroll, also by keyboard."""
    label = f"Last output of {shown_path(node.path)}"
    return tag("pre", text, class_="output", role="group", aria_label=label, tabindex=0)


def message(node: NodeView) -> Iterator[Markup]:
    """Yield the message of a failure besides its output, e.g. the end of an image's build."""
    text = node.attempts[-1].message if node.attempts else None
    if text:
        yield tag("pre", clipped(last_lines(text, _MESSAGE_LINES), _MESSAGE))
