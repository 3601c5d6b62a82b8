"""Node types, states and causes of failures."""

from enum import StrEnum


class NodeType(StrEnum):
    """The types of nodes. A `Lazy` is a Serial of two nodes; it has no type of its own."""

    EXEC = "Exec"
    SERIAL = "Serial"
    PARALLEL = "Parallel"


class State(StrEnum):
    """The states of a node. Skipped is a separate flag."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    ERROR = "error"
    KILLED = "killed"


class Cause(StrEnum):
    """The causes for which an attempt, and so its node, ended in ``error`` or ``killed``."""

    EXIT_CODE = "exit_code"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    IMAGE = "image"
    NO_WORKER = "no_worker"
    NO_CAPACITY = "no_capacity"
    WORKER_LOST = "worker_lost"
    SPOT = "spot"
    KILLED_BY_USER = "killed_by_user"
    LAZY = "lazy"
    INPUT = "input"
    SERVICE = "service"
    SPEND_LIMIT = "spend_limit"
    BUDGET = "budget"
    REJECTED = "rejected"
    APPROVAL_TIMEOUT = "approval_timeout"


class StopReason(StrEnum):
    """The reasons to stop a running Exec."""

    KILL = "kill"
    EXPIRE = "expire"
    RESET = "reset"
    SPEND_LIMIT = "spend_limit"
    BUDGET = "budget"


IN_FLIGHT = frozenset({State.QUEUED, State.RUNNING})
FAILED = frozenset({State.ERROR, State.KILLED})
FINISHED = FAILED | {State.DONE}

#: The final state of an attempt, by its cause; None is success.
STATE_OF_CAUSE: dict[Cause | None, State] = {
    None: State.DONE,
    Cause.EXIT_CODE: State.ERROR,
    Cause.IMAGE: State.ERROR,
    Cause.LAZY: State.ERROR,
    Cause.INPUT: State.ERROR,
    Cause.SERVICE: State.ERROR,
    Cause.NO_WORKER: State.ERROR,
    Cause.NO_CAPACITY: State.ERROR,
    Cause.REJECTED: State.ERROR,
    Cause.APPROVAL_TIMEOUT: State.KILLED,
    Cause.TIMEOUT: State.KILLED,
    Cause.OUT_OF_MEMORY: State.KILLED,
    Cause.WORKER_LOST: State.KILLED,
    Cause.SPOT: State.KILLED,
    Cause.KILLED_BY_USER: State.KILLED,
    Cause.SPEND_LIMIT: State.KILLED,
    Cause.BUDGET: State.KILLED,
}
