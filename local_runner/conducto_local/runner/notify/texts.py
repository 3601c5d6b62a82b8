"""What is told about a node, as it stood when the callback was due."""

import time

from conducto.model.nodes import Callback
from conducto.model.notifications import NotificationRecord
from conducto.model.states import State
from conducto.semantics.live import LiveNode
from conducto_local.runner.live import LivePipeline
from conducto_worker.masking import Mask

#: Callbacks about the root, whichever node they are written on.
_ABOUT_ROOT = "github_pipeline_status"


def compose(
    live: LivePipeline, path: str, state: State, callback: Callback, mask: Mask
) -> NotificationRecord:
    """Return what is to be told now, with the values of secrets hidden."""
    about = live.tree.root if callback.name == _ABOUT_ROOT else live.tree.nodes[path]
    shown = about.state if callback.name == _ABOUT_ROOT else state
    subject = f"{live.record.title}: {about.path} is {shown.value}"
    return NotificationRecord(
        number=live.notified + 1,
        path=path,
        about=about.path,
        state=shown,
        attempt=about.attempt,
        callback=callback.name,
        arguments=dict(callback.arguments),
        subject=mask.text(subject),
        text=mask.text("\n".join(_lines(live, about, shown, callback))),
        created=time.time(),
    )


def _lines(live: LivePipeline, node: LiveNode, state: State, callback: Callback) -> list[str]:
    message = callback.arguments.get("message")
    lines = [str(message)] if message else []
    lines.append(f"{live.record.title}: {node.path} is {state.value}" + _why(node))
    if callback.arguments.get("node_summary"):
        lines.append(_summary(live, node))
    lines.append(f"conducto show {live.id}")
    return lines


def _why(node: LiveNode) -> str:
    return "" if node.cause is None else f" ({node.cause.value.replace('_', ' ')})"


def _summary(live: LivePipeline, node: LiveNode) -> str:
    counts = live.counts(node.path).model_dump()
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number) or "no Execs"
