"""What this machine and its engine can never grant is said before anything runs."""

from collections.abc import Mapping

from conducto.model.nodes import NodeSpec
from conducto.model.states import NodeType
from conducto.semantics.errors import DefinitionError
from conducto.semantics.resolve import Limits, check_sizes
from conducto_local.engine.run_args import RunArgsError, check_run_args


def check_nodes(nodes: Mapping[str, NodeSpec], limits: Limits | None) -> None:
    """Refuse Execs that could never start here.

    Args:
        nodes: ``{path: node}``.
        limits: Sizes of the machine; None while the engine is not there to say.

    Raises:
        DefinitionError: the first such Exec; the message begins with its path.
    """
    if limits is not None:
        check_sizes(nodes, limits)
    fine: set[tuple[str, ...]] = {()}
    for node in nodes.values():
        args = node.placement.docker_run_args
        if node.type is NodeType.EXEC and args not in fine:
            try:
                check_run_args(args)
            except RunArgsError as error:
                raise DefinitionError(node.path, str(error)) from error
            fine.add(args)
