"""Launch validation: rejects definitions that cannot run in the cloud, with a remedy."""

import re
from collections.abc import Mapping

from chalicelib.domain.events import BuiltImage
from conducto_core.errors import invalid
from conducto_core.images import layers
from conducto_core.model.images import AUTO_SHELL, ImageSpec
from conducto_core.model.nodes import NodeSpec, Pipeline
from conducto_core.model.records import ImageState
from conducto_core.model.states import NodeType
from conducto_core.semantics import capacity
from conducto_core.semantics.cloud_limits import check_exec, check_execs
from conducto_core.semantics.fargate import largest_mem
from conducto_core.semantics.plans import Plan


def validate_nodes(nodes: Mapping[str, NodeSpec], plan: Plan) -> None:
    """Reject Execs and ``new`` groups that Fargate or the plan cannot run, with a line for each."""
    execs = (node for node in nodes.values() if node.type is NodeType.EXEC)
    check_execs(execs, lambda node: _check_exec(node, plan))
    capacity.check_fits(nodes, plan.max_workers, plan.name)


def _check_exec(node: NodeSpec, plan: Plan) -> None:
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


def used_images(pipeline: Pipeline) -> dict[str, None]:
    """Return the names of the images of Execs, in the order of their first use."""
    return dict.fromkeys(node.placement.image for node in pipeline.execs())


def is_plain(image: ImageSpec) -> bool:
    """Return whether an image needs no build: a reference that is pulled and used unchanged."""
    return image.image is not None and not layers.installs(image) and not layers.copies_code(image)


def check_reference(image: str, reference: str, own: str) -> None:
    """Reject an image that was built for another organisation.

    The role that launches workers can pull the images of all organisations. Their names are hard to
    guess, but a former member may know some.

    Args:
        image: Name of the image in the definition.
        reference: Image that it runs, or is built on (``FROM``, ``COPY --from``).
        own: Reference of any image of the caller's organisation.

    Raises:
        DefinitionError: `reference` is an image of another organisation.
    """
    root, _, part = own.rpartition(":")[0].rpartition("/")
    host, _, below = root.partition("/")
    path = below if "." in host or ":" in host else root
    # Ignore the prefix: the registry's host can be written in several ways.
    found = re.search(rf"(?:^|/){re.escape(path)}/([^/:@]+)", reference, re.IGNORECASE)
    if found is not None and found[1] != part:
        raise invalid(
            None,
            f"image {image!r}: {reference} is an image of another organisation; build your "
            "own, or use a registry that both organisations can read",
        )


def ready_image(image: ImageSpec) -> BuiltImage:
    """Return a plain image (`is_plain`) as workers use it."""
    return BuiltImage(
        name=image.name,
        state=ImageState.DONE,
        reference=image.image,
        shell=None if image.shell == AUTO_SHELL else image.shell,
        path_map=image.path_map,
    )
