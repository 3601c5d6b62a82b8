"""Answers of the API that are not about one pipeline or node as a whole: lists, logs, files."""

from typing import Literal

from pydantic import Field

from conducto_core.model.base import Record
from conducto_core.model.records import AttemptRecord, ImageRecord
from conducto_core.model.requests import PipelineSummary
from conducto_core.model.states import State


class PipelineRun(Record):
    """One pipeline among the runs of the same; times are seconds since the epoch.

    Attributes:
        settled: Nothing runs, is queued or will start by itself.
        execs: How many Execs it has.
        active_seconds: As of `PipelineSummary`.
        active_since: As of `PipelineSummary`.
    """

    id: str
    state: State
    settled: bool
    execs: int = 0
    started: float | None = None
    ended: float | None = None
    active_seconds: float | None = None
    active_since: float | None = None


class RunHistory(Record):
    """The newest runs of what is the same pipeline: it has this title and this program.

    Attributes:
        runs: At most `MAX_HISTORY`, the newest first, archived ones as well. Those that are not
            among the `MAX_HISTORY_SCAN` newest pipelines are left out.
        ended: How many of them have come to an end, and
        passed: how many of these are done.
        median_seconds: How long those that are done were at work, the time between runs left out.
    """

    title: str
    program: str | None = None
    runs: tuple[PipelineRun, ...] = ()
    ended: int = 0
    passed: int = 0
    median_seconds: float | None = None


class PipelineList(Record):
    """Pipelines, the newest first.

    Attributes:
        next: Id to continue ``after``; None at the end.
        histories: One for each title and program among the pipelines, where they were asked for.
    """

    pipelines: tuple[PipelineSummary, ...]
    next: str | None = None
    histories: tuple[RunHistory, ...] = ()


class AttemptList(Record):
    """Attempts of one node, the first one first."""

    attempts: tuple[AttemptRecord, ...]


class ImageList(Record):
    """Images of one pipeline, in the order of their first use."""

    images: tuple[ImageRecord, ...]


class ImageStep(Record):
    """One step of the build of an image; times are seconds since the epoch.

    Attributes:
        name: As whoever builds it says it, such as ``[2/3] RUN make``; of a state of the build
            (`conducto_core.model.records.ImageState`) its word.
        within: The state of the build that it is a part of; None for such a state itself.
        ended: None while it is under way.
        cached: Nothing had to be done, because it was done before.
        error: Why it failed.
    """

    name: str
    within: str | None = None
    started: float | None = None
    ended: float | None = None
    cached: bool = False
    error: str | None = None


class ImageLog(Record):
    """What the build of an image printed.

    Attributes:
        steps: Those of the newest build, in the order in which they began; none where the build
            does not tell them.
        text: Bytes that are no UTF-8 are replaced.
        offset: Position of the first byte.
        next: Position behind the last byte; no character is cut there.
        size: Bytes the log has so far.
        complete: The build has ended; no more will come from it.
    """

    text: str
    offset: int = 0
    next: int = 0
    size: int = 0
    complete: bool = False
    steps: tuple[ImageStep, ...] = ()


class LogLines(Record):
    r"""Some lines of one output stream.

    Attributes:
        first: Number of the first one, counted from 0.
        lines: Their text without ``\n``; bytes that are no UTF-8 are replaced.
        offset: Position of the first one's first byte; None where there are no such lines.
        total: Lines so far, a last one that is open included. None while a long stream is being
            counted: ask again, each call counts a part.
        cut: The byte limit came first: the last line here is not whole, or others are missing.
        size: Bytes the stream has so far.
        complete: The attempt has ended; no more will come.
    """

    first: int
    lines: tuple[str, ...]
    offset: int | None = None
    total: int | None = None
    cut: bool = False
    size: int = 0
    complete: bool = False


class LogMatch(Record):
    """A line that holds what was looked for.

    Attributes:
        line: Its number, counted from 0; None where the lines before it were too many to count.
        offset: Position of its first byte.
        text: The line, or the part around the match of a long one.
        start: Where in ``text`` the first match begins, in characters, and
        end: where it ends.
    """

    line: int | None
    offset: int
    text: str
    start: int
    end: int


class LogMatches(Record):
    """Lines that hold what was looked for, in order.

    Attributes:
        next: Byte to look further from; None where everything was looked at.
        size: Bytes the stream has so far.
        complete: The attempt has ended; no more will come.
    """

    matches: tuple[LogMatch, ...]
    next: int | None = None
    size: int = 0
    complete: bool = False


class DataEntry(Record):
    """One entry of a data directory.

    Attributes:
        name: Path below the data.
        kind: ``other`` is what can only be deleted, such as a link that leads out.
        size: Bytes of a file, else 0.
        modified: Seconds since the epoch.
    """

    name: str
    kind: Literal["file", "directory", "other"]
    size: int = 0
    modified: float = 0.0


class DataList(Record):
    """Entries of a data directory, by name; those below its directories are not listed.

    Attributes:
        next: Name to continue ``after``; None at the end.
    """

    entries: tuple[DataEntry, ...]
    next: str | None = None


class ChangedData(Record):
    """Files at any depth of a pipeline's data that were written last within a time.

    Attributes:
        entries: The newest first.
        complete: All files were looked at, and all that were found are here.
    """

    entries: tuple[DataEntry, ...]
    complete: bool = True


class Deleted(Record):
    """What was deleted.

    Attributes:
        name: Path below the data.
    """

    name: str


class AgentStopping(Record):
    """The agent stops; ``pid`` is gone when it has stopped."""

    pid: int


class LoginForm(Record):
    """What a file that only its owner can read posts to ``/session``; both belong together."""

    secret: str = Field(repr=False, max_length=100)
    nonce: str = Field(repr=False, max_length=100)


class Login(Record):
    """A way for one browser into the web app, good once and for ``seconds``.

    Attributes:
        url: Of the web app; it signs nobody in.
        code: To type into the page that a browser without a session shows.
        form: To post instead; None where the fragment ``#code=`` of an address has that effect.
    """

    url: str
    code: str = Field(repr=False)
    seconds: int
    form: LoginForm | None = None
