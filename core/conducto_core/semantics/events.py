"""What the machine is told (events, past tense) and what it orders (commands, imperative)."""

from collections.abc import Mapping
from dataclasses import dataclass

from conducto_core.model.nodes import Callback, NodeSpec
from conducto_core.model.states import Cause, State


@dataclass(frozen=True, slots=True)
class Armed:
    """A person pressed Run: from now on, what can start, starts."""


@dataclass(frozen=True, slots=True)
class Disarmed:
    """A person pressed Pause: nothing new starts; what runs finishes."""


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A container began to run a queued Exec."""

    path: str
    attempt: int


@dataclass(frozen=True, slots=True)
class AttemptFinished:
    """A command ended, or an Exec could not be started.

    Attributes:
        cause: Why it failed; None is success. A stop that was ordered overrides it.
        seconds: How long it ran.
        mem: GB it had.
        started: Its command may have begun; not while the Exec is still queued.
        final: It is not tried again: the next attempt would end in the same way.
    """

    path: str
    attempt: int
    cause: Cause | None
    seconds: float = 0.0
    mem: float = 0.0
    started: bool = True
    final: bool = False


@dataclass(frozen=True, slots=True)
class TreeGenerated:
    """A Lazy's running Exec printed a tree; `AttemptFinished` follows.

    Attributes:
        path: The Exec.
        nodes: Resolved nodes, parents first, beginning with the target itself.
    """

    path: str
    nodes: Mapping[str, NodeSpec]


@dataclass(frozen=True, slots=True)
class TimeLimitReached:
    """The ``max_time`` of an Exec or a group ran out while it was running."""

    path: str


@dataclass(frozen=True, slots=True)
class NodesReset:
    """A person wants these subtrees to run again."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NodesSkipped:
    """A person wants these subtrees passed over."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NodesUnskipped:
    """A person takes a skip back."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NodesKilled:
    """A person wants what runs or is queued in these subtrees ended."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NodesModified:
    """Definitions of nodes were edited; attempts that run keep what they began with."""

    nodes: Mapping[str, NodeSpec]


Event = (
    Armed
    | Disarmed
    | AttemptStarted
    | AttemptFinished
    | TreeGenerated
    | TimeLimitReached
    | NodesReset
    | NodesSkipped
    | NodesUnskipped
    | NodesKilled
    | NodesModified
)


@dataclass(frozen=True, slots=True)
class Enqueue:
    """Run this attempt as soon as there is room.

    Attributes:
        mem: GB a retry asked for; None is the definition's.
    """

    path: str
    attempt: int
    mem: float | None = None


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take a queued attempt back; it never ran, and its number is free again."""

    path: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End a running attempt; `AttemptFinished` is awaited."""

    path: str
    attempt: int


@dataclass(frozen=True, slots=True)
class EndAttempt:
    """Write down how an attempt ended; ``note`` is to be added to its message."""

    path: str
    attempt: int
    state: State
    cause: Cause | None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Say `TimeLimitReached` after so many seconds, unless `CancelTimer` comes first."""

    path: str
    seconds: float


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Forget the timer of this node."""

    path: str


@dataclass(frozen=True, slots=True)
class Discard:
    """The tree generated into this node is gone; its attempts remain in the history."""

    path: str


@dataclass(frozen=True, slots=True)
class Notify:
    """Carry out a callback that tells somebody."""

    path: str
    state: State
    callback: Callback


Command = Enqueue | Withdraw | Stop | EndAttempt | StartTimer | CancelTimer | Discard | Notify
