"""Effects and checks outside of requests, as events of asynchronous invocations. No I/O.

Only names: whatever they stand for is read from the pipeline's journal when they are executed, so
that an event can be lost, delivered twice or executed late. The first workers are an exception: to
read a large tree takes seconds, and they are launched before, if the journal has no later entry.
"""

from typing import Literal

from chalicelib.workers.port import WorkerTask
from conducto_core.record import Record

#: Sort key of the mark that an executor of a pipeline's effects renews, among its workers.
EXECUTOR = "effects"


class LazyReply(Record):
    """The task of a Lazy that printed a tree; its output is the machine that runs the tree."""

    token: str
    target: str


class DeferredEffects(Record):
    """Effects of a pipeline.

    Attributes:
        run: The run to start.
        workers: Ids of the workers to launch.
        first: Some of them, as the journal implies with its entry ``entry``.
        replies: Tasks to complete after their machines are created.
        builds: Names of the images whose builds to start.
        room: Whether to look for free workers (``make``), or to hand them on.
        ended: A run of it has ended: send its spans, and copy its output.
        copied: Number of attempts whose output is copied.
        unlimited: ``(path, attempt)`` of attempts whose named limits could not be released.
        expands: Maps wait for their expansion.
        looks: Commands that wait for an equal one look into the cache again.
        machine: ARN of the run's machine, if an earlier invocation created a part of its machines.
        created: Number of machines that it created.
    """

    org: str
    pipeline_id: str
    run: str | None = None
    workers: tuple[str, ...] = ()
    first: tuple[WorkerTask, ...] = ()
    entry: int = 0
    replies: tuple[LazyReply, ...] = ()
    builds: tuple[str, ...] = ()
    room: Literal["make", "hand_on"] | None = None
    ended: bool = False
    copied: int = 0
    unlimited: tuple[tuple[str, int], ...] = ()
    looks: bool = False
    expands: bool = False
    machine: str | None = None
    created: int = 0

    def are_any(self) -> bool:
        """Return whether there is anything to do."""
        effects = (self.run, self.workers, self.replies, self.builds, self.room, self.unlimited)
        return self.ended or self.looks or self.expands or any(effects)


class PipelineCheck(Record):
    """A pipeline to check.

    Attributes:
        running: ``{worker id: task ARN}`` of its tasks that have not stopped; None: list them.
    """

    org: str
    pipeline_id: str
    running: dict[str, str] | None = None


class Checks(Record):
    """Pipelines to check.

    Attributes:
        listed: When their tasks were listed, in seconds since the epoch.
    """

    listed: float
    pipelines: tuple[PipelineCheck, ...]


class BackgroundEvent(Record):
    """The event of an invocation of the function ``background``.

    Attributes:
        effects: Effects to execute, or None.
        checks: Pipelines to check, or None.
        before: Number of invocations in its chain before this one.
    """

    effects: DeferredEffects | None = None
    checks: Checks | None = None
    before: int = 0
