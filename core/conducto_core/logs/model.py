"""Records of the output of several commands in one sequence."""

from typing import Literal

from pydantic import Field

from conducto_core.record import Record
from conducto_core.run.model.params import MAX_PATTERN, PipelineId
from conducto_core.run.model.responses import GroupKind

#: Maximum lines of a page, characters of a line, and characters of a cursor and of ``nodes``.
MAX_MERGED_LINES = 2000
MAX_MERGED_TEXT = 2000
MAX_CURSOR = 8000
MAX_NODES_TEXT = 8000

Level = Literal["info", "warning", "error"]
#: The streams of a command, and the lines of the services beside it.
MergedStream = Literal["stdout", "stderr", "services"]


class MergedPageParams(Record):
    """The output of the newest attempts below a node, by time.

    Attributes:
        nodes: Only the commands at and below these paths, one a line.
        hidden: Not the commands at and below these paths, one a line. Of the paths of both lists at
            and above a command, the deepest one decides.
        failed: Only commands that failed.
        level: Only lines of this level or a higher one.
        text: Text that a line must contain.
        services: Also the output of the services beside the commands, unless ``stream`` is set.
        regex: ``text`` is a Python regular expression, matched within one line.
        at: `MergedPage.back` or `MergedPage.next`; without it, the page has the newest lines.
        limit: Maximum lines.
    """

    id: PipelineId
    root: str = "/"
    nodes: str | None = Field(default=None, max_length=MAX_NODES_TEXT)
    hidden: str | None = Field(default=None, max_length=MAX_NODES_TEXT)
    failed: bool = False
    services: bool = True
    level: Level | None = None
    text: str | None = Field(default=None, min_length=1, max_length=MAX_PATTERN)
    regex: bool = False
    ignore_case: bool = False
    stream: MergedStream | None = None
    at: str | None = Field(default=None, max_length=MAX_CURSOR)
    limit: int = Field(default=500, ge=1, le=MAX_MERGED_LINES)


class MergedNode(Record):
    """A command whose output is in a page."""

    path: str
    attempt: int


class MergedLine(Record):
    """A line of output.

    Attributes:
        node: Its command, as a place in `MergedPage.nodes`.
        time: When it was read from the command's pipe, in seconds since the epoch.
        offset: Position of its first byte in the stream.
        service: Name of the service that printed it; None: the command itself.
        text: The line; of a longer one its start, or the part around the match.
        match: Start and end of the match in ``text``.
        marker: The line starts or ends a group of lines of its stream, with the title of the group;
            not in a page with a filter.
    """

    node: int
    stream: MergedStream
    time: float
    offset: int
    level: Level
    text: str
    service: str | None = None
    match: tuple[int, int] | None = None
    marker: tuple[GroupKind, str] | None = None


class UnreadOutput(Record):
    """Commands whose output is not in the sequence.

    Attributes:
        reason: Why, and how they can be read.
        again: The same request may read them a moment later.
    """

    count: int
    reason: str
    again: bool = False


class MergedPage(Record):
    """Lines of several commands by time, and the way to earlier and later ones.

    Attributes:
        back: Continues with earlier lines; None at the start, and in a page of later lines.
        next: Continues with later lines, also with those that do not exist yet; None if all
            commands have ended, and in a page of earlier lines.
        commands: Number of commands that have started.
        left: Those whose earlier output has not been read or searched yet.
        unread: Those that cannot be read now, for each reason.
    """

    nodes: tuple[MergedNode, ...] = ()
    lines: tuple[MergedLine, ...] = ()
    back: str | None = None
    next: str | None = None
    commands: int = 0
    left: int = 0
    unread: tuple[UnreadOutput, ...] = ()
