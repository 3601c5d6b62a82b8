"""What the calls of the API take in their path and query.

Node paths travel in the query string, because a node's name may hold anything but "/".
"""

from typing import Annotated, Literal

from pydantic import Field

from conducto_core.model.base import Record
from conducto_core.model.states import State

#: Most pipelines in a `PipelineList`.
MAX_PIPELINES_PAGE = 1000
#: Most runs in a `RunHistory`, and how many of the newest pipelines are looked at for them.
MAX_HISTORY = 30
MAX_HISTORY_SCAN = 2000
#: Most nodes in a `TreePage`; a search answers fewer where it has looked at `MAX_TREE_SCAN`.
MAX_TREE_PAGE = 10_000
MAX_TREE_SCAN = 50_000
#: Most nodes in a `TreePage` with tails.
MAX_TAILS = 100
#: Most Execs in a `NodeStates`.
MAX_STATES = 20_000
#: Most bytes in a `LogChunk`, `LogLines` or `ImageLog`.
MAX_LOG_CHUNK = 4 << 20
MAX_LOG_LINES = 10_000
#: Most matches in a `LogMatches`, bytes one search looks at, and characters of a pattern.
MAX_LOG_MATCHES = 1000
MAX_LOG_SCAN = 64 << 20
MAX_PATTERN = 1000
#: Seconds that a call which waits for news may wait.
MAX_WAIT = 30.0
#: Most entries in a `DataList`, and bytes of a data file's name.
MAX_DATA_PAGE = 1000
MAX_DATA_NAME = 4096
#: Most entries that are looked at for a `ChangedData`, and how far down.
MAX_DATA_SCAN = 100_000
MAX_DATA_DEPTH = 50
#: Characters of a text to search for.
MAX_TEXT = 1000

PipelineId = Annotated[str, Field(min_length=1, max_length=64)]
Stream = Literal["stdout", "stderr"]
AttemptNumber = Annotated[int | None, Field(ge=1, le=2**31)]
ByteOffset = Annotated[int, Field(ge=-(2**62), le=2**62)]
Wait = Annotated[float, Field(ge=0, le=MAX_WAIT, allow_inf_nan=False)]
Moment = Annotated[float, Field(ge=0, le=2**40, allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]


class NoParams(Record):
    """Nothing to say."""


class ListParams(Record):
    """Which pipelines.

    Attributes:
        state: Only those whose root is in this state.
        tag: Only those that have this tag.
        owner: Only those of this owner.
        text: Only those whose id, title, tags or program hold this text, in any case.
        lifecycle: ``listed`` leaves archived ones out, ``archived`` is only these.
        after: Id of the pipeline to continue after, from `PipelineList.next`.
        limit: Most pipelines to answer.
        history: Tell how the newest runs of each of them ended as well.
    """

    state: State | None = None
    tag: str | None = None
    owner: str | None = None
    text: Text | None = None
    lifecycle: Literal["listed", "active", "sleeping", "archived", "all"] = "listed"
    after: PipelineId | None = None
    limit: int = Field(default=MAX_PIPELINES_PAGE, ge=1, le=MAX_PIPELINES_PAGE)
    history: bool = False


class PipelineParams(Record):
    """Which pipeline."""

    id: PipelineId


class TreeParams(Record):
    """Which part of a tree.

    With ``state``, ``failed`` or ``text`` it is a search: ``next`` may be set although fewer nodes
    than ``limit``, or none, are answered.

    Attributes:
        root: Path of the subtree's root.
        after: Path to continue after: `TreePage.next`, or any node of the subtree.
        limit: Most nodes to answer.
        depth: Levels below the root; 1 is the root and its children. None is all of them.
        state: Only Execs in this state; with ``failed``, groups as well. Skipped ones count by
            their state, too.
        failed: Only nodes that failed by themselves and are not skipped: Execs, and groups whose
            ``max_time`` ran out in place of the Execs that this ended.
        text: Only nodes whose path or command holds this text, in any case. Where it has a ``*``,
            that stands for anything but "/" in a path: ``tests/*/login``.
        attempts: Which attempts of each node to answer.
        tails: Tell the end of what each failed Exec printed, by the newest attempt that is
            answered; then a page has `MAX_TAILS` nodes at most.
    """

    id: PipelineId
    root: str = "/"
    after: str | None = None
    limit: int = Field(default=1000, ge=1, le=MAX_TREE_PAGE)
    depth: int | None = Field(default=None, ge=0, le=2**31)
    state: State | None = None
    failed: bool = False
    text: Text | None = None
    attempts: Literal["all", "newest", "none"] = "all"
    tails: bool = False

    @property
    def most(self) -> int:
        """How many nodes a page may have."""
        return min(self.limit, MAX_TAILS) if self.tails else self.limit


class StatesParams(Record):
    """Which subtree.

    Attributes:
        names: Tell the names too; they change only where a Lazy has printed its tree.
    """

    id: PipelineId
    root: str = "/"
    names: bool = False


class NodeParams(Record):
    """Which node."""

    id: PipelineId
    path: str


class LogFileParams(Record):
    """Which output.

    Attributes:
        attempt: Counted from 1; None is the newest.
    """

    id: PipelineId
    path: str
    attempt: AttemptNumber = None
    stream: Stream = "stdout"


class LogParams(LogFileParams):
    """Which piece of which output.

    Attributes:
        offset: Bytes from the start; a negative one counts from the end.
        limit: Most bytes to answer.
        wait: Seconds to wait until there is something at ``offset`` or nothing more will come;
            to follow an output, ask again from the end of what came.
    """

    offset: ByteOffset = 0
    limit: int = Field(default=1 << 20, ge=1, le=MAX_LOG_CHUNK)
    wait: Wait = 0.0


class LogLinesParams(LogFileParams):
    """Which lines of which output.

    Attributes:
        first: Number of the first line, counted from 0; a negative one counts from the end.
        count: Most lines to answer.
        limit: Most bytes to answer.
    """

    first: int = Field(default=0, ge=-(2**53), le=2**53)
    count: int = Field(default=1000, ge=1, le=MAX_LOG_LINES)
    limit: int = Field(default=1 << 20, ge=1, le=MAX_LOG_CHUNK)


class LogSearchParams(LogFileParams):
    """What to look for in which output.

    Attributes:
        text: What a line must hold.
        regex: ``text`` is a regular expression of Python's, matched within one line.
        ignore_case: Letters of either case match.
        offset: Byte to look from, the start of a line: 0 or `LogMatches.next`.
        limit: Most matches to answer.
    """

    text: str = Field(min_length=1, max_length=MAX_PATTERN)
    regex: bool = False
    ignore_case: bool = False
    offset: int = Field(default=0, ge=0, le=2**62)
    limit: int = Field(default=100, ge=1, le=MAX_LOG_MATCHES)


class ImageParams(Record):
    """Which image of a pipeline, by its name."""

    id: PipelineId
    image: str


class ImageLogParams(ImageParams):
    """Which piece of the log of an image's build; like `LogParams`."""

    offset: ByteOffset = 0
    limit: int = Field(default=MAX_LOG_CHUNK, ge=1, le=MAX_LOG_CHUNK)
    wait: Wait = 0.0


class UserDataParams(Record):
    """Which directory of the user's data, or which file there."""

    name: str = Field(default="", max_length=MAX_DATA_NAME)


class DataParams(UserDataParams):
    """Which directory of a pipeline's data, or which file there."""

    id: PipelineId


class ListUserDataParams(UserDataParams):
    """Which part of a directory of the user's data.

    Attributes:
        name: Path of the directory below the data; empty is all of it.
        after: Name of the entry to continue after, from `DataList.next`.
        limit: Most entries to answer.
    """

    after: str | None = Field(default=None, max_length=MAX_DATA_NAME)
    limit: int = Field(default=MAX_DATA_PAGE, ge=1, le=MAX_DATA_PAGE)


class ListDataParams(ListUserDataParams):
    """Which part of a directory of a pipeline's data."""

    id: PipelineId


class ChangedDataParams(Record):
    """Which time of a pipeline's data, in seconds since the epoch; without an end, until now."""

    id: PipelineId
    since: Moment
    until: Moment | None = None
    limit: int = Field(default=MAX_DATA_PAGE, ge=1, le=MAX_DATA_PAGE)


class EventParams(Record):
    """Where to go on from: the number of the last change that the reader has."""

    id: PipelineId
    cursor: int = Field(default=0, ge=0, le=2**62)


class StopParams(Record):
    """How to stop the agent.

    Attributes:
        if_idle: Refuse when a pipeline runs, or will start by itself.
    """

    if_idle: bool = False
