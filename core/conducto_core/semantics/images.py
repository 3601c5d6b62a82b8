"""From an image as written to an image as it is built."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Final

from pydantic import ValidationError

from conducto_core.errors import DefinitionError
from conducto_core.model.images import AUTO_SHELL, ImageSpec, is_our_package

#: Our package, as `install_pip` names it.
_PACKAGE: Final = "conducto"

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
    if not isinstance(written, Mapping):
        raise DefinitionError(None, f"images must be {{name: definition}}, got {written!r}")
    return {name: _resolve_image(name, image) for name, image in written.items()}


def _resolve_image(name: str, written: Mapping[str, Any]) -> ImageSpec:
    if not isinstance(written, Mapping):
        raise DefinitionError(None, f"image {name!r}: a definition is needed, got {written!r}")

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
            install_pip=_names("install_pip", either("install_pip")),
            install_npm=npm if isinstance(npm, bool) else _names("install_npm", npm),
            install_packages=_names("install_packages", either("install_packages")),
            install_docker=bool(either("install_docker")),
            path_map=written.get("path_map") or {},
            shell=written.get("shell") or AUTO_SHELL,
        )
    except (ValidationError, TypeError, AttributeError) as error:
        raise DefinitionError(None, f"image {name!r}: {error}") from error
    _check(image)
    return image


def _names(field: str, given: Any) -> tuple[str, ...]:
    if isinstance(given, str):  # each letter would be a package
        raise TypeError(f"{field} must be a list of package names, got {given!r}")
    return tuple(given or ())


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


def merge_images(
    images: Mapping[str, ImageSpec], target: str, known: Mapping[str, ImageSpec]
) -> tuple[dict[str, ImageSpec], dict[str, str]]:
    """Return the images that are new, and ``{name as written: name in the pipeline}``.

    Args:
        images: Those of a tree that was generated into ``target``.
        target: Path of the node that takes the tree.
        known: Those that the pipeline has.
    """
    fresh: dict[str, ImageSpec] = {}
    names: dict[str, str] = {}
    for name, image in images.items():
        chosen = next(n for n in _names_for(name, target) if _suits(known.get(n), image))
        names[name] = chosen
        if chosen not in known:
            fresh[chosen] = _named(image, chosen)
    return fresh, names


def _names_for(name: str, target: str) -> Iterator[str]:
    """Yield names an image may get: an earlier tree of the same target may have taken some."""
    yield name
    yield f"{name}@{target}"
    for number in count(2):
        yield f"{name}@{target}@{number}"


def _suits(taken: ImageSpec | None, image: ImageSpec) -> bool:
    """Return whether a name is free, or taken by the same definition.

    One that got our package is as good as the one without.
    """
    return taken is None or _named(taken, image.name) in (image, _with_package(image))


def provide_package(
    images: Mapping[str, ImageSpec],
    nodes: Mapping[str, Mapping[str, Any]],
    children: Mapping[str, Sequence[tuple[str, str]]],
) -> dict[str, ImageSpec]:
    """Return the images, with our package in those in which a command calls it.

    Native functions do. A command does that begins with one of our programs; a program further on
    in a script is not looked for.

    It goes by what is written, not by what is modified later: an image stays what it was at the
    launch.

    Args:
        images: Of the tree.
        nodes: ``{id: node as written}``.
        children: ``{id: [(id, name) of each child]}``.
    """
    callers = [key for key, node in nodes.items() if _calls_us(node.get("command"))]
    if not callers:
        return dict(images)
    parents = {child: key for key, below in children.items() for child, _ in below}
    names = {_image_at(key, nodes, parents) for key in callers}
    return {
        name: _with_package(image) if name in names else image for name, image in images.items()
    }


def _calls_us(command: object) -> bool:
    if not isinstance(command, str):
        return False
    first = (*command.split(maxsplit=1), "")[0]
    return first == _PACKAGE or first.startswith(f"{_PACKAGE}-")


def _image_at(
    key: str, nodes: Mapping[str, Mapping[str, Any]], parents: Mapping[str, str]
) -> str | None:
    """Return the name of the nearest image above; None is one that is not of this tree."""
    seen: set[str] = set()
    at: str | None = key
    while at is not None and at in nodes and at not in seen:  # a cycle is refused later
        seen.add(at)
        name = nodes[at].get("image_name")
        if name is not None:
            return name if isinstance(name, str) else None  # what it is is told later
        at = parents.get(at)
    return None


def _with_package(image: ImageSpec) -> ImageSpec:
    if any(map(is_our_package, image.install_pip)):
        return image
    return image.model_copy(update={"install_pip": (*image.install_pip, _PACKAGE)})


def _named(image: ImageSpec, name: str) -> ImageSpec:
    return image.model_copy(update={"name": name})
