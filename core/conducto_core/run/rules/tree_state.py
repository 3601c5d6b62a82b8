"""A tree with the states of its nodes, and the bookkeeping that keeps groups consistent.

`TreeState` knows the states of nodes; `conducto_core.run.rules.machine` decides the next steps.
"""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf
from typing import Any, NamedTuple

from conducto.wire.conditions import (
    Condition,
    Part,
    compared,
    holds,
    member,
    sources_of,
    terms_of,
)
from conducto.wire.result_order import PAYLOAD
from conducto_core.run.model.records import Actor, Counts, NodeState
from conducto_core.run.model.states import FAILED, Cause, NodeType, State
from conducto_core.run.rules.live_nodes import (
    SEEN,
    LiveExec,
    LiveGroup,
    LiveNode,
    Notice,
    contribution,
    execs_below,
    retrying_below,
)
from conducto_core.run.rules.outcomes import (
    INDEX,
    LEFT_OUT,
    PENDING,
    SKIPPED,
)
from conducto_core.tree.model import NodeSpec, Pipeline, is_within, parent_of


class Change(NamedTuple):
    """A state change of a node, as recorded by the machine, in order."""

    path: str
    type: NodeType
    state: State
    skipped: bool
    cause: Cause | None
    warning: bool
    attempt: int


class TreeState:
    """The nodes of one pipeline and their states.

    Attributes:
        armed: Every Exec that can start is started.
        paused: It is not armed, and was not stopped since: a user may want to continue.
        notices: Tasks of the machine, which empties the list.
        touched: ``{group: its previous state}`` since `take_touched`.
        remembered: Nodes of which only unpublished fields have changed, which a restarted agent
            needs, since `take_remembered`.
        actors: ``{path: actor}`` of the nodes that have one (`NodeState.actor`).
        retrying: ``{path: Exec}`` of those that wait for a retry.
        first_retry: No retry is due before this time; infinite without one.
        retries_ended: Number of waits for a retry that have ended.
        max_mem: Maximum GB that a retry requests; None for no limit.
        conditions: ``{path: nodes whose run_if compares its result}``.
        payload: That of the event that launched the pipeline.
        past: ``{path: attempts made}`` of discarded nodes, so that a node with the same path
            continues their numbers.
        again: The paths of discarded Execs that a user had reset, so that Execs with the same paths
            run without the cache.
    """

    def __init__(
        self, pipeline: Pipeline, states: Iterable[NodeState] = (), *, armed: bool = False
    ) -> None:
        self.nodes: dict[str, LiveNode] = {}
        self.armed = armed
        self.paused = not armed
        self.changes: list[Change] = []
        self.notices: deque[tuple[Notice, LiveNode]] = deque()
        self.touched: dict[LiveGroup, State] = {}
        self.remembered: list[LiveNode] = []
        self.past: dict[str, int] = {}
        self.again: set[str] = set()
        self.conditions: dict[str, list[LiveNode]] = {}
        self.payload = pipeline.payload
        self.actors: dict[str, Actor] = {}
        self.retrying: dict[str, LiveExec] = {}
        self.first_retry = inf
        self.retries_ended = 0
        self.max_mem: float | None = None
        self._graft(pipeline.nodes, None, 0)
        for state in states:
            self._load(state)
        for node in reversed(self.nodes.values()):
            if isinstance(node, LiveGroup):
                node.rebuild()
                node.reported = node.status()
        self._give_up_on_failed()

    @property
    def root(self) -> LiveNode:
        """The node without a parent."""
        return self.nodes["/"]

    def exec_at(self, path: str) -> LiveExec:
        """Return the Exec at ``path``; KeyError or TypeError when there is none."""
        node = self.nodes[path]
        if not isinstance(node, LiveExec):
            raise TypeError(f"{path}: a {node.spec.type.value}, not an Exec")
        return node

    def subtree(self, top: LiveNode) -> Iterator[LiveNode]:
        """Yield ``top`` and everything below it, parents first, in definition order."""
        stack = [top]
        while stack:
            node = stack.pop()
            yield node
            if isinstance(node, LiveGroup):
                stack.extend(reversed(node.children))

    def in_flight(self, top: LiveNode) -> Iterator[LiveExec]:
        """Yield the queued and running Execs at or below ``top`` without visiting idle groups."""
        stack = [top]
        while stack:
            node = stack.pop()
            if isinstance(node, LiveExec):
                if node.state in (State.QUEUED, State.RUNNING):
                    yield node
            elif isinstance(node, LiveGroup) and node.in_flight():
                stack.extend(reversed(node.children))

    def take_changes(self) -> list[Change]:
        """Return the changes since the last call."""
        taken, self.changes = self.changes, []
        return taken

    def take_remembered(self) -> list[LiveNode]:
        """Return the nodes with changes of unpublished fields since the last call."""
        taken, self.remembered = self.remembered, []
        return taken

    def take_touched(self) -> list[tuple[LiveGroup, State]]:
        """Record the groups that an event changed; return them with their previous states.

        This happens once per event, at its end: between two siblings of a Serial no Exec is in
        flight for a moment, which must not be published.
        """
        moved = [
            (group, before)
            for group, before in self.touched.items()
            if self.nodes.get(group.path) is group and group.reported != group.status()
        ]
        self.touched.clear()
        for group, _ in moved:
            group.reported = group.status()
            self.record(group)
        return moved

    def removed(self) -> list[str]:
        """Return the paths of nodes with attempts that are in the tree no more."""
        return [path for path in self.past if path not in self.nodes]

    def count_on(self, newest: Mapping[str, int]) -> None:
        """Continue the numbers of attempts from the history, ``{path: newest attempt}``.

        A node that was generated again and never queued does not know the attempts of its
        predecessor, and one that is still to be generated does not exist yet.
        """
        for path, number in newest.items():
            node = self.nodes.get(path)
            if node is None:
                self.past[path] = number
            else:
                node.attempt = max(node.attempt, number)

    def counts(self, node: LiveNode) -> Counts:
        """Return the Execs of the subtree of ``node`` by state."""
        numbers = node.counts if isinstance(node, LiveGroup) else contribution(node)
        named = {state.value: numbers[index] for state, index in INDEX.items()}
        named[State.PENDING.value] -= numbers[LEFT_OUT]
        return Counts(**named, skipped=numbers[SKIPPED])

    def state_of(self, node: LiveNode) -> NodeState:
        """Return the record of the state of ``node``."""
        return NodeState.model_construct(
            path=node.path,
            state=node.state,
            skipped=node.skipped,
            cause=node.cause,
            warning=node.warning,
            attempt=node.attempt,
            tries=node.tries,
            lost=node.lost,
            lost_starts=node.lost_starts,
            interruptions=node.interruptions,
            expired=node.expired,
            mem=node.mem,
            stop_reason=node.stop_reason if isinstance(node, LiveExec) else None,
            retry_at=node.retry_at if isinstance(node, LiveExec) else None,
            fresh=isinstance(node, LiveExec) and node.fresh,
            known=node.known if isinstance(node, LiveExec) else None,
            condition=node.condition,
            actor=self.actors.get(node.path),
        )

    def holds(self, condition: Condition) -> bool:
        """Return whether a condition holds; a node that is not done has no result."""
        return holds(condition, self.compared)

    def compared(self, part: Part) -> Any:
        """Return the value that a condition compares, or None."""
        if part.path == PAYLOAD:
            return member(self.payload, part.keys)
        node = self.nodes.get(part.path)
        if not isinstance(node, LiveExec) or node.known is None or node.state is not State.DONE:
            return None
        if node.spec.approval is not None:
            return member(node.known, part.keys)
        return node.known.get(json.dumps(part.keys))

    def known_of(self, path: str, result: Callable[[], bytes]) -> dict[str, Any] | None:
        """Return the parts of a result that conditions compare; None if they compare none.

        Args:
            path: The command.
            result: Reads its result, as JSON; empty for none.
        """
        users = [each.spec.run_if for each in self.conditions.get(path, ())]
        parts = [t.part for each in users if each is not None for t in terms_of(each)]
        if not parts:
            return None
        value = json.loads(result() or b"null")
        return compared(value, [part for part in parts if part.path == path])

    def set_actor(self, node: LiveNode, by: Actor | None) -> None:
        """Record who requested the newest action on a node; None: nobody did."""
        if by != self.actors.pop(node.path, None):
            self.remembered.append(node)
        if by is not None:
            self.actors[node.path] = by

    def requester_of(self, path: str) -> Actor | None:
        """Return who requested the attempt of an Exec that is queued now; None for a retry."""
        return None if self.nodes[path].tries > 1 else self.actors.get(path)

    def set_retry(self, node: LiveExec, due: float | None) -> None:
        """Let a pending Exec wait until ``due`` for its next attempt; None ends the wait."""
        if node.retry_at == due:
            return
        change = (due is not None) - (node.retry_at is not None)
        node.retry_at = due
        if due is None:
            del self.retrying[node.path]
            self.retries_ended += 1
        else:
            self._add_retry(node, due)
        group = node.parent
        while group is not None and change:
            group.retrying += change
            group = group.parent
        self.remembered.append(node)
        self.refresh_above(node)

    def _add_retry(self, node: LiveExec, due: float) -> None:
        self.retrying[node.path] = node
        self.first_retry = min(self.first_retry, due)

    def retries_due(self, now: float) -> tuple[str, ...]:
        """Return the Execs whose wait for a retry is over."""
        if now < self.first_retry:
            return ()
        due = {path: node.retry_at or 0.0 for path, node in self.retrying.items()}
        self.first_retry = min((at for at in due.values() if at > now), default=inf)
        return tuple(path for path, at in due.items() if at <= now)

    def retrying_in(self, top: LiveNode) -> list[LiveExec]:
        """Return the Execs at or below ``top`` that wait for a retry."""
        return [node for path, node in self.retrying.items() if is_within(path, top.path)]

    def set_exec(
        self, node: LiveExec, state: State, *, cause: Cause | None = None, warning: bool = False
    ) -> None:
        """Set the state of an Exec and update everything above it."""
        parent, before, after = node.parent, INDEX[node.state], INDEX[state]
        # A group in flight that sees no difference has none: most commands start beside others.
        differs = (
            parent is None
            or not parent.in_flight()
            or node.warning != warning
            or SEEN[node.state, node.skipped] is not SEEN[state, node.skipped]
        )
        node.state, node.cause, node.warning, node.expired = state, cause, warning, False
        self.record(node)
        if before != after:
            left_out = (after == PENDING) - (before == PENDING)
            group, skipped = parent, node.skipped
            while group is not None:
                group.counts[before] -= 1
                group.counts[after] += 1
                if skipped:
                    group.counts[LEFT_OUT] += left_out
                skipped = skipped or group.skipped
                group = group.parent
        if differs or parent is None or not parent.in_flight():
            self.refresh_above(node)

    def set_skipped(self, node: LiveNode, skipped: bool) -> None:
        """Set or clear the skipped flag of a node."""
        if node.skipped == skipped:
            return
        before = contribution(node)
        node.skipped = skipped
        after = contribution(node)
        group = node.parent
        while group is not None:
            for index in (SKIPPED, LEFT_OUT):
                group.counts[index] += after[index] - before[index]
            if group.skipped:  # its parent counts all of it as skipped already
                break
            group = group.parent
        if isinstance(node, LiveGroup):
            self.touched.setdefault(node, node.state)
        else:
            self.record(node)
        self.refresh_above(node)

    def refresh(self, group: LiveGroup) -> None:
        """Derive a group's state again after one of its flags changed."""
        self._settle(group)
        self.refresh_above(group)

    def refresh_above(self, node: LiveNode) -> None:
        """Update the groups above ``node``, from the nearest up."""
        child, group = node, node.parent
        while group is not None:
            self._record(group, child)
            self._settle(group)
            child, group = group, group.parent

    def replace(self, target: str, specs: Mapping[str, NodeSpec]) -> None:
        """Replace the subtree at ``target`` by the nodes of ``specs``.

        ``specs`` are parents first and start with ``target`` itself. The old subtree must have no
        Execs in flight.
        """
        old = self.nodes[target]
        parent, position = old.parent, old.position
        self._adjust(old, -1)
        for node in list(self.subtree(old)):
            self._forget(node)
        self._graft(specs, parent, position)
        new = self.nodes[target]
        # A user's skip or unskip of the place outlasts its trees; a tree's own skip does not.
        if new.spec.skip == old.spec.skip:
            new.skipped = old.skipped
        for node in reversed(list(self.subtree(new))):
            if isinstance(node, LiveGroup):
                node.rebuild()
                node.reported = node.status()
        if parent is not None:
            parent.children[position] = new
        self._adjust(new, 1)
        self.record(new)
        for node in self.subtree(new):
            # Readers of the changes know the last state of the previous node with this path.
            if node is not new and node.path in self.past:
                self.record(node)
        self.refresh_above(new)

    def _adjust(self, node: LiveNode, sign: int) -> None:
        added, total, retrying = contribution(node), execs_below(node), retrying_below(node)
        group = node.parent
        while group is not None:
            group.total += sign * total
            group.retrying += sign * retrying
            for index, number in enumerate(added):
                group.counts[index] += sign * number
            if group.skipped:
                added = [*added[:SKIPPED], total, added[PENDING]]
            group = group.parent

    def _record(self, group: LiveGroup, child: LiveNode) -> None:
        tally = group.tally
        before = tally.first_holding()
        tally.record(child.position, child.seen(), warns=child.warning)
        after = tally.first_holding()
        if after is not None and after != before:
            self.notices.append((Notice.TURN, group.children[after]))

    def _settle(self, group: LiveGroup) -> None:
        self.touched.setdefault(group, group.state)
        group.settle_state()
        if group.spec.callbacks and group.raw_state() in FAILED and not group.given_up:
            if not group.held:
                group.held = True
                # Before any start: a group that is retried must not have let its next sibling
                # start.
                self.notices.appendleft((Notice.FAILED, group))
            group.settle_state()
        if group.discarding and not group.in_flight():
            self.notices.append((Notice.IDLE, group))

    def record(self, node: LiveNode) -> None:
        """Add the state of ``node`` to the changes."""
        spec = node.spec
        self.changes.append(
            Change(
                spec.path,
                spec.type,
                node.state,
                node.skipped,
                node.cause,
                node.warning,
                node.attempt,
            )
        )

    def _graft(
        self, specs: Mapping[str, NodeSpec], parent: LiveGroup | None, position: int
    ) -> None:
        """Add the nodes of ``specs`` in definition order, the first one below ``parent``."""
        groups: dict[str | None, LiveGroup] = {}
        for path, spec in specs.items():
            above = groups.get(parent_of(path))
            if above is not None:
                position = len(above.children)
            elif groups:
                raise ValueError(f"{path}: its parent is not in front of it")
            place = above or parent
            if spec.type is NodeType.EXEC:
                node: LiveNode = self._new_exec(spec, place, position)
            else:
                node = groups[path] = LiveGroup(spec, place, position)
            if above is not None:
                above.children.append(node)
            node.attempt = self.past.get(path, 0)
            self.nodes[path] = node
            if spec.run_if is not None:
                for source in sources_of(spec.run_if):
                    self.conditions.setdefault(source, []).append(node)

    def _new_exec(self, spec: NodeSpec, place: LiveGroup | None, position: int) -> LiveExec:
        node = LiveExec(spec, place, position)
        node.fresh = spec.path in self.again
        self.again.discard(spec.path)
        return node

    def _forget(self, node: LiveNode) -> None:
        del self.nodes[node.path]
        self.conditions.pop(node.path, None)  # only nodes of the same generated tree compare it
        self.retrying.pop(node.path, None)
        self.actors.pop(node.path, None)
        self.past[node.path] = node.attempt
        if isinstance(node, LiveExec) and node.fresh:
            self.again.add(node.path)

    def _load(self, state: NodeState) -> None:
        node = self.nodes.get(state.path)
        if node is None:  # from a tree that was generated and discarded since
            self.past[state.path] = state.attempt
            if state.fresh:
                self.again.add(state.path)
            return
        node.skipped, node.condition = state.skipped, state.condition
        if state.actor is not None:
            self.actors[state.path] = state.actor
        node.attempt = state.attempt
        node.tries = state.tries
        node.lost, node.lost_starts = state.lost, state.lost_starts
        node.interruptions = state.interruptions
        node.mem = state.mem
        node.expired = state.expired
        if not isinstance(node, LiveGroup):
            if isinstance(node, LiveExec):
                node.stop_reason = state.stop_reason
                node.fresh, node.known = state.fresh, state.known
                node.retry_at = state.retry_at
                if state.retry_at is not None:
                    self._add_retry(node, state.retry_at)
            node.state = state.state
            node.cause = state.cause
            node.warning = state.warning

    def _give_up_on_failed(self) -> None:
        """Mark failed groups of a stored tree as decided: their callbacks ran before."""
        for node in self.nodes.values():
            if isinstance(node, LiveGroup):
                node.given_up = node.raw_state() in FAILED


# ----------------------------------------------------------------------------------------
# The Execs that may start now.
#
# The machine checks the part of the tree that an event changed; the cloud checks the whole tree to
# size its pools.


def turns_below(tree: TreeState, top: LiveNode) -> Iterator[tuple[LiveNode, bool]]:
    """Yield the nodes at or below ``top`` whose turn it is, in definition order.

    These are the Execs that may start, and the nodes that their condition skips now; the flag is
    whether the node runs. It ignores whether the pipeline is armed, and yields nothing if ``top``
    itself may not start yet.
    """
    if not has_its_turn(tree, top):
        return
    stack = [top]
    while stack:
        node = stack.pop()
        if not _open(node) if isinstance(node, LiveGroup) else not _may_start(tree, node):
            continue
        condition = None if node.condition == "ignored" else node.spec.run_if
        if condition is not None and not tree.holds(condition):
            yield node, False
        elif isinstance(node, LiveGroup):
            stack.extend(node.children[i] for i in reversed(node.tally.next_to_run()))
        else:
            yield node, True


def _open(group: LiveGroup) -> bool:
    return not (group.skipped or group.expired or group.discarding or group.spec.awaits_tree)


def has_its_turn(tree: TreeState, node: LiveNode) -> bool:
    """Return whether all groups above ``node`` let it run."""
    if tree.nodes.get(node.path) is not node:  # discarded meanwhile
        return False
    group = node.parent
    while group is not None:
        if not _open(group) or not group.tally.may_run(node.position):
            return False
        node, group = group, group.parent
    return True


def _may_start(tree: TreeState, node: LiveNode) -> bool:
    """Return whether an Exec may start; a Lazy waits for the Execs of its last tree."""
    if (
        not isinstance(node, LiveExec)
        or node.state is not State.PENDING
        or node.skipped
        or node.retry_at is not None
    ):
        return False
    target = tree.nodes.get(node.spec.lazy_target) if node.spec.lazy_target is not None else None
    return not (isinstance(target, LiveGroup) and target.discarding)
