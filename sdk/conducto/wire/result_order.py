"""The rule on results: a node uses only results of nodes that have certainly run before it. Pure.

It is checked when a tree is printed (author API) and when it is resolved for a launch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Optional, Sequence

from conducto.wire.maps import MapOptions, why_incomplete

if TYPE_CHECKING:
    from typing import Callable, List, Tuple

MAX_RESULTS = 100
#: Among the results of a node: the payload of the event that launched the pipeline. No node has
#: this path.
PAYLOAD = "//payload"

_TREE = "prints a tree; it has no result"
_NO_FORM = (
    "is an approval without a form; give it fields, as in co.Approve(fields={'version': str})"
)


class Facts(NamedTuple):
    """The properties of a node on which the rule depends.

    Attributes:
        kind: ``Exec``, ``Serial`` or ``Parallel``.
        children: Names in order.
        prints_tree: It is the ``Generate`` of a Lazy.
        map: The options of a map, whose result is the list of those of its items.
        only_asks: It is an approval without a form.
        run_if: It runs only if a condition holds.
    """

    kind: str
    children: Sequence[str] = ()
    skip: bool = False
    stop_on_error: bool = True
    suppress_errors: bool = False
    prints_tree: bool = False
    map: Optional[MapOptions] = None
    only_asks: bool = False
    run_if: bool = False


def problem(user: str, source: str, facts_of: Callable[[str], Optional[Facts]]) -> Optional[str]:
    """Return why the node at ``user`` cannot use the result of the one at ``source``, or None."""
    if source == PAYLOAD:
        return None
    uses = f"uses the result of {source}, "
    reason = _source_problem(uses, user, source, facts_of(source))
    if reason is not None:
        return reason
    above, branch, own = _fork(source, user)
    reason = _order_problem(above, branch, own, facts_of)
    return uses + reason if reason else _skip_problem(uses, above, source, facts_of)


def _source_problem(uses: str, user: str, source: str, facts: Optional[Facts]) -> Optional[str]:
    """Check that the node can have a result for this user."""
    if facts is None:
        return f"{uses}but the tree has no such node"
    if facts.kind != "Exec" and facts.map is None:
        return f"{uses}which is a {facts.kind}; only commands and maps have results"
    if facts.prints_tree or facts.only_asks:
        return f"{uses}which {_TREE if facts.prints_tree else _NO_FORM}"
    if source == user:
        return "uses its own result, which exists only after it has run"
    if source == "/" or user.startswith(f"{source}/"):
        return f"{uses}of which it is a part; only later nodes can use them"
    reason = None if facts.map is None else why_incomplete(facts.map)
    return None if reason is None else uses + reason


def _order_problem(
    above: str, branch: str, own: str, facts_of: Callable[[str], Optional[Facts]]
) -> Optional[str]:
    facts = facts_of(above)
    if facts is None or facts.kind != "Serial":
        return (
            f"which may not have run before: {above} is a Parallel; put both into a Serial, "
            "the one with the result first"
        )
    if list(facts.children).index(branch) > list(facts.children).index(own):
        return f"which comes after it in {above}; change their order"
    if not facts.stop_on_error:
        return (
            f"which may have failed before: {above} has stop_on_error=False; put both into a "
            "Serial that stops on an error"
        )
    return None


def _skip_problem(
    uses: str, above: str, source: str, facts_of: Callable[[str], Optional[Facts]]
) -> Optional[str]:
    """Check that no node from the fork down to the source is skipped, or hides a failure."""
    path = source
    while path != above:
        facts = facts_of(path)
        if facts is not None and facts.skip:
            return f"{uses}which does not run: {path} has skip=True"
        if facts is not None and facts.run_if:
            return (
                f"{uses}which may be skipped: {path} has run_if; put both into one group, and give "
                "run_if to the group"
            )
        if facts is not None and facts.suppress_errors:
            return f"{uses}which may have failed before: {path} has suppress_errors=True"
        path = path.rpartition("/")[0] or "/"
    return None


def _fork(source: str, user: str) -> Tuple[str, str, str]:
    """Return the lowest node above both paths, and the names of its two children towards them."""
    one, other = _names(source), _names(user)
    depth = 0
    while one[depth] == other[depth]:
        depth += 1
    return "/" + "/".join(one[:depth]), one[depth], other[depth]


def _names(path: str) -> List[str]:
    return path.split("/")[1:]
