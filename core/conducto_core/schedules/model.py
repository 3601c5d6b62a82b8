"""Schedules: rules that launch pipelines at given times, after others, or for events.

`conducto_core.schedules.rules.schedules` decides what they do.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from conducto_core.events.model import EventOrigin, EventRule
from conducto_core.record import SCHEDULE_NAME_PATTERN, SCHEMA_VERSION, Dollars, Record
from conducto_core.run.model.params import Moment, PipelineId
from conducto_core.run.model.states import State

#: Maximum number of schedules of an organisation or machine, and of firings in one response.
MAX_SCHEDULES = 2000
MAX_FIRINGS_PAGE = 1000
#: Maximum number of firings that a backfill or a catch-up launches at once.
MAX_AT_ONCE = 100
#: Number of future times that clients show.
SHOWN_TIMES = 5
DAY = 86_400.0
MAX_WINDOW = 31 * DAY
MAX_JITTER = 12 * 3600.0
#: Prefix of the tag of the pipelines of a schedule; its name follows.
SCHEDULE_TAG = "conducto/schedule/"

ScheduleName = Annotated[str, Field(pattern=SCHEDULE_NAME_PATTERN)]
_Word = Annotated[str, Field(min_length=1, max_length=1000)]
_Line = Annotated[str, Field(max_length=200)]


class Overlap(StrEnum):
    """What a firing does while a pipeline of its schedule runs.

    ``skip`` launches nothing; ``queue`` waits for its end, one firing at a time; ``replace``
    cancels it; ``allow`` runs both.
    """

    SKIP = "skip"
    QUEUE = "queue"
    REPLACE = "replace"
    ALLOW = "allow"


class CatchUp(StrEnum):
    """Which of the times that passed while nothing could fire are made up for.

    ``missing``: the last one, and at each firing all partitions of the window that are missing.
    """

    LAST = "last"
    NONE = "none"
    ALL = "all"
    MISSING = "missing"


class TemplateSource(Record):
    """The tree of a pipeline, which the schedule keeps a copy of.

    Attributes:
        pipeline: The pipeline that it was copied from.
    """

    kind: Literal["template"]
    pipeline: PipelineId


class GitSource(Record):
    """A command in a Git repository that prints the tree, run in a container for each firing.

    Attributes:
        ref: The branch or tag.
        command: The command, in the root of the repository, such as ``python pipeline.py``.
        image: The image in which it runs.
    """

    kind: Literal["git"]
    url: _Word
    ref: Annotated[str, Field(min_length=1, max_length=200)] = "main"
    command: _Word
    image: Annotated[str, Field(min_length=1, max_length=300)] = "python:3.11-slim"


class ScriptSource(Record):
    """A script on the agent's machine, started for each firing. Only an agent accepts it.

    Attributes:
        pipeline: A pipeline whose program it is; its command and directory are then derived.
        arguments: ``{parameter: value}`` instead of those of that pipeline.
        command: The command line, such as ``("python", "pipeline.py", "nightly")``.
        directory: The absolute path of the directory in which it runs.
        image: For a trigger in the cloud: the image in which it runs, in a clone of its repository.
    """

    kind: Literal["script"]
    pipeline: PipelineId | None = None
    arguments: dict[_Line, str] = {}
    command: tuple[str, ...] = ()
    directory: str = ""
    image: Annotated[str | None, Field(min_length=1, max_length=300)] = None


Source = Annotated[TemplateSource | GitSource | ScriptSource, Field(discriminator="kind")]


class Chain(Record):
    """The pipelines whose end fires a schedule.

    Attributes:
        title: Their title; None: any.
        program: The path of their script, or its name; None: any.
        state: How they ended.
    """

    title: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    program: Annotated[str | None, Field(min_length=1, max_length=1000)] = None
    state: Literal["done", "failed", "any"] = "done"


class ScheduleSettings(Record):
    """The part of a schedule that users set.

    Attributes:
        cron: Five fields: minute, hour, day of the month, month, day of the week. None for a chain
            or a trigger.
        zone: The time zone of `cron`, such as ``Europe/Berlin``.
        after: The pipelines whose end fires it, instead of `cron`.
        on: The events that fire it, instead of `cron`: it is a trigger.
        what: What it launches.
        window: Seconds for which a missed time can be caught up, and for which a firing waits for
            room in the plan.
        jitter: Maximum seconds by which launches are delayed, each by its own amount.
        pause_after: Number of failures in a row after which it pauses itself; None: never.
        until: No firing is due after this time; None: without an end.
        partitions: The partitions of the program (`conducto.wire.partitions`): a firing launches
            the newest one that has ended at its due time.
        title: Title of its pipelines; None: that of what it launches.
        budget: Maximum cost in dollars of each pipeline whose tree has none; None: no maximum.
        secret_set: Set of secrets that its commands get; None: that of what it launches.
    """

    cron: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    zone: Annotated[str, Field(min_length=1, max_length=100)] = "UTC"
    after: Chain | None = None
    on: EventRule | None = None
    what: Source
    overlap: Overlap = Overlap.SKIP
    catch_up: CatchUp = CatchUp.LAST
    window: Annotated[float, Field(ge=60, le=MAX_WINDOW, allow_inf_nan=False)] = DAY
    jitter: Annotated[float, Field(ge=0, le=MAX_JITTER, allow_inf_nan=False)] = 0.0
    pause_after: Annotated[int | None, Field(ge=1, le=1000)] = None
    until: Moment | None = None
    partitions: dict[str, Any] | None = None
    title: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    budget: Dollars | None = None
    secret_set: Annotated[str | None, Field(max_length=32)] = None


class NewSchedule(ScheduleSettings):
    """A schedule to create."""

    name: ScheduleName
    paused: bool = False


class Schedule(ScheduleSettings):
    """A schedule with its state.

    Attributes:
        owner: The user with whose permissions its pipelines are launched.
        paused_why: Reason for which it paused itself; None if a user did.
        next: The next due time, without jitter; None if there is none.
        since: Pipelines that ended before this time fire no chain.
        revision: Number of its changes.
        open: Ids of the firings that have not launched yet, or whose pipelines have not ended.
        held: Of a trigger with ``debounce``: the firing that waits until no event arrives.
    """

    schema_version: int = SCHEMA_VERSION
    name: ScheduleName
    owner: str = ""
    created: float = 0.0
    paused: bool = False
    paused_why: str | None = None
    next: float | None = None
    since: float = 0.0
    revision: int = 0
    open: tuple[str, ...] = ()
    held: "Firing | None" = None


class FiringCause(StrEnum):
    """The reason for a firing: ``chain``, for example, is the end of another pipeline."""

    SCHEDULE = "schedule"
    CATCH_UP = "catch_up"
    BACKFILL = "backfill"
    MANUAL = "manual"
    CHAIN = "chain"
    EVENT = "event"
    REPLAY = "replay"


class FiringState(StrEnum):
    """The states of a firing; a ``missed`` one stands for all times up to its ``until``."""

    PENDING = "pending"
    QUEUED = "queued"
    LAUNCHED = "launched"
    SKIPPED = "skipped"
    MISSED = "missed"
    FAILED = "failed"


class Firing(Record):
    """One due time of a schedule, and its result.

    Attributes:
        id: Sorts by the due time.
        due: The due time, without jitter.
        at: Time of its latest change; of one that waits for room in the plan, since when it waits.
        why: Reason for its state, as a sentence.
        pipeline: The pipeline that it launched.
        outcome: The state in which that pipeline ended; None while it has not.
        until: The last of the times that it stands for.
        after: The pipeline whose end caused it.
        depth: Number of firings of chains in a row that led to it.
        overlap: The rule for this firing, if not that of its schedule.
        tried: When its launch first failed for a reason that passes.
        event: The event that caused it, whose payload is stored apart.
    """

    schema_version: int = SCHEMA_VERSION
    id: str
    due: float
    cause: FiringCause
    state: FiringState = FiringState.PENDING
    at: float = 0.0
    why: str | None = None
    pipeline: str | None = None
    outcome: State | None = None
    until: float | None = None
    after: str | None = None
    depth: int = 0
    overlap: Overlap | None = None
    tried: float | None = None
    event: EventOrigin | None = None


class ScheduleView(Record):
    """A schedule for display.

    Attributes:
        times: The next times at which it is due, at most `SHOWN_TIMES`.
        last: Its newest firing.
    """

    schedule: Schedule
    times: tuple[float, ...] = ()
    last: Firing | None = None


class ScheduleList(Record):
    """Schedules, by name."""

    schedules: tuple[ScheduleView, ...]


class ScheduleParams(Record):
    """The name of a schedule."""

    name: _Line


class ScheduleDeleted(Record):
    """A schedule that was deleted; its pipelines are kept."""

    name: str


class FiringsParams(Record):
    """A page of firings.

    Attributes:
        before: Only firings before the one with this id.
    """

    name: _Line
    before: Annotated[str | None, Field(max_length=100)] = None
    limit: Annotated[int, Field(ge=1, le=MAX_FIRINGS_PAGE)] = 50


class FiringList(Record):
    """Firings, the newest first.

    Attributes:
        more: There are older ones.
    """

    firings: tuple[Firing, ...]
    more: bool = False


class Backfill(Record):
    """A request to fire for the times of a range in the past.

    Attributes:
        start: The first time, in seconds since the epoch.
        end: The last time.
        overlap: The rule for these firings.
    """

    start: Moment
    end: Moment
    overlap: Overlap = Overlap.ALLOW


class TimesParams(Record):
    """A cron expression, and the time zone in which it is read."""

    cron: Annotated[str, Field(min_length=1, max_length=200)]
    zone: Annotated[str, Field(min_length=1, max_length=100)] = "UTC"


class TimesView(Record):
    """The next times of a cron expression; empty if there are none.

    Attributes:
        cron: The expression in its normal form, in which names such as ``@daily`` are replaced.
    """

    cron: str
    times: tuple[float, ...]
