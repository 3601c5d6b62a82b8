"""Images for the engine of plain processes: there are none, commands see the host's files."""

import shutil
from pathlib import Path

from conducto.model.images import AUTO_SHELL, ImageSpec
from conducto.model.records import ImageState
from conducto_local.ports import BuildLog, BuiltImage, ImageError

_SHELLS = ("bash", "ash", "zsh", "sh")


class NoImages:
    """An `ImageBuilder` that builds nothing and says so in the log."""

    def for_launch(self) -> "NoImages":
        """Return itself: there is nothing to remember."""
        return self

    async def find(self, reference: str) -> BuiltImage | None:
        """Return None: there are no images."""
        del reference
        return None

    async def build(self, spec: ImageSpec, log: BuildLog) -> BuiltImage:
        """Return where commands of the image run on this host.

        Raises:
            ImageError: the code it would copy is not there, or no shell is.
        """
        log.write("plain processes: nothing is built, pulled or installed\n")
        code = spec.copy_dir
        _check_code(spec)
        log.step(ImageState.DONE)
        here = {path: path for path in spec.path_map}
        if code is not None:
            here[code] = code
        return BuiltImage(
            reference="",
            shell=_shell(spec),
            workdir=str(Path.home()) if code is None else code,
            path_map=here or {"/": "/"},
        )


def _check_code(spec: ImageSpec) -> None:
    if spec.copy_dir is not None and not Path(spec.copy_dir).is_dir():
        raise ImageError(f"image {spec.name!r}: copy_dir {spec.copy_dir!r} is not a directory")


def _shell(spec: ImageSpec) -> str:
    if spec.shell != AUTO_SHELL:
        return spec.shell
    for name in _SHELLS:
        found = shutil.which(name)
        if found is not None:
            return found
    raise ImageError(f"image {spec.name!r}: this host has none of {', '.join(_SHELLS)}")
