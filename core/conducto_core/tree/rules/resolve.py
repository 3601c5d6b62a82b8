"""The resolution of a tree as defined to the tree as it runs.

`resolve` reads the launch form of the author API (JSON: ``nodes``, ``edges``, ``images``), checks
every value, and passes inherited values down. Errors name the node's path, and occur before
anything runs.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from conducto.errors import DefinitionError, raise_found
from conducto.wire import fields
from conducto.wire.buckets import merged as merged_buckets
from conducto.wire.buckets import to_buckets
from conducto.wire.caching import check_code
from conducto.wire.maps import GIVEN
from conducto.wire.retries import Retry, to_retry
from conducto.wire.secret_names import check_names
from conducto.wire.services import merged as merged_services
from conducto.wire.services import to_services
from conducto_core.cache import rules as cache_rules
from conducto_core.cache.files import check_files
from conducto_core.errors import invalid
from conducto_core.events.model import PAYLOAD_PART
from conducto_core.images.model import ImageSpec
from conducto_core.images.rules import (
    image_for,
    merge_images,
    provide_package,
    resolve_images,
)
from conducto_core.machines.model import NO_USES, MachineClass, MemoryUses
from conducto_core.machines.rules import MACHINES_PART, classes_in, find_class
from conducto_core.programs.rules.memory import MEMORY_PART, auto_mem, uses_in, with_doubling
from conducto_core.programs.rules.programs import call_of
from conducto_core.results.rules import check_results, moved_results, results_of
from conducto_core.run.model.states import NodeType
from conducto_core.tree.model import (
    Caching,
    Callback,
    NamedLimit,
    NodeSpec,
    Pipeline,
    Placement,
    ancestors,
    child_path,
    parent_of,
)
from conducto_core.tree.rules import callbacks as cb
from conducto_core.tree.rules import checks
from conducto_core.tree.rules import written as read
from conducto_core.tree.rules.callbacks import (
    CACHED,
    CACHED_FILES,
    SHARED,
    PoolKind,
    kind_of,
    pool_below,
    pool_of_exec,
)
from conducto_core.tree.rules.written import Form

#: Name of the only child of a Lazy's target whose generated root is an Exec.
SINGLE: Final = "exec"

#: Keys of a command's own values, which say nothing about how it runs.
_OWN: Final = frozenset({"id", "type", "command", "doc", "title", "file", "line", "calls"})


#: Changes by users since the launch: ``{path: {key of the wire form: value}}``. None removes the
#: node's own value, so that the inherited one applies; for an environment variable, it removes the
#: inherited one, too.
Edits = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class _Inherited:
    """The values that a node inherits."""

    placement: Placement
    env: Mapping[str, str]
    max_time: float
    pool: str
    callbacks: tuple[Callback, ...]
    snapshot_on_error: bool = False
    retry_lost: int = 0
    limits: tuple[NamedLimit, ...] = ()
    secrets: tuple[str, ...] | None = None
    retry: Retry | None = None
    cache: Caching | None = None
    code: tuple[str, ...] = ()
    auto_mem: bool = False


def resolve(form: Form, edits: Edits | None = None) -> Pipeline:
    """Return the tree of a launch form, with edits applied and inherited values resolved.

    Raises:
        DefinitionError: the form is invalid; the message starts with the node's path.
    """
    written = _written(form, "/", {})
    images, machines = _images_of(form, written), classes_in(form.get(MACHINES_PART))
    memory = uses_in(form.get(MEMORY_PART))
    top = _Inherited(
        Placement("", fields.DEFAULT_CPU, fields.DEFAULT_MEM),
        {},
        fields.DEFAULT_MAX_TIME,
        SHARED,
        (),
    )
    resolver = _Resolver(written, images, edits, machines, memory)
    nodes, payload = resolver.nodes("/", top), form.get(PAYLOAD_PART)
    known = {**images, **resolver.images}
    pipeline = Pipeline(nodes, known, call_of(form), payload, machines, memory)
    checks.check_lazy_targets(pipeline.nodes)
    checks.check_contexts(pipeline.nodes)
    checks.check_approvals(pipeline.nodes, {})
    checks.check_maps(pipeline.nodes)
    check_files(pipeline.nodes, {})
    check_results(pipeline.nodes)
    return pipeline


def resolve_generated(
    form: Form, target: str, pipeline: Pipeline, edits: Edits | None = None
) -> Pipeline:
    """Return the nodes of a generated tree, resolved in the place of ``target``.

    The first node is ``target`` with the generated root's type and parameters. ``images`` of the
    result has the new images only, renamed if another definition uses the name.

    Raises:
        DefinitionError: the generated tree is invalid.
    """
    written = _written(form, target, pipeline.nodes)
    images, names = merge_images(_images_of(form, written), target, pipeline.images)
    known = {**pipeline.images, **images}
    parts = pipeline.machines, pipeline.memory
    resolver = _Resolver(written.with_images(names), known, edits, *parts)
    old = pipeline.nodes[target]
    if old.place is not None:  # parameters of an earlier tree do not apply to a new one
        old = old.place
    nodes = resolver.nodes(target, _inherited_at(old, pipeline.nodes))
    nodes[target] = replace(nodes[target], skip=nodes[target].skip or old.skip, place=old)
    checks.check_lazy_targets(nodes)
    checks.check_maps(nodes)
    check_files(nodes, pipeline.nodes)
    maker = _maker_of(target, pipeline.nodes)
    nodes = moved_results(nodes, target, maker, given=bool(form.get(GIVEN)))
    check_results(nodes, target, pipeline.nodes)
    in_context = kind_of(old.pool) is PoolKind.CONTEXT
    checks.check_contexts({**pipeline.nodes, **nodes} if in_context else nodes)
    checks.check_approvals(nodes, pipeline.nodes)
    made = {name: each for name, each in resolver.images.items() if name not in pipeline.images}
    return Pipeline(nodes, {**images, **made})


def resolve_grown(
    form: Form,
    generated: Iterable[tuple[str, Form]],
    edits: Edits | None = None,
    images: Mapping[str, ImageSpec] | None = None,
) -> Pipeline:
    """Return the tree of a launch form with its generated trees, resolved.

    Args:
        form: The launch form.
        generated: ``(target, form)`` of the generated trees, outer ones first.
        edits: Changes of nodes since the launch.
        images: Images of the trees that were generated so far; their names stay in use.

    Raises:
        DefinitionError: a form is invalid, or an edit makes it so.
    """
    pipeline = resolve(form, edits)
    for name, image in (images or {}).items():
        pipeline.images.setdefault(name, image)
    for target, tree in generated:
        grown = resolve_generated(tree, target, pipeline, edits)
        pipeline.nodes.update(grown.nodes)
        pipeline.images.update(grown.images)
    return pipeline


@dataclass(frozen=True, slots=True)
class _Written:
    """The nodes of a launch form, not yet checked.

    Attributes:
        children: ``{id: [(id, name) of each child]}``, without nodes that have none.
    """

    nodes: Mapping[str, Form]
    root: str
    children: Mapping[str, list[tuple[str, str]]]

    def with_images(self, names: Mapping[str, str]) -> "_Written":
        return replace(self, nodes={k: _renamed(node, names) for k, node in self.nodes.items()})


def _written(form: Form, place: str, others: Mapping[str, NodeSpec]) -> _Written:
    """Return the nodes of a form whose root goes to ``place`` in a tree with ``others``."""
    if not isinstance(form, Mapping):
        raise invalid(None, f"not a serialised tree: {type(form).__name__}")
    read.check_count(place, form, others)
    children: dict[str, list[tuple[str, str]]] = {}
    try:
        nodes = {node["id"]: node for node in form["nodes"]}
        root = form["nodes"][0]["id"]
        for parent, child, name in form["edges"]:
            hash(child)  # raise a TypeError here rather than in a later lookup
            children.setdefault(parent, []).append((child, name))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise invalid(None, f"not a serialised tree: {error!r}") from error
    if len(nodes) < len(form["nodes"]):
        raise invalid(None, "not a serialised tree: two nodes have the same id")
    return _Written(nodes, root, children)


class _Resolver:
    """One traversal of a launch form."""

    def __init__(
        self,
        written: _Written,
        images: Mapping[str, ImageSpec],
        edits: Edits | None = None,
        machines: Mapping[str, MachineClass] | None = None,
        memory: MemoryUses = NO_USES,
    ) -> None:
        self._written = written
        self._memory = memory
        self._machines = machines
        self._images = images
        self._edits: Edits = {} if edits is None else edits
        self._placements: dict[Placement, Placement] = {}
        #: ``{name: image}`` for the architectures that commands ask for.
        self.images: dict[str, ImageSpec] = {}
        #: ``{id of inherited values: (these, makes commands without others of their own)}``
        self._plain: dict[int, tuple[_Inherited, Callable[..., NodeSpec]]] = {}

    def nodes(self, top: str, inherited: _Inherited) -> dict[str, NodeSpec]:
        """Return ``{path: node}`` in definition order, with the root at ``top``."""
        resolved: dict[str, NodeSpec] = {}
        stack = [(self._written.root, top, inherited)]
        seen: set[str] = set()
        found: list[DefinitionError] = []
        while stack:
            node_id, path, above = stack.pop()
            if node_id in seen:
                raise invalid(path, "the tree has a cycle, or a node with two parents")
            seen.add(node_id)
            try:
                resolved[path], below = self._node(node_id, path, above)
            except (ValueError, TypeError) as error:
                found.append(invalid(path, str(error)))
            except (AttributeError, LookupError) as error:
                found.append(invalid(path, f"not a serialised node: {error!r}"))
            if path not in resolved:
                below = self._image_below(node_id, above)
            for child, name in reversed(self._written.children.get(node_id, ())):
                if path in resolved or read.is_name(name):  # otherwise its parent was rejected
                    stack.append((child, child_path(path, name), below))
        raise_found(found)
        if len(seen) < len(self._written.nodes):
            raise invalid(
                None, "the tree has nodes that its root does not reach; give each one parent"
            )
        return resolved if top == "/" else _as_target(resolved, top)

    def _image_below(self, node_id: str, above: _Inherited) -> _Inherited:
        """Return the values that an invalid node passes down: nodes below still get its image."""
        written = self._written.nodes.get(node_id)
        name = written.get("image_name") if isinstance(written, Mapping) else None
        if not isinstance(name, str):
            return above
        return replace(above, placement=replace(above.placement, image=name))

    def _node(self, node_id: str, path: str, above: _Inherited) -> tuple[NodeSpec, _Inherited]:
        written = self._written.nodes.get(node_id)
        if written is None:
            raise ValueError(f"the serialised tree has no node {node_id!r}")
        if path in self._edits:
            written = read.edited(written, self._edits[path])
        children = self._written.children.get(node_id, ())
        is_plain = _is_plain(written, above) and not children
        if is_plain and (found := self._plain.get(id(above))) is not None:
            return _sibling(found[1], path, written), above
        kind = read.node_type(written)
        names = tuple(name for _, name in children)
        read.check_children(kind, path, names)
        own = cb.own_callbacks(written)
        below = self._passed_down(written, path, own, above, is_exec=kind is NodeType.EXEC)
        spec = _spec(written, path, names, own, above=above, below=below)
        if below.auto_mem:
            self._size(spec)
        if kind is NodeType.EXEC:
            if spec.cache is not None:
                _isolate(spec, explicit=written.get("cache") is not None)
            self._check_image(below.placement)
            spec.placement = self._with_image(spec.placement)
        if is_plain:
            self._plain[id(above)] = above, spec.siblings()
        return spec, below

    def _passed_down(
        self,
        written: Form,
        path: str,
        own: tuple[Callback, ...],
        above: _Inherited,
        *,
        is_exec: bool,
    ) -> _Inherited:
        """Return the values that nodes below this one inherit."""
        context = written.get("container_reuse_context")
        if context is not None:
            fields.check_reuse_context(context)
        max_time, lost = written.get("max_time"), written.get("retry_lost")
        retry, secrets, code = written.get("retry"), written.get("secrets"), written.get("code")
        pool = pool_of_exec if is_exec else pool_below
        return _Inherited(
            placement=self._placement(written, above.placement),
            env=read.env(written, above.env),
            max_time=above.max_time if max_time is None else fields.parse_duration(max_time),
            pool=pool(path, context, above.pool),
            callbacks=cb.handed_down(own) + above.callbacks,
            snapshot_on_error=read.flag(
                written, "snapshot_on_error", default=above.snapshot_on_error
            ),
            retry_lost=above.retry_lost if lost is None else fields.check_retry_lost(lost),
            limits=read.limits_of(written, above.limits),
            secrets=above.secrets if secrets is None else tuple(check_names(secrets)),
            retry=above.retry if retry is None else to_retry(retry),
            cache=read.caching(written, above.cache),
            code=above.code if code is None else tuple(check_code(code)),
            auto_mem=_is_auto(written, above),
        )

    def _size(self, spec: NodeSpec) -> None:
        """Set the memory of a node with ``mem="auto"``; that of a group means nothing."""
        spec.auto_mem = fields.AUTO
        if spec.type is NodeType.EXEC:
            mem, spec.auto_mem = auto_mem(spec.path, spec.placement, self._memory)
            made = replace(spec.placement, mem=mem)
            spec.placement = self._placements.setdefault(made, made)
            spec.callbacks = with_doubling(spec.callbacks, mem)

    def _placement(self, written: Form, above: Placement) -> Placement:
        changes = {
            name: check(written[name])
            for name, check in read.PLACED.items()
            if written.get(name) is not None
        }
        if written.get("machine") is not None:
            name = fields.check_machine(written["machine"])
            changes["machine"] = find_class(name, self._machines)
        if written.get("image_name") is not None:
            changes["image"] = written["image_name"]
        if written.get("services") is not None:
            own = to_services(written["services"])
            changes["services"] = merged_services(above.services, own)
        if written.get("buckets") is not None:
            mounted = to_buckets(written["buckets"])
            changes["buckets"] = merged_buckets(above.buckets, mounted)
        if not changes:
            return above
        made = replace(above, **changes)
        return self._placements.setdefault(made, made)

    def _with_image(self, placement: Placement) -> Placement:
        """Return the placement of a command, whose image is the one for its architecture."""
        if not placement.arch:
            return placement
        image = image_for(self._images[placement.image], placement.arch)
        self.images[image.name] = image
        made = replace(placement, image=image.name)
        return self._placements.setdefault(made, made)

    def _check_image(self, placement: Placement) -> None:
        if not placement.image:
            raise ValueError("no image; set image= here or on a parent")
        if placement.image not in self._images:
            known = ", ".join(sorted(self._images)) or "none"
            raise ValueError(
                f"image_name={placement.image!r} names no image of this tree (there are: {known})"
            )


def _images_of(form: Form, written: _Written) -> dict[str, ImageSpec]:
    return provide_package(
        resolve_images(form.get("images") or {}), written.nodes, written.children
    )


def _is_plain(written: Form, above: _Inherited) -> bool:
    """Return whether a node is a command without parameters of its own."""
    return written.keys() <= _OWN and written.get("type") == "Exec" and not above.auto_mem


def _is_auto(written: Form, above: _Inherited) -> bool:
    mem = written.get("mem")
    return above.auto_mem if mem is None else bool(mem == fields.AUTO)


def _sibling(make: Callable[..., NodeSpec], path: str, written: Form) -> NodeSpec:
    """Return a command that inherits all that its sibling does; neither has other values."""
    return make(
        path,
        fields.check_command(written.get("command")),
        doc=read.text(written, "doc"),
        title=read.text(written, "title"),
        file=read.text(written, "file"),
        line=written.get("line"),
    )


def _spec(
    written: Form,
    path: str,
    names: tuple[str, ...],
    own: tuple[Callback, ...],
    *,
    above: _Inherited,
    below: _Inherited,
) -> NodeSpec:
    """Return a node with its own values and those that it inherits."""
    kind = read.node_type(written)
    is_exec = kind is NodeType.EXEC
    target = cb.lazy_target(written, path)
    approval = read.approval(written, kind)
    has_command = is_exec and approval is None
    has_time = has_command or written.get("max_time") is not None
    about = own + above.callbacks if is_exec else cb.about_group(own) + cb.telling(above.callbacks)
    return NodeSpec(
        path=path,
        type=kind,
        children=names,
        command=fields.check_command(written.get("command")) if has_command else "",
        placement=below.placement,
        env=below.env,
        max_time=below.max_time if has_time else None,
        max_concurrent=read.max_concurrent(written, is_exec=is_exec),
        reuse_context=written.get("container_reuse_context"),
        pool=below.pool,
        skip=read.flag(written, "skip", default=False),
        stop_on_error=fields.check_stop_on_error(written.get("stop_on_error", True)),
        suppress_errors=read.flag(written, "suppress_errors", default=False),
        snapshot_on_error=below.snapshot_on_error,
        retry_lost=below.retry_lost,
        retry=below.retry,
        budget=read.budget(written),
        budget_kills=read.budget_kills(written),
        results=results_of(written, kind),
        map=read.map_options(written, is_exec=is_exec),
        callbacks=about,
        handed_down=above.callbacks if is_exec else below.callbacks,
        lazy_target=target,
        doc=read.text(written, "doc"),
        title=read.text(written, "title"),
        tags=read.tags(written),
        file=read.text(written, "file"),
        line=written.get("line"),
        approval=approval,
        limits=below.limits,
        secrets=below.secrets,
        cache=below.cache,
        code=below.code,
        run_if=read.run_if(written),
        expansion=read.expansion(written, target),
    )


def _isolate(spec: NodeSpec, *, explicit: bool) -> None:
    """Let a new Exec with a cache see only its inputs; without them it has none.

    Raises:
        ValueError: it cannot be cached, and the cache is its own parameter.
    """
    reason = cache_rules.refusal(spec)
    if reason is not None and explicit:
        raise ValueError(f"cache= cannot be used here: {reason}; remove cache=")
    if spec.expansion is not None:  # it is not a command: only its items may have a cache
        spec.cache = None
        return
    if reason is not None:
        spec.cache, spec.cache_off = None, reason
        return
    if spec.secrets is None:
        spec.secrets = ()
    if spec.pool == SHARED and spec.cache is not None:
        spec.pool = CACHED_FILES if spec.cache.has_files else CACHED


def _as_target(resolved: dict[str, NodeSpec], top: str) -> dict[str, NodeSpec]:
    """Convert a generated root that is an Exec into a group with one child."""
    root = resolved[top]
    if root.type is not NodeType.EXEC:
        return resolved
    inner = child_path(top, SINGLE)
    group = replace(
        root,
        type=NodeType.SERIAL,
        children=(SINGLE,),
        command="",
        max_time=None,
        budget=None,
        callbacks=cb.telling(root.handed_down),
        lazy_target=None,
        reuse_context=None,
    )
    return {top: group, inner: replace(root, path=inner)}


def _maker_of(target: str, nodes: Mapping[str, NodeSpec]) -> NodeSpec | None:
    """Return the command beside a Lazy's target that prints its tree."""
    parent = parent_of(target) or "/"
    beside = (nodes.get(child_path(parent, name)) for name in nodes[parent].children)
    return next((node for node in beside if node and node.lazy_target == target), None)


def _inherited_at(old: NodeSpec, nodes: Mapping[str, NodeSpec]) -> _Inherited:
    """Return the values that the place of a Lazy's target inherits."""
    above = [nodes[path] for path in ancestors(old.path)]
    times = [node.max_time for node in (old, *above) if node.max_time is not None]
    max_time = times[0] if times else fields.DEFAULT_MAX_TIME
    return _Inherited(
        old.placement,
        old.env,
        max_time,
        old.pool,
        old.handed_down,
        old.snapshot_on_error,
        old.retry_lost,
        old.limits,
        old.secrets,
        old.retry,
        old.cache,
        old.code,
        bool(old.auto_mem),
    )


def _renamed(node: Form, names: Mapping[str, str]) -> Form:
    name = node.get("image_name")
    if not isinstance(name, str) or names.get(name, name) == name:  # checked later
        return node
    return {**node, "image_name": names[name]}
