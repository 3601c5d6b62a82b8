"""What cannot run in the cloud is refused before anything starts, with what to do instead."""

from collections.abc import Iterable, Mapping

from chalicelib.inputs import BuiltImage
from chalicelib.ports import Plan
from conducto.model.images import AUTO_SHELL, ImageSpec
from conducto.model.nodes import NodeSpec, Pipeline
from conducto.model.records import ImageState
from conducto.model.states import NodeType
from conducto.semantics.errors import DefinitionError
from conducto.semantics.fargate import size_for


def check_nodes(nodes: Mapping[str, NodeSpec], plan: Plan) -> None:
    """Refuse Execs that Fargate, or the plan, cannot run.

    Raises:
        DefinitionError: the first of them.
    """
    for node in nodes.values():
        if node.type is NodeType.EXEC:
            _check_exec(node, plan)


def _check_exec(node: NodeSpec, plan: Plan) -> None:
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
    if place.cpu > plan.max_cpu:
        raise DefinitionError(
            path,
            f"cpu={place.cpu:g} is more than the plan {plan.name!r} allows for one worker: "
            f"{plan.max_cpu:g}; lower cpu, or choose a larger plan",
        )


def used_images(pipeline: Pipeline) -> dict[str, None]:
    """Return the names of the images that Execs run in, in the order of their first use."""
    return dict.fromkeys(node.placement.image for node in pipeline.execs())


def ready_images(pipeline: Pipeline, names: Iterable[str]) -> tuple[BuiltImage, ...]:
    """Return images that need no build: a reference to pull, used as it is.

    Raises:
        DefinitionError: an image must be built, which the cloud cannot do yet.
    """
    return tuple(_ready(pipeline.images[name]) for name in names)


def _ready(image: ImageSpec) -> BuiltImage:
    plain = ImageSpec(
        name=image.name, image=image.image, path_map=image.path_map, shell=image.shell
    )
    same = plain.model_copy(update={"docker_auto_workdir": image.docker_auto_workdir})
    if image.image is None or same.model_copy(update={"copies_git": image.copies_git}) != image:
        raise DefinitionError(
            None,
            f"image {image.name!r}: the cloud cannot build images yet; push it to a registry and "
            "name it with image=, without copy_dir, copy_repo, dockerfile or install_…",
        )
    return BuiltImage(
        name=image.name,
        state=ImageState.DONE,
        reference=image.image,
        shell=None if image.shell == AUTO_SHELL else image.shell,
        path_map=image.path_map,
    )
