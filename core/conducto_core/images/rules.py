"""Images as defined in a tree, resolved to the images to build."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Final

from pydantic import ValidationError

from conducto.wire.launching import LAUNCH
from conducto_core.errors import invalid
from conducto_core.images.model import AUTO_SHELL, ImageSpec, is_our_package

#: The name of this package in `install_pip`.
_PACKAGE: Final = "conducto"

#: The variable of a node whose command may launch pipelines, as a node has it.
_MAY_LAUNCH: Final = f"__env__{LAUNCH}"

_OLD_NAMES = {
    "install_pip": "reqs_py",
    "install_npm": "reqs_npm",
    "install_packages": "reqs_packages",
    "install_docker": "reqs_docker",
}


def resolve_images(written: Mapping[str, Any]) -> dict[str, ImageSpec]:
    """Return ``{name: image}`` from the launch form's images.

    Raises:
        DefinitionError: an image is invalid; the message names it.
    """
    if not isinstance(written, Mapping):
        raise invalid(None, f"images must be {{name: definition}}, got {written!r}")
    return {name: _resolve_image(name, image) for name, image in written.items()}


def _resolve_image(name: str, written: Mapping[str, Any]) -> ImageSpec:
    if not isinstance(written, Mapping):
        raise invalid(None, f"image {name!r}: a definition is needed, got {written!r}")

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
        raise invalid(None, f"image {name!r}: {error}") from error
    _check(image)
    return image


def _names(field: str, given: Any) -> tuple[str, ...]:
    if isinstance(given, str):  # otherwise, each letter would be a package
        raise TypeError(f"{field} must be a list of package names, got {given!r}")
    return tuple(given or ())


def _check(image: ImageSpec) -> None:
    bases = [f for f in ("image", "dockerfile", "dockerfile_text") if getattr(image, f) is not None]
    if len(bases) != 1:
        raise invalid(
            None,
            f"image {image.name!r}: must specify exactly one of image, dockerfile and "
            f"dockerfile_text, got {' and '.join(bases) or 'none'}",
        )
    if image.copy_dir is not None and image.copy_url is not None:
        raise invalid(
            None, f"image {image.name!r}: must not specify copy_dir and copy_url together"
        )


def merge_images(
    images: Mapping[str, ImageSpec], target: str, known: Mapping[str, ImageSpec]
) -> tuple[dict[str, ImageSpec], dict[str, str]]:
    """Return the new images, and ``{name in the form: name in the pipeline}``.

    Args:
        images: Images of a tree that was generated into ``target``.
        target: Path of the node that receives the tree.
        known: Images of the pipeline.
    """
    fresh: dict[str, ImageSpec] = {}
    names: dict[str, str] = {}
    for name, image in images.items():
        chosen = next(n for n in _names_for(name, target) if _suits(known.get(n), image))
        names[name] = chosen
        if chosen not in known:
            fresh[chosen] = _named(image, chosen)
    return fresh, names


def image_for(image: ImageSpec, arch: str) -> ImageSpec:
    """Return the image of commands that ask for an architecture; one image may have several."""
    return image.model_copy(update={"name": f"{image.name}@{arch}", "arch": arch})


def base_image(name: str, arch: str) -> str:
    """Return the name that nodes use for the image of an architecture."""
    return name.removesuffix(f"@{arch}") if arch else name


def definition_of(image: ImageSpec) -> ImageSpec:
    """Return an image without its name, which differs between trees with the same image."""
    return _named(image, "")


def _names_for(name: str, target: str) -> Iterator[str]:
    """Yield candidate names of an image; an earlier tree of the target may use some."""
    yield name
    yield f"{name}@{target}"
    for number in count(2):
        yield f"{name}@{target}@{number}"


def _suits(taken: ImageSpec | None, image: ImageSpec) -> bool:
    """Return whether a name is free, or used by the same definition.

    A definition with this package added counts as the same.
    """
    return taken is None or _named(taken, image.name) in (image, _with_package(image))


def provide_package(
    images: Mapping[str, ImageSpec],
    nodes: Mapping[str, Mapping[str, Any]],
    children: Mapping[str, Sequence[tuple[str, str]]],
) -> dict[str, ImageSpec]:
    """Return the images, with this package added to those in which a command calls it.

    Native functions call it, and so does a command that starts with one of its programs, or that
    may launch pipelines; a program later in a script is not searched for. Only the launched
    definition counts, not later modifications: an image does not change after the launch.

    Args:
        images: Images of the tree.
        nodes: ``{id: node as written}``.
        children: ``{id: [(id, name) of each child]}``.
    """
    callers = [key for key, node in nodes.items() if _calls_us(node.get("command"))]
    parents = {child: key for key, below in children.items() for child, _ in below}
    callers += _launching(nodes, parents)
    if not callers:
        return dict(images)
    names = {_image_at(key, nodes, parents) for key in callers}
    return {
        name: _with_package(image) if name in names else image for name, image in images.items()
    }


def _launching(nodes: Mapping[str, Mapping[str, Any]], parents: Mapping[str, str]) -> list[str]:
    """Return the Execs whose commands may launch pipelines."""
    own = {key: node[_MAY_LAUNCH] for key, node in nodes.items() if _MAY_LAUNCH in node}
    if "1" not in own.values():
        return []
    execs = [key for key, node in nodes.items() if node.get("command") is not None]
    return [key for key in execs if _nearest(key, own, parents) == "1"]


def _nearest(key: str, own: Mapping[str, Any], parents: Mapping[str, str]) -> object:
    """Return the value of the nearest node from ``key`` upwards that has one."""
    seen: set[str] = set()
    at: str | None = key
    while at is not None and at not in seen:  # a cycle is rejected later
        if at in own:
            return own[at]
        seen.add(at)
        at = parents.get(at)
    return None


def _calls_us(command: object) -> bool:
    if not isinstance(command, str):
        return False
    first = (*command.split(maxsplit=1), "")[0]
    return first == _PACKAGE or first.startswith(f"{_PACKAGE}-")


def _image_at(
    key: str, nodes: Mapping[str, Mapping[str, Any]], parents: Mapping[str, str]
) -> str | None:
    """Return the name of the nearest image above, or None if it is not in this tree."""
    seen: set[str] = set()
    at: str | None = key
    while at is not None and at in nodes and at not in seen:  # a cycle is rejected later
        seen.add(at)
        name = nodes[at].get("image_name")
        if name is not None:
            return name if isinstance(name, str) else None  # an invalid name is rejected later
        at = parents.get(at)
    return None


def _with_package(image: ImageSpec) -> ImageSpec:
    if any(map(is_our_package, image.install_pip)):
        return image
    return image.model_copy(update={"install_pip": (*image.install_pip, _PACKAGE)})


def _named(image: ImageSpec, name: str) -> ImageSpec:
    return image.model_copy(update={"name": name})
