"""The events (past tense) and commands (imperative) of the machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conducto_core.run.model.records import Actor
from conducto_core.run.model.states import Cause, State
from conducto_core.tree.model import Callback, NodeSpec


@dataclass(frozen=True, slots=True)
class Armed:
    """A user ran the pipeline: from now on, every Exec that can start is started."""


@dataclass(frozen=True, slots=True)
class Disarmed:
    """A user paused the pipeline: running Execs finish, and no other starts."""


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A container started to run a queued Exec."""

    path: str
    attempt: int


@dataclass(frozen=True, slots=True)
class AttemptFinished:
    """A command ended, or an Exec could not be started.

    Attributes:
        cause: Cause of the failure; None is success. A requested stop overrides it.
        started: Its command may have started; ignored while the Exec is still queued.
        final: It is not retried: the next attempt would end in the same way.
        exit_code: Exit code of the command, if it ended with one.
        time: When it ended, in seconds since the epoch: a retry may be due some time after it.
        excused: Only quarantined tests failed: the node is done, with a warning.
        known: See `conducto_core.run.model.records.NodeState`.
    """

    path: str
    attempt: int
    cause: Cause | None
    seconds: float = 0.0
    mem: float = 0.0
    started: bool = True
    final: bool = False
    exit_code: int | None = None
    time: float = 0.0
    excused: bool = False
    known: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RetriesDue:
    """The delays before the next attempts of these Execs are over."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TreeGenerated:
    """A Lazy's running Exec printed a tree; `AttemptFinished` follows.

    Attributes:
        nodes: Resolved nodes, parents first, starting with the target itself.
    """

    path: str
    nodes: Mapping[str, NodeSpec]


@dataclass(frozen=True, slots=True)
class TimeLimitReached:
    """The ``max_time`` of an Exec or a group ran out while it was running."""

    path: str


@dataclass(frozen=True, slots=True)
class NodesReset:
    """A user reset these subtrees."""

    paths: tuple[str, ...]
    by: Actor | None = None


@dataclass(frozen=True, slots=True)
class NodesSkipped:
    """A user skipped these subtrees."""

    paths: tuple[str, ...]
    by: Actor | None = None


@dataclass(frozen=True, slots=True)
class NodesUnskipped:
    """A user unskipped these subtrees."""

    paths: tuple[str, ...]
    by: Actor | None = None


@dataclass(frozen=True, slots=True)
class NodesKilled:
    """A user killed the running and queued Execs of these subtrees."""

    paths: tuple[str, ...]
    by: Actor | None = None


@dataclass(frozen=True, slots=True)
class SpendLimitReached:
    """The grace period at the spend limit is over: running Execs stop, queued ones wait."""


@dataclass(frozen=True, slots=True)
class BudgetsReached:
    """The budgets of these nodes are used up, and their commands are to stop then."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NodesModified:
    """Definitions of nodes were edited; running attempts keep their old definitions."""

    nodes: Mapping[str, NodeSpec]
    by: Actor | None = None


@dataclass(frozen=True, slots=True)
class ApprovalsOutdated:
    """Work before or after these waiting approvals was changed, so they are asked again.

    Attributes:
        attempts: ``{path: attempt}`` as they waited before the change.
        change: The change in words.
    """

    attempts: Mapping[str, int]
    change: str


Event = (
    Armed
    | Disarmed
    | AttemptStarted
    | AttemptFinished
    | RetriesDue
    | TreeGenerated
    | TimeLimitReached
    | NodesReset
    | NodesSkipped
    | NodesUnskipped
    | NodesKilled
    | SpendLimitReached
    | BudgetsReached
    | NodesModified
    | ApprovalsOutdated
)


@dataclass(frozen=True, slots=True)
class Enqueue:
    """Run this attempt as soon as there is room.

    Attributes:
        mem: GB that a retry requested; None for those of the definition.
    """

    path: str
    attempt: int
    mem: float | None = None


@dataclass(frozen=True, slots=True)
class RequestApproval:
    """Ask for the decision about this attempt; `AttemptFinished` has it."""

    path: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Remove a queued attempt; it never ran, and its number is free again."""

    path: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop a running attempt; `AttemptFinished` follows."""

    path: str
    attempt: int


@dataclass(frozen=True, slots=True)
class EndAttempt:
    """Record the end of an attempt; ``note`` is appended to its message."""

    path: str
    attempt: int
    state: State
    cause: Cause | None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Send `TimeLimitReached` after ``seconds``, unless `CancelTimer` comes first."""

    path: str
    seconds: float


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Cancel the timer of this node."""

    path: str


@dataclass(frozen=True, slots=True)
class Discard:
    """Delete the tree generated into this node; its attempts remain in the history."""

    path: str


@dataclass(frozen=True, slots=True)
class Notify:
    """Execute a callback that sends a notification."""

    path: str
    state: State
    callback: Callback


#: Those that a driver executes; `conducto_core.run.rules.pipeline_state` executes the rest.
DriverCommand = (
    Enqueue | RequestApproval | Withdraw | Stop | EndAttempt | StartTimer | CancelTimer | Notify
)
Command = DriverCommand | Discard
