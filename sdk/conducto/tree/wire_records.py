"""Records of nodes for the wire form, and the ids of nodes.

An id is a pure function of the path, so ids are stable across launches.
"""

from __future__ import annotations

# ruff: noqa: PLC0415, SLF001
# the modules of the tree share its nodes' slots.
import gc
from operator import attrgetter

from conducto.tree import parameters, unused
from conducto.tree.node_base import KINDS, NodeBase
from conducto.wire import paths
from conducto.wire.maps import to_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Tuple

    Record = Dict[str, Any]
    Edge = List[str]

ROOT = 1
_FACTOR = 1_000_000_007
_MODULUS = 2**127 - 1
_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_PAIRS = [low + high for high in _DIGITS for low in _DIGITS]
_BASE = len(_DIGITS)
_SQUARE = _BASE**2
_LIMB = _BASE**10  # fits 60 bits: most of the division is done on machine words


def child_number(parent: int, name: str) -> int:
    """Return the number of the child ``name`` of the node with the number ``parent``."""
    factor, text = 1, 0
    for char in "/" + name:
        text = text * _FACTOR + ord(char)
        factor *= _FACTOR
    return (parent * factor + text) % _MODULUS


def to_text(number: int) -> str:
    """Return ``number`` in base 62, the least significant digit first.

    >>> to_text(ROOT), to_text(child_number(ROOT, "p"))
    ('B', 'wb8yD1pA2LB')
    """
    out = []
    while number >= _LIMB:
        number, limb = divmod(number, _LIMB)
        upper, lower = divmod(limb, _SQUARE**2)
        out.append(_PAIRS[lower % _SQUARE])
        out.append(_PAIRS[lower // _SQUARE])
        last, middle = divmod(upper, _SQUARE**2)
        out.append(_PAIRS[middle % _SQUARE])
        out.append(_PAIRS[middle // _SQUARE])
        out.append(_PAIRS[last])
    while number >= _BASE:
        number, pair = divmod(number, _SQUARE)
        out.append(_PAIRS[pair] if number or pair >= _BASE else _DIGITS[pair])
    if number:
        out.append(_DIGITS[number])
    return "".join(out)


ENV = "__env__"
#: Values that are checked to equal a bool.
_FLAGS = ("skip", "suppress_errors", "requires_docker", "snapshot_on_error", "stop_on_error")
_FIRST = parameters.USER_SET[:-1]
#: What `describe` shows for every node.
_ALWAYS = (*parameters.USER_SET, "id", "file", "line")
_LATER = (
    *("doc", "title", "tags", "container_reuse_context", "suppress_errors"),
    *("max_time", "max_concurrent", "callback_data", "snapshot_on_error", "retry_lost", "secrets"),
    *("budget", "budget_action", "arch", "spot", "machine", "code"),
)
#: Read all values at once; most nodes have only those of a new one, which are compared first.
_FIRST_OF, _LATER_OF = attrgetter(*_FIRST), attrgetter(*_LATER)
_NEW = (False, *(None for _ in _FIRST[1:]))
_UNSET = tuple(False if name == "suppress_errors" else None for name in _LATER)


class Memo:
    """Values that many nodes of one tree share while it is serialized.

    Attributes:
        files: ``{file here: file on the launching host}``.
        images: ``{id of an Image object: its name}``.
    """

    def __init__(self) -> None:
        self.files: Dict[str, str] = {}
        self.images: Dict[int, str] = {}

    def host_file(self, file: str) -> str:
        """Return the path of ``file`` on the launching host."""
        if file not in self.files:
            self.files[file] = paths.to_host(file)
        return self.files[file]

    def image_name(self, node: NodeBase) -> Optional[str]:
        """Return the name of the node's own image."""
        image = node._image
        if image is None:
            return node._image_name
        if id(image) not in self.images:
            self.images[id(image)] = image.name
        return self.images[id(image)]


def describe(node: NodeBase) -> Record:
    """Return the record of ``node``, with None for inheritable values that are not set."""
    return {**dict.fromkeys(_ALWAYS), **_set_values(node, Memo()), "file": node.file}


def _set_values(node: NodeBase, memo: Memo) -> Record:
    """Return the record of ``node`` without values that are None."""
    first = _FIRST_OF(node)
    record: Record = {"skip": first[0]}
    if first != _NEW:
        record.update(pair for pair in zip(_FIRST, first) if pair[1] is not None)  # noqa: B905
    image_name = memo.image_name(node)
    if image_name is not None:
        record["image_name"] = image_name
    if node._env:
        record.update((ENV + key, value) for key, value in node._env.items())
    record["id"] = node._id
    record["callbacks"] = node.callback_literals() if node._callbacks else []
    record["type"] = node._kind
    record.update(_place_of(node, memo))
    is_exec = node._kind == "Exec"
    record["is_notebook"] = is_exec and node.is_notebook
    later = _LATER_OF(node)
    if later != _UNSET:
        record.update(
            (name, value)
            for name, value in zip(_LATER, later)  # noqa: B905
            if value is not None and (value or name != "suppress_errors")
        )
    record.update(_policies_of(node, memo))
    if node._kind == "Serial" and node.stop_on_error is not None:
        record["stop_on_error"] = node.stop_on_error
    if is_exec:
        record.update(_work_of(node))
    return record


def _place_of(node: NodeBase, memo: Memo) -> Record:
    """Return the fields with the file and the line of a node, and of the calls that made it."""
    if node.file is None:
        return {}
    record: Record = {"file": memo.host_file(node.file)}
    if node.line is not None:
        record["line"] = node.line
    if node._calls:
        sites = [[memo.host_file(file), line] for file, line in node._calls if file is not None]
        if sites:
            record["calls"] = sites
    return record


def _policies_of(node: NodeBase, memo: Memo) -> Record:
    """Return the fields whose values are objects of the author API."""
    record: Record = {}
    if node._limits:
        record["limits"] = [limit.to_wire() for limit in node._limits]
    if node._retry is not None:
        record["retry"] = node._retry.to_wire()
    if node._run_if is not None:
        record["run_if"] = node._run_if.to_wire()
    if node.map_options is not None:
        record["map"] = node.map_options.to_wire()
    if node._expansion is not None:
        record["expand"] = node._expansion(memo)
    if node._services is not None:
        record["services"] = {
            name: None if each is None else each.to_wire() for name, each in node._services.items()
        }
    if node._buckets is not None:
        record["buckets"] = {
            path: None if each is None else each.to_wire() for path, each in node._buckets.items()
        }
    cache = node._cache
    if cache is not None:
        record["cache"] = cache if isinstance(cache, bool) else cache.to_wire()
    return record


def _work_of(node: NodeBase) -> Record:
    """Return the fields of an Exec: its command, or its approval."""
    if node.approval is not None:
        return {"approval": node.approval}
    command: Record = {"command": command_text(node)}
    return {**command, "results": list(node.results)} if node._references else command


def command_text(node: NodeBase) -> str:
    """Return the command of an Exec, with texts for the references to results in it."""
    if not node._references:
        return node.command
    from conducto.tree.references import paths_of
    from conducto.wire.references import finish

    return finish(node.command, paths_of(node._references))


def to_record(node: NodeBase, memo: Memo) -> Record:
    """Return the record of ``node`` for the wire: without None, flags as bools."""
    record = _set_values(node, memo)
    for name in _FLAGS:
        if name in record:
            record[name] = bool(record[name])
    if "command" in record:
        record["command"] = paths.finish(record["command"])
    return record


def walk(root: NodeBase) -> Iterator[Tuple[NodeBase, str, str]]:
    """Yield ``(node, parent's id, name)`` breadth-first and give each node its id."""
    root._id = to_text(ROOT)
    yield root, "", ""
    level = [(root, ROOT)]
    while level:
        below = []
        for parent, number in level:
            if parent._children is None:
                continue
            for name, node in parent._children.items():
                child = child_number(number, name)
                node._id = to_text(child)
                yield node, parent.id, name
                if node._children is not None:
                    below.append((node, child))
        level = below


def tables(root: NodeBase) -> Tuple[List[Record], List[Edge]]:
    """Return the records of the tree, breadth-first, and ``[parent id, child id, name]`` each."""
    unused.mark_used()
    collects = gc.isenabled()
    gc.disable()  # all records are kept: each collection would look at all of them in vain
    try:
        return _tables(root)
    finally:
        if collects:
            gc.enable()


def _tables(root: NodeBase) -> Tuple[List[Record], List[Edge]]:
    records: List[Record] = []
    edges: List[Edge] = []
    memo = Memo()
    for node, parent, name in walk(root):
        records.append(to_record(node, memo))
        if parent:
            edges.append([parent, node.id, name])
    return records, edges


_ATTRIBUTES = [
    "skip",
    "run_if",
    "cpu",
    "gpu",
    "mem",
    "requires_docker",
    "docker_run_args",
    "image_name",
    "doc",
    "title",
    "tags",
    "container_reuse_context",
    "suppress_errors",
    "snapshot_on_error",
    "budget",
    "budget_action",
    "arch",
    "spot",
    "machine",
    "retry",
    "retry_lost",
    "max_time",
    "max_concurrent",
    "callback_data",
    "file",
    "line",
    "stop_on_error",
    "command",
    "results",
    "approval",
    "limits",
    "services",
    "buckets",
    "secrets",
    "cache",
    "code",
]


def template_of(node: NodeBase) -> Record:
    """Return the parameters of a node that other nodes are to get, too."""
    record = _set_values(node, Memo())
    names = {*_ATTRIBUTES}.difference(("command", "file", "line", "results", "approval"))
    if not record["skip"]:
        names.discard("skip")
    return {k: v for k, v in record.items() if k in names or k.startswith(ENV)}


def set_values(node: Any, record: Record) -> None:
    """Set the parameters of a record on a node."""
    env = {k[len(ENV) :]: v for k, v in record.items() if k.startswith(ENV)}
    if env:
        node.env = env
    for name in _ATTRIBUTES:
        if name in record:
            setattr(node, name, record[name])


def from_record(record: Record) -> NodeBase:
    """Return the node of a record, not attached anywhere.

    Raises:
        ValueError: the record's type is unknown.
    """
    cls: Any = KINDS.get(record.get("type", ""))
    if cls is None:
        raise ValueError(
            "a node of a serialized tree has the unknown type {!r}".format(record.get("type"))
        )
    node: Any = cls("", file="") if cls._kind == "Exec" else cls(file="")
    node.file = node.line = None
    node._calls = [(file, line) for file, line in record.get("calls") or ()]
    set_values(node, record)
    if "map" in record:
        node.map_options = to_options(record["map"])
    if "expand" in record:
        node._expansion = lambda _memo: record["expand"]
    if record.get("callbacks"):
        node._callbacks = [(event, list(literal)) for event, literal in record["callbacks"]]
    if record.get("is_notebook"):
        node.is_notebook = True
    node._id = record.get("id")
    return node  # type: ignore[no-any-return]
