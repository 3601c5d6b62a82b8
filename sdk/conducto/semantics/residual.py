"""What is left to run of a tree, given how its nodes stand.

The cloud compiles this, not the tree: nothing is paid for what does not run, and reset, skip,
resume and Lazy need no tricks in the graph.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from conducto.model.nodes import NodeSpec
from conducto.model.states import NodeType
from conducto.semantics.live import LiveGroup, LiveNode, LiveTree
from conducto.semantics.rules import Outcome, holds_back_siblings


@dataclass(frozen=True, slots=True)
class Residual:
    """A node with something left to run, or one whose failure is settled.

    Attributes:
        spec: The node.
        children: What is left of its children, in order.
        failed: It failed and was not reset: nothing runs here, and its parent sees a failure.
    """

    spec: NodeSpec
    children: tuple["Residual", ...] = ()
    failed: bool = False

    def execs(self) -> Iterator[NodeSpec]:
        """Yield the Execs that are left to run, in definition order."""
        stack = [self]
        while stack:
            node = stack.pop()
            if node.spec.type is NodeType.EXEC and not node.failed:
                yield node.spec
            stack.extend(reversed(node.children))


def residual(tree: LiveTree) -> Residual | None:
    """Return what is left to run; None when nothing is.

    Done and skipped nodes vanish. A failure that was not reset stays as a static one. What comes
    after a child that stops its Serial is left out. An Exec that is in flight counts as left to
    run: whether it is waited for or run again is the caller's business.
    """
    left: dict[str, Residual | None] = {}
    for node in reversed(list(tree.subtree(tree.root))):
        left[node.path] = _residual_of(node, left)
    return left[tree.root.path]


def _residual_of(node: LiveNode, left: dict[str, Residual | None]) -> Residual | None:
    seen = node.seen()
    if seen is Outcome.OK:
        return None
    if not isinstance(node, LiveGroup):
        return Residual(node.spec, failed=seen is Outcome.FAILED)
    if node.expired and not node.in_flight():
        return Residual(node.spec, failed=True)
    kept: list[Residual] = []
    for child in node.children:
        rest = left[child.path]
        if rest is not None:
            kept.append(rest)
        static = rest is not None and rest.failed
        serial = node.spec.type is NodeType.SERIAL
        stop = node.spec.stop_on_error
        if serial and static and holds_back_siblings(Outcome.FAILED, stop_on_error=stop):
            break
    if all(child.failed for child in kept) and not node.spec.awaits_tree:
        return Residual(node.spec, failed=True)
    return Residual(node.spec, tuple(kept))
