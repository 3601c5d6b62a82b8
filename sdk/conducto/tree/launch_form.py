"""The launch form: what a launcher hands to `conducto.semantics.resolve`.

The keys are those of the wire form (`conducto.tree.serialise`). Images have plain absolute paths
of the launching host; path tokens in commands are left for the runner, which knows where a file
is once the image is built (`conducto.tree.paths.expand`).
"""

from __future__ import annotations

from conducto.tree import images as image_rules
from conducto.tree.records import tables
from conducto.tree.simplify import simplify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional

    from conducto.tree.node import Node


def to_launch_form(
    root: Node,
    *,
    title: Optional[str] = None,
    doc: Optional[str] = None,
    tags: Optional[List[str]] = None,
) -> Dict[str, Any]:
    """Return the tree as JSON-able data for a launch; the tree itself stays as it is.

    Args:
        root: Root of a validated tree.
        title: Title instead of the root's.
        doc: Doc instead of the root's.
        tags: Tags besides the root's.

    Returns:
        ``{"nodes": [record, ...], "edges": [[parent id, child id, name], ...],
        "images": {name: definition}, "pipeline_reservation": ...}``; nodes breadth-first, the
        root first, with an image in any case.
    """
    records, edges = tables(root)
    images = {name: image_rules.host_form(i) for name, i in image_rules.by_name(root).items()}
    head = records[0]
    if "image_name" not in head:
        default = image_rules.default_image()
        images.setdefault(default.name, image_rules.host_form(default))
        head["image_name"] = default.name
    simplify(records, edges)
    if title is not None:
        head["title"] = title
    if doc is not None:
        head["doc"] = doc
    if tags:
        head["tags"] = list(dict.fromkeys([*head.get("tags", ()), *tags]))
    return {
        "nodes": records,
        "edges": edges,
        "images": images,
        "pipeline_reservation": root.pipeline_reservation,
    }


def from_wire_document(document: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the launch form of a tree that a Lazy's ``Generate`` printed.

    Args:
        document: The decoded JSON of the wire form (`conducto.tree.serialise.decode`).

    Returns:
        As `to_launch_form`, but the root has an image only if it was given one.
    """
    return {
        "nodes": list(document["nodes"]),
        "edges": list(document.get("edges") or ()),
        "images": {
            name: image_rules.decoded(form) for name, form in (document.get("images") or {}).items()
        },
        "pipeline_reservation": document.get("pipeline_reservation"),
    }
