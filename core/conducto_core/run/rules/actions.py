"""Previews of the actions that users request, and edits of nodes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Protocol

from conducto.wire.printable import shell_word
from conducto_core.approvals.rules import change_text, waiting_beside
from conducto_core.errors import invalid
from conducto_core.run.model import events as ev
from conducto_core.run.model.labels import timeout_text
from conducto_core.run.model.records import Counts, Period, PipelineStatus, Round
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
EVENTS: dict[Action, Callable[[tuple[str, ...]], ev.Event]] = {
    Action.RESET: ev.NodesReset,
    Action.RERUN: ev.NodesReset,
    Action.REBUILD: ev.NodesReset,
    Action.SKIP: ev.NodesSkipped,
    Action.UNSKIP: ev.NodesUnskipped,
    Action.KILL: ev.NodesKilled,
}


def events_of(
    tree: TreeState, action: Action, paths: tuple[str, ...], by: str
) -> tuple[ev.Event, ...]:
    """Return the events of an action on nodes, in order.

    Args:
        tree: The tree before the action.
        action: Any but ``modify``, for which there is `events_of_modify`.
        paths: The nodes.
        by: The user.
    """
    event = EVENTS[action](paths)
    return (event, *_asked_again(tree, _changed(tree, action, paths), action, paths, by))


def events_of_modify(
    tree: TreeState, event: ev.NodesModified, paths: tuple[str, ...], by: str
) -> tuple[ev.Event, ...]:
    """Return the events of a modification of nodes, in order; see `events_of`."""
    return (event, *_asked_again(tree, event.nodes, Action.MODIFY, paths, by))


def _asked_again(
    tree: TreeState, changed: Iterable[str], action: Action, paths: tuple[str, ...], by: str
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


# ----------------------------------------------------------------------------------------
# The active time of a pipeline and its groups, without the time between its runs.
#
# A pipeline is active while a command runs or waits for a slot. A reset on the next morning starts
# a new period; the night between does not count, and neither does the wait for a person's approval.
# The time of a group is the active time between its first and its last attempt.


#: Maximum number of rounds that are kept; the newest ones.
MAX_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Activity:
    """The active time counted so far.

    Attributes:
        seconds: Total of the finished periods.
        since: Start of the current period; None if there is none.
        finished: The newest finished periods, oldest first.
        continues: The current period is a part of the round before.
        waits: Since the last period, the pipeline waits only for approvals and retries.
    """

    seconds: float = 0.0
    since: float | None = None
    finished: tuple[Round, ...] = ()
    continues: bool = False
    waits: bool = False

    @property
    def rounds(self) -> tuple[Round, ...]:
        """The newest periods, oldest first, with the current one."""
        return self.finished if self.since is None else (*self.finished, self._current(None))

    def _current(self, ended: float | None) -> Round:
        return Round(started=self.since or 0.0, ended=ended, continues=self.continues)

    @property
    def truncated(self) -> bool:
        """Whether older periods may be missing in `finished`."""
        return len(self.finished) == MAX_ROUNDS

    @property
    def forgotten(self) -> float:
        """Total of the finished periods that are not kept."""
        kept = sum(one.ended - one.started for one in self.finished if one.ended is not None)
        return max(0.0, self.seconds - kept)

    def after(self, counts: Counts, waiting: int, now: float, *, retrying: int = 0) -> "Activity":
        """Return the activity after an event.

        Args:
            counts: The numbers of Execs by state after it.
            waiting: Number of queued Execs that are approvals.
            now: Time of the event.
            retrying: Number of Execs that wait for a retry; they occupy nothing meanwhile.
        """
        waiting += retrying
        in_flight = counts.queued + counts.running + retrying
        if in_flight > waiting:
            if self.since is not None:
                return self
            return replace(self, since=now, continues=self.waits, waits=False)
        ended = self.ended(now)
        return replace(ended, waits=in_flight > 0 and bool(ended.finished))

    def ended(self, now: float) -> "Activity":
        """Return the activity after the end of the current period."""
        if self.since is None:
            return self
        end = max(now, self.since)  # a clock may have been set back
        rounds = (*self.finished, self._current(end))[-MAX_ROUNDS:]
        return Activity(self.seconds + end - self.since, None, rounds)

    def extended(self, end: float) -> "Activity":
        """Return the activity whose last finished period lasted until ``end``, if that is later."""
        if not self.finished:
            return self
        *earlier, last = self.finished
        before = last.ended or last.started
        until = max(before, end)
        rounds = (*earlier, last.model_copy(update={"ended": until}))
        return replace(self, seconds=self.seconds + until - before, finished=rounds)


def stored(status: PipelineStatus, seen: float) -> Activity:
    """Return the activity of a stored status; an open period ends when it was last ``seen``.

    A record of an older version has only the first start and the last end.
    """
    if status.active_seconds is None:
        begun, ended = status.started, status.ended
        return Activity(0.0 if begun is None or ended is None else max(0.0, ended - begun))
    finished = tuple(one for one in status.rounds if one.ended is not None)
    return Activity(status.active_seconds, status.active_since, finished).ended(seen)


def shown_period(period: Period, activity: Activity) -> tuple[Period, float]:
    """Return a period for display, and its idle seconds.

    The time from its start to its end, or to the current time if it has not ended, without the idle
    seconds is the time in which something ran or waited for a slot. Of the time before the oldest
    round that is kept, all but the `Activity.forgotten` seconds was idle.
    """
    rounds = activity.rounds
    start, end = period.started, period.ended
    if start is None or not rounds:
        return period, 0.0
    if end is None and activity.since is None:  # it waits for an approval
        end = rounds[-1].ended
    until = max(start, activity.since or start) if end is None else end
    times = [(one.started, until if one.ended is None else one.ended) for one in rounds]
    active = sum(max(0.0, min(last, until) - max(first, start)) for first, last in times)
    if activity.truncated:
        active += min(activity.forgotten, max(0.0, min(rounds[0].started, until) - start))
    return Period(start, end), max(0.0, until - start - active)


class Timed(Protocol):
    """The times of a pipeline's summary, or of one run of a history."""

    @property
    def settled(self) -> bool:
        """Whether nothing runs or will start by itself."""

    @property
    def started(self) -> float | None:
        """First start."""

    @property
    def ended(self) -> float | None:
        """Last end."""

    @property
    def active_seconds(self) -> float | None:
        """Seconds of the finished periods; None from an older agent or cloud."""

    @property
    def active_since(self) -> float | None:
        """Start of the current period."""


def active_time(one: Timed, now: float) -> float | None:
    """Return the active seconds until ``now``; None if it never started."""
    if one.started is None:
        return None
    if one.active_seconds is None:
        return _wall(one, now)
    current = 0.0 if one.active_since is None else max(0.0, now - one.active_since)
    return one.active_seconds + current


def wall_time(one: Timed, now: float) -> float | None:
    """Return the time from the first start to the last end, or None if little of it was idle."""
    active = active_time(one, now)
    if active is None:
        return None
    wall = _wall(one, now)
    return wall if wall - active >= max(_LEAST_IDLE, active / 10) else None


#: Shorter idle times are not reported, in seconds.
_LEAST_IDLE = 60.0


def _wall(one: Timed, now: float) -> float:
    end = one.ended if one.settled and one.ended is not None else now
    return max(0.0, end - (one.started or 0.0))  # a clock may have been set in between
