"""From an image as written to an image as it is built."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from conducto.model.images import AUTO_SHELL, ImageSpec
from conducto.semantics.errors import DefinitionError

_OLD_NAMES = {
    "install_pip": "reqs_py",
    "install_npm": "reqs_npm",
    "install_packages": "reqs_packages",
    "install_docker": "reqs_docker",
}


def resolve_images(written: Mapping[str, Any]) -> dict[str, ImageSpec]:
    """Return ``{name: image}`` from the launch form's images.

    Raises:
        DefinitionError: an image is wrong; the message names it.
    """
    return {name: _resolve_image(name, image) for name, image in written.items()}


def _resolve_image(name: str, written: Mapping[str, Any]) -> ImageSpec:
    def either(new: str) -> Any:
        return written.get(new) or written.get(_OLD_NAMES[new])

    npm = either("install_npm") or ()
    try:
        image = ImageSpec(
            name=name,
            image=written.get("image"),
            dockerfile=written.get("dockerfile"),
            dockerfile_text=written.get("dockerfile_text"),
            context=written.get("context"),
            docker_build_args={
                str(k): str(v) for k, v in (written.get("docker_build_args") or {}).items()
            },
            copy_dir=written.get("copy_dir"),
            copy_url=written.get("copy_url"),
            copy_branch=written.get("copy_branch"),
            copies_git=bool(written.get("copy_repo") or written.get("copy_url")),
            docker_auto_workdir=written.get("docker_auto_workdir", True),
            install_pip=tuple(either("install_pip") or ()),
            install_npm=npm if isinstance(npm, bool) else tuple(npm),
            install_packages=tuple(either("install_packages") or ()),
            install_docker=bool(either("install_docker")),
            path_map=written.get("path_map") or {},
            shell=written.get("shell") or AUTO_SHELL,
        )
    except (ValidationError, TypeError, AttributeError) as error:
        raise DefinitionError(None, f"image {name!r}: {error}") from error
    _check(image)
    return image


def _check(image: ImageSpec) -> None:
    bases = [f for f in ("image", "dockerfile", "dockerfile_text") if getattr(image, f) is not None]
    if len(bases) != 1:
        raise DefinitionError(
            None,
            f"image {image.name!r}: must specify exactly one of image, dockerfile and "
            f"dockerfile_text, got {' and '.join(bases) or 'none'}",
        )
    if image.copy_dir is not None and image.copy_url is not None:
        raise DefinitionError(
            None, f"image {image.name!r}: must not specify copy_dir and copy_url together"
        )
