"""The files of image builds in the bucket of a world."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.cloud.world import World


def build_inputs(world: World) -> str:
    """Return the variables of the only image's newest build."""
    return build_file(world, "inputs.env").decode()


def build_recipe(world: World) -> str:
    """Return the files of the only image's build plan."""
    with tarfile.open(fileobj=io.BytesIO(build_file(world, "recipe.tar.gz"))) as archive:
        files = [archive.extractfile(name) for name in archive.getnames()]
        return "".join(file.read().decode(errors="replace") for file in files if file is not None)


def build_file(world: World, name: str) -> bytes:
    """Return a file of the only image's build."""
    (key,) = (each for each in world.blobs.names() if each.endswith(f"/{name}"))
    return world.blobs.get(key) or b""
