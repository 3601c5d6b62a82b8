"""The part of a tree that is still to run, given the states of its nodes.

The cloud compiles this, not the tree: nodes that do not run cost nothing, and reset, skip, resume
and Lazy need no special handling in the graph.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from conducto_core.model.nodes import NodeSpec
from conducto_core.model.states import NodeType
from conducto_core.semantics.rules import Outcome, holds_back_siblings
from conducto_core.semantics.tree_state import LiveGroup, LiveNode, TreeState


@dataclass(slots=True)
class Residual:
    """A node with Execs left to run, or one that has failed for good. Treat it as frozen.

    Attributes:
        children: The rest of its children, in order.
        failed: It failed and was not reset: nothing runs here, and its parent sees a failure.
        awaited: Execs in flight that the order of ``children`` does not include, such as a late
            sibling that still runs while an early one was reset. A group does not end before they
            do; an Exec does not start before they end.
    """

    spec: NodeSpec
    children: tuple["Residual", ...] = ()
    failed: bool = False
    awaited: tuple[NodeSpec, ...] = ()

    def leaves(self) -> Iterator[NodeSpec]:
        """Yield the Execs that are left, in definition order: commands and approvals."""
        stack = [self]
        while stack:
            node = stack.pop()
            if node.spec.type is NodeType.EXEC and not node.failed:
                yield node.spec
            stack.extend(reversed(node.children))

    def execs(self) -> Iterator[NodeSpec]:
        """Yield the commands that are left to run, in definition order."""
        return (spec for spec in self.leaves() if spec.approval is None)

    def tasks(self) -> Iterator[NodeSpec]:
        """Yield the commands left to run, and those in flight that are only awaited."""
        stack = [self]
        while stack:
            node = stack.pop()
            specs = node.awaited
            if node.spec.type is NodeType.EXEC and not node.failed:
                specs = (*specs, node.spec)
            yield from (spec for spec in specs if spec.approval is None)
            stack.extend(node.children)


def residual(tree: TreeState, top: LiveNode | None = None) -> Residual | None:
    """Return the part at or below ``top`` (default: the root) that is still to run, or None.

    Done and skipped nodes are left out. A failure that was not reset remains as a static one. The
    nodes after a child that stops its Serial are left out. An Exec in flight counts as still to
    run; the caller decides whether to wait for it or to run it again.
    """
    top = tree.root if top is None else top
    left: dict[str, Residual | None] = {}
    for node in reversed(list(tree.subtree(top))):
        left[node.path] = (
            _left_of_group(tree, node, left)
            if isinstance(node, LiveGroup)
            else _left_of_exec(tree, node)
        )
    return left[top.path]


def _left_of_exec(tree: TreeState, node: LiveNode) -> Residual | None:
    match node.seen():
        case Outcome.OK:
            return None
        case Outcome.FAILED:
            return Residual(node.spec, failed=True)
        case Outcome.UNFINISHED:
            awaited = () if node.spec.lazy_target is None else _old_tree_of(tree, node)
            return Residual(node.spec if node.mem is None else sized(node), awaited=awaited)


def _left_of_group(
    tree: TreeState, node: LiveGroup, left: dict[str, Residual | None]
) -> Residual | None:
    if node.seen() is Outcome.OK:
        return None
    if node.skipped or node.expired:  # nothing new starts below; running Execs are awaited
        return Residual(node.spec, failed=not node.skipped, awaited=_flying(tree, [node]))
    if node.discarding:
        return Residual(replace(node.spec, children=(), awaits_tree=True))
    kept = _kept(node, left)
    awaited = _out_of_turn(tree, node)
    settled = all(child.failed and not child.awaited for child in kept)
    if settled and not node.spec.awaits_tree:
        return Residual(node.spec, failed=True, awaited=awaited)
    return Residual(node.spec, tuple(kept), awaited=awaited)


def _kept(node: LiveGroup, left: dict[str, Residual | None]) -> list[Residual]:
    serial = node.spec.type is NodeType.SERIAL
    stops = serial and holds_back_siblings(Outcome.FAILED, stop_on_error=node.spec.stop_on_error)
    kept: list[Residual] = []
    for child in node.children:
        rest = left[child.path]
        if rest is not None:
            kept.append(rest)
        if stops and child.seen() is Outcome.FAILED:
            break
    return kept


def _out_of_turn(tree: TreeState, node: LiveGroup) -> tuple[NodeSpec, ...]:
    """Return the Execs in flight after the child of a Serial that holds back the later ones."""
    first = node.tally.first_holding()
    if node.spec.type is not NodeType.SERIAL or first is None or not node.in_flight():
        return ()
    later = node.children[first + 1 :]
    return _flying(tree, [n for n in later if not (isinstance(n, LiveGroup) and n.discarding)])


def _old_tree_of(tree: TreeState, node: LiveNode) -> tuple[NodeSpec, ...]:
    """Return the Execs that must end before a Lazy generates its tree again."""
    target = tree.nodes.get(node.spec.lazy_target) if node.spec.lazy_target is not None else None
    if isinstance(target, LiveGroup) and target.discarding:
        return _flying(tree, [target])
    return ()


def _flying(tree: TreeState, nodes: Iterable[LiveNode]) -> tuple[NodeSpec, ...]:
    return tuple(sized(flying) for node in nodes for flying in tree.in_flight(node))


def sized(node: LiveNode) -> NodeSpec:
    """Return the definition with the memory that a retry requested."""
    if node.mem is None or node.mem == node.spec.placement.mem:
        return node.spec
    return replace(node.spec, placement=replace(node.spec.placement, mem=node.mem))
