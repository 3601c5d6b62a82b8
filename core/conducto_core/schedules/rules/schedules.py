"""The rules of schedules: which times are due, and what a firing does.

Everything is pure: the time is a parameter, and both targets act on the results.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import Enum, auto
from hashlib import sha256
from itertools import islice, takewhile
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from conducto_core.errors import RefusedError, invalid
from conducto_core.events.rules.payloads import check_rule
from conducto_core.run.model.records import PipelineRecord
from conducto_core.run.model.states import State
from conducto_core.schedules.model import (
    MAX_AT_ONCE,
    SCHEDULE_TAG,
    SHOWN_TIMES,
    Backfill,
    CatchUp,
    Chain,
    Firing,
    FiringCause,
    FiringState,
    GitSource,
    Overlap,
    Schedule,
    ScheduleSettings,
    ScriptSource,
)
from conducto_core.schedules.rules.cron import next_times, normal_form, times, zone_of

#: Seconds after which a due time counts as missed: the cloud looks at schedules once a minute.
ON_TIME: Final = 120.0
#: Seconds for which a launch that fails for a passing reason is repeated.
RETRY_SECONDS: Final = 600.0
#: Maximum number of firings of chains in a row.
MAX_CHAIN: Final = 10
#: Open firings of a schedule; nothing more fires above it.
MAX_OPEN: Final = 1000
#: The states in which a pipeline has ended.
ENDED: Final = frozenset({State.DONE, State.ERROR, State.KILLED})
_DIGITS: Final = 12
#: The causes of firings that all wait for a running pipeline, one after the other.
_EACH_WAITS: Final = (FiringCause.BACKFILL, FiringCause.EVENT)


def checked(settings: ScheduleSettings, now: float, *, local: bool) -> ScheduleSettings:
    """Return valid settings, with the normal form of their cron expression.

    Raises:
        DefinitionError: A field is not valid; its ``path`` is the field.
    """
    zone_of(settings.zone)
    _check_source(settings, local=local)
    if sum(each is not None for each in (settings.cron, settings.after, settings.on)) != 1:
        raise invalid("cron", "a schedule has either a cron expression or 'after' or 'on' (events)")
    if settings.on is not None:
        check_rule(settings.on, local=local)
    if settings.until is not None and settings.until <= now:
        raise invalid("until", f"{_time_text(settings.until)} has passed")
    if settings.cron is None:
        if settings.after is not None:
            _check_chain(settings.after, local=local)
        return settings
    normal = normal_form(settings.cron)
    if next(iter(next_times(normal, settings.zone, now, 1)), None) is None:
        raise invalid("cron", f"{settings.cron!r} has no time in the future")
    return settings.model_copy(update={"cron": normal})


def _check_chain(chain: Chain, *, local: bool) -> None:
    program = chain.program
    if chain.title is None and program is None:
        raise invalid("after", "needs the title or the program of the pipelines")
    if chain.title is not None and "*" in chain.title:
        raise invalid(
            "after", f"takes a whole title, not a pattern, got {chain.title!r}; or name the program"
        )
    if program is None or program.startswith("/") or "/" not in program:
        return
    if local or program.startswith("."):  # in the cloud, programs of a repository are relative
        raise invalid(
            "after", f"the program must be an absolute path or the name of a file, got {program!r}"
        )


def _check_source(settings: ScheduleSettings, *, local: bool) -> None:
    source = settings.what
    if isinstance(source, GitSource):
        _check_url(source.url)
    if not isinstance(source, ScriptSource):
        return
    if not local:
        raise invalid(
            "what", "a script runs on the machine of an agent only; use a template or a repository"
        )
    if source.pipeline is None and not source.command:
        raise invalid("what", "a script needs a command, or a pipeline whose program it is")
    if source.command and not source.directory.startswith("/"):
        raise invalid("what", f"the directory must be an absolute path, got {source.directory!r}")


def _check_url(url: str) -> None:
    """Reject an address that no repository has, or with a password that all members could read."""
    if "/" not in url and ":" not in url:
        raise invalid(
            "what",
            f"the address of the repository needs a scheme or a path, such as "
            f"https://github.com/acme/app, got {url!r}",
        )
    try:
        parts = urlsplit(url)
        password = parts.password
    except ValueError as error:
        raise invalid("what", f"the address of the repository is invalid: {error}") from error
    is_web = "@" in parts.netloc and parts.scheme not in ("ssh", "git+ssh")
    if password is not None or is_web:
        raise invalid(
            "what",
            "the address of the repository contains a user name or a password, which everyone who "
            "sees the schedule can read; remove it, and store a token that may read the repository "
            "as the secret GITHUB_TOKEN or GITLAB_TOKEN",
        )


def _time_text(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M UTC")


def started(schedule: Schedule, now: float) -> Schedule:
    """Return a schedule that was created, edited or resumed: it starts from now."""
    following = _next_after(schedule, now) if schedule.held is None else now
    return schedule.model_copy(update={"next": following, "since": now, "paused_why": None})


def _next_after(schedule: Schedule, moment: float) -> float | None:
    if schedule.cron is None:
        return None
    found = next_times(schedule.cron, schedule.zone, moment, 1)
    return found[0] if found and not _is_over(schedule, found[0]) else None


def _is_over(schedule: Schedule, time: float) -> bool:
    return schedule.until is not None and time > schedule.until


def _by_clock(schedule: Schedule, now: float) -> Schedule:
    """Return a schedule without the times that a clock left in it which was ahead for a while."""
    first = None if schedule.paused else _next_after(schedule, now)
    is_late = first is not None and (schedule.next is None or schedule.next > first)
    if not is_late and schedule.since <= now:
        return schedule
    following = first if is_late else schedule.next
    return schedule.model_copy(update={"next": following, "since": min(schedule.since, now)})


def shown_times(schedule: Schedule, now: float) -> tuple[float, ...]:
    """Return the next due times for display; none of a paused schedule."""
    if schedule.cron is None or schedule.paused:
        return ()
    found = times(schedule.cron, schedule.zone, now, schedule.until)
    return tuple(islice(found, SHOWN_TIMES))


def delay_of(schedule: Schedule, due: float) -> float:
    """Return the seconds by which jitter delays a firing: always the same for a due time."""
    digest = sha256(f"{schedule.name} {due:.0f}".encode()).digest()
    return schedule.jitter * int.from_bytes(digest[:4], "big") / 2**32


#: The minute of each hour in which `looks_until` includes all schedules.
_FULL_LOOK = 30
#: Later than the time of any schedule.
FOREVER = 1e10


def wakes(schedule: Schedule) -> float | None:
    """Return the time from which a schedule needs attention; 0: always, None: never.

    One without a next time has `FOREVER`: a clock that was ahead may have ended it.
    """
    if schedule.open or (schedule.after is not None and not schedule.paused):
        return 0.0
    if schedule.paused:
        return None
    if schedule.next is None:
        return FOREVER
    return schedule.next + delay_of(schedule, schedule.next)


def looks_until(now: float) -> float:
    """Return the time of the latest schedule that a target without a memory looks at.

    Once an hour these are all: `due` corrects the times of a clock that was ahead for a while.
    """
    return FOREVER if int(now // 60) % 60 == _FULL_LOOK else now


class Due(NamedTuple):
    """The firings that became due, in order, and the schedule after them."""

    schedule: Schedule
    firings: tuple[Firing, ...]


def due(schedule: Schedule, now: float) -> Due:
    """Return the firings of a schedule that are due, including those for missed times."""
    if schedule.held is not None:
        return _released(schedule, schedule.held, now)
    schedule = _by_clock(schedule, now)
    first = schedule.next
    if first is None or schedule.cron is None or schedule.paused:
        return Due(schedule, ())
    if first + delay_of(schedule, first) > now:
        return Due(schedule, ())
    late_until = now - ON_TIME - schedule.jitter
    passed = [first] if first > late_until else []
    passed += times(schedule.cron, schedule.zone, max(first, late_until), now)
    passed = [one for one in passed if not _is_over(schedule, one)]
    # In order: a longer delay of the first one delays the others, too.
    ready = list(takewhile(lambda one: one + delay_of(schedule, one) <= now, passed))
    waiting = passed[len(ready) :]
    after = ready[-1] if ready else max(first, late_until)
    following = waiting[0] if waiting else _next_after(schedule, after)
    firings = (
        *_missed(schedule, first, late_until, now, fresh=bool(ready)),
        *(_firing(one, FiringCause.SCHEDULE, now) for one in ready),
    )
    fitting = fitted(schedule, firings)
    return Due(with_open(schedule, fitting).model_copy(update={"next": following}), fitting)


def _released(schedule: Schedule, held: Firing, now: float) -> Due:
    if schedule.paused or (schedule.next is not None and schedule.next > now):
        return Due(schedule, ())
    released = schedule.model_copy(update={"held": None, "next": None})
    fitting = fitted(released, (held.model_copy(update={"why": None, "at": now}),))
    return Due(with_open(released, fitting), fitting)


def fitted(schedule: Schedule, firings: Iterable[Firing]) -> tuple[Firing, ...]:
    """Return new firings of a schedule; those that are open above `MAX_OPEN` are missed."""
    room = MAX_OPEN - len(schedule.open)
    found: list[Firing] = []
    for one in firings:
        room -= is_open(one)
        why = f"{MAX_OPEN} firings of the schedule were open, the maximum"
        missed = {"state": FiringState.MISSED, "until": one.due, "why": why}
        found.append(one.model_copy(update=missed) if is_open(one) and room < 0 else one)
    return tuple(found)


def check_open(schedule: Schedule, new: int) -> None:
    """Check that a schedule may have more open firings.

    Raises:
        RefusedError: There would be too many.
    """
    known = len(schedule.open)
    if known + new > MAX_OPEN:
        raise RefusedError(
            f"{schedule.name} has {known} open firings, and at most {MAX_OPEN} are allowed; wait "
            "for their pipelines to end, or cancel some"
        )


def _missed(
    schedule: Schedule, first: float, last: float, now: float, *, fresh: bool
) -> tuple[Firing, ...]:
    """Return the firings for the times from ``first`` to ``last``: caught up, or missed.

    ``fresh``: A time is due now, so that the last missed one is not caught up.
    """
    if first > last:
        return ()
    caught: list[float] = []
    if schedule.catch_up is not CatchUp.NONE:
        number = MAX_AT_ONCE if schedule.catch_up is CatchUp.ALL else int(not fresh)
        caught = _last_times(schedule, max(first, now - schedule.window), last, number)
    until = caught[0] - 1 if caught else last
    missed = _last_times(schedule, first, until, 1)
    found = (
        [
            Firing(
                id=firing_id(first),
                due=first,
                cause=FiringCause.SCHEDULE,
                state=FiringState.MISSED,
                at=now,
                until=missed[-1],
                why="nothing could fire at that time: the agent or the machine was off",
            )
        ]
        if missed
        else []
    )
    found += [_firing(one, FiringCause.CATCH_UP, now) for one in caught]
    return tuple(found)


def _last_times(schedule: Schedule, first: float, last: float, number: int) -> list[float]:
    """Return the last ``number`` due times of a range."""
    if schedule.until is not None:
        last = min(last, schedule.until)
    span = 3600.0
    while number > 0 and first <= last:
        start = max(first, last - span)
        found = list(times(schedule.cron or "", schedule.zone, start - 1, last))
        if len(found) >= number or start == first:
            return found[-number:]
        span *= 4
    return []


def _firing(due_time: float, cause: FiringCause, now: float) -> Firing:
    return Firing(id=firing_id(due_time), due=due_time, cause=cause, at=now)


def firing_id(due_time: float, suffix: str = "") -> str:
    """Return the id of a firing; ids sort like the due times."""
    return f"{int(due_time):0{_DIGITS}}{suffix and '-'}{suffix}"


def id_after(now: float) -> str:
    """Return an id above those of all firings so far; a clock that was ahead left later ones."""
    return firing_id(now + 1)


def with_open(schedule: Schedule, firings: Iterable[Firing]) -> Schedule:
    """Return a schedule with the ids of new firings that are open."""
    new = [one.id for one in firings if is_open(one) and one.id not in schedule.open]
    return schedule.model_copy(update={"open": (*schedule.open, *new)}) if new else schedule


def is_executed(firing: Firing) -> bool:
    """Return whether a firing did something, so that a claim must not replace it."""
    return firing.state not in (FiringState.PENDING, FiringState.MISSED)


def is_open(firing: Firing) -> bool:
    """Return whether a firing is still to launch, or its pipeline has not ended."""
    if firing.state is FiringState.LAUNCHED:
        return firing.outcome is None
    return firing.state in (FiringState.PENDING, FiringState.QUEUED)


def backfill(schedule: Schedule, request: Backfill, now: float) -> tuple[Firing, ...]:
    """Return the firings of a backfill.

    Raises:
        DefinitionError: The range is empty, too large or in the future.
    """
    if schedule.cron is None:
        raise invalid("cron", f"{schedule.name} does not start at given times")
    if request.end > now:
        raise invalid("end", f"{_time_text(request.end)} is in the future")
    if request.start > request.end:
        raise invalid("start", f"{_time_text(request.start)} is after the end of the range")
    found = times(schedule.cron, schedule.zone, request.start - 1, request.end)
    chosen = list(islice(found, MAX_AT_ONCE + 1))
    if not chosen:
        raise invalid("start", f"{schedule.name} has no time in this range")
    if len(chosen) > MAX_AT_ONCE:
        raise invalid(
            "end",
            f"the range has more than {MAX_AT_ONCE} times; the last one that fits is "
            f"{_time_text(chosen[-2])}",
        )
    marks = {"cause": FiringCause.BACKFILL, "overlap": request.overlap}
    suffix = f"backfill{now:.0f}"
    return tuple(
        _firing(one, FiringCause.BACKFILL, now).model_copy(
            update={"id": firing_id(one, suffix), **marks}
        )
        for one in chosen
    )


def manual(key: str, now: float) -> Firing:
    """Return the firing that a user requested; ``key`` identifies the request."""
    mark = sha256(key.encode()).hexdigest()[:12]
    firing = _firing(now, FiringCause.MANUAL, now)
    return firing.model_copy(update={"id": firing_id(now, mark), "overlap": Overlap.ALLOW})


# ---- what a firing does ------------------------------------------------------------------------


class FiringStep(Enum):
    """What a firing does now."""

    LAUNCH = auto()
    WAIT = auto()
    SKIP = auto()
    REPLACE = auto()


def step_of(
    schedule: Schedule, firing: Firing, running: Sequence[Firing], waiting: Sequence[Firing]
) -> FiringStep:
    """Return the next step of a firing, while others of its schedule run or wait before it."""
    overlap = firing.overlap or schedule.overlap
    if overlap is Overlap.ALLOW:
        return FiringStep.LAUNCH
    if overlap is Overlap.QUEUE and (running or waiting):
        in_line = bool(waiting) and firing.cause not in _EACH_WAITS
        return FiringStep.SKIP if in_line else FiringStep.WAIT
    if not running:
        return FiringStep.LAUNCH
    return FiringStep.REPLACE if overlap is Overlap.REPLACE else FiringStep.SKIP


def skip_reason(running: Sequence[Firing], waiting: Sequence[Firing]) -> str:
    """Return the reason for which a firing was skipped."""
    if waiting:
        return f"the firing of {_time_text(waiting[0].due)} already waits for the pipeline to end"
    return f"pipeline {running[0].pipeline} of {_time_text(running[0].due)} was still running"


def wait_reason(running: Sequence[Firing]) -> str:
    """Return the reason for which a firing waits."""
    if not running:
        return "waits for the firing before it"
    return f"waits for pipeline {running[0].pipeline} of {_time_text(running[0].due)} to end"


def retries(firing: Firing, now: float) -> bool:
    """Return whether a launch that failed for a passing reason is repeated."""
    return firing.tried is None or abs(now - firing.tried) < RETRY_SECONDS


def failures_in_a_row(newest_first: Iterable[Firing]) -> tuple[int, Firing | None]:
    """Return the number of failures since the last success, and the newest one.

    A pipeline that was replaced, and a firing that launched nothing for another reason than a
    failure, do not count.
    """
    number, newest = 0, None
    for firing in newest_first:
        if firing.outcome is State.DONE:
            break
        replaced = firing.state is FiringState.LAUNCHED and firing.why is not None
        if firing.state is FiringState.FAILED or (firing.outcome is not None and not replaced):
            number, newest = number + 1, newest or firing
    return number, newest


def pause_reason(schedule: Schedule, newest_first: Iterable[Firing]) -> str | None:
    """Return the reason for which a schedule pauses itself, or None."""
    if schedule.pause_after is None or schedule.paused:
        return None
    since = (one for one in newest_first if one.at >= schedule.since)
    number, newest = failures_in_a_row(since)
    if newest is None or number < schedule.pause_after:
        return None
    if newest.pipeline is None:
        last = f"the last one: {newest.why}"
    else:
        last = f"the last one launched pipeline {newest.pipeline}"
    return f"{number} firings in a row failed; {last}" if number > 1 else f"a firing failed; {last}"


# ---- damaged records ---------------------------------------------------------------------------


def parsed(name: str, record: str | bytes) -> Schedule:
    """Return a stored schedule.

    Raises:
        RefusedError: The record is damaged.
    """
    try:
        return Schedule.model_validate_json(record)
    except ValueError as error:
        raise RefusedError(
            f"the record of the schedule {name!r} is damaged, and it fires no more; delete it with "
            f"'conducto schedule rm {name}' and add it again"
        ) from error


def listed(name: str, record: str | bytes) -> Schedule:
    """Return a stored schedule for a list; a damaged one is paused, for this reason."""
    try:
        return parsed(name, record)
    except RefusedError as error:
        unknown = ScriptSource(kind="script")
        return Schedule(name=name, cron="damaged", what=unknown, paused=True, paused_why=str(error))


def parsed_firing(firing_id: str, record: str | bytes) -> Firing:
    """Return a stored firing; a damaged one has failed, for this reason."""
    try:
        return Firing.model_validate_json(record)
    except ValueError:
        return damaged_firing(firing_id)


def damaged_firing(firing_id: str) -> Firing:
    """Return a firing in place of a damaged one; it is not executed again."""
    due = firing_id[:_DIGITS]
    return Firing(
        id=firing_id,
        due=float(due) if due.isdecimal() else 0.0,
        cause=FiringCause.SCHEDULE,
        state=FiringState.FAILED,
        why="its record is damaged, so that its pipeline is not known",
    )


# ---- chains ------------------------------------------------------------------------------------


def fires_after(schedule: Schedule, record: PipelineRecord) -> bool:
    """Return whether the end of a pipeline fires a schedule."""
    chain, status = schedule.after, record.status
    if chain is None or schedule.paused or not status.settled or status.state not in ENDED:
        return False
    if status.ended is None or status.ended < schedule.since or _is_over(schedule, status.ended):
        return False
    if chain.state != "any" and (chain.state == "done") != (status.state is State.DONE):
        return False
    if chain.title is not None and chain.title != record.title:
        return False
    return chain.program is None or _is_program(chain.program, record.program)


def _is_program(wanted: str, program: str | None) -> bool:
    return program is not None and wanted in (program, program.rpartition("/")[2])


def chained(record: PipelineRecord, depth: int, now: float) -> Firing:
    """Return the firing after the end of a pipeline, which ``depth`` firings of chains led to.

    A pipeline that ends again, after it was rerun, has another firing.
    """
    ended = record.status.ended or now
    firing = _firing(ended, FiringCause.CHAIN, now)
    changes = {
        "id": firing_id(ended, f"{int(ended % 1 * 1000):03}-{record.id}"),
        "after": record.id,
        "depth": depth + 1,
    }
    if depth >= MAX_CHAIN:
        why = (
            f"{MAX_CHAIN} pipelines in a row started each other, the maximum; do the schedules "
            "form a circle?"
        )
        changes |= {"state": FiringState.SKIPPED, "why": why}
    return firing.model_copy(update=changes)


def schedule_of(record: PipelineRecord) -> str | None:
    """Return the name of the schedule that launched a pipeline, by its tag."""
    names = (tag.removeprefix(SCHEDULE_TAG) for tag in record.tags if tag.startswith(SCHEDULE_TAG))
    return next(names, None)


# ---- what it launches --------------------------------------------------------------------------


def launch_key(schedule: Schedule, firing: Firing) -> str:
    """Return the idempotency key of a launch: a firing has one pipeline."""
    return f"schedule:{schedule.name}:{schedule.created:.0f}:{firing.id}"


def git_form(source: GitSource) -> dict[str, object]:
    """Return the launch form of a Lazy whose command prints the tree."""
    image = {
        "name": "repository",
        "image": source.image,
        "copy_url": source.url,
        "copy_branch": source.ref,
        "install_pip": ["conducto"],
    }
    generate = {
        "id": "generate",
        "type": "Exec",
        "command": source.command,
        "callbacks": [["done", ["deserialize_into_node", {"target": "/Execute"}]]],
    }
    root = {"id": "root", "type": "Serial", "image_name": "repository", "stop_on_error": True}
    return {
        "nodes": [root, generate, {"id": "execute", "type": "Parallel"}],
        "edges": [["root", "generate", "Generate"], ["root", "execute", "Execute"]],
        "images": {"repository": image},
    }


def check_room(known: int, maximum: int) -> None:
    """Check that there may be one more schedule.

    Raises:
        RefusedError: There are too many.
    """
    if known >= maximum:
        raise RefusedError(f"there are {known} schedules, the maximum; delete one first")
