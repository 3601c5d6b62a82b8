"""From the tree as written to the tree as it runs.

`resolve` reads the launch form of the author API (JSON: ``nodes``, ``edges``, ``images``), checks
every value, and hands down what is inherited. Whatever is wrong is said with the node's path
before anything runs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from conducto.model import fields
from conducto.model.images import ImageSpec
from conducto.model.nodes import (
    Callback,
    NodeSpec,
    Pipeline,
    Placement,
    ancestors,
    child_path,
)
from conducto.model.states import NodeType
from conducto.semantics.errors import DefinitionError
from conducto.semantics.images import resolve_images
from conducto.semantics.pools import SHARED, PoolKind, kind_of, owner_of, pool_below, pool_of_exec
from conducto.semantics.rules import RETRIES

ENV_PREFIX: Final = "__env__"
LAZY_CALLBACK: Final = "deserialize_into_node"
#: Name of the one child that a Lazy's target gets when the generated root is an Exec.
SINGLE: Final = "exec"
_EVENTS = {"worker_error": "killed"}

Form = Mapping[str, Any]
#: What a person changed since: ``{path: {key of the wire form: value}}``. None takes the written
#: value away, so that the inherited one holds; for an environment variable, also that one.
Edits = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes beyond which no Exec can ever start.

    Attributes:
        where: What has these sizes, for the message.
    """

    cpu: float
    mem: float
    gpu: int
    where: str = "this machine"


@dataclass(frozen=True, slots=True)
class _Inherited:
    """What a node takes over from above."""

    placement: Placement
    env: Mapping[str, str]
    max_time: float
    pool: str
    callbacks: tuple[Callback, ...]
    snapshot_on_error: bool = False


def resolve(form: Form, edits: Edits | None = None) -> Pipeline:
    """Return the tree with everything inherited resolved.

    Args:
        form: The launch form.
        edits: Changes laid over what the form says.

    Raises:
        DefinitionError: something is wrong; the message begins with the node's path.
    """
    images = resolve_images(form.get("images", {}))
    top = _Inherited(
        Placement("", fields.DEFAULT_CPU, fields.DEFAULT_MEM),
        {},
        fields.DEFAULT_MAX_TIME,
        SHARED,
        (),
    )
    nodes = _Resolver(form, images, edits).nodes("/", top)
    pipeline = Pipeline(nodes, images)
    _check_lazy_targets(pipeline.nodes)
    _check_contexts(pipeline.nodes)
    return pipeline


def resolve_generated(
    form: Form, target: str, pipeline: Pipeline, edits: Edits | None = None
) -> Pipeline:
    """Return the nodes of a generated tree as they stand in the place of ``target``.

    The first node is ``target`` with the generated root's type and parameters. ``images`` of the
    answer holds the new images only, renamed where a name was taken by another definition.

    Raises:
        DefinitionError: the generated tree is wrong.
    """
    images, names = _merge_images(form, target, pipeline.images)
    renamed = _rename_images(form, names)
    resolver = _Resolver(renamed, {**pipeline.images, **images}, edits)
    old = pipeline.nodes[target]
    nodes = resolver.nodes(target, _inherited_at(old, pipeline.nodes))
    nodes[target] = replace(nodes[target], skip=nodes[target].skip or old.skip)
    _check_lazy_targets(nodes)
    in_context = kind_of(old.pool) is PoolKind.CONTEXT
    _check_contexts({**pipeline.nodes, **nodes} if in_context else nodes)
    return Pipeline(nodes, images)


def check_sizes(nodes: Mapping[str, NodeSpec], limits: Limits) -> None:
    """Refuse Execs that could never start.

    Raises:
        DefinitionError: the first Exec that is too large.
    """
    for node in nodes.values():
        if node.type is not NodeType.EXEC:
            continue
        place = node.placement
        for name, asked, there, unit in (
            ("cpu", place.cpu, limits.cpu, "CPUs"),
            ("mem", place.mem, limits.mem, "GB"),
            ("gpu", place.gpu, limits.gpu, "GPUs"),
        ):
            if asked > there:
                raise DefinitionError(
                    node.path,
                    f"{name}={asked:g} can never fit: {limits.where} has {there:g} {unit}; "
                    f"lower {name}",
                )


class _Resolver:
    """One walk over a launch form."""

    def __init__(
        self, form: Form, images: Mapping[str, ImageSpec], edits: Edits | None = None
    ) -> None:
        self._images = images
        self._edits: Edits = {} if edits is None else edits
        try:
            self._written = {node["id"]: node for node in form["nodes"]}
            self._root = form["nodes"][0]["id"]
            self._children: dict[str, list[tuple[str, str]]] = {}
            for parent, child, name in form["edges"]:
                self._children.setdefault(parent, []).append((child, name))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise DefinitionError(None, f"not a serialised tree: {error!r}") from error
        self._placements: dict[Placement, Placement] = {}

    def nodes(self, top: str, inherited: _Inherited) -> dict[str, NodeSpec]:
        """Return ``{path: node}`` in definition order, the root at ``top``."""
        resolved: dict[str, NodeSpec] = {}
        stack = [(self._root, top, inherited)]
        seen = 0
        while stack:
            node_id, path, above = stack.pop()
            seen += 1
            if seen > len(self._written):
                raise DefinitionError(path, "the tree has a cycle, or a node with two parents")
            try:
                spec, below = self._node(node_id, path, above)
            except (ValueError, TypeError) as error:
                raise DefinitionError(path, str(error)) from error
            resolved[path] = spec
            for child, name in reversed(self._children.get(node_id, [])):
                stack.append((child, child_path(path, name), below))
        return resolved if top == "/" else _as_target(resolved, top)

    def _node(self, node_id: str, path: str, above: _Inherited) -> tuple[NodeSpec, _Inherited]:
        written = self._written.get(node_id)
        if written is None:
            raise DefinitionError(path, f"the serialised tree has no node {node_id!r}")
        written = _edited(written, self._edits.get(path))
        kind = _type(written)
        children = self._children.get(node_id, [])
        names = tuple(name for _, name in children)
        _check_children(kind, names)
        own_time = written.get("max_time")
        own_time = None if own_time is None else fields.parse_duration(own_time)
        context = written.get("container_reuse_context")
        if context is not None:
            fields.check_reuse_context(context)
        own, handed_down = _callbacks(written)
        placement = self._placement(written, above.placement)
        env = _env(written, above.env)
        is_exec = kind is NodeType.EXEC
        where = pool_of_exec if is_exec else pool_below
        pool = where(path, context, above.pool)
        max_time = above.max_time if own_time is None else own_time
        inherited = above.callbacks if is_exec else _telling(above.callbacks)
        snapshot = bool(written.get("snapshot_on_error", above.snapshot_on_error))
        spec = NodeSpec(
            path=path,
            type=kind,
            children=names,
            command=fields.check_command(written.get("command")) if is_exec else "",
            placement=placement,
            env=env,
            max_time=max_time if is_exec else own_time,
            max_concurrent=_max_concurrent(written, is_exec=is_exec),
            reuse_context=context,
            pool=pool,
            skip=bool(written.get("skip")),
            stop_on_error=bool(written.get("stop_on_error", True)),
            suppress_errors=bool(written.get("suppress_errors")),
            snapshot_on_error=snapshot,
            callbacks=(own if is_exec else _for_group(own)) + inherited,
            handed_down=above.callbacks if is_exec else handed_down + above.callbacks,
            lazy_target=_lazy_target(written, path),
            doc=written.get("doc"),
            title=written.get("title"),
            tags=tuple(written.get("tags") or ()),
            file=written.get("file"),
            line=written.get("line"),
        )
        if is_exec:
            self._check_image(placement)
        callbacks = handed_down + above.callbacks
        return spec, _Inherited(placement, env, max_time, pool, callbacks, snapshot)

    def _placement(self, written: Form, above: Placement) -> Placement:
        changes: dict[str, Any] = {}
        if written.get("image_name") is not None:
            changes["image"] = written["image_name"]
        for name in ("cpu", "mem"):
            if written.get(name) is not None:
                changes[name] = fields.check_amount(name, written[name])
        if written.get("gpu") is not None:
            changes["gpu"] = fields.check_gpu(written["gpu"])
        if written.get("requires_docker") is not None:
            changes["requires_docker"] = bool(written["requires_docker"])
        if written.get("docker_run_args") is not None:
            changes["docker_run_args"] = tuple(
                fields.check_docker_run_args(written["docker_run_args"])
            )
        if not changes:
            return above
        made = replace(above, **changes)
        return self._placements.setdefault(made, made)

    def _check_image(self, placement: Placement) -> None:
        if not placement.image:
            raise ValueError("no image; set image= here or on a parent")
        if placement.image not in self._images:
            known = ", ".join(sorted(self._images)) or "none"
            raise ValueError(
                f"image_name={placement.image!r} names no image of this tree (there are: {known})"
            )


def _type(written: Form) -> NodeType:
    try:
        return NodeType(str(written.get("type")))
    except ValueError:
        raise ValueError(f"unknown node type {written.get('type')!r}") from None


def _check_children(kind: NodeType, names: tuple[str, ...]) -> None:
    if kind is NodeType.EXEC and names:
        raise ValueError("an Exec cannot have children; use a Serial or a Parallel")
    if len(set(names)) != len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"two children are called {double!r}")
    for name in names:
        if not name or "/" in name or "\0" in name:
            raise ValueError(f"a child's name may not be empty or hold '/' or NUL, got {name!r}")


def _edited(written: Form, edit: Mapping[str, Any] | None) -> Form:
    if edit is None:
        return written
    laid_over = {**written, **edit}
    return {k: v for k, v in laid_over.items() if v is not None or k.startswith(ENV_PREFIX)}


def _env(written: Form, above: Mapping[str, str]) -> Mapping[str, str]:
    own = {
        key[len(ENV_PREFIX) :]: value
        for key, value in written.items()
        if key.startswith(ENV_PREFIX)
    }
    if not own:
        return above
    given = {name: value for name, value in own.items() if value is not None}
    fields.check_env(given)
    return {name: value for name, value in {**above, **own}.items() if value is not None}


def _max_concurrent(written: Form, *, is_exec: bool) -> int | None:
    value = written.get("max_concurrent")
    if value is None:
        return None
    if is_exec:
        raise ValueError("max_concurrent is for a Serial or a Parallel, not for an Exec")
    return fields.check_max_concurrent(value)


def _callbacks(written: Form) -> tuple[tuple[Callback, ...], tuple[Callback, ...]]:
    """Return a node's own callbacks, and those of them that it hands down."""
    own: list[Callback] = []
    for event, (name, arguments, *_) in written.get("callbacks") or ():
        if name == LAZY_CALLBACK:
            continue
        kept = {k: v for k, v in arguments.items() if k not in ("inherited", "user_display")}
        inherited = bool(arguments.get("inherited"))
        own.append(Callback(_EVENTS.get(event, event), name, kept, inherited))
    return tuple(own), tuple(c for c in own if c.inherited)


def _for_group(own: tuple[Callback, ...]) -> tuple[Callback, ...]:
    """Return the callbacks of a group that are about itself.

    One that retries and is handed down is about the Execs below.
    """
    return tuple(c for c in own if not (c.inherited and c.name in RETRIES))


def _telling(callbacks: tuple[Callback, ...]) -> tuple[Callback, ...]:
    """Return the callbacks that a group inherits.

    One that retries is inherited by Execs only: on every group of the way it would multiply.
    """
    return tuple(c for c in callbacks if c.name not in RETRIES)


def _lazy_target(written: Form, path: str) -> str | None:
    for event, (name, arguments, *_) in written.get("callbacks") or ():
        if name == LAZY_CALLBACK and event == "done":
            target = str(arguments["target"])
            return child_path(path.rpartition("/")[0] or "/", target.rpartition("/")[2])
    return None


def _check_lazy_targets(nodes: dict[str, NodeSpec]) -> None:
    """Mark the targets of Lazy nodes as awaiting their trees."""
    for node in list(nodes.values()):
        if node.lazy_target is None:
            continue
        target = nodes.get(node.lazy_target)
        if target is None or target.type is NodeType.EXEC:
            raise DefinitionError(
                node.path, f"the target of Lazy, {node.lazy_target}, is not there"
            )
        nodes[target.path] = replace(target, awaits_tree=True)


def _check_contexts(nodes: Mapping[str, NodeSpec]) -> None:
    """One container serves a ``new`` context, so its Execs must agree on what it is."""
    first: dict[str, NodeSpec] = {}
    for node in nodes.values():
        if node.type is not NodeType.EXEC or kind_of(node.pool) is not PoolKind.CONTEXT:
            continue
        other = first.setdefault(node.pool, node)
        mine, theirs = _fixed_by_container(node.placement), _fixed_by_container(other.placement)
        for name, value in mine.items():
            if value != theirs[name]:
                raise DefinitionError(
                    node.path,
                    f"{name}={value!r} differs from {name}={theirs[name]!r} of {other.path}, but "
                    f"both share the container of {owner_of(node.pool)} "
                    "(container_reuse_context=NEW); make them equal, or set "
                    "container_reuse_context=GLOBAL or NEW here",
                )


def _fixed_by_container(placement: Placement) -> dict[str, object]:
    return {
        "image": placement.image,
        "gpu": placement.gpu,
        "requires_docker": placement.requires_docker,
        "docker_run_args": placement.docker_run_args,
    }


def _as_target(resolved: dict[str, NodeSpec], top: str) -> dict[str, NodeSpec]:
    """A generated root that is an Exec becomes the one child of its place."""
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
        callbacks=(),
        lazy_target=None,
        reuse_context=None,
    )
    return {top: group, inner: replace(root, path=inner)}


def _inherited_at(old: NodeSpec, nodes: Mapping[str, NodeSpec]) -> _Inherited:
    """Return what the place of a Lazy's target inherits."""
    above = [nodes[path] for path in ancestors(old.path)]
    times = [node.max_time for node in (old, *above) if node.max_time is not None]
    max_time = times[0] if times else fields.DEFAULT_MAX_TIME
    return _Inherited(
        old.placement, old.env, max_time, old.pool, old.handed_down, old.snapshot_on_error
    )


def _merge_images(
    form: Form, target: str, known: Mapping[str, ImageSpec]
) -> tuple[dict[str, ImageSpec], dict[str, str]]:
    """Return the images that are new, and ``{name in the form: name in the pipeline}``."""
    fresh: dict[str, ImageSpec] = {}
    names: dict[str, str] = {}
    for name, image in resolve_images(form.get("images", {})).items():
        taken = known.get(name)
        same = taken is not None and replace_name(taken, name) == image
        names[name] = name if taken is None or same else f"{name}@{target}"
        if not same:
            fresh[names[name]] = replace_name(image, names[name])
    return fresh, names


def replace_name(image: ImageSpec, name: str) -> ImageSpec:
    """Return the same image under another name."""
    return image.model_copy(update={"name": name})


def _rename_images(form: Form, names: Mapping[str, str]) -> Form:
    def renamed() -> Iterator[Form]:
        for node in form.get("nodes", ()):
            name = node.get("image_name")
            yield {**node, "image_name": names.get(name, name)} if name is not None else node

    return {**form, "nodes": list(renamed())}
