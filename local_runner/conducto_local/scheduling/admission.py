"""Validation of nodes against the machine and its engine, before anything runs."""

from collections.abc import Mapping

from conducto_core.errors import check_each, invalid
from conducto_core.model.nodes import NodeSpec
from conducto_core.model.states import NodeType
from conducto_core.semantics.resolve import Limits, check_size
from conducto_local.engine.run_args import RunArgsError, gpus_of


def check_nodes(nodes: Mapping[str, NodeSpec], limits: Limits | None) -> None:
    """Reject Execs that could never start on this machine.

    Args:
        nodes: ``{path: node}``.
        limits: Sizes of the machine; None if the engine is not open yet.

    Raises:
        DefinitionError: There are such Execs; the message has one line for each, starting with its
            path.
    """
    fine: set[tuple[str, ...]] = {()}

    def check(node: NodeSpec) -> None:
        if limits is not None:
            check_size(node, limits)
        args = node.placement.docker_run_args
        if args in fine:
            return
        try:
            gpus = gpus_of(args)
        except RunArgsError as error:
            raise invalid(node.path, str(error)) from error
        if limits is not None and _lacks_gpus(gpus, limits):
            raise invalid(node.path, _too_many_gpus(gpus, limits))
        fine.add(args)

    check_each((node for node in nodes.values() if node.type is NodeType.EXEC), check)


def _lacks_gpus(gpus: int, limits: Limits) -> bool:
    return limits.gpu == 0 if gpus < 0 else gpus > limits.gpu


def _too_many_gpus(gpus: int, limits: Limits) -> str:
    asked = "all GPUs" if gpus < 0 else f"{gpus} GPUs"
    return (
        f"docker_run_args: --gpus requests {asked}: {limits.where} has {limits.gpu} that its "
        "engine can use; remove the flag, or install the NVIDIA Container Toolkit"
    )
