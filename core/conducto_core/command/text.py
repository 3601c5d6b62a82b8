"""A node's command, for its execution and for display."""

from collections.abc import Mapping

from conducto.wire.paths import expand
from conducto_core.images import dockerfile as layers
from conducto_core.images.model import CODE_DIR, ImageSpec
from conducto_core.tree.model import NodeSpec


class CommandError(Exception):
    """A command cannot be prepared; the message has the reason and a remedy."""


def script_of(spec: NodeSpec, path_map: Mapping[str, str], workdir: str | None) -> str:
    """Return the command with paths of the user's files replaced by those in the image.

    Raises:
        CommandError: it names a file that the image does not contain.
    """

    def missing(path: str) -> str:
        raise CommandError(
            f"{spec.path}: the command uses {path}, but the image {spec.placement.image!r} does "
            "not contain it; give the image copy_dir=, copy_repo= or path_map="
        )

    return expand(spec.command, path_map, shorten=workdir == CODE_DIR, missing=missing)


def as_defined(spec: NodeSpec, image: ImageSpec | None) -> str:
    """Return the command for an image as far as the image's definition determines it.

    Other files have their paths on the host.
    """
    if image is None:
        return as_written(spec)
    shorten = image.docker_auto_workdir and layers.copies_code(image)
    return expand(spec.command, layers.path_map(image), shorten=shorten, missing=lambda path: path)


def as_written(spec: NodeSpec) -> str:
    """Return the command for display without an image: files have their paths on the host."""
    return expand(spec.command, {}, shorten=False, missing=lambda path: path)
