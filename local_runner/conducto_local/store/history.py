"""What the parts of a pipeline's history show about its lost parts."""

from collections.abc import Collection, Iterable, Mapping

from conducto_core.run.model.records import AttemptRecord, NodeChange, NodeState
from conducto_core.run.model.states import FINISHED, IN_FLIGHT, Cause, State

_UNKNOWN_END = "its record was lost with the store; its result is unknown"
_UNKNOWN_DETAILS = "its record was lost; its result is known from the pipeline's history"


def missing_attempts(
    paths: Collection[str],
    attempts: Iterable[AttemptRecord],
    changes: Iterable[NodeChange],
    nodes: Iterable[NodeState],
    written: Mapping[str, Mapping[int, float]],
) -> list[AttemptRecord]:
    """Return a record of each attempt that another part of the history shows.

    Args:
        paths: Those of the Execs; a damaged row may have another one.
        attempts: The known ones.
        changes: In order.
        nodes: The current states.
        written: ``{path: {attempt: modification time of its output}}``.
    """
    known = {(one.path, one.number) for one in attempts}
    found: dict[tuple[str, int], AttemptRecord] = {}
    for change in changes:
        key = (change.path, change.attempt)
        if change.attempt and change.path in paths and key not in known:
            _follow(found, key, change)
    for node in nodes:
        key = (node.path, node.attempt)
        if node.attempt and node.path in paths and key not in known and node.state in FINISHED:
            _end(found, key, node.state, node.cause)
    for path, numbers in written.items():
        for number, time in numbers.items():
            key = (path, number)
            if key not in known and key not in found:
                _end(found, key, State.KILLED, Cause.WORKER_LOST, ended=time, message=_UNKNOWN_END)
    return [found[key] for key in sorted(found)]


def _follow(
    found: dict[tuple[str, int], AttemptRecord], key: tuple[str, int], change: NodeChange
) -> None:
    """Apply a change to the record of its attempt."""
    if change.state is State.RUNNING:
        path, number = key
        found[key] = AttemptRecord(
            path=path, number=number, state=change.state, started=change.time
        )
    elif change.state in FINISHED:
        more = {"exit_code": change.exit_code, "output_bytes": change.output_bytes}
        _end(found, key, change.state, change.cause, ended=change.time, **more)


def _end(
    found: dict[tuple[str, int], AttemptRecord],
    key: tuple[str, int],
    state: State,
    cause: Cause | None,
    **more: object,
) -> None:
    """End an attempt, unless it has ended."""
    before = found.get(key)
    if before is None or before.state not in FINISHED:
        ended = {"message": _UNKNOWN_DETAILS, **more, "state": state, "cause": cause}
        before = before or AttemptRecord(path=key[0], number=key[1], state=state)
        found[key] = before.model_copy(update=ended)


def missing_nodes(
    paths: Collection[str], attempts: Iterable[AttemptRecord], changes: Iterable[NodeChange]
) -> list[NodeState]:
    """Return the states of nodes, as their last changes and newest attempts show them."""
    last = {change.path: change for change in changes if change.path in paths}
    newest = {one.path: one for one in sorted(attempts, key=lambda one: one.number)}
    states = []
    for path in sorted(paths):
        change, attempt = last.get(path), newest.get(path)
        state = None
        if change is not None:
            shown = {"state", "skipped", "cause", "warning", "attempt"}
            state = NodeState(path=path, tries=change.attempt, **change.model_dump(include=shown))
        # The last change may be lost, too.
        if attempt is not None and (state is None or _is_behind(state, attempt)):
            numbers = {"attempt": attempt.number, "tries": attempt.number}
            new = {"state": attempt.state, "cause": attempt.cause, **numbers}
            state = (state or NodeState(path=path)).model_copy(update=new)
        states += [] if state is None else [state]
    return states


def _is_behind(state: NodeState, attempt: AttemptRecord) -> bool:
    return state.state in IN_FLIGHT or state.attempt < attempt.number
