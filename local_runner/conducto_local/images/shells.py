"""Which shell an image has."""

from dataclasses import dataclass, field

from conducto.images import layers
from conducto.model.images import AUTO_SHELL
from conducto_local.images.api import EngineImages, ImageInfo
from conducto_local.ports import ImageError


@dataclass(slots=True)
class Shells:
    """Finds shells, and remembers them by image id."""

    engine: EngineImages
    _known: dict[tuple[str, str], str] = field(default_factory=dict)

    async def find(self, image: ImageInfo, wanted: str) -> str:
        """Return the path of the image's shell.

        Args:
            image: The image to look into.
            wanted: A name or path, or ``AUTO_SHELL`` for the best there is.

        Raises:
            ImageError: it has none.
        """
        key = (image.id, wanted)
        if key not in self._known:
            self._known[key] = await self._look(image.id, wanted)
        return self._known[key]

    async def _look(self, image: str, wanted: str) -> str:
        names = layers.SHELLS if wanted == AUTO_SHELL else (wanted,)
        command = ["/bin/sh", "-c", layers.find_shell_script(), "find-shell", *names]
        async with self.engine.container(image, command) as container:
            code, output = await self.engine.run(container)
        path = output.strip().splitlines()[-1] if output.strip() else ""
        if code == 0 and path.startswith("/"):
            return path
        if code is None:
            raise ImageError(
                "Could not auto-determine correct shell to use: the image cannot run /bin/sh. "
                f"Commands need one; build on an image that has it. The engine said: {output}"
            )
        raise ImageError(
            f"the image has no shell {wanted!r}; correct shell= or leave it out"
            if wanted != AUTO_SHELL
            else "Could not auto-determine correct shell to use: none of "
            f"{', '.join(layers.SHELLS)} found"
        )
