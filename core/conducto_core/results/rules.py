"""Results that commands use: the checks of a tree, and the attempts that they come from."""

from collections.abc import Iterable, Mapping
from typing import Any

from conducto.errors import raise_found
from conducto.wire.result_order import MAX_RESULTS, Facts, problem
from conducto_core.errors import invalid
from conducto_core.run.model.states import NodeType, State
from conducto_core.run.rules.tree_state import LiveExec, LiveNode
from conducto_core.tree.model import NodeSpec


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


def check_results(nodes: Mapping[str, NodeSpec]) -> None:
    """Check that every result exists when the command that uses it starts.

    Raises:
        DefinitionError: a node might start before a result that it uses exists.
    """

    def facts_of(path: str) -> Facts | None:
        return _facts(nodes[path]) if path in nodes else None

    found = [
        invalid(node.path, reason)
        for node in nodes.values()
        for path in node.results
        if (reason := problem(node.path, path, facts_of)) is not None
    ]
    raise_found(found)


def _facts(node: NodeSpec) -> Facts:
    return Facts(
        node.type.value,
        node.children,
        node.skip,
        node.stop_on_error,
        node.suppress_errors,
        node.lazy_target is not None,
    )


def refuse_results(nodes: Iterable[NodeSpec]) -> None:
    """Reject results in a tree that a Lazy printed: its paths are those of another tree.

    Raises:
        DefinitionError: a node uses results.
    """
    raise_found(
        [
            invalid(
                node.path,
                f"uses the result of {node.results[0]}, but a tree from a Lazy cannot use results; "
                "pass the value to the function of the Lazy, as in co.Lazy(function, node.result)",
            )
            for node in nodes
            if node.results
        ]
    )


def source_attempts(spec: NodeSpec, nodes: Mapping[str, LiveNode]) -> dict[str, int]:
    """Return ``{path: attempt}`` of the results that an Exec uses.

    Raises:
        MissingResultError: a node has not run, or not succeeded.
    """
    return {path: _source_attempt(path, nodes.get(path)) for path in spec.results}


def _source_attempt(path: str, node: LiveNode | None) -> int:
    if not isinstance(node, LiveExec):
        raise MissingResultError(f"it uses the result of {path}, which no longer exists")
    if node.state is not State.DONE or not node.attempt:
        state = "was skipped" if node.skipped else f"is {node.state.value}"
        raise MissingResultError(
            f"it uses the result of {path}, but {path} {state}; run {path} first"
        )
    return node.attempt
