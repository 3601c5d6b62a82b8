"""The images that a tree knows by a given name, kept on its root."""

# ruff: noqa: SLF001
# The modules of the tree share its nodes' slots.

from __future__ import annotations

from conducto.tree.errors import DuplicateImageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conducto.image import Image
    from conducto.tree.node import Node


def register(root: Node, image: Image) -> None:
    """Make ``image`` known to the tree under ``root``.

    Raises:
        DuplicateImageError: the tree has a different image of that name.
    """
    known = {} if root._images is None else root._images
    other = known.get(image.name)
    if other is not None and other is not image and other != image:
        raise DuplicateImageError(
            f"{image.name} already present with a different definition in this repository"
        )
    if other is None:
        root._images = {**known, image.name: image}


def find_image(root: Node, name: str) -> Image:
    """Return the image called ``name`` of the tree under ``root``.

    Raises:
        KeyError: there is none.
    """
    if root._images is not None and name in root._images:
        return root._images[name]
    for node in root.stream():
        if node._image is not None and node._image.name == name:
            return node._image
    raise KeyError(name)
