"""What an Exec may have here, and not in the cloud."""

from urllib.parse import quote

from conducto.model import limits
from conducto.model.nodes import NodeSpec
from conducto.semantics.errors import DefinitionError
from conducto.semantics.fargate import size_for


def check_exec(node: NodeSpec) -> None:
    """Refuse an Exec that cannot run in the cloud, with what to do instead.

    Raises:
        DefinitionError: it cannot.
    """
    place, path = node.placement, node.path
    if place.docker_run_args:
        raise DefinitionError(
            path,
            "docker_run_args is not available in the cloud; put what the command needs into the "
            "image, or run the pipeline locally",
        )
    if place.requires_docker:
        raise DefinitionError(
            path,
            "requires_docker is not available in the cloud, workers have no Docker engine; build "
            "images with co.Image, or run the pipeline locally",
        )
    if place.gpu:
        raise DefinitionError(
            path,
            f"gpu={place.gpu} is not available in the cloud, Fargate has no GPUs; leave gpu out, "
            "or run the pipeline locally",
        )
    _check_lengths(node)
    size_for(path, place.cpu, place.mem)


def _check_lengths(node: NodeSpec) -> None:
    quoted = len(quote(node.path, safe=""))
    if quoted > limits.MAX_CLOUD_PATH_BYTES:
        raise DefinitionError(
            node.path,
            f"the path is {quoted} bytes long in a URL, the cloud accepts at most "
            f"{limits.MAX_CLOUD_PATH_BYTES}; use shorter names or fewer levels, or run the "
            "pipeline locally",
        )
    size = limits.size_of(node.command)
    try:
        limits.check_command_size(size, limits.MAX_CLOUD_COMMAND_BYTES)
    except ValueError as error:
        raise DefinitionError(node.path, f"{error}, or run the pipeline locally") from error
