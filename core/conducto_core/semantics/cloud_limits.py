"""Limits of Execs that exist only in the cloud, and those of plans."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import quote

from conducto.errors import raise_found
from conducto.wire import limits
from conducto_core.errors import check_each, invalid
from conducto_core.model.nodes import NodeSpec
from conducto_core.model.states import NodeType
from conducto_core.semantics import capacity
from conducto_core.semantics.fargate import largest_mem, size_for
from conducto_core.semantics.plans import Plan

#: Maximum bytes of a character in a URL: four bytes of UTF-8, each as ``%xx``.
_QUOTED = 12


def validate_nodes(nodes: Mapping[str, NodeSpec], plan: Plan) -> None:
    """Reject Execs and ``new`` groups that Fargate or the plan cannot run, with a line for each."""
    execs = (node for node in nodes.values() if node.type is NodeType.EXEC)
    check_execs(execs, lambda node: _check_exec_in(node, plan))
    capacity.check_fits(nodes, plan.max_workers, plan.name)


def check_account(
    nodes: Mapping[str, NodeSpec], plan: str, *, max_workers: int, max_cpu: float
) -> None:
    """Reject nodes that the plan of an account cannot run, as a launch does."""
    validate_nodes(nodes, Plan(plan, max_workers=max_workers, max_cpu=max_cpu))


def _check_exec_in(node: NodeSpec, plan: Plan) -> None:
    check_exec(node)
    place, path = node.placement, node.path
    if place.cpu > plan.max_cpu:
        raise invalid(
            path,
            f"cpu={place.cpu:g} is more than the plan {plan.name!r} allows for one worker: "
            f"{plan.max_cpu:g}; lower cpu, or choose a larger plan",
        )
    if place.mem > largest_mem(plan.max_cpu):
        raise invalid(
            path,
            f"mem={place.mem:g} is more than the plan {plan.name!r} allows for a worker: "
            f"{plan.max_cpu:g} vCPUs allow at most {largest_mem(plan.max_cpu):g} GB; lower mem, or "
            "choose a larger plan",
        )


def check_exec(node: NodeSpec) -> None:
    """Reject an Exec that cannot run in the cloud, with a remedy.

    Raises:
        DefinitionError: names all reasons.
    """
    check_each((_check_features, _check_path, _check_command, _check_size), lambda one: one(node))


def check_execs(execs: Iterable[NodeSpec], check: Callable[[NodeSpec], None] = check_exec) -> None:
    """Reject Execs that cannot run in the cloud, with a line for each.

    Args:
        execs: Their placements are shared: each one is checked once.
        check: Checks the placement and the lengths of path and command.

    Raises:
        DefinitionError: names all reasons.
    """
    accepted: set[int] = set()

    def check_new(node: NodeSpec) -> None:
        if id(node.placement) not in accepted or not _is_short(node):
            check(node)
            accepted.add(id(node.placement))

    check_each(execs, check_new)


def _is_short(node: NodeSpec) -> bool:
    """Return whether path and command are short enough, whatever their characters are."""
    return (
        len(node.path) * _QUOTED <= limits.MAX_CLOUD_PATH_BYTES
        and len(node.command) * 4 <= limits.MAX_CLOUD_COMMAND_BYTES
    )


def _check_features(node: NodeSpec) -> None:
    raise_found([invalid(node.path, text) for used, text in _missing(node) if used])


def _missing(node: NodeSpec) -> Iterator[tuple[object, str]]:
    """Yield pairs: whether an Exec uses a feature that the cloud lacks, and the message."""
    place = node.placement
    text = "put what the command needs into the image, or run the pipeline locally"
    yield place.docker_run_args, f"docker_run_args is not available in the cloud; {text}"
    text = "workers have no Docker engine; build images with co.Image, or run the pipeline locally"
    yield place.requires_docker, f"requires_docker is not available in the cloud, {text}"
    text = "Fargate has no GPUs; leave gpu out, or run the pipeline locally"
    yield place.gpu, f"gpu={place.gpu} is not available in the cloud, {text}"


def _check_size(node: NodeSpec) -> None:
    size_for(node.path, node.placement.cpu, node.placement.mem)


def _check_path(node: NodeSpec) -> None:
    quoted = len(quote(node.path, safe=""))
    if quoted > limits.MAX_CLOUD_PATH_BYTES:
        raise invalid(
            node.path,
            f"the path is {quoted} bytes long in a URL, the cloud accepts at most "
            f"{limits.MAX_CLOUD_PATH_BYTES}; use shorter names or fewer levels, or run the "
            "pipeline locally",
        )


def _check_command(node: NodeSpec) -> None:
    size = limits.size_of(node.command)
    try:
        limits.check_command_size(size, limits.MAX_CLOUD_COMMAND_BYTES)
    except ValueError as error:
        raise invalid(node.path, f"{error}, or run the pipeline locally") from error
