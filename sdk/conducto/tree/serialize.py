"""The wire form of a tree: base64 of gzip of JSON."""

# ruff: noqa: SLF001
from __future__ import annotations

import base64
import binascii
import gzip
import io
import json
import sys
import zlib

from conducto.tree import unused
from conducto.tree.command_text import Expander
from conducto.tree.image_form import by_name, from_wire, to_wire
from conducto.tree.launch_form import simplify
from conducto.tree.text import paint, wants_color
from conducto.tree.validate import validate
from conducto.tree.wire_records import from_record, tables
from conducto.wire.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Tuple

    from conducto.tree.node_base import NodeBase
# the modules of the tree share its nodes' slots.
# Imports wait until they are needed; pathlib is heavy; modules of the tree share its slots.

OPEN = "<__conducto_serialization>"
CLOSE = "</__conducto_serialization>"
_BATCH = 1000  # records converted at once
_LEVEL = 5  # of gzip: 6 costs a quarter more time for 2 % less


def to_document(root: NodeBase, *, resolve: bool = False) -> Dict[str, Any]:
    """Return the tree under ``root`` as the JSON object of the wire form.

    Args:
        root: Root of the tree.
        resolve: Pull shared values up, and resolve the images with path objects, as for a tree that
            leaves the process.
    """
    records, edges = tables(root)
    images = {name: to_wire(image, resolve=resolve) for name, image in by_name(root).items()}
    if resolve:
        simplify(records, edges)
    return {
        "edges": edges,
        "nodes": records,
        "images": images,
        "token": None,
        "autorun": None,
        "autorun_at": None,
        "sleep_when_done": None,
        "pipeline_reservation": root.pipeline_reservation,
        "agent_only": False,
    }


def _chunks(document: Dict[str, Any]) -> Iterator[str]:
    """Yield the JSON text in chunks; the whole of a large tree is never in memory at once."""
    for number, (key, value) in enumerate(document.items()):
        yield "{}{}: ".format(", " if number else "{", json.dumps(key))
        if isinstance(value, list) and value:
            for start in range(0, len(value), _BATCH):
                yield (", " if start else "[") + json.dumps(value[start : start + _BATCH])[1:-1]
            yield "]"
        else:
            yield json.dumps(value)
    yield "}"


def encode(document: Dict[str, Any]) -> str:
    """Return a document as base64 of gzip of its JSON; the same tree gives the same text."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=_LEVEL, mtime=0) as file:
        for chunk in _chunks(document):
            file.write(chunk.encode())
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def decode(text: str) -> Dict[str, Any]:
    """Return the JSON object of the wire form; the tags around it are allowed.

    Raises:
        ValueError: the text is not a serialized tree.
    """
    body = text.partition(OPEN)[2].partition(CLOSE)[0] if OPEN in text else text
    try:
        data = body if body.lstrip().startswith("{") else _unpack(body)
        document = json.loads(data)
    except (binascii.Error, OSError, EOFError, zlib.error, ValueError) as error:
        raise ValueError(f"not a serialized tree: {error}") from error
    if not isinstance(document, dict) or not document.get("nodes"):
        raise ValueError("not a serialized tree: it has no nodes")
    return document


def _unpack(body: str) -> bytes:
    return gzip.decompress(base64.b64decode("".join(body.split()), validate=True))


def serialize(root: NodeBase, *, pretty: bool) -> str:
    """Return the tree as text, see `conducto.tree.nodes.Node.serialize`."""
    document = to_document(root)
    return json.dumps(document, indent=2) if pretty else encode(document)


def deserialize(text: str) -> Any:
    """Return the tree of a text from `serialize`: nodes, env, callbacks and images.

    Raises:
        ValueError: the text is not a serialized tree.
    """
    document = decode(text)
    try:
        return _build(document)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a serialized tree: {error!r}") from error


def _build(document: Dict[str, Any]) -> NodeBase:
    nodes = {record["id"]: from_record(record) for record in document["nodes"]}
    for parent, child, name in document["edges"]:
        nodes[parent]._attach(name, nodes[child])
    root = nodes[document["nodes"][0]["id"]]
    root.pipeline_reservation = document.get("pipeline_reservation")
    for image in document.get("images", {}).values():
        root.register_image(from_wire(image))
    return root


# ----------------------------------------------------------------------------------------
# The printed form of a tree.


def _label(node: NodeBase, expander: Expander, *, colors: bool) -> str:
    name = printable(node.name) + (" (skipped)" if node.skip else "")
    if node._kind == "Exec":
        asks = node.approval
        command = printable(
            expander.command(node) if asks is None else "approval: {}".format(asks["message"])
        )
        return "{}   {}".format(paint(name, "cyan", on=colors), command)
    return paint(name, "blue", on=colors)


def pretty(root: NodeBase, *, strict: bool) -> str:
    """Return the subtree under ``root`` as lines, see `conducto.tree.nodes.Node.pretty`."""
    unused.mark_used()
    validate(root, check_images=False)
    colors = wants_color(sys.stdout)
    expander = Expander(strict=strict)
    lines: List[str] = []
    # (node, prefix of its own line, prefix of its children's lines)
    stack: List[Tuple[NodeBase, str, str]] = [(root, "", "")]
    while stack:
        node, head, tail = stack.pop()
        lines.append(head + _label(node, expander, colors=colors))
        stack.extend(reversed(_branches(node, tail)))
    return "\n".join(lines)


def _branches(node: NodeBase, tail: str) -> List[Tuple[NodeBase, str, str]]:
    children = node._children
    if children is None:
        return []
    last = len(children) - 1
    digits = len(str(last))
    branches = []
    for index, child in enumerate(children.values()):
        number = str(index).zfill(digits) if node._kind == "Serial" else ""
        corner, below = ("└─", "  ") if index == last else ("├─", "│ ")
        branches.append((child, f"{tail}{corner}{number} ", tail + below))
    return branches
