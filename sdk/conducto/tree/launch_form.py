"""The launch form: the input of `conducto_core.semantics.resolve`.

The keys are those of the wire form (`conducto.tree.serialize`). Images have plain absolute paths of
the launching host; path tokens in commands stay for the runner, which knows the path of a file once
the image is built (`conducto.wire.paths.expand`).
"""

# ruff: noqa: B905
# pathlib is a heavy import; zip(strict=) is of Python 3.10.

from __future__ import annotations

from conducto.errors import DefinitionError
from conducto.tree import image_form as image_rules
from conducto.tree.parameters import to_tags
from conducto.tree.pull_up import simplify
from conducto.tree.wire_records import tables, walk
from conducto.wire import lazy_form

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    from conducto.tree.node_base import NodeBase
    from conducto.tree.parameters import Tags
    from conducto.tree.wire_records import Record

#: The values that a missing key stands for. ``skip`` is not inherited.
_DEFAULTS: Tuple[Tuple[str, Any], ...] = (
    ("skip", False),
    ("callbacks", []),
    ("is_notebook", False),
)


def to_launch_form(
    root: NodeBase,
    *,
    title: Optional[str] = None,
    doc: Optional[str] = None,
    tags: Tags = None,
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
