"""The end of the output of failed commands."""

from collections.abc import Callable

from conducto_core.model.params import Stream
from conducto_core.model.requests import NodeView
from conducto_core.model.states import FAILED, NodeType

#: Bytes to read from the end of an output stream.
TAIL_BYTES = 8192

#: Returns the end of one stream of a node's attempt, with a maximum number of bytes.
ReadEnd = Callable[[str, int, Stream, int], bytes]


def with_tail(node: NodeView, read: ReadEnd) -> NodeView:
    """Return a node with its tail, if it is a failed Exec with a known attempt."""
    if node.type is not NodeType.EXEC or node.state not in FAILED or not node.attempts:
        return node
    number = node.attempts[-1].number
    tail = _text(read(node.path, number, "stderr", TAIL_BYTES))
    if not tail.strip():
        tail = _text(read(node.path, number, "stdout", TAIL_BYTES))
    return node.model_copy(update={"tail": tail})


def _text(data: bytes) -> str:
    return data.decode(errors="replace")
