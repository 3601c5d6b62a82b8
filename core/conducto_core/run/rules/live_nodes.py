"""The nodes of a tree with their states, and for groups the counts of the nodes below."""

from enum import Enum, auto
from typing import Any, Literal

from conducto_core.run.model.states import FAILED, Cause, NodeType, State, StopReason
from conducto_core.run.rules.outcomes import (
    INDEX,
    LEFT_OUT,
    PENDING,
    QUEUED,
    RUNNING,
    SKIPPED,
    Outcome,
    Rollup,
    group_state,
    group_warns,
    seen_by_parent,
    suppress,
    tolerated_failures,
)
from conducto_core.tree.model import NodeSpec


class Notice(Enum):
    """A task for the machine about a node, before an event is finished.

    ``TURN``: the node may be ready to start. ``FAILED``: a group failed and its callbacks have not
    decided. ``IDLE``: a target that is to be emptied has no more Execs in flight.
    """

    TURN = auto()
    FAILED = auto()
    IDLE = auto()


#: Outcomes by state and flag: a large tree needs millions.
SEEN = {
    (state, skipped): seen_by_parent(state, skipped=skipped)
    for state in State
    for skipped in (False, True)
}


class LiveNode:
    """The common part of all nodes. `NodeState` describes the fields."""

    __slots__ = (
        "attempt",
        "cause",
        "condition",
        "expired",
        "interruptions",
        "lost",
        "lost_starts",
        "mem",
        "parent",
        "position",
        "skipped",
        "spec",
        "state",
        "tries",
        "warning",
    )

    def __init__(self, spec: NodeSpec, parent: "LiveGroup | None", position: int) -> None:
        self.spec = spec
        self.parent = parent
        self.position = position
        self.state = State.PENDING
        self.skipped = spec.skip
        self.cause: Cause | None = None
        self.warning = False
        self.expired = False
        self.condition: Literal["false", "ignored"] | None = None
        self.attempt = 0
        self.tries = 0
        self.lost = 0
        self.lost_starts = 0
        self.interruptions = 0
        self.mem: float | None = None

    @property
    def path(self) -> str:
        """The node's path."""
        return self.spec.path

    def is_skipped(self) -> bool:
        """Return whether the node or a group above it is skipped."""
        node: LiveNode | None = self
        while node is not None and not node.skipped:
            node = node.parent
        return node is not None

    def seen(self) -> Outcome:
        """Return the outcome that the parent sees."""
        return SEEN[self.state, self.skipped]

    def is_tolerated(self) -> bool:
        """Return whether the map around it can be done although it failed."""
        group = self.parent
        return group is not None and group.spec.map is not None and group.tally.can_succeed


class LiveExec(LiveNode):
    """An Exec.

    Attributes:
        fresh: A user reset it after it had run, so the cache does not apply until it is done.
        known: As that of `NodeState`.
        stop_reason: The reason for which it is being stopped, if it is.
        retry_at: When its next attempt may start, while it waits for that; in seconds since the
            epoch. `TreeState.set_retry` sets it.
    """

    __slots__ = ("fresh", "known", "retry_at", "stop_reason")

    def __init__(self, spec: NodeSpec, parent: "LiveGroup | None", position: int) -> None:
        super().__init__(spec, parent, position)
        self.fresh = False
        self.known: dict[str, Any] | None = None
        self.stop_reason: StopReason | None = None
        self.retry_at: float | None = None


class LiveGroup(LiveNode):
    """A Serial or a Parallel.

    Attributes:
        counts: Execs below by state, then of the skipped ones (`conducto_core.run.rules.outcomes`).
        retrying: Number of Execs below that wait for a retry.
        held: It failed and its callbacks have not decided; its parent still sees it as unfinished.
        given_up: Its callbacks have decided to let it fail.
        discarding: A Lazy's target whose Execs are being stopped before it is emptied.
        reported: Its last recorded state.
    """

    __slots__ = (
        "children",
        "counts",
        "discarding",
        "given_up",
        "held",
        "reported",
        "retrying",
        "tally",
        "total",
    )

    def __init__(self, spec: NodeSpec, parent: "LiveGroup | None", position: int) -> None:
        super().__init__(spec, parent, position)
        self.children: list[LiveNode] = []
        self.counts = [0] * (LEFT_OUT + 1)
        self.total = 0
        self.retrying = 0
        self.held = False
        self.given_up = False
        self.discarding = False
        self.tally = Rollup([], serial=False, stop_on_error=False)
        self.reported = self.status()

    def status(self) -> tuple[State, bool, bool, Cause | None, int]:
        """Return the published part of its state; a new try counts even if nothing else differs."""
        return self.state, self.warning, self.skipped, self.cause, self.tries

    def in_flight(self) -> bool:
        """Whether an Exec below is queued or running, or waits for a retry."""
        return self.counts[QUEUED] + self.counts[RUNNING] + self.retrying > 0

    def fails_below(self) -> bool:
        """Whether an Exec below is in error or killed."""
        return any(self.counts[INDEX[state]] for state in FAILED)

    def rebuild(self) -> None:
        """Compute the tally, the counts and the state from the children."""
        is_serial = self.spec.type is NodeType.SERIAL
        self.tally = Rollup(
            [child.seen() for child in self.children],
            serial=is_serial,
            stop_on_error=self.spec.stop_on_error,
            warned=[i for i, child in enumerate(self.children) if child.warning],
            tolerated=0 if is_serial else tolerated_failures(len(self.children), self.spec.map),
        )
        self.counts = [0] * (LEFT_OUT + 1)
        self.total = 0
        self.retrying = sum(map(retrying_below, self.children))
        for child in self.children:
            if not isinstance(child, LiveGroup):
                self.total += 1
                self.counts[INDEX[child.state]] += 1
                self.counts[SKIPPED] += child.skipped
                self.counts[LEFT_OUT] += child.skipped and child.state is State.PENDING
                continue
            self.total += child.total
            for index, number in enumerate(contribution(child)):
                self.counts[index] += number
        self.settle_state()

    def settle_state(self) -> None:
        """Derive the state and the warning from tally, counts and flags."""
        raw = self.raw_state()
        if raw not in FAILED:
            self.given_up = False
        if self.held:
            raw = State.PENDING
        self.state, own = suppress(raw, suppress_errors=self.spec.suppress_errors)
        below = bool(self.tally.warned) or (raw is State.DONE and self.tally.failed > 0)
        self.warning = group_warns(self.state, own=own, any_child_warns=below)
        self.cause = Cause.TIMEOUT if raw is State.KILLED else None

    def raw_state(self) -> State:
        """Return the state before suppression and before a decision of its callbacks."""
        children = Outcome.UNFINISHED if self.spec.awaits_tree else self.tally.outcome()
        return group_state(children, in_flight=self.in_flight(), expired=self.expired)


def execs_below(node: LiveNode) -> int:
    """Return the number of Execs in the subtree of ``node``."""
    return node.total if isinstance(node, LiveGroup) else 1


def retrying_below(node: LiveNode) -> int:
    """Return the number of Execs in the subtree of ``node`` that wait for a retry."""
    if isinstance(node, LiveGroup):
        return node.retrying
    return int(isinstance(node, LiveExec) and node.retry_at is not None)


def contribution(node: LiveNode) -> list[int]:
    """Return the numbers that ``node`` adds to its parent's counts."""
    if isinstance(node, LiveGroup):
        if not node.skipped:
            return node.counts
        return [*node.counts[:SKIPPED], node.total, node.counts[PENDING]]
    counts = [0] * (LEFT_OUT + 1)
    counts[INDEX[node.state]] = 1
    counts[SKIPPED] = int(node.skipped)
    counts[LEFT_OUT] = int(node.skipped and node.state is State.PENDING)
    return counts
