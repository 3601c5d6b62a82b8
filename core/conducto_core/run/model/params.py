"""The path and query parameters of the API's operations.

Node paths are in the query string, because a node's name may contain any character but "/".
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from conducto_core.record import Record
from conducto_core.run.model.states import State

#: Maximum number of pipelines in a `PipelineList`.
MAX_PIPELINES_PAGE = 1000
#: Maximum number of runs in a `RunHistory`, and of the newest pipelines searched for them.
MAX_HISTORY = 30
MAX_HISTORY_SCAN = 2000
#: Maximum number of nodes in a `TreePage`; a search returns fewer after `MAX_TREE_SCAN` nodes.
MAX_TREE_PAGE = 10_000
MAX_TREE_SCAN = 50_000
#: Maximum number of nodes in a `TreePage` with tails.
MAX_TAILS = 100
#: Maximum number of nodes in a `TreePage` that is ordered by time or memory.
MAX_RANKED = 200
#: Maximum number of Execs in a `NodeStates`.
MAX_STATES = 20_000
#: Maximum bytes of a `LogChunk`, `LogLines` or `ImageLog`.
MAX_LOG_CHUNK = 4 << 20
MAX_LOG_LINES = 10_000
#: Maximum matches in a `LogMatches`, bytes searched at once, and characters of a pattern.
MAX_LOG_MATCHES = 1000
MAX_LOG_SCAN = 64 << 20
MAX_PATTERN = 1000
#: Maximum seconds that a request may wait for changes.
MAX_WAIT = 30.0
#: Maximum entries in a `DataList`, and bytes of a data file's name.
MAX_DATA_PAGE = 1000
MAX_DATA_NAME = 4096
#: Maximum entries that are checked for a `ChangedData`, and levels of directories.
MAX_DATA_SCAN = 100_000
MAX_DATA_DEPTH = 50
#: Maximum characters of a search text.
MAX_TEXT = 1000

#: The order of the nodes in a `TreePage`.
Order = Literal["definition", "time", "memory"]
PipelineId = Annotated[str, Field(min_length=1, max_length=64)]
Stream = Literal["stdout", "stderr"]
#: The other output stream of an attempt.
OTHER: Mapping[Stream, Stream] = {"stdout": "stderr", "stderr": "stdout"}
AttemptNumber = Annotated[int | None, Field(ge=1, le=2**31)]
ByteOffset = Annotated[int, Field(ge=-(2**62), le=2**62)]
Wait = Annotated[float, Field(ge=0, le=MAX_WAIT, allow_inf_nan=False)]
Moment = Annotated[float, Field(ge=0, le=2**40, allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]


class NoParams(Record):
    """No parameters."""


class ListParams(Record):
    """A query for pipelines.

    Attributes:
        state: Only pipelines whose root is in this state.
        text: Only pipelines whose id, title, tags or program contain this text, ignoring case.
        parent: Only pipelines that commands of this pipeline launched.
        lifecycle: ``listed`` leaves archived pipelines out, ``archived`` selects only these.
        after: Id of the pipeline to continue after, from `PipelineList.next`.
        history: Also return the results of the newest runs of each pipeline, and of `parent`.
    """

    state: State | None = None
    tag: str | None = None
    owner: str | None = None
    text: Text | None = None
    parent: PipelineId | None = None
    lifecycle: Literal["listed", "active", "sleeping", "archived", "all"] = "listed"
    after: PipelineId | None = None
    limit: int = Field(default=MAX_PIPELINES_PAGE, ge=1, le=MAX_PIPELINES_PAGE)
    history: bool = False


class PipelineParams(Record):
    """The id of a pipeline."""

    id: PipelineId


class ProgramParams(Record):
    """The program of which pipelines are requested, by its title or by its script and function.

    Attributes:
        title: Exact title of the pipelines; ignored if a function is named.
        program: Their script; without a function, None for any.
        function: The function of the script that made their trees; their titles may differ.
    """

    title: str | None = Field(default=None, max_length=10_000)
    program: str | None = None
    function: str | None = None

    @model_validator(mode="after")
    def _names_a_program(self) -> Self:
        if self.function is not None and self.program is None:
            raise ValueError("a function needs its script: name program, too")
        if self.function is None and self.title is None:
            raise ValueError("name a title, or a program and its function")
        return self


class TreeParams(Record):
    """A query for a part of a tree.

    With ``state``, ``failed``, ``waiting`` or ``text`` it is a search: ``next`` may be set although
    fewer nodes than ``limit``, or none, are returned.

    Attributes:
        root: Path of the subtree's root.
        after: Path to continue after: `TreePage.next`, or any node of the subtree.
        depth: Levels below the root; 1 is the root and its children. None is all levels.
        state: Only Execs in this state; with ``failed``, groups as well. Skipped nodes also count
            by their state.
        failed: Only nodes that failed by themselves and are not skipped: Execs, and groups whose
            ``max_time`` ran out in place of the Execs that this ended.
        waiting: Only Execs that wait by themselves: queued ones, and those that wait for a retry.
        text: Only nodes whose path or command contains this text, ignoring case. A ``*`` matches
            any characters but "/" in a path: ``tests/*/login``.
        attempts: The attempts of each node to return.
        tails: Also return the end of the output of each failed Exec's newest attempt; a page then
            has at most `MAX_TAILS` nodes.
        order: ``time`` and ``memory`` return only the Execs whose newest attempts took longest, or
            used most memory, in this order; at most `MAX_RANKED`, without a next page.
    """

    id: PipelineId
    root: str = "/"
    after: str | None = None
    limit: int = Field(default=1000, ge=1, le=MAX_TREE_PAGE)
    depth: int | None = Field(default=None, ge=0, le=2**31)
    state: State | None = None
    failed: bool = False
    waiting: bool = False
    text: Text | None = None
    attempts: Literal["all", "newest", "none"] = "all"
    tails: bool = False
    order: Order = "definition"

    @model_validator(mode="after")
    def _is_one_page(self) -> Self:
        if self.order != "definition" and self.after is not None:
            raise ValueError(f"after cannot be combined with order={self.order}")
        return self

    @property
    def maximum(self) -> int:
        """Maximum number of nodes in a page."""
        limit = min(self.limit, MAX_TAILS) if self.tails else self.limit
        return limit if self.order == "definition" else min(limit, MAX_RANKED)


class StatesParams(Record):
    """A query for the states of a subtree.

    Attributes:
        names: Also return the names; they change only when a Lazy has printed its tree.
    """

    id: PipelineId
    root: str = "/"
    names: bool = False


class NodeParams(Record):
    """The path of a node."""

    id: PipelineId
    path: str


class LogFileParams(Record):
    """The output stream of an attempt.

    Attributes:
        attempt: Counted from 1; None is the newest.
    """

    id: PipelineId
    path: str
    attempt: AttemptNumber = None
    stream: Stream = "stdout"


class LogParams(LogFileParams):
    """A part of an output stream.

    Attributes:
        offset: Bytes from the start; a negative number counts from the end.
        wait: Seconds to wait until there is output at ``offset`` or the stream is complete; to
            follow a stream, continue at the end of the last response.
        times: Also return when the output was read from the command's pipe.
    """

    offset: ByteOffset = 0
    limit: int = Field(default=1 << 20, ge=1, le=MAX_LOG_CHUNK)
    wait: Wait = 0.0
    times: bool = False


class LogLinesParams(LogFileParams):
    """Lines of an output stream.

    Attributes:
        first: Number of the first line, counted from 0; a negative number counts from the end.
    """

    first: int = Field(default=0, ge=-(2**53), le=2**53)
    count: int = Field(default=1000, ge=1, le=MAX_LOG_LINES)
    limit: int = Field(default=1 << 20, ge=1, le=MAX_LOG_CHUNK)


class LogSearchParams(LogFileParams):
    """A search in an output stream.

    Attributes:
        text: Text that a line must contain.
        regex: ``text`` is a Python regular expression, matched within one line.
        offset: Byte to start at, the start of a line: 0 or `LogMatches.next`.
    """

    text: str = Field(min_length=1, max_length=MAX_PATTERN)
    regex: bool = False
    ignore_case: bool = False
    offset: int = Field(default=0, ge=0, le=2**62)
    limit: int = Field(default=100, ge=1, le=MAX_LOG_MATCHES)


class LogOutlineParams(LogFileParams):
    """The outline of a part of an output stream.

    Attributes:
        offset: Byte to start at: 0 or `LogOutline.next`.
    """

    offset: int = Field(default=0, ge=0, le=2**62)


class ImageParams(Record):
    """The name of an image of a pipeline."""

    id: PipelineId
    image: str


class ImageLogParams(ImageParams):
    """A part of the log of an image's build; like `LogParams`."""

    offset: ByteOffset = 0
    limit: int = Field(default=MAX_LOG_CHUNK, ge=1, le=MAX_LOG_CHUNK)
    wait: Wait = 0.0


class UserDataParams(Record):
    """A directory or file of the user's data."""

    name: str = Field(default="", max_length=MAX_DATA_NAME)

    @property
    def pipeline(self) -> str | None:
        """The id of the pipeline that has the data; None is the user's data."""
        return None


class DataParams(UserDataParams):
    """A directory or file of a pipeline's data."""

    id: PipelineId

    @property
    def pipeline(self) -> str:
        """The id of the pipeline."""
        return self.id


class ListUserDataParams(UserDataParams):
    """A query for entries of a directory of the user's data.

    Attributes:
        name: Path of the directory below the data; empty is the data itself.
        after: Name of the entry to continue after, from `DataList.next`.
    """

    after: str | None = Field(default=None, max_length=MAX_DATA_NAME)
    limit: int = Field(default=MAX_DATA_PAGE, ge=1, le=MAX_DATA_PAGE)


class ListDataParams(ListUserDataParams, DataParams):
    """A query for entries of a directory of a pipeline's data."""


class ChangedDataParams(Record):
    """A time range in seconds since the epoch; without an end, until now."""

    id: PipelineId
    since: Moment
    until: Moment | None = None
    limit: int = Field(default=MAX_DATA_PAGE, ge=1, le=MAX_DATA_PAGE)


class EventParams(Record):
    """The position to continue from: the number of the last change that the reader has."""

    id: PipelineId
    cursor: int = Field(default=0, ge=0, le=2**62)


class StopParams(Record):
    """Options for stopping the agent.

    Attributes:
        if_idle: Reject the request if a pipeline runs, or will start by itself.
    """

    if_idle: bool = False
