"""A node as it will run, with all inherited values resolved.

Plain slotted dataclasses rather than pydantic models: a tree of 100,000 nodes must resolve in
seconds and fit in memory (docs/decisions/0002). Objects that many nodes share, such as `Placement`
and ``env``, exist only once.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final

from pydantic_core import PydanticSerializationError, to_json

from conducto.wire.approvals import Field
from conducto.wire.buckets import Bucket
from conducto.wire.conditions import Condition
from conducto.wire.expansions import Expansion
from conducto.wire.junit import VARIABLE as JUNIT
from conducto.wire.maps import MapOptions
from conducto.wire.retries import Retry
from conducto.wire.services import Service, size_of
from conducto_core.images.model import ImageSpec
from conducto_core.machines.model import NO_USES, MachineClass, MemoryUses
from conducto_core.programs.model import ProgramCall
from conducto_core.run.model.states import NodeType


class SpotUse(StrEnum):
    """The node parameter ``spot``.

    ``share``: not set; the installation's share of its workers. ``first``: True; on demand while
    Spot has no capacity. ``only``: never on demand. ``never``: False.
    """

    SHARE = "share"
    FIRST = "first"
    ONLY = "only"
    NEVER = "never"

    @property
    def is_asked(self) -> bool:
        """Whether the node asks for Spot, so that its command may be interrupted and repeated."""
        return self in (SpotUse.FIRST, SpotUse.ONLY)

    @classmethod
    def from_field(cls, written: bool | str) -> "SpotUse":
        """Return the use for a value that `conducto.wire.fields.check_spot` accepts."""
        if isinstance(written, str):
            return cls.ONLY
        return cls.FIRST if written else cls.NEVER


@dataclass(frozen=True, slots=True)
class Placement:
    """Requirements of an Exec on its container.

    Attributes:
        image: Name of an image of the pipeline.
        mem: Memory in GB (2**30 bytes, as the engine counts it).
        arch: Architecture of the machine; "" by default: x86_64 in the cloud, locally the engine's.
        spot: Whether workers are Spot tasks.
        machine: Class of machines in the cloud; None: Fargate.
        requires_docker: The engine's socket is mounted.
        services: Containers beside it, which start before it.
        buckets: Buckets that are directories of its container.
    """

    image: str
    cpu: float = 1.0
    mem: float = 2.0
    gpu: int = 0
    requires_docker: bool = False
    docker_run_args: tuple[str, ...] = ()
    spot: SpotUse = SpotUse.SHARE
    arch: str = ""
    services: tuple[Service, ...] = ()
    buckets: tuple[Bucket, ...] = ()
    machine: MachineClass | None = None

    @property
    def total_cpu(self) -> float:
        """CPUs with those of its services."""
        return self.cpu + size_of(self.services)[0]

    @property
    def total_mem(self) -> float:
        """Memory in GB with that of its services."""
        return self.mem + size_of(self.services)[1]


@dataclass(frozen=True, slots=True)
class Callback:
    """A callback that runs when a node reaches a state.

    Attributes:
        event: ``queued running done error killed stateChange``.
        name: Name of the callback, e.g. ``retry``.
        inherited: It also applies to every node below.
    """

    event: str
    name: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    inherited: bool = False


@dataclass(frozen=True, slots=True)
class Approval:
    """What a person decides about.

    Attributes:
        who: Roles and user ids of the deciders; empty for every user with the permission to
            control the pipeline.
        fields: The form, whose values are the node's result.
    """

    message: str
    who: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class NamedLimit:
    """A named limit across pipelines.

    Attributes:
        number: Maximum number of commands with it that run at once.
        priority: See `conducto_core.limits.rules`.
    """

    name: str
    number: int
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Caching:
    """The cache of an Exec (`conducto_core.cache.rules`).

    Attributes:
        salt: A text that counts as an input.
        ignore: Names of variables and secrets that do not count.
        max_age: Seconds after which an entry is not used any more; None: no limit.
        scope: ``organisation``, ``user`` or ``pipeline``.
        reads: Names of the files of the pipeline's data that the command sees.
        writes: Names of the files that it writes.
        copies: The files that it sees are copies, which it may change.
        serialize: It waits for an equal command that runs already.
    """

    salt: str = ""
    ignore: tuple[str, ...] = ()
    max_age: float | None = None
    scope: str = "organisation"
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    copies: bool = False
    serialize: bool = False

    @property
    def has_files(self) -> bool:
        """Whether the command sees or writes files of the pipeline's data."""
        return bool(self.reads or self.writes)


@dataclass(slots=True)
class NodeSpec:
    """One resolved node. Treat it as frozen, which would triple the time to make one.

    Attributes:
        children: Names of its children, in order; empty for an Exec.
        placement: An Exec's requirements on its container (for a group: inherited by its children).
        env: ``{name: value}``, merged along the path.
        approval: Of an Exec that waits for a person and runs no command.
        limits: Named limits of the node and of the nodes above it.
        secrets: Names of the secrets that an Exec gets; None: all. Inherited.
        auto_mem: Of ``mem="auto"``, the reason for the memory in the placement; "" without it.
            Inherited, as the reason differs.
        cache: Its cache; None: it has none. Inherited.
        cache_off: Why an Exec that inherits a cache has none.
        code: Names of the files of the image that count for the cache; empty: all. Inherited.
        max_time: Maximum seconds of an Exec, always set for a command; for an approval and a group
            its own limit, or None.
        max_concurrent: Maximum number of Execs below that run at once, or None.
        reuse_context: The node's own setting: ``new``, ``global`` or None.
        pool: Key of an Exec's pool (`conducto_core.tree.rules.callbacks`).
        stop_on_error: Of a Serial; True and ignored for other types.
        suppress_errors: A failure counts as done, with a warning.
        snapshot_on_error: After a failure an Exec's container is kept as an image; inherited.
        budget: The node's own maximum cost, in dollars, of the commands at or below it; or None.
        budget_kills: Running commands stop when the budget is used up.
        retry: Automatic retries of an Exec (for a group: inherited by its children); None for none.
        retry_lost: How often an Exec is run again whose container was lost; inherited.
        results: Paths of the Execs and maps whose results an Exec uses.
        result_names: The names by which the command knows them, if these differ: in a generated
            tree, paths from the root of that tree.
        run_if: The condition under which the node runs.
        expansion: Of the Generate of a map that the driver expands, without a container; or None.
        map: Of a group whose children are the commands of a map, or of the Lazy of a map.
        callbacks: Own and inherited ones.
        handed_down: Callbacks that the nodes below inherit.
        lazy_target: Path of the node that receives the tree this Exec prints, or None.
        awaits_tree: The node is such a target and its tree has not been generated.
        place: For a target with a tree: the target's own definition, which receives the next tree.
    """

    path: str
    type: NodeType
    children: tuple[str, ...] = ()
    command: str = ""
    placement: Placement = Placement(image="")
    env: Mapping[str, str] = field(default_factory=dict)
    max_time: float | None = None
    max_concurrent: int | None = None
    reuse_context: str | None = None
    pool: str = ""
    skip: bool = False
    stop_on_error: bool = True
    suppress_errors: bool = False
    snapshot_on_error: bool = False
    retry_lost: int = 0
    retry: Retry | None = None
    budget: float | None = None
    budget_kills: bool = False
    results: tuple[str, ...] = ()
    result_names: tuple[str, ...] = ()
    map: MapOptions | None = None
    callbacks: tuple[Callback, ...] = ()
    handed_down: tuple[Callback, ...] = ()
    lazy_target: str | None = None
    awaits_tree: bool = False
    place: "NodeSpec | None" = None
    doc: str | None = None
    title: str | None = None
    tags: tuple[str, ...] = ()
    file: str | None = None
    line: int | None = None
    approval: Approval | None = None
    limits: tuple[NamedLimit, ...] = ()
    secrets: tuple[str, ...] | None = None
    cache: Caching | None = None
    cache_off: str | None = None
    code: tuple[str, ...] = ()
    run_if: Condition | None = None
    auto_mem: str = ""
    expansion: Expansion | None = None

    @property
    def has_command(self) -> bool:
        """Whether a worker runs it, which no group, approval or expansion of a map needs."""
        is_exec = self.type is NodeType.EXEC
        return is_exec and self.approval is None and self.expansion is None

    @property
    def shards_tests(self) -> bool:
        """Whether its tree may shard tests, so that it gets their times: a Lazy with ``junit``."""
        return self.lazy_target is not None and JUNIT in self.env

    def siblings(self) -> Callable[..., "NodeSpec"]:
        """Return a function that makes nodes which differ from this one only in its arguments.

        It takes path, command, doc, title, file and line, in a fourth of the time of `replace`.
        """
        kind, children, tags = self.type, self.children, self.tags
        middle, rest = _middle_of(self), _rest_of(self)

        def sibling(
            path: str,
            command: str,
            *,
            doc: str | None,
            title: str | None,
            file: str | None,
            line: int | None,
        ) -> NodeSpec:
            first, about = (path, kind, children, command), (doc, title, tags, file, line)
            values: tuple[Any, ...] = (*first, *middle, *about, *rest)
            return NodeSpec(*values)

        return sibling


_NAMES = tuple(NodeSpec.__dataclass_fields__)
#: The values between ``command`` and ``doc``, and those after ``line``, for `NodeSpec.siblings`.
_middle_of = attrgetter(*_NAMES[_NAMES.index("command") + 1 : _NAMES.index("doc")])
_rest_of = attrgetter(*_NAMES[_NAMES.index("line") + 1 :])


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A resolved tree.

    Attributes:
        nodes: ``{path: node}``, parents before children.
        images: ``{image name: image}``.
        call: The call of a program's function that made it, if known.
        payload: That of the event that launched it; None if no event did.
        machines: Machine classes of the installation; None: not known, any name is accepted.
        memory: What earlier attempts of the program used, for ``mem="auto"``.
    """

    nodes: dict[str, NodeSpec]
    images: dict[str, ImageSpec]
    call: ProgramCall | None = None
    payload: Any = None
    machines: Mapping[str, MachineClass] | None = None
    memory: MemoryUses = NO_USES

    @property
    def root(self) -> NodeSpec:
        """The node without a parent."""
        return self.nodes["/"]

    def execs(self) -> Iterator[NodeSpec]:
        """All Execs, in definition order."""
        return (node for node in self.nodes.values() if node.type is NodeType.EXEC)


def parent_of(path: str) -> str | None:
    """Return the path of the parent, or None for the root."""
    if path == "/":
        return None
    head = path.rpartition("/")[0]
    return head or "/"


def is_within(path: str, root: str) -> bool:
    """Return whether a path is that of a node or is below it."""
    return root in ("/", path) or path.startswith(f"{root}/")


def child_path(parent: str, name: str) -> str:
    """Return the path of the child ``name`` of ``parent``."""
    return f"/{name}" if parent == "/" else f"{parent}/{name}"


def ancestors(path: str) -> Iterator[str]:
    """Yield the paths above ``path``, the nearest first."""
    above = parent_of(path)
    while above is not None:
        yield above
        above = parent_of(above)


# ----------------------------------------------------------------------------------------
# The stored format of launch forms, and the packed format in which commands send them.


#: Maximum bytes of the JSON of a tree that a command sends; 100,000 Execs take about 20 MB.
MAX_UNPACKED: Final = 64 << 20


def pack_form(form: object) -> bytes:
    """Return a launch form as stored bytes; the same form gives the same bytes."""
    try:
        text = to_json(form)  # a quarter of the time of `json.dumps`
    except PydanticSerializationError:  # a lone surrogate, which UTF-8 does not have
        text = json.dumps(form).encode()
    return gzip.compress(text, compresslevel=1, mtime=0)


def unpack_form(data: bytes) -> dict[str, object]:
    """Return the launch form that `pack_form` packed."""
    form: dict[str, object] = json.loads(gzip.decompress(data))
    return form


def unpack_tree(packed: bytes) -> Any:
    """Return the JSON value of a gzipped tree that a command has sent.

    Raises:
        ValueError: it is too large, incomplete, or not gzipped JSON.
    """
    try:
        unpacker = zlib.decompressobj(wbits=31)
        text = unpacker.decompress(packed, MAX_UNPACKED)
        if unpacker.unconsumed_tail:
            raise ValueError(f"it has over {MAX_UNPACKED >> 20} MB unpacked; make it smaller")
        if not unpacker.eof:
            raise ValueError("it is incomplete")
        return json.loads(text)
    except (zlib.error, RecursionError) as error:
        raise ValueError(str(error)) from error
