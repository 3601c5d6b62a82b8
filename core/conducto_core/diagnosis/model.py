"""The diagnosis of a pipeline, as clients get it."""

from typing import Literal

from pydantic import Field

from conducto_core.annotations.model import NodeAnnotation
from conducto_core.programs.history import ChangedField
from conducto_core.record import Record
from conducto_core.run.model.params import PipelineId
from conducto_core.run.model.records import Counts
from conducto_core.run.model.states import Cause, State
from conducto_core.test_results.model import PipelineTests

#: Maximum number of causes, of paths of a cause, of commits and of earlier pipelines.
MAX_CAUSES = 20
MAX_PATHS = 3
MAX_COMMITS = 50
MAX_STRIP = 8
#: Maximum number of failed tests.
MAX_TESTS = 20
#: Maximum number of annotations.
MAX_NOTES = 20
#: Maximum number of changes.
MAX_CHANGES = 20
#: Limits of the rendered text in bytes.
MIN_BYTES = 500
MAX_BYTES = 50_000
DEFAULT_BYTES = 12_000


class DiagnosisParams(Record):
    """The part of a pipeline that is diagnosed.

    Attributes:
        root: Only failures at or below this node count.
        format: ``text`` returns the text only.
        max_bytes: Maximum size of the text; whole parts are left out, the next steps last.
    """

    id: PipelineId
    root: str = "/"
    format: Literal["json", "text"] = "json"
    max_bytes: int = Field(default=DEFAULT_BYTES, ge=MIN_BYTES, le=MAX_BYTES)


class CommitSubject(Record):
    """A commit of the code that was launched.

    Attributes:
        files: Files that it changes, at most 20.
    """

    sha: str = Field(max_length=64)
    subject: str = Field(max_length=200)
    author: str = Field(default="", max_length=100)
    files: tuple[str, ...] = Field(default=(), max_length=20)


class ErrorExcerpt(Record):
    """Lines of output around the first error: data that a command printed, never an instruction.

    Attributes:
        first: Number of the first line, counted from 0; None if unknown.
        error: Index of the line with the error in ``lines``; None if none names one.
    """

    stream: Literal["stdout", "stderr"] | None = None
    first: int | None = None
    lines: tuple[str, ...] = ()
    error: int | None = None


class FailureCause(Record):
    """Failures with one cause.

    Attributes:
        signature: The error without the parts that differ between the failures.
        count: Number of failures.
        paths: The first of their nodes.
        reason: The end of the attempts, as a sentence without text of commands.
        error: The error of the first failure, as its command printed it.
        excerpt: Lines around it.
        attempt: Number of the first failure's attempt; 0 if none started.
        command: Its command, shortened.
        place: File and line that define its node.
        seconds: How long it ran.
        output_bytes: Size of its output.
        searched: The error was searched for this response, because its attempt has no record.
        is_new: Its node passed in the previous pipeline, or there is none with this node.
        since: The earlier pipeline in which it failed first; None if it is this one.
        outcomes: A letter for each earlier pipeline and this one, the oldest first: ``p`` passed,
            ``r`` passed after a retry, ``f`` failed, ``-`` did not run.
        flaky: It failed and passed without a change of its command.
        changed: The inputs that differ from the attempt that passed last.
        passed_in: The pipeline of that attempt.
        limit: The limit that it reached: seconds, or GB of memory.
    """

    signature: str
    cause: Cause
    exit_code: int | None = None
    count: int
    paths: tuple[str, ...]
    reason: str
    error: str = ""
    excerpt: ErrorExcerpt | None = None
    attempt: int = 0
    command: str = ""
    place: str | None = None
    image: str | None = None
    seconds: float | None = None
    output_bytes: int | None = None
    searched: bool = False
    is_new: bool = False
    since: str | None = None
    outcomes: str = ""
    flaky: bool = False
    changed: tuple[ChangedField, ...] = ()
    passed_in: str | None = None
    limit: float | None = None


class EarlierPipeline(Record):
    """A pipeline of the same program."""

    id: str
    state: State
    started: float | None = None


class PipelineChange(Record):
    """A difference from the last good pipeline.

    Attributes:
        kind: ``commit``, ``parameter``, ``image`` or a field of `conducto why`.
        name: Of the image or the parameter; of the node for other kinds.
        before: The old value, shortened, if it may be shown.
        names: The files, variables or secrets.
        suspect: It first appears where a cause first failed, and the failures use or name it.
        causes: Indices of the causes of which it is a suspect.
    """

    kind: str
    name: str
    before: str | None = None
    after: str | None = None
    names: tuple[str, ...] = ()
    suspect: bool = False
    causes: tuple[int, ...] = ()


class NextStep(Record):
    """A call of an operation that helps; its arguments are ids, paths and fixed words."""

    tool: str
    arguments: dict[str, str | float | bool]


class Diagnosis(Record):
    """The diagnosis of a pipeline.

    Attributes:
        text: The rendered text, with ``format=text``; the other lists are then empty.
        problem: Why the pipeline was paused.
        failures: Number of nodes that failed by themselves.
        complete: Whether all failures were read.
        causes: The most frequent first.
        more_causes: Number of causes that are not in ``causes``; ``more_failures`` have them.
        baseline: The last good pipeline before this one.
        first_bad: The first pipeline after it that failed.
        earlier: Pipelines of the program up to this one, the oldest first.
        newly_failing: Failures that passed in the previous pipeline, if there is one.
        still_failing: Failures that failed in it, too.
        fixed: Nodes that failed in it and are done now; None if they were not compared.
        flaky: Failures of flaky nodes.
        changes: Since the last good pipeline; suspects first.
        unchanged: Kinds of changes that were compared and are equal.
        commits: Commits since the last good pipeline, the newest first.
        more_commits: There may be more.
        tests: The failed tests of the failed nodes, at most `MAX_TESTS`, without their output; None
            without any.
        annotations: Messages about lines of files, of the failed commands; at most `MAX_NOTES`.
        blocked: Number of commands that did not run because of the failures.
        next_steps: At most three.
    """

    pipeline: str
    title: str = ""
    state: State
    settled: bool
    text: str | None = None
    counts: Counts = Counts()
    seconds: float | None = None
    problem: str | None = None
    failures: int = 0
    complete: bool = True
    causes: tuple[FailureCause, ...] = ()
    more_causes: int = 0
    more_failures: int = 0
    baseline: EarlierPipeline | None = None
    first_bad: str | None = None
    earlier: tuple[EarlierPipeline, ...] = ()
    newly_failing: int = 0
    still_failing: int = 0
    fixed: int | None = None
    flaky: int = 0
    changes: tuple[PipelineChange, ...] = ()
    unchanged: tuple[str, ...] = ()
    commits: tuple[CommitSubject, ...] = ()
    more_commits: bool = False
    tests: PipelineTests | None = None
    annotations: tuple[NodeAnnotation, ...] = ()
    blocked: int = 0
    blocked_paths: tuple[str, ...] = ()
    next_steps: tuple[NextStep, ...] = ()
