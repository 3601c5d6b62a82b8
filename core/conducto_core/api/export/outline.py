"""The tree of an export: the children shown for each node, and the number of hidden ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from conducto_core.model.nodes import ancestors
from conducto_core.model.records import Counts
from conducto_core.model.requests import NodeView
from conducto_core.model.states import NodeType, State

#: Maximum levels of groups; deeper nodes are shown below the last one. Browsers cut at 512
#: elements.
MAX_LEVELS = 60


@dataclass(slots=True)
class Branch:
    """A node with its children that are shown.

    Attributes:
        name: Its path relative to the node that it is shown below.
    """

    node: NodeView
    name: str
    level: int
    children: list["Branch"] = field(default_factory=list)

    @property
    def is_group(self) -> bool:
        """Whether other nodes can be below it."""
        return self.node.type is not NodeType.EXEC

    def counts(self) -> dict[State, int]:
        """Return its Execs by state, itself if it is one."""
        if not self.is_group:
            return {self.node.state: 1}
        counts = Counts() if self.node.counts is None else self.node.counts
        return {state: getattr(counts, state.value) for state in State}

    def hidden(self) -> dict[State, int]:
        """Return the hidden Execs below it, by state."""
        left = self.counts() if self.is_group else {}
        for child in self.children:
            for state, count in child.counts().items():
                left[state] = left.get(state, 0) - count
        return {state: count for state, count in left.items() if count > 0}


def outline(nodes: Sequence[NodeView]) -> Branch | None:
    """Return the root with all shown nodes, each below its nearest shown group."""
    groups: dict[str, Branch] = {}
    for node in nodes:
        if node.type is not NodeType.EXEC:
            branch = _branch(node, groups)
            if branch.level <= MAX_LEVELS:
                groups[node.path] = branch
    for node in nodes:
        above = _above(node.path, groups)
        if above is None:
            continue
        if node.type is NodeType.EXEC:
            above.children.append(_branch(node, groups))
        elif node.path in groups:
            above.children.append(groups[node.path])
    return groups.get("/") or next((_branch(node, {}) for node in nodes), None)


def _branch(node: NodeView, groups: Mapping[str, Branch]) -> Branch:
    above = _above(node.path, groups)
    if above is None:
        return Branch(node, node.path, 0)
    start = len(above.node.path.rstrip("/")) + 1
    return Branch(node, node.path[start:], above.level + 1)


def _above(path: str, groups: Mapping[str, Branch]) -> Branch | None:
    return next((groups[one] for one in ancestors(path) if one in groups), None)
