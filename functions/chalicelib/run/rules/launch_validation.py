"""Launch validation: rejects definitions that cannot run in the cloud, with a remedy."""

import re

from chalicelib.run.model import BuiltImage
from conducto_core.errors import invalid
from conducto_core.images import dockerfile as layers
from conducto_core.images.model import AUTO_SHELL, ImageSpec
from conducto_core.limits.rules import validate_nodes
from conducto_core.run.model.records import ImageState
from conducto_core.tree.model import Pipeline

__all__ = ["check_reference", "is_plain", "ready_image", "used_images", "validate_nodes"]


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
        base=image.image,
    )
