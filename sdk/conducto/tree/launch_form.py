"""The launch form: the input of `conducto_core.tree.rules.resolve`.

The keys are those of the wire form (`conducto.tree.serialize`). Images have plain absolute paths of
the launching host; path tokens in commands stay for the runner, which knows the path of a file once
the image is built (`conducto.wire.paths.expand`).
"""

# ruff: noqa: B905
from __future__ import annotations

from conducto.errors import DefinitionError
from conducto.tree import image_form as image_rules
from conducto.tree.parameters import USER_SET, to_tags
from conducto.tree.wire_records import ENV, tables, walk
from conducto.wire import lazy_form

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Set, Tuple

    from conducto.tree.node_base import NodeBase
    from conducto.tree.parameters import Tags
    from conducto.tree.wire_records import Edge, Record
# pathlib is a heavy import; zip(strict=) is of Python 3.10.

# ----------------------------------------------------------------------------------------
# Pull-up: values that all children share are written once, on their parent.
#
# The execution stays the same: a value moves only if every child has it, and is removed only if the
# direct parent has the same. It works on the records of the wire form.


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


#: The values that a missing key stands for. ``skip`` is not inherited.
_DEFAULTS: Tuple[Tuple[str, Any], ...] = (
    ("skip", False),
    ("callbacks", []),
    ("is_notebook", False),
)


def to_launch_form(
    root: NodeBase, *, title: Optional[str] = None, doc: Optional[str] = None, tags: Tags = None
) -> Dict[str, Any]:
    """Return the tree as JSON-able data for a launch; the tree itself does not change.

    Args:
        root: Root of a validated tree.
        title: Title instead of the root's.
        doc: Doc instead of the root's.
        tags: Tags besides the root's.

    Returns:
        ``{"nodes": [record, ...], "edges": [[parent id, child id, name], ...], "images": {name:
        definition}, "pipeline_reservation": ...}``; nodes breadth-first, the root first, always
        with an image. Values that equal the default are left out, to save memory with 100,000
        nodes.

    Raises:
        DefinitionError: a file named in ``docker_run_args`` cannot be read.
    """
    records, edges = tables(root)
    images = {name: image_rules.host_form(i) for name, i in image_rules.by_name(root).items()}
    head = records[0]
    if "image_name" not in head:
        default = image_rules.default_image()
        images.setdefault(default.name, image_rules.host_form(default))
        head["image_name"] = default.name
    lazy_form.place_volumes(records)
    _read_profiles(root, records)
    simplify(records, edges)
    for record in records:
        _leave_out_defaults(record)
    if title is not None:
        head["title"] = title
    if doc is not None:
        head["doc"] = doc
    more = to_tags(tags)
    if more:
        head["tags"] = list(dict.fromkeys([*head.get("tags", ()), *more]))
    return {
        "nodes": records,
        "edges": edges,
        "images": images,
        "pipeline_reservation": root.pipeline_reservation,
    }


def _leave_out_defaults(record: Record) -> None:
    for name, default in _DEFAULTS:
        if record.get(name) == default:
            del record[name]


def _read_profiles(root: NodeBase, records: List[Record]) -> None:
    """Replace names of files in ``docker_run_args`` by their contents.

    This must not happen to a tree that a container printed, which must not read files of the host.
    """
    for record, (node, _, _) in zip(records, walk(root)):
        args = record.get("docker_run_args")
        if args:
            try:
                record["docker_run_args"] = lazy_form.with_profiles(
                    args, lazy_form.directory_of(record)
                )
            except ValueError as error:
                raise DefinitionError(
                    f"{node}: {error}", path=str(node), file=node.file, line=node.line
                ) from error
