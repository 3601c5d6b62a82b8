"""Pull-up: values that all children share are written once, on their parent.

The execution stays the same: a value moves only if every child has it, and is removed only if the
direct parent has the same. It works on the records of the wire form.
"""

from __future__ import annotations

from conducto.tree.parameters import USER_SET
from conducto.tree.wire_records import ENV

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Set, Tuple

    from conducto.tree.wire_records import Edge, Record

# skip is not inherited: it may be removed if it equals the default, but never moved.
_MOVING = tuple(name for name in USER_SET if name != "skip")


def simplify(records: List[Record], edges: List[Edge]) -> None:
    """Pull shared values up, in place, bottom-up."""
    by_id = {record["id"]: record for record in records}
    below: Dict[str, List[Record]] = {}
    for above, under, _ in edges:
        below.setdefault(above, []).append(by_id[under])
    for record in reversed(records):
        children = below.get(record["id"])
        if children:
            for name in _MOVING:
                _pull(record, children, name)
            _pull_env(record, children)
            for child in children:
                if child.get("skip") is False:
                    del child["skip"]


def _pull(parent: Record, children: List[Record], name: str) -> None:
    if name not in parent:
        first = children[0].get(name)
        if first is None or any(child.get(name) != first for child in children):
            return
        parent[name] = first
    for child in children:
        if child.get(name) == parent[name] and name in child:
            del child[name]


def _pull_env(parent: Record, children: List[Record]) -> None:
    shared: Set[Tuple[str, str]] = set(_env(children[0]))
    for child in children:
        if not shared:
            break
        shared.intersection_update(_env(child))
    for key, value in sorted(shared):
        parent.setdefault(key, value)
    own = set(_env(parent))
    if own:
        for child in children:
            for key, _ in own.intersection(_env(child)):
                del child[key]


def _env(record: Record) -> List[Tuple[str, str]]:
    return [item for item in record.items() if item[0].startswith(ENV)]
