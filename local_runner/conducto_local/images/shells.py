"""Which shell an image has."""

from dataclasses import dataclass, field

from conducto.images.layers import SHELLS
from conducto.model.images import AUTO_SHELL
from conducto_local.images.api import EngineImages, ImageInfo
from conducto_local.ports import ImageError

# Looks into PATH by itself: `command -v` of a busybox may answer without a path.
_FIND = """
IFS=:
# Only what comes from a variable is split at the colons.
folders=${PATH:-}:/usr/local/bin:/usr/bin:/bin
for name in "$@"; do
    case "$name" in
        /*) [ -x "$name" ] && [ ! -d "$name" ] && echo "$name" && exit 0; continue ;;
    esac
    for folder in $folders; do
        [ -x "$folder/$name" ] && [ ! -d "$folder/$name" ] && echo "$folder/$name" && exit 0
    done
done
exit 1
"""


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
        names = SHELLS if wanted == AUTO_SHELL else (wanted,)
        command = ["/bin/sh", "-c", _FIND, "find-shell", *names]
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
            else f"Could not auto-determine correct shell to use: none of {', '.join(SHELLS)} found"
        )
