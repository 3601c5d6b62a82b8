"""What an Exec may ask for that workers on Fargate do not have."""

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
    size_for(path, place.cpu, place.mem)
