"""The resolved form of an Image: defaults filled in, paths absolute, every rule checked."""

# ruff: noqa: PLC0415, PTH110, PTH112, PTH113, PTH120, SLF001
# Imports wait until they are needed; pathlib is heavy; modules of the tree share its slots.

from __future__ import annotations

import os
import sys

from conducto.tree.image import FIELDS, Image, absolute, plain_value, repository_of
from conducto.wire import fields, git_files, paths
from conducto.wire.lazy_form import PATH_FIELDS, decoded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional

    from conducto.tree.node_base import NodeBase

DEFAULT_NAME = "conducto-default"
_LISTS = ("install_pip", "install_packages")
_SOURCES = ("image", "dockerfile", "dockerfile_text")


def default_reference() -> str:
    """Return the reference of the launching interpreter's image, e.g. ``python:3.11-slim``."""
    return f"python:{sys.version_info[0]}.{sys.version_info[1]}-slim"


def default_image() -> Image:
    """Return the image of a pipeline that defines none."""
    return Image(default_reference(), install_pip=["conducto"], name=DEFAULT_NAME)


def resolved_form(image: Image) -> Dict[str, Any]:
    """Return the definition with defaults filled in; paths are absolute, on this machine.

    Raises:
        ValueError: the definition contradicts itself, or has a value of the wrong type.
    """
    form = {name: getattr(image, name) for name in FIELDS}
    check_choices(form)
    for name in PATH_FIELDS:
        if form[name] is not None:
            form[name] = absolute(image, form[name])
    form["path_map"] = {
        absolute(image, outside): inside for outside, inside in (form["path_map"] or {}).items()
    }
    _resolve_code(image, form)
    if all(form[name] is None for name in _SOURCES):
        form["image"] = default_reference()
        form["install_pip"] = form["install_pip"] or ["conducto"]
    if form["dockerfile"] is not None and form["context"] is None:
        form["context"] = os.path.dirname(form["dockerfile"])
    for name in (*_LISTS, "install_npm"):
        if form[name] and form[name] is not True:
            form[name] = list(form[name])
    form["path_map"] = form["path_map"] or None
    return form


def _resolve_code(image: Image, form: Dict[str, Any]) -> None:
    if form["copy_repo"]:
        root = repository_of(image)
        if form["context"] is None and form["image"] is None:
            form["context"] = root
        if form["copy_branch"] is None:
            form["copy_dir"] = root
        else:
            form["copy_url"] = git_files.origin_url(root)
        form["path_map"].setdefault(root, paths.CODE_DIR)
    elif form["copy_dir"] is not None:
        form["path_map"].setdefault(form["copy_dir"], paths.CODE_DIR)
    elif form["copy_url"] is not None:
        checkout = git_files.find_root(str(image.instantiation_directory))
        if checkout is not None:
            form["path_map"].setdefault(checkout, paths.CODE_DIR)


def check_choices(form: Mapping[str, Any]) -> None:
    """Check that the parameters of a definition fit together and have the right types.

    Raises:
        ValueError: they do not.
    """
    given = [name for name in _SOURCES if form[name] is not None]
    if len(given) > 1:
        raise ValueError(
            "Must specify at most 1: {}".format(" ".join(f"{n}={form[n]!r}" for n in given))
        )
    url, branch = form["copy_url"], form["copy_branch"]
    if form["copy_dir"] is not None and url is not None:
        raise ValueError(
            "Must not specify copy_dir ({}) and copy_url ({}).".format(form["copy_dir"], url)
        )
    if url is not None and str(url).startswith("s3://"):
        if branch is not None:
            raise ValueError(
                f"If specifying an s3 copy_url ({url}) must not specify copy_branch ({branch})"
            )
    elif url is not None and branch is None:
        raise ValueError(f"If specifying copy_url ({url}) must also specify copy_branch ({branch})")
    _check_types(form)


def _check_types(form: Mapping[str, Any]) -> None:
    for name in ("image", "dockerfile_text", "copy_url", "copy_branch", "shell"):
        if form[name] is not None and not isinstance(form[name], str):
            raise ValueError(f"{name} must be text, got {form[name]!r}")
    if isinstance(form["image"], str) and not form["image"].strip():
        raise ValueError(f"image is empty; name one, e.g. {default_reference()!r}")
    for name in PATH_FIELDS:
        if form[name] is not None and not isinstance(form[name], (str, os.PathLike)):
            raise ValueError(f"{name} must be a path, got {form[name]!r}")
    _check_packages(form)
    for name in ("copy_repo", "docker_auto_workdir", "install_docker"):
        if form[name] is not None:
            fields.check_flag(name, form[name])
    for name in ("docker_build_args", "path_map"):
        if form[name] is not None and not isinstance(form[name], dict):
            raise ValueError(f"{name} must be a dict, got {form[name]!r}")


def _check_packages(form: Mapping[str, Any]) -> None:
    for name in (*_LISTS, "install_npm"):
        value = form[name]
        whole_project = name == "install_npm" and isinstance(value, bool)
        if value and not whole_project and not _is_list_of_text(value):
            raise ValueError(f"{name} must be a list of package names, got {value!r}")


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, (list, tuple, set, frozenset)) and all(
        isinstance(item, str) for item in value
    )


def check_files(form: Mapping[str, Any]) -> None:
    """Check that the local files of a resolved definition exist.

    Raises:
        ValueError: a file or directory is missing, or of the wrong kind.
    """
    dockerfile = form["dockerfile"]
    if dockerfile is not None and not os.path.isfile(dockerfile):
        raise ValueError(f"dockerfile {dockerfile!r} does not exist")
    for name in ("copy_dir", "context"):
        directory = form[name]
        if directory is not None and not os.path.isdir(directory):
            what = "is not a directory" if os.path.exists(directory) else "does not exist"
            raise ValueError(f"{name} {directory!r} {what}")


def host_form(image: Image) -> Dict[str, Any]:
    """Return the resolved definition with absolute paths of the launching host."""
    form = resolved_form(image)
    for name in PATH_FIELDS:
        if form[name] is not None:
            form[name] = paths.to_host(form[name])
    if form["path_map"] is not None:
        form["path_map"] = {paths.to_host(k): v for k, v in form["path_map"].items()}
    return form


def to_wire(image: Image, *, resolve: bool) -> Dict[str, Any]:
    """Return the image in the wire form.

    Args:
        image: The image.
        resolve: Fill in defaults and write paths as path objects; otherwise write the author's
            definition.
    """
    if not resolve:
        return {key: plain_value(value) for key, value in image.to_dict().items()}
    import json

    form = resolved_form(image)
    for name in PATH_FIELDS:
        if form[name] is not None:
            form[name] = paths.Path.from_absolute(form[name]).to_dict()
    if form["path_map"] is not None:
        form["path_map"] = {
            json.dumps(paths.Path.from_absolute(k).to_dict()): v
            for k, v in form["path_map"].items()
        }
    return form


def from_wire(form: Mapping[str, Any]) -> Image:
    """Return the image of a wire form."""
    plain = decoded(form)
    directory = plain.pop("instantiation_directory", None) or "/"
    copy_repo = plain.pop("copy_repo", None)
    image = Image(**plain, instantiation_directory=directory)
    image.copy_repo = copy_repo
    return image


def by_name(root: NodeBase) -> Dict[str, Image]:
    """Return ``{name: image}`` of all images that the tree knows or its nodes have.

    Raises:
        DuplicateImageError: two different ones have the same name.
    """
    images: Dict[str, Image] = dict(root.root._images or {})
    seen: Dict[int, Image] = {}
    for node in root.stream():
        image = node._image
        if image is not None and id(image) not in seen:
            seen[id(image)] = image
            from conducto.errors import DuplicateImageError

            name = image.name
            other = images.setdefault(name, image)
            if other is not image and image.is_named and other != image:
                raise DuplicateImageError(
                    f"{name} already present with a different definition in this repository"
                )
    return images


def names_of_execs(root: NodeBase) -> List[str]:
    """Return the names of the images of the tree's Execs, each once."""
    names: Dict[str, None] = {}
    inherited: Dict[int, Optional[str]] = {}
    for node in root.stream():
        own = node._own_image_name()
        above = None if node.parent is None else inherited.get(id(node.parent))
        name = above if own is None else own
        if node._kind == "Exec":
            names[DEFAULT_NAME if name is None else name] = None
        else:
            inherited[id(node)] = name
    return list(names)
