"""Checks of resolved nodes: sizes, targets of Lazy nodes, shared containers, approvals."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from conducto.errors import DefinitionError, raise_found
from conducto.wire import approvals, fields
from conducto_core.errors import invalid
from conducto_core.run.model.states import NodeType
from conducto_core.tree.model import NodeSpec, Placement, ancestors, child_path
from conducto_core.tree.rules.callbacks import PoolKind, kind_of, owner_of


@dataclass(frozen=True, slots=True)
class Limits:
    """Maximum sizes of an Exec; a larger one could never start.

    Attributes:
        where: Name of the place with these limits, for the message.
        arch: Architecture of its machine; "" if it is not known.
        emulates: Other architectures that it can run.
        services: Whether it can run containers beside a command.
    """

    cpu: float
    mem: float
    gpu: int
    where: str = "this machine"
    arch: str = ""
    emulates: frozenset[str] = frozenset()
    services: bool = True


def check_size(node: NodeSpec, limits: Limits) -> None:
    """Reject an Exec that could never start.

    Raises:
        DefinitionError: it is too large, perhaps in several ways.
    """
    place = node.placement
    in_containers = {
        "services": [each.name for each in place.services],
        "buckets": [each.path for each in place.buckets],
    }
    for name, found in in_containers.items():
        if found and not limits.services:
            raise invalid(
                node.path,
                f"{name} need containers, which --engine process does not have "
                f"({', '.join(found)}); run with a container engine, or remove {name}=",
            )
    beside = " with its services" if place.services else ""
    sizes = (
        ("cpu", place.total_cpu, limits.cpu, "CPUs"),
        ("mem", place.total_mem, limits.mem, "GB"),
        ("gpu", place.gpu, limits.gpu, "GPUs"),
    )
    if place.arch and limits.arch and place.arch not in {limits.arch, *limits.emulates}:
        raise invalid(
            node.path,
            f"arch={place.arch!r} cannot run here: {limits.where} is {limits.arch}; run the "
            "pipeline in the cloud, or let the engine emulate it: docker run --privileged --rm "
            f"tonistiigi/binfmt --install {fields.IMAGE_NAMES[place.arch]}; conducto agent stop",
        )
    raise_found(
        [
            invalid(
                node.path,
                f"{name}={asked:g}{beside} can never fit: {limits.where} has {there:g} {unit}; "
                f"lower {name}",
            )
            for name, asked, there, unit in sizes
            if asked > there
        ]
    )


def check_lazy_targets(nodes: dict[str, NodeSpec]) -> None:
    """Mark the targets of Lazy nodes as awaiting their trees."""
    generates: dict[str, str] = {}
    for node in list(nodes.values()):
        if node.lazy_target is None:
            continue
        target = nodes.get(node.lazy_target)
        if target is None or target.type is NodeType.EXEC or target.path in ancestors(node.path):
            raise invalid(
                node.path,
                f"no group {node.lazy_target} is beside it to take the tree it prints; "
                "use co.Lazy, which makes both",
            )
        other = generates.setdefault(target.path, node.path)
        if other != node.path:
            raise invalid(
                node.path,
                f"prints a tree for {target.path}, and so does {other}; give each its own co.Lazy",
            )
        _check_order(node, target, nodes)
        nodes[target.path] = replace(target, awaits_tree=True)


def _check_order(node: NodeSpec, target: NodeSpec, nodes: Mapping[str, NodeSpec]) -> None:
    """Reject a Serial with a target before the Exec that prints its tree: neither would start."""
    above = nodes[next(ancestors(target.path))]
    places = [child_path(above.path, name) for name in above.children]
    if above.type is NodeType.SERIAL and places.index(target.path) < places.index(node.path):
        raise invalid(
            node.path,
            f"comes after {target.path} in a Serial, which waits for the tree it prints; "
            "put it before",
        )


def check_contexts(nodes: Mapping[str, NodeSpec]) -> None:
    """Check that the Execs of a ``new`` context, which share a container, need the same one."""
    first: dict[str, NodeSpec] = {}
    for node in nodes.values():
        if node.type is not NodeType.EXEC or kind_of(node.pool) is not PoolKind.CONTEXT:
            continue
        other = first.setdefault(node.pool, node)
        mine, theirs = _fixed_by_container(node.placement), _fixed_by_container(other.placement)
        for name, value in mine.items():
            if value != theirs[name]:
                raise invalid(
                    node.path,
                    f"{name}={value!r} differs from {name}={theirs[name]!r} of {other.path}, but "
                    f"both share the container of {owner_of(node.pool)} "
                    "(container_reuse_context=NEW); make them equal, or set "
                    "container_reuse_context=GLOBAL or NEW here",
                )


def check_approvals(nodes: Mapping[str, NodeSpec], others: Mapping[str, NodeSpec]) -> None:
    """Check that no container is kept while an approval waits; ``others`` are nodes above."""
    found: list[DefinitionError] = []
    for node in nodes.values():
        if node.approval is None:
            continue
        above = [nodes.get(path) or others[path] for path in (node.path, *ancestors(node.path))]
        try:
            approvals.check_outside_contexts((each.path, each.reuse_context) for each in above)
        except ValueError as error:
            found.append(invalid(node.path, str(error)))
    raise_found(found)


def check_maps(nodes: Mapping[str, NodeSpec]) -> None:
    """Check that the items of maps are commands: they are counted, and their results collected.

    The items of a map over a result are those of the tree that its Lazy generates.
    """
    found: list[DefinitionError] = []
    for node in nodes.values():
        if node.map is None or node.awaits_tree:
            continue
        below = [nodes[child_path(node.path, name)] for name in node.children]
        if any(child.awaits_tree for child in below):
            continue
        if node.type is not NodeType.PARALLEL:
            found.append(invalid(node.path, "a map must be a Parallel, or a Lazy that makes one"))
        for child in below:
            if child.type is not NodeType.EXEC or child.lazy_target or child.approval:
                reason = f"is an item of the map {node.path}, so it must be a command"
                found.append(invalid(child.path, reason))
    raise_found(found)


def _fixed_by_container(placement: Placement) -> dict[str, object]:
    return {
        "arch": placement.arch or None,
        "machine": placement.machine and placement.machine.name,
        "image": placement.image,
        "gpu": placement.gpu,
        "requires_docker": placement.requires_docker,
        "docker_run_args": placement.docker_run_args,
        "services": placement.services,
        "buckets": placement.buckets,
    }
