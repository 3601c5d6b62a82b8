"""Pages of a tree: each continues where the last one ended, at the cost of the page."""

from collections.abc import Callable, Iterator

from conducto_core.model.nodes import ancestors
from conducto_core.model.params import MAX_TREE_SCAN, TreeParams
from conducto_core.model.states import NodeType
from conducto_core.semantics.failures import is_failure, may_have_failures
from conducto_core.semantics.roll_up import INDEX
from conducto_core.semantics.tree_state import LiveGroup, LiveNode, TreeState

#: Groups on the path to the current node, each with the index of its next child.
_Way = list[tuple[LiveGroup, int]]


def page(tree: TreeState, query: TreeParams) -> tuple[list[LiveNode], str | None]:
    """Return the nodes of one page, and the path to continue after if there may be more.

    Raises:
        KeyError: ``root`` is not in the tree, or ``after`` is not in the subtree.
    """
    found: list[LiveNode] = []
    looked_at = 0
    holds = holding(query.text or "")
    for node in _walk(tree, query):
        if looked_at == MAX_TREE_SCAN and _is_search(query):
            return found, _before(node)
        looked_at += 1
        if not _is_in_state(node, query) or not holds(node.path, node.spec.command):
            continue
        if len(found) == query.maximum:
            return found, found[-1].path
        found.append(node)
    return found, None


def _is_search(query: TreeParams) -> bool:
    return query.state is not None or query.failed or bool(query.text)


def holding(text: str) -> Callable[[str, str], bool]:
    """Return a predicate for nodes whose path or command contains a text, ignoring case.

    In the path, a ``*`` also matches any characters but "/".
    """
    if not text:
        return lambda _path, _command: True
    wanted = text.lower()
    parts = [part for part in wanted.split("*") if part] if "*" in wanted else []

    def holds(path: str, command: str) -> bool:
        path = path.lower()
        if wanted in path or wanted in command.lower():
            return True
        return bool(parts) and _has_in_order(path, parts)

    return holds


def _has_in_order(path: str, parts: list[str]) -> bool:
    """Return whether a path contains these texts in order, with no "/" between two of them.

    A library's pattern could take exponential time. Here the first position of each text is enough,
    because a later one in the same name leaves no more room for the next text.
    """
    first, *others = parts
    start = path.find(first)
    while start >= 0:
        end = start + len(first)
        for part in others:
            end = _end_of_next(path, part, end)
            if end < 0:
                break
        else:
            return True
        start = path.find(first, start + 1)
    return False


def _end_of_next(path: str, part: str, start: int) -> int:
    """Return the end of the next ``part`` in the same name; -1 if there is none."""
    slash = path.find("/", start)
    found = path.find(part, start)
    if found < 0 or 0 <= slash < found:
        return -1
    return found + len(part)


def _is_in_state(node: LiveNode, query: TreeParams) -> bool:
    if query.failed:
        return is_failure(node) and query.state in (None, node.state)
    if query.state is None:
        return True
    return node.spec.type is NodeType.EXEC and node.state is query.state


def _walk(tree: TreeState, query: TreeParams) -> Iterator[LiveNode]:
    """Yield the nodes after ``query.after``, parents first, without groups that cannot match."""
    root = tree.nodes[query.root]
    if query.after is None:
        yield root
        way = _way_below(root, 0, query)
    else:
        way = _way_to(tree, root, query.after, query)
    while way:
        group, index = way.pop()
        if index == len(group.children):
            continue
        child = group.children[index]
        way.append((group, index + 1))
        yield child
        way += _way_below(child, len(way), query)


def _way_below(node: LiveNode, level: int, query: TreeParams) -> _Way:
    """Return the path into ``node``, ``level`` below the root, or nothing."""
    if not isinstance(node, LiveGroup) or (query.depth is not None and level >= query.depth):
        return []
    if query.failed:
        return [(node, 0)] if may_have_failures(node) else []
    if query.state is not None and not node.counts[INDEX[query.state]]:
        return []
    return [(node, 0)]


def _way_to(tree: TreeState, root: LiveNode, after: str, query: TreeParams) -> _Way:
    node = tree.nodes[after]
    way: _Way = []
    inside = node
    while inside is not root:
        if inside.parent is None:
            raise KeyError(after)
        way.append((inside.parent, inside.position + 1))
        inside = inside.parent
    way.reverse()
    way += _way_below(node, len(way), query)
    return way if query.depth is None else way[: query.depth]


def _before(node: LiveNode) -> str:
    """Return the path of the node directly before ``node``, which has a parent."""
    above = node.parent
    if above is None or node.position == 0:
        return next(ancestors(node.path))
    last: LiveNode = above.children[node.position - 1]
    while isinstance(last, LiveGroup) and last.children:
        last = last.children[-1]
    return last.path
