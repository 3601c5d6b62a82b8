"""The text of notifications, from the state of a node when the callback was due."""

from typing import Protocol

from conducto.wire.printable import shell_word
from conducto_core.model.nodes import Callback
from conducto_core.model.notifications import NotificationRecord
from conducto_core.model.records import Counts, PipelineRecord
from conducto_core.model.states import State
from conducto_core.runtime.masking import Mask
from conducto_core.semantics import events as ev
from conducto_core.semantics.tree_state import LiveNode, TreeState

#: Callbacks about the root, whichever node defines them.
_ABOUT_ROOT = "github_pipeline_status"


class Message(Protocol):
    """A pipeline in memory, on either target."""

    notified: int

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def record(self) -> PipelineRecord:
        """Its record."""

    @property
    def tree(self) -> TreeState:
        """The states of its nodes."""

    def counts(self, path: str = "/") -> Counts:
        """Return the Execs at or below a node, by state."""


def compose(live: Message, command: ev.Notify, now: float) -> NotificationRecord:
    """Return a new notification; `masked` hides the values of secrets in it."""
    path, state, callback = command.path, command.state, command.callback
    about = live.tree.root if callback.name == _ABOUT_ROOT else live.tree.nodes[path]
    shown = about.state if callback.name == _ABOUT_ROOT else state
    subject = f"{live.record.title}: {about.path} {_verb(about, shown)}"
    live.notified += 1
    return NotificationRecord(
        number=live.notified,
        path=path,
        about=about.path,
        state=shown,
        attempt=about.attempt,
        callback=callback.name,
        arguments=dict(callback.arguments),
        subject=subject,
        text="\n".join(_lines(live, about, shown, callback)),
        created=now,
    )


def masked(notification: NotificationRecord, mask: Mask) -> NotificationRecord:
    """Return a notification with the values of secrets hidden."""
    return notification.model_copy(
        update={
            "subject": mask.text(notification.subject),
            "text": mask.text(notification.text),
        }
    )


def _lines(live: Message, node: LiveNode, state: State, callback: Callback) -> list[str]:
    message = callback.arguments.get("message")
    lines = [str(message)] if message else []
    lines.append(f"{live.record.title}: {node.path} {_verb(node, state)}" + _why(node))
    if callback.arguments.get("node_summary"):
        lines.append(_summary(live, node))
    asks = _asks(node, state)
    again = f" --attempt {node.attempt}" if node.attempt > 1 else ""
    how = f"approve {live.id} {shell_word(node.path)}{again}" if asks else f"show {live.id}"
    lines.append(f"conducto {how}")
    return lines


def _asks(node: LiveNode, state: State) -> bool:
    return node.spec.approval is not None and state is State.QUEUED


def _verb(node: LiveNode, state: State) -> str:
    return "waits for approval" if _asks(node, state) else f"is {state.value}"


def _why(node: LiveNode) -> str:
    return "" if node.cause is None else f" ({node.cause.value.replace('_', ' ')})"


def _summary(live: Message, node: LiveNode) -> str:
    counts = live.counts(node.path).model_dump()
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number) or "no Execs"
