"""Previews of the actions that users request, and edits of nodes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from conducto.wire.printable import shell_word
from conducto_core.approvals.rules import change_text, waiting_beside
from conducto_core.errors import invalid
from conducto_core.run.model import events as ev
from conducto_core.run.model.labels import timeout_text
from conducto_core.run.model.records import Actor
from conducto_core.run.model.requests import (
    MAX_NAMED,
    RESETS,
    Action,
    Changes,
    ControlRequest,
    ControlResult,
)
from conducto_core.run.model.states import FAILED, FINISHED, IN_FLIGHT, NodeType, State
from conducto_core.run.rules.failures import is_failure, is_held_by_limit, left_over
from conducto_core.run.rules.live_nodes import LiveExec, LiveGroup, LiveNode, execs_below
from conducto_core.run.rules.tree_state import TreeState, turns_below
from conducto_core.tree.rules.callbacks import PoolKind, kind_of, owner_of
from conducto_core.tree.rules.written import ENV_PREFIX

#: Parameters that only an Exec has, and those that only a group has.
_EXEC_ONLY = {"command"}
_GROUP_ONLY = {"max_concurrent", "stop_on_error"}

#: The events of actions on nodes.
EVENTS: dict[Action, Callable[[tuple[str, ...], Actor | None], ev.Event]] = {
    Action.RESET: ev.NodesReset,
    Action.RERUN: ev.NodesReset,
    Action.REBUILD: ev.NodesReset,
    Action.SKIP: ev.NodesSkipped,
    Action.UNSKIP: ev.NodesUnskipped,
    Action.KILL: ev.NodesKilled,
}


def events_of(
    tree: TreeState, action: Action, paths: tuple[str, ...], by: Actor | None
) -> tuple[ev.Event, ...]:
    """Return the events of an action on nodes, in order.

    Args:
        tree: The tree before the action.
        action: Any but ``modify``, for which there is `events_of_modify`.
        paths: The nodes.
        by: The user who requested it, if one did.
    """
    event = EVENTS[action](paths, by)
    return (event, *_asked_again(tree, _changed(tree, action, paths), action, paths, by))


def events_of_modify(
    tree: TreeState, event: ev.NodesModified, paths: tuple[str, ...], by: Actor | None
) -> tuple[ev.Event, ...]:
    """Return the events of a modification of nodes, in order; see `events_of`."""
    event = replace(event, by=by)
    return (event, *_asked_again(tree, event.nodes, Action.MODIFY, paths, by))


def _asked_again(
    tree: TreeState,
    changed: Iterable[str],
    action: Action,
    paths: tuple[str, ...],
    by: Actor | None,
) -> Iterator[ev.ApprovalsOutdated]:
    outdated = waiting_beside(tree, tuple(changed))
    if outdated:
        yield ev.ApprovalsOutdated(outdated, change_text(by, action, paths))


def _changed(tree: TreeState, action: Action, paths: Iterable[str]) -> Iterator[str]:
    """Yield the nodes that an action changes: when they run, or what they run."""
    match action:
        case Action.SKIP | Action.UNSKIP:
            skip = action is Action.SKIP
            yield from (path for path in paths if tree.nodes[path].skipped is not skip)
        case Action.RESET | Action.RERUN:
            yield from (node.path for node in _execs(tree, paths) if _touches(action, node))
        case Action.REBUILD:  # other nodes use these images, too
            images = {node.spec.placement.image for node in _execs(tree, paths)}
            found = _execs(tree, ("/",))
            yield from (node.path for node in found if node.spec.placement.image in images)
        case _:  # a kill changes neither
            pass


def named(tree: TreeState, request: ControlRequest) -> ControlRequest:
    """Return the request with the paths of all nodes that it affects.

    Raises:
        KeyError: a path is not in the tree.
    """
    if request.stale:  # where no files of commands are kept, none are stale
        return request.model_copy(update={"paths": (), "stale": False})
    if not request.failed:
        return request
    chosen = (
        node.path
        for top in request.paths or ("/",)
        for node in _failed(request.action, tree, tree.nodes[top])
    )
    paths = tuple(dict.fromkeys(chosen))
    return request.model_copy(update={"paths": paths, "failed": False})


def _failed(action: Action, tree: TreeState, top: LiveNode) -> Iterator[LiveNode]:
    if action in RESETS:
        return left_over(tree, top)
    groups_too = action in (Action.SKIP, Action.UNSKIP)
    return (
        node
        for node in tree.subtree(top)
        if node.state in FAILED and not node.skipped
        if isinstance(node, LiveExec) or (groups_too and is_failure(node))
    )


def preview(tree: TreeState, action: Action, paths: Iterable[str]) -> ControlResult:
    """Return the effect of the action on the Execs of these subtrees.

    Raises:
        KeyError: a path is not in the tree.
    """
    touched = [node for node in _execs(tree, paths) if _touches(action, node)]
    stops = [n for n in touched if n.state is State.RUNNING and action in _STOPPING]
    return ControlResult(
        affected=len(touched),
        paths=tuple(node.path for node in touched[:MAX_NAMED]),
        stopped=len(stops),
        notes=tuple(_notes(action, touched)),
        preview=True,
    )


def why_idle(tree: TreeState, pipeline_id: str) -> str | None:
    """Return why a run would start nothing, with a remedy; None if something starts or runs."""
    root = tree.root
    if any(tree.in_flight(root)) or any(turns_below(tree, root)):
        return None
    if not execs_below(root):
        return "nothing to run: the tree has no Exec"
    failed = list(islice(filter(is_failure, tree.subtree(root)), 2))
    left = next((n for n in tree.subtree(root) if n.skipped and n.state is State.PENDING), None)
    if not failed and left is not None:
        return (
            f"nothing to run: {left.path} is skipped; run it, too: conducto unskip {pipeline_id} "
            f"{shell_word(left.path)}"
        )
    if not failed:
        return f"nothing to run: it is done; rerun all: conducto rerun {pipeline_id} /"
    rest = ", and other nodes failed" if len(failed) > 1 else ""
    why = f"{_ended(tree, failed[0])}{rest}"
    return f"nothing to run: {why}; rerun: conducto rerun {pipeline_id} --failed"


def _ended(tree: TreeState, node: LiveNode) -> str:
    if isinstance(node, LiveGroup):
        return f"{node.path} {timeout_text(node.spec.max_time, tree.counts(node))}"
    return f"{node.path} failed"


_STOPPING = RESETS | {Action.KILL}


def _touches(action: Action, node: LiveExec) -> bool:
    match action:
        case Action.RESET | Action.RERUN | Action.REBUILD:
            runs_again = node.state in FINISHED or node.state is State.RUNNING
            return runs_again or node.retry_at is not None or is_held_by_limit(node)
        case Action.KILL:
            return node.state in IN_FLIGHT or node.retry_at is not None
        case _:
            return True


def _execs(tree: TreeState, paths: Iterable[str]) -> Iterator[LiveExec]:
    seen: set[str] = set()
    for path in paths:
        for node in tree.subtree(tree.nodes[path]):
            if isinstance(node, LiveExec) and node.path not in seen:
                seen.add(node.path)
                yield node


def _notes(action: Action, touched: list[LiveExec]) -> Iterator[str]:
    """Yield a warning for each ``new`` context of which a reset affects only a part."""
    if action not in RESETS:
        return
    paths = {node.path for node in touched}
    told: set[str] = set()
    for node in touched:
        pool = node.spec.pool
        owner = owner_of(pool)
        if kind_of(pool) is not PoolKind.CONTEXT or owner is None or owner in told:
            continue
        above: LiveNode | None = node
        while above is not None and above.path != owner:
            above = above.parent
        group = above
        left = sum(n.path not in paths for n in _members(group, pool))
        if left and not (isinstance(group, LiveGroup) and group.in_flight()):
            told.add(owner)
            yield (
                f"{owner}: its container and the state in it may be lost; {left} other Execs of "
                f"this context do not run again. To restore the state, reset {owner}"
            )


def _members(group: LiveNode | None, pool: str) -> Iterator[LiveExec]:
    stack = [] if group is None else [group]
    while stack:
        node = stack.pop()
        if isinstance(node, LiveGroup):
            stack.extend(node.children)
        elif isinstance(node, LiveExec) and node.spec.pool == pool:
            yield node


def lay_over(edit: Mapping[str, Any], changes: Changes, node: LiveNode) -> dict[str, Any]:
    """Return a node's edits (`conducto_core.tree.rules.resolve.Edits`) with ``changes`` applied.

    Raises:
        DefinitionError: this kind of node does not have a parameter.
    """
    given = {name: getattr(changes, name) for name in changes.model_fields_set}
    wrong = _GROUP_ONLY if node.spec.type is NodeType.EXEC else _EXEC_ONLY
    for name in given:
        if name in wrong:
            raise invalid(
                node.path, f"{name} cannot be set on a node of type {node.spec.type.value}"
            )
    if node.spec.approval is not None and "command" in given:
        raise invalid(node.path, "an approval runs no command; change the node in the script")
    if "command" in given and given["command"] is None:
        raise invalid(node.path, "an Exec needs a command; set command to a new one")
    if "stop_on_error" in given and node.spec.type is NodeType.PARALLEL:
        raise invalid(node.path, "stop_on_error is for a Serial, not for a Parallel")
    env = given.pop("env", None)
    if "image" in given:
        given["image_name"] = given.pop("image")
    variables = {} if env is None else {ENV_PREFIX + name: value for name, value in env.items()}
    return {**edit, **given, **variables}
