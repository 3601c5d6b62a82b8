"""Results that commands use: the checks of a tree, and the attempts that they come from."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from conducto.errors import raise_found
from conducto.wire import conditions
from conducto.wire.maps import MapOptions
from conducto.wire.result_order import MAX_RESULTS, PAYLOAD, Facts, problem
from conducto_core.errors import invalid
from conducto_core.run.model.states import NodeType, State
from conducto_core.run.rules.live_nodes import LiveExec, LiveGroup, LiveNode
from conducto_core.tree.model import NodeSpec, is_within

#: Maximum bytes of all results that one command uses.
MAX_INPUTS = 4 << 20


class MissingResultError(Exception):
    """A command cannot start because a result does not exist; the message has the reason."""


def results_of(written: Mapping[str, Any], kind: NodeType) -> tuple[str, ...]:
    """Return the paths of the results that a node of a launch form uses.

    Raises:
        ValueError: they are invalid.
    """
    paths = written.get("results")
    if paths is None:
        return ()
    if kind is not NodeType.EXEC:
        raise ValueError("results is for an Exec; a group has no command that could use them")
    if not isinstance(paths, list | tuple) or not all(_is_path(path) for path in paths):
        raise ValueError(f"results must be a list of paths such as '/train', got {paths!r}")
    if len(paths) > MAX_RESULTS:
        raise ValueError(f"uses {len(paths)} results; the maximum is {MAX_RESULTS}")
    return tuple(dict.fromkeys(paths))


def _is_path(path: object) -> bool:
    return isinstance(path, str) and path.startswith("/")


def moved_results(
    nodes: Mapping[str, NodeSpec], target: str, maker: NodeSpec | None, *, given: bool
) -> dict[str, NodeSpec]:
    """Return a generated tree in which references lead to nodes of the pipeline.

    A name is that of a node of the tree, or of a result that the command that printed the tree
    knows by this name, or a path of the pipeline. Commands keep their texts: a node's
    ``result_names`` are the names that they have.

    Args:
        nodes: The nodes, by their paths in the pipeline.
        target: The path of the root.
        maker: The command that printed the tree.
        given: No name is that of a node of the tree: a map passes on what it was given.
    """
    known = {} if maker is None else dict(zip(names_in(maker), maker.results, strict=True))

    def moved(name: str) -> str:
        inside = target if name == "/" else f"{target.rstrip('/')}{name}"
        return inside if not given and inside in nodes else known.get(name, name)

    made = dict(nodes)
    for path, node in nodes.items():
        found = tuple(map(moved, node.results))
        if found != node.results:
            made[path] = replace(node, results=found, result_names=node.results)
        if node.run_if is not None:
            made[path] = replace(made[path], run_if=conditions.moved(node.run_if, moved))
    return made


def names_in(spec: NodeSpec) -> tuple[str, ...]:
    """Return the names by which a command knows the results that it uses."""
    return spec.result_names or spec.results


def check_results(
    nodes: Mapping[str, NodeSpec], target: str = "/", others: Mapping[str, NodeSpec] | None = None
) -> None:
    """Check that every result exists when the command that uses it starts.

    Args:
        nodes: The nodes whose references are checked.
        target: The path of the first one.
        others: The tree around them.

    Raises:
        DefinitionError: a node might start before a result that it uses exists.
    """
    around = {} if others is None else others

    def facts_of(path: str) -> Facts | None:
        found = nodes.get(path) if is_within(path, target) else around.get(path)
        return None if found is None else _facts(found)

    found = [
        invalid(node.path, reason)
        for node in nodes.values()
        for path in (*node.results, *_compared(node))
        if (reason := problem(node.path, path, facts_of)) is not None
    ]
    found += [
        invalid(node.path, reason)
        for node in nodes.values()
        if (reason := _condition_problem(node, nodes, target)) is not None
    ]
    raise_found(found)


def _compared(node: NodeSpec) -> tuple[str, ...]:
    return () if node.run_if is None else conditions.sources_of(node.run_if)


def _condition_problem(node: NodeSpec, nodes: Mapping[str, NodeSpec], target: str) -> str | None:
    """Return why the results that a condition compares are not in the state of the tree, or None.

    It has those of commands and approvals, as far as conditions compare them.
    """
    if node.run_if is None:
        return None
    if node.awaits_tree:
        return "run_if is not for the place of a generated tree; set it on the Lazy"
    for part in (term.part for term in conditions.terms_of(node.run_if)):
        if part.path != PAYLOAD and not is_within(part.path, target):
            return (
                f"run_if compares {part}, but only results of the generated tree can be compared "
                "in it; set run_if on the Lazy, or test the result in the function that makes it"
            )
        source = nodes.get(part.path)
        if source is not None and source.map is not None:
            return f"run_if compares {part}, which is a map; compare the result of a later command"
        form = None if source is None or source.approval is None else source.approval.fields
        if form is not None and part.keys[:1] not in [(field.name,) for field in form]:
            names = ", ".join(field.name for field in form)
            return f"run_if compares {part}, but the fields of the approval are {names}"
    return None


def _facts(node: NodeSpec) -> Facts:
    return Facts(
        node.type.value,
        node.children,
        node.skip,
        node.stop_on_error,
        node.suppress_errors,
        node.lazy_target is not None,
        node.map,
        node.approval is not None and not node.approval.fields,
        node.run_if is not None,
    )


class Attempt(NamedTuple):
    """An attempt whose result is read.

    Attributes:
        known: The result, as JSON, if the tree has it: the values of an approval's form.
    """

    path: str
    number: int
    known: bytes | None = None


class Source(NamedTuple):
    """The attempts that a result comes from.

    Attributes:
        name: The name by which the command knows the result.
        path: The node.
        attempts: One, or those of the items of a map, in their order; None for an item without.
        map: The options of a map.
    """

    name: str
    path: str
    attempts: tuple[Attempt | None, ...]
    map: MapOptions | None = None


#: Reads the results of attempts, in their order; empty bytes for an attempt without one.
Read = Callable[[Sequence[Attempt]], Iterable[bytes]]


def sources_of(spec: NodeSpec, nodes: Mapping[str, LiveNode]) -> list[Source]:
    """Return the attempts whose results an Exec uses.

    Raises:
        MissingResultError: a node has not run, or not succeeded.
    """
    names = names_in(spec)
    return [
        _source(name, path, nodes.get(path))
        for name, path in zip(names, spec.results, strict=True)
        if path != PAYLOAD
    ]


def payload_of(spec: NodeSpec, payload: Any) -> dict[str, bytes]:
    """Return ``{name: payload}``, as JSON, if an Exec uses that of the pipeline's event."""
    names = zip(names_in(spec), spec.results, strict=True)
    return {name: json.dumps(payload).encode() for name, path in names if path == PAYLOAD}


def _source(name: str, path: str, node: LiveNode | None) -> Source:
    uses = f"it uses the result of {path}"
    if node is None or (isinstance(node, LiveGroup) and node.spec.map is None):
        raise MissingResultError(f"{uses}, which no longer exists")
    if node.state is not State.DONE:
        state = "was skipped" if node.skipped else f"is {node.state.value}"
        raise MissingResultError(f"{uses}, but {path} {state}; run {path} first")
    if not isinstance(node, LiveGroup):
        if not node.attempt:
            raise MissingResultError(f"{uses}, but {path} has not run; run {path} first")
        return Source(name, path, (_attempt(node),))
    items = items_of(node)
    return Source(name, path, tuple(map(_item_attempt, items)), node.spec.map)


def items_of(group: LiveGroup) -> list[LiveNode]:
    """Return the items of a map; for the Lazy of one, those of its generated tree."""
    targets = {child.spec.lazy_target for child in group.children} - {None}
    for child in group.children:
        if child.path in targets and isinstance(child, LiveGroup):
            return child.children
    return group.children


def _item_attempt(node: LiveNode) -> Attempt | None:
    done = node.state is State.DONE and not node.warning and node.attempt
    return _attempt(node) if done else None


def _attempt(node: LiveNode) -> Attempt:
    asks = isinstance(node, LiveExec) and node.spec.approval is not None
    known = form_result(node.known) if isinstance(node, LiveExec) and asks else None
    return Attempt(node.path, node.attempt, known)


def form_result(values: Mapping[str, Any] | None) -> bytes:
    """Return the result of an approval with these values, as JSON."""
    return b"" if values is None else json.dumps(values, ensure_ascii=False).encode()


def read_sources(sources: Sequence[Source], read: Read) -> dict[str, bytes]:
    """Return ``{name: result}``, as JSON; that of a map is the list of those of its items.

    Raises:
        MissingResultError: an item of a map has none.
    """
    attempts = [each for source in sources for each in source.attempts if each is not None]
    found: dict[Attempt, bytes] = {each: each.known for each in attempts if each.known is not None}
    attempts = [each for each in attempts if each.known is None]
    size = 0
    for attempt, data in zip(attempts, read(attempts), strict=True):
        found[attempt] = data
        size += len(data)
        check_size(size)
    return {
        source.name: _value(source, [found[each] if each else b"" for each in source.attempts])
        for source in sources
    }


def check_size(size: int) -> None:
    """Check the bytes of the results that a command uses.

    Raises:
        MissingResultError: they are too many.
    """
    if size > MAX_INPUTS:
        raise MissingResultError(
            f"the results that it uses have {size:,} bytes or more together; the maximum is "
            f"{MAX_INPUTS:,}; return names of files in the pipeline's data instead"
        )


def _value(source: Source, results: list[bytes]) -> bytes:
    if source.map is None:
        return results[0]
    missing = source.map.missing
    if missing is None and b"" in results:
        number = results.index(b"")
        raise MissingResultError(
            f"it uses the results of {source.path}, but item {number} has none: it failed, was "
            "skipped, returned None, or a value that could not be kept; give the map "
            'missing="none" or missing="drop"'
        )
    kept = [each for each in results if each] if missing == "drop" else results
    return b"[" + b",".join(each or b"null" for each in kept) + b"]"


# ----------------------------------------------------------------------------------------
# The file of inputs of a command: the results that it uses.


def inputs_text(results: Mapping[str, bytes]) -> str:
    """Return the content of the file: ``{path: result}`` as JSON; empty without results.

    Raises:
        MissingResultError: a result is missing or incomplete, or they are too large.
    """
    parts = [f"{json.dumps(path)}:{_checked(path, data)}" for path, data in results.items()]
    size = sum(map(len, parts))
    check_size(size)
    return f"{{{','.join(parts)}}}" if parts else ""


def _checked(path: str, data: bytes) -> str:
    if not data:
        raise MissingResultError(
            f"it uses the result of {path}, which has none: its function returned None, or a value "
            f"that could not be kept (see the end of the stderr of {path})"
        )
    try:
        json.loads(data)
    except ValueError as error:
        raise MissingResultError(
            f"it uses the result of {path}, which is incomplete: {error}; run {path} again"
        ) from error
    return data.decode()
