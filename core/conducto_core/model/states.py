"""The words for what a node is, how it stands, and why it failed."""

from enum import StrEnum


class NodeType(StrEnum):
    """The kinds of node. `Lazy` is a Serial of two; it has no type of its own."""

    EXEC = "Exec"
    SERIAL = "Serial"
    PARALLEL = "Parallel"


class State(StrEnum):
    """How a node stands. Whether it is skipped is a separate flag."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    ERROR = "error"
    KILLED = "killed"


class Cause(StrEnum):
    """Why an attempt, and with it its node, ended in ``error`` or ``killed``."""

    EXIT_CODE = "exit_code"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    IMAGE = "image"
    NO_WORKER = "no_worker"
    WORKER_LOST = "worker_lost"
    KILLED_BY_USER = "killed_by_user"
    LAZY = "lazy"


class StopReason(StrEnum):
    """Why a running Exec is being stopped, while it is."""

    KILL = "kill"
    EXPIRE = "expire"
    RESET = "reset"


IN_FLIGHT = frozenset({State.QUEUED, State.RUNNING})
FAILED = frozenset({State.ERROR, State.KILLED})
FINISHED = FAILED | {State.DONE}

#: The state that an attempt ends in, by its cause; None is success.
STATE_OF_CAUSE: dict[Cause | None, State] = {
    None: State.DONE,
    Cause.EXIT_CODE: State.ERROR,
    Cause.IMAGE: State.ERROR,
    Cause.LAZY: State.ERROR,
    Cause.NO_WORKER: State.ERROR,
    Cause.TIMEOUT: State.KILLED,
    Cause.OUT_OF_MEMORY: State.KILLED,
    Cause.WORKER_LOST: State.KILLED,
    Cause.KILLED_BY_USER: State.KILLED,
}
