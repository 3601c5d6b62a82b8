"""Checks of a whole tree, before it is printed or launched. Each error names the node first."""

# ruff: noqa: PLC0415, SLF001
# imports wait until they are needed; the modules of the tree share its nodes' slots.

from __future__ import annotations

from conducto.model import fields, limits
from conducto.tree import images as image_rules
from conducto.tree import parameters, paths
from conducto.tree.errors import (
    DefinitionError,
    DefinitionTypeError,
    InvalidCloudParams,
    UnknownImageError,
)
from conducto.tree.node import Node
from conducto.tree.nodes import Exec
from conducto.tree.registry import find_image

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Set, Tuple

CLOUD_MAX_CPU = 4
CLOUD_MAX_MEM = 32


def _error(node: Node, message: str, *, separator: str = ": ") -> DefinitionError:
    path = str(node)
    text = f"{limits.shortened(path)}{separator}{message}"
    return DefinitionError(text, path=path, file=node.file, line=node.line)


def validate(
    root: Node,
    *,
    check_images: bool = True,
    check_code: bool = False,
    cloud: bool = False,
) -> None:
    """Accept the subtree under ``root`` if it can be launched.

    Args:
        root: Its root.
        check_images: Check the images' files, too; not inside a node, where they may be absent.
        check_code: Every local file that a command names must be in the node's image.
        cloud: Apply the limits of the cloud.

    Raises:
        DefinitionError: a value is wrong; its subclasses say in which way.
    """
    _check_extent(root)
    names: Set[str] = set()
    for node in root.stream():
        _check_node(node)
        if node._image_name is not None and node._image_name not in names:
            _check_image_name(node)
            names.add(node._image_name)
        if cloud:
            _check_cloud(node)
    _check_images(root, files=check_images)
    if check_code:
        check_functions(root)


def _check_extent(root: Node) -> None:
    """Refuse a tree that is too large, before anything walks up from each of its nodes."""
    count, stack = 0, [(root, 0, 0)]
    while stack:
        node, levels, size = stack.pop()
        count += 1
        try:
            for name, child in node.children.items():
                below = size + 1 + limits.check_name(name)
                limits.check_place(levels + 1, below)
                stack.append((child, levels + 1, below))
        except ValueError as error:
            raise _error(node, str(error)) from error
    try:
        limits.check_nodes(count)
    except ValueError as error:
        raise _error(root, str(error)) from error


def _check_node(node: Node) -> None:
    try:
        _check_values(node)
        if node._env is not None:
            _check_env(node)
        if isinstance(node, Exec):
            fields.check_command(node.command)
    except DefinitionError:
        raise
    except ValueError as error:
        raise _error(node, str(error)) from error


_RULES: Tuple[Tuple[str, Callable[[Any], object]], ...] = (
    ("cpu", lambda value: fields.check_amount("cpu", value)),
    ("mem", lambda value: fields.check_amount("mem", value)),
    ("gpu", fields.check_gpu),
    ("retry_lost", fields.check_retry_lost),
    ("max_time", fields.parse_duration),
    ("_max_concurrent", fields.check_max_concurrent),
    ("container_reuse_context", fields.check_reuse_context),
    ("_docker_run_args", fields.check_docker_run_args),
    ("doc", lambda value: fields.check_text("doc", value)),
    ("title", lambda value: fields.check_text("title", value)),
    ("name", lambda value: fields.check_text("name", value)),
)


def _check_values(node: Node) -> None:
    if type(node) is Node:
        raise ValueError("a plain Node cannot run; use co.Serial or co.Parallel")
    for name, rule in _RULES:
        value = getattr(node, name)
        if value is not None:
            rule(value)
    if isinstance(node, Exec) and node.max_concurrent is not None:
        raise ValueError(parameters.LONELY.format(node.max_concurrent))


def _check_env(node: Node) -> None:
    try:
        fields.check_env(node.env)
    except TypeError as error:  # the sentence of the original has no colon here
        raise DefinitionTypeError(
            f"{node} {error}", path=str(node), file=node.file, line=node.line
        ) from error


def _check_image_name(node: Node) -> None:
    name = node._image_name
    try:
        find_image(node.root, str(name))
    except KeyError as error:
        raise UnknownImageError(
            f"{node}: no image is called {name!r}; give one as image=co.Image(..., name={name!r}) "
            "on a node of the tree, or to register_image",
            path=str(node),
            file=node.file,
            line=node.line,
        ) from error


def check_images(root: Node) -> None:
    """Accept the tree under ``root`` if the definitions of its images are right.

    Raises:
        DefinitionError: one is not; a file that it needs is missing, too.
    """
    _check_images(root, files=True)


def _check_images(root: Node, *, files: bool) -> None:
    image_rules.by_name(root)
    seen: Dict[int, Any] = {}
    for node in root.stream():
        image = node._image
        if image is None or id(image) in seen:
            continue
        seen[id(image)] = image
        try:
            form = image_rules.resolved_form(image)
            if files:
                image_rules.check_files(form)
        except ValueError as error:
            raise _error(node, _image_text(image, error)) from error


def _image_text(image: Any, error: ValueError) -> str:
    return f"image {image.name!r}: {error}" if image.is_named else f"image: {error}"


def missing_code(node: Node, form: Dict[str, Any]) -> DefinitionError:
    """Return the error for a command that names a local file its image does not hold."""
    return DefinitionError(
        "Node references local code but the Image doesn't have enough information to infer the "
        "corresponding path inside the container.\n"
        "Expected '.copy_dir', '.copy_url' inside a Git directory, or 'path_map'. "
        f"Node: {node} Image: { ({k: v for k, v in form.items() if v is not None}) }",
        path=str(node),
        file=node.file,
        line=node.line,
    )


def check_functions(root: Node) -> None:
    """Accept the tree if each image holds the functions and files that commands name.

    Raises:
        DefinitionError: one does not.
    """
    from conducto.tree.pretty import Expander

    expander = Expander(strict=True)
    for node in root.stream():
        if isinstance(node, Exec) and paths.END in node.command:
            if node._unfindable is not None:
                raise _error(node, node._unfindable)
            expander.command(node)


def _check_cloud(node: Node) -> None:
    where: Dict[str, Any] = {"path": str(node), "file": node.file, "line": node.line}
    if node.docker_run_args is not None:
        raise InvalidCloudParams(
            f"Node {node} uses docker_run_args, which is not supported for cloud mode.", **where
        )
    cpu = node.cpu if node.cpu is not None else 0
    mem = node.mem if node.mem is not None else 0
    if cpu > CLOUD_MAX_CPU or mem > CLOUD_MAX_MEM:
        raise InvalidCloudParams(
            f"Node {node} will not fit in the cloud. Limits: cpu<={CLOUD_MAX_CPU} "
            f"(requested: {node.cpu}) mem<={CLOUD_MAX_MEM} (requested: {node.mem})",
            **where,
        )
