"""Differences between two pipelines, and the history of a program's nodes."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from conducto_core.record import Record
from conducto_core.run.model.params import PipelineId, ProgramParams
from conducto_core.run.model.states import Cause, NodeType, State

#: Maximum differences of each kind in a response.
MAX_DIFFERENCES = 1000
#: Maximum pipelines whose nodes are compared for a history, and nodes in each list of it.
MAX_HISTORY_RUNS = 100
MAX_HISTORY_NODES = 1000
#: Maximum pipelines in the history of one node.
MAX_NODE_RUNS = 200
#: Maximum names of a changed field.
MAX_NAMES = 20


class DifferenceKind(StrEnum):
    """The kinds of differences, in the order of a response."""

    NEWLY_FAILING = "newly_failing"
    FIXED = "fixed"
    SLOWER = "slower"
    FASTER = "faster"
    COMMAND = "command"
    PARAMETER = "parameter"
    IMAGE = "image"
    NODE_IMAGE = "node_image"
    RESULT = "result"
    ADDED = "added"
    REMOVED = "removed"


class ComparisonParams(Record):
    """The pipelines of a comparison.

    Attributes:
        id: The later pipeline.
        other: The pipeline that it is compared with.
        limit: Maximum number of differences of each kind.
    """

    id: PipelineId
    other: PipelineId
    limit: int = Field(default=100, ge=1, le=MAX_DIFFERENCES)


class Difference(Record):
    """One difference between two pipelines.

    Attributes:
        name: Path of the node, or name of the image or parameter.
        before: In the other pipeline: the state, seconds, command, image, parameter or result,
            shortened; None if it is missing there.
        after: The same in the later pipeline.
        seconds: Additional seconds of a slower or faster node.
    """

    name: str
    before: str | None = None
    after: str | None = None
    seconds: float | None = None


class DifferenceList(Record):
    """The differences of one kind.

    Attributes:
        count: Their number, with those that are not in ``items``.
    """

    kind: DifferenceKind
    count: int
    items: tuple[Difference, ...] = ()


class PipelineComparison(Record):
    """The differences between two pipelines.

    Attributes:
        before: Full id of the other pipeline.
        after: Full id of the later pipeline.
        nodes: Number of commands that both have.
        differences: The kinds of which there are any.
        complete: Whether all results were compared; only so many are read.
    """

    before: str
    after: str
    nodes: int = 0
    differences: tuple[DifferenceList, ...] = ()
    complete: bool = True


class WhyParams(Record):
    """A node whose newest attempt is explained."""

    id: PipelineId
    path: str


class ChangedField(Record):
    """A field of a fingerprint in which two attempts differ.

    Attributes:
        names: The files, variables, secrets or results that differ, at most `MAX_NAMES`.
        count: Their number; 0 if they are not known.
    """

    field: str
    names: tuple[str, ...] = ()
    count: int = 0


class Why(Record):
    """The reason why a node ran, or did not.

    Attributes:
        path: The node.
        attempt: Number of its newest attempt that started; None if there is none.
        reason: A sentence.
        pipeline: Id of the pipeline of the attempt that it is compared with: the nearest that
            passed, or else the nearest. None: there is none.
        other: Number of that attempt.
        ended: When that attempt ended, in seconds since the epoch.
        changed: The fields in which they differ.
        equal: The fields in which they do not.
        cache: Of a command with a cache that ran: why its outcome was not in the cache.
        not_stored: Why its outcome is not in the cache now.
    """

    path: str
    attempt: int | None = None
    reason: str
    pipeline: str | None = None
    other: int | None = None
    ended: float | None = None
    changed: tuple[ChangedField, ...] = ()
    equal: tuple[str, ...] = ()
    cache: str | None = None
    not_stored: str | None = None


class NodeHistoryParams(ProgramParams):
    """The program whose nodes are queried.

    Attributes:
        runs: Maximum number of finished pipelines, the newest first.
        limit: Maximum number of nodes in each list.
        before: Only pipelines that were launched before this time, in seconds since the epoch.
    """

    runs: int = Field(default=30, ge=1, le=MAX_HISTORY_RUNS)
    limit: int = Field(default=10, ge=1, le=MAX_HISTORY_NODES)
    before: float | None = None


class FlakyNode(Record):
    """A command that failed and passed without a change.

    Attributes:
        outcomes: A letter for each pipeline, the oldest first: ``p`` passed, ``r`` passed after a
            retry, ``f`` failed, ``-`` did not run.
        flaked: Number of pipelines in which it failed or passed only after a retry.
        runs: Number of pipelines in which it ran.
        lost_seconds: Total time of its failed attempts.
    """

    path: str
    outcomes: str
    flaked: int
    runs: int
    lost_seconds: float


class SlowNode(Record):
    """A command that takes much of the time.

    Attributes:
        median_seconds: Over the pipelines in which it passed.
        slow_seconds: 95 % of these took at most so long; None for fewer than five.
        share: Of the sum of the medians of all commands.
        newest_seconds: In the newest of these pipelines.
        runs: Number of these pipelines.
    """

    path: str
    median_seconds: float
    slow_seconds: float | None = None
    share: float
    newest_seconds: float
    runs: int


class SizeAdvice(Record):
    """A command that asks for more memory than it uses.

    Attributes:
        mem: GB that it asked for in the newest pipeline.
        peak: Maximum GB that it used in these pipelines.
        enough: GB to ask for instead.
        runs: Number of pipelines in which it passed with a known use.
        dollars_month: The saving of a month of its workers, at the rate of these pipelines and
            AWS's price on demand; 0 if the worker has the same size.
    """

    path: str
    mem: float
    peak: float
    enough: float
    runs: int
    dollars_month: float


class ImageAdvice(Record):
    """A command whose image or container takes most of its time.

    Attributes:
        image: Reference of its image in the newest pipeline, if known.
        kind: ``image``: it waits until its image is pulled or built. ``start``: until its container
            runs, which includes the download of the image in the cloud.
        wait_seconds: Median of this wait, over the pipelines in which it passed.
        seconds: Median of the wait and the command together.
        runs: Number of these pipelines.
    """

    path: str
    image: str | None = None
    kind: Literal["image", "start"]
    wait_seconds: float
    seconds: float
    runs: int


class NodeHistory(Record):
    """The flaky and the slowest nodes of a program, and advice about sizes and images.

    Attributes:
        pipelines: Ids of the finished pipelines, the oldest first.
        flaky: The most often flaky nodes first.
        flaky_count: Number of all flaky nodes.
        slowest: The slowest nodes first.
        sizes: Nodes that ask for too much memory, the largest saving first.
        sizes_count: Number of all such nodes.
        images: Nodes whose image takes most of their time, the longest wait first.
        images_count: Number of all such nodes.
        complete: Whether all requested pipelines were read; large ones take too long.
    """

    pipelines: tuple[str, ...] = ()
    flaky: tuple[FlakyNode, ...] = ()
    flaky_count: int = 0
    slowest: tuple[SlowNode, ...] = ()
    sizes: tuple[SizeAdvice, ...] = ()
    sizes_count: int = 0
    images: tuple[ImageAdvice, ...] = ()
    images_count: int = 0
    complete: bool = True


class UsedMemory(Record):
    """The memory that earlier attempts of a command used.

    Attributes:
        gb: GB; the 99th percentile of the attempts that passed or ran out of memory.
        attempts: Number of these.
    """

    path: str
    gb: float
    attempts: int


class MemoryHistory(Record):
    """The memory that commands of a program used, by which ``mem="auto"`` is decided.

    Attributes:
        most: GB that a command can have on the target; None if it is not known.
    """

    nodes: tuple[UsedMemory, ...] = ()
    most: float | None = None


class NodeRunsParams(Record):
    """A node whose runs are queried.

    Attributes:
        id: A pipeline; later ones of its program are left out.
        limit: Maximum number of pipelines, with this one, the newest first.
    """

    id: PipelineId
    path: str
    limit: int = Field(default=60, ge=1, le=MAX_NODE_RUNS)


class RunOfNode(Record):
    """A node in one pipeline: its newest attempt, or of a group, its newest run.

    Attributes:
        created: When the pipeline was launched, in seconds since the epoch.
        seconds: Time in which it ran; None if it did not, or has not ended.
        attempts: Number of the attempt; 0 of a group.
        peak_memory: Bytes, if known.
        from_cache: The pipeline whose outcome it has; it did not run.
        commit: The commit that the pipeline was launched from, if it is known.
        changed: The fields in which its inputs differ from those of the run before; empty for a
            group.
        comparable: Whether all inputs of both are known; if not, only the commands and the
            environments were compared.
    """

    pipeline: str
    created: float
    state: State
    cause: Cause | None = None
    exit_code: int | None = None
    started: float | None = None
    seconds: float | None = None
    attempts: int = 0
    peak_memory: int | None = None
    from_cache: str | None = None
    commit: str | None = None
    changed: tuple[ChangedField, ...] = ()
    comparable: bool = False


class HistoryOfNode(Record):
    """How a node behaved in the pipelines of its program.

    Attributes:
        runs: The newest first, with the queried pipeline; without pipelines in which it did not
            run and was not from the cache.
        usual: Median time in seconds of the runs that passed, but for that of the queried
            pipeline; None without any.
        slow: 95 % of these took at most so many seconds; None for fewer than five.
        since: The pipeline from which on it takes longer, or less long, than before; None if its
            time did not change.
        before: Median time in seconds before that pipeline.
        complete: Whether all pipelines were read; that may take too long.
    """

    path: str
    type: NodeType
    runs: tuple[RunOfNode, ...] = ()
    usual: float | None = None
    slow: float | None = None
    since: str | None = None
    before: float | None = None
    complete: bool = True
