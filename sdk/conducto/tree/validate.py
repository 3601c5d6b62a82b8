"""Checks of a whole tree, before it is printed or launched. Each error starts with the node."""

# ruff: noqa: PLC0415, SLF001
# imports wait until they are needed; the modules of the tree share its nodes' slots.

from __future__ import annotations

from conducto.errors import (
    DefinitionError,
    DefinitionTypeError,
    InvalidCloudParams,
    UnknownImageError,
    raise_found,
)
from conducto.platforms import is_inside_node
from conducto.tree import image_form as image_rules
from conducto.tree import parameters
from conducto.tree.node_base import KINDS, NodeBase
from conducto.tree.structure import find_image
from conducto.wire import fields, limits, paths
from conducto.wire.approvals import check_approval, check_outside_contexts
from conducto.wire.caching import check_code
from conducto.wire.conditions import to_condition
from conducto.wire.secret_names import check_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Optional, Set, Tuple

CLOUD_MAX_CPU = 32
CLOUD_MAX_MEM = 243.75


def _error(node: NodeBase, message: str, *, separator: str = ": ") -> DefinitionError:
    path = str(node)
    text = f"{limits.shortened(path)}{separator}{message}"
    return DefinitionError(text, path=path, file=node.file, line=node.line)


def validate(
    root: NodeBase, *, check_images: bool = True, check_code: bool = False, cloud: bool = False
) -> None:
    """Check that the subtree under ``root`` can be launched.

    Args:
        root: Its root.
        check_images: Also check the images' files; not inside a node, where they may be absent.
        check_code: Every local file that a command names must be in the node's image.
        cloud: Apply the limits of the cloud.

    Raises:
        DefinitionError: a value is invalid; its subclasses are more specific, or report several
            problems.
    """
    _check_extent(root)
    found: List[DefinitionError] = []
    names: Set[str] = set()
    for node in root.stream():
        found += _node_problems(node)
        if node._image_name is not None and node._image_name not in names:
            found += _raised(node, _check_image_name, node)
            names.add(node._image_name)
        if cloud:
            found += _cloud_problems(node)
    found += _image_problems(root, files=check_images)
    if root.parent is None:
        found += _result_problems(root)
    if check_code and not found:  # commands are expanded with their images
        found += _function_problems(root)
    raise_found(found)


def _raised(
    node: NodeBase, check: Callable[..., object], value: object
) -> Iterator[DefinitionError]:
    try:
        check(value)
    except DefinitionError as error:
        yield error
    except ValueError as error:
        yield _error(node, str(error))


def _check_extent(root: NodeBase) -> None:
    """Reject a tree that is too large, before other checks visit the ancestors of each node."""
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


def _node_problems(node: NodeBase) -> Iterator[DefinitionError]:
    if node._kind not in KINDS:
        yield _error(node, "a plain Node cannot run; use co.Serial or co.Parallel")
    for name, rule in _RULES:
        value = getattr(node, name)
        if value is not None:
            yield from _raised(node, rule, value)
    if node._kind == "Serial":
        yield from _raised(node, fields.check_stop_on_error, node.stop_on_error)
    if node._kind == "Exec" and node.max_concurrent is not None:
        yield _error(node, parameters.LONELY.format(node.max_concurrent))
    if node._env is not None:
        yield from _raised(node, _check_env, node)
    if node._kind == "Exec" and node.approval is not None:
        yield from _raised(node, check_approval, node.approval)
        yield from _raised(node, check_outside_contexts, contexts_above(node))
    elif node._kind == "Exec":
        yield from _raised(node, fields.check_command, node.command)


def _check_condition(condition: Any) -> None:
    to_condition(condition.to_wire())


_RULES: Tuple[Tuple[str, Callable[[Any], object]], ...] = (
    ("cpu", lambda value: fields.check_amount("cpu", value)),
    ("mem", fields.check_mem),
    ("gpu", fields.check_gpu),
    ("arch", fields.check_arch),
    ("spot", fields.check_spot),
    ("machine", fields.check_machine),
    ("budget", lambda value: fields.check_amount("budget", value)),
    ("budget_action", fields.check_budget_action),
    ("retry_lost", fields.check_retry_lost),
    ("skip", lambda value: fields.check_flag("skip", value)),
    ("suppress_errors", lambda value: fields.check_flag("suppress_errors", value)),
    ("requires_docker", lambda value: fields.check_flag("requires_docker", value)),
    ("snapshot_on_error", lambda value: fields.check_flag("snapshot_on_error", value)),
    ("max_time", fields.parse_duration),
    ("_max_concurrent", fields.check_max_concurrent),
    ("container_reuse_context", fields.check_reuse_context),
    ("_docker_run_args", fields.check_docker_run_args),
    ("secrets", check_names),
    ("code", check_code),
    ("run_if", _check_condition),
    ("doc", lambda value: fields.check_text("doc", value)),
    ("title", lambda value: fields.check_text("title", value)),
    ("name", lambda value: fields.check_text("name", value)),
)


def contexts_above(node: NodeBase) -> List[Tuple[str, Optional[str]]]:
    """Return ``(path, container_reuse_context)`` of a node and the nodes above it."""
    above: List[Tuple[str, Optional[str]]] = []
    each: Optional[NodeBase] = node
    while each is not None:
        above.append((str(each), each.container_reuse_context))
        each = each.parent
    return above


def _check_env(node: NodeBase) -> None:
    try:
        fields.check_env(node.env)
    except TypeError as error:  # the message of the original has no colon here
        raise DefinitionTypeError(
            f"{node} {error}", path=str(node), file=node.file, line=node.line
        ) from error


def _check_image_name(node: NodeBase) -> None:
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


def check_images(root: NodeBase) -> None:
    """Check the definitions of the images of the tree under ``root``.

    Raises:
        DefinitionError: a definition is invalid, or a file that it needs is missing.
    """
    raise_found(list(_image_problems(root, files=True)))


def _image_problems(root: NodeBase, *, files: bool) -> Iterator[DefinitionError]:
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
            yield _error(node, _image_text(image, error))


def _image_text(image: Any, error: ValueError) -> str:
    return f"image {image.name!r}: {error}" if image.is_named else f"image: {error}"


def check_functions(root: NodeBase) -> None:
    """Check that each image contains the functions and files that commands name.

    Raises:
        DefinitionError: some are missing.
    """
    raise_found(list(_function_problems(root)))


def _function_problems(root: NodeBase) -> Iterator[DefinitionError]:
    from conducto.tree.command_text import Expander

    expander = Expander(strict=True)
    same: Dict[str, List[DefinitionError]] = {}  # by the text after the line with the node
    for node in root.stream():
        if node._kind == "Exec" and paths.END in node.command:
            if node._unfindable is not None:
                yield _error(node, node._unfindable)
                continue
            for error in _raised(node, expander.command, node):
                first, _, rest = str(error).partition("\n")
                same.setdefault(rest or first, []).append(error)
    for first_error, *others in same.values():
        yield _with_count(first_error, len(others)) if others else first_error


def _with_count(error: DefinitionError, others: int) -> DefinitionError:
    """Return an error that also applies to other nodes."""
    text = str(error).replace("\n", f" and {others:,} more\n", 1)
    return DefinitionError(text, path=error.path, file=error.file, line=error.line)


def _result_problems(root: NodeBase) -> Iterator[DefinitionError]:
    """Yield an error for each result that may not exist when its user starts."""
    users = [node for node in root.stream() if _sources(node)]
    if not users:
        return
    from conducto.wire.result_order import MAX_RESULTS, Facts, problem

    nodes = {str(node): node for node in root.stream()}

    def facts_of(path: str) -> Optional[Facts]:
        node = nodes.get(path)
        return (
            None
            if node is None
            else Facts(
                node._kind,
                tuple(node.children),
                bool(node.skip),
                node._kind != "Serial" or bool(node.stop_on_error),
                bool(node.suppress_errors),
                _prints_tree(node),
                node.map_options,
                node._kind == "Exec"
                and node.approval is not None
                and not node.approval.get("fields"),
                node._run_if is not None,
            )
        )

    for node in users:
        sources = _sources(node)
        paths_of_sources = tuple(dict.fromkeys(map(str, sources)))
        if len(paths_of_sources) > MAX_RESULTS:
            number = len(paths_of_sources)
            yield _error(node, f"uses {number} results; the maximum is {MAX_RESULTS}")
        for source in sources:
            if isinstance(source, NodeBase) and source.root is not root:
                yield _error(node, f"uses the result of {source} of another tree")
        for path in paths_of_sources:
            if path not in nodes and is_inside_node():  # of the pipeline around a Lazy's tree
                continue
            reason = problem(str(node), path, facts_of)
            if reason is not None:
                yield _error(node, reason)


def _sources(node: NodeBase) -> List[Any]:
    """Return the nodes, or their paths, whose results a node or its condition uses."""
    used = node._references if node._kind == "Exec" else ()
    compared = [] if node._run_if is None else node._run_if.sources()
    return [*(reference.source for reference in used), *compared]


def _prints_tree(node: NodeBase) -> bool:
    literals = node.callback_literals() if node._callbacks else []
    return any(literal[0] == "deserialize_into_node" for _, literal in literals)


def _cloud_problems(node: NodeBase) -> Iterator[DefinitionError]:
    if node.docker_run_args is not None:
        yield _cloud_error(
            node,
            "docker_run_args is not available in the cloud; put what the command needs into the "
            "image, or run the pipeline locally",
        )
    for name, largest in (("cpu", CLOUD_MAX_CPU), ("mem", CLOUD_MAX_MEM)):
        asked = getattr(node, name)
        too_large = isinstance(asked, (int, float)) and asked > largest
        # A machine class may have larger machines, which the installation knows.
        if too_large and node.get_inherited_attribute("machine") is None:
            yield _cloud_error(
                node,
                f"{name}={asked:g} is more than a node may have in the cloud: {largest}; "
                f"lower {name}, or run the pipeline locally",
            )


def _cloud_error(node: NodeBase, message: str) -> InvalidCloudParams:
    path = str(node)
    text = f"{limits.shortened(path)}: {message}"
    return InvalidCloudParams(text, path=path, file=node.file, line=node.line)
