"""Schedules and firings as text."""

from __future__ import annotations

import os
import shlex
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from conducto_cli.text.text import count_of, printable
from conducto_core.run.model.labels import in_dollars

if TYPE_CHECKING:
    from conducto_core.events.model import EventRule
    from conducto_core.schedules.model import Firing, Schedule, ScheduleView

COLUMNS = ("NAME", "WHEN", "NEXT", "LAST", "LAUNCHES")
FIRING_COLUMNS = ("DUE", "STATE", "CAUSE", "WHY")
_UNITS = ((3600, "hour"), (60, "minute"), (1, "second"))


def cells_of(view: ScheduleView) -> tuple[str, ...]:
    schedule = view.schedule
    following = "paused" if schedule.paused else _moment(view.times[0] if view.times else None)
    return (
        schedule.name,
        when_of(schedule),
        following,
        "" if view.last is None else state_of(view.last),
        printable(source_of(schedule)),
    )


def when_of(schedule: Schedule) -> str:
    if schedule.on is not None:
        return events_of(schedule.on)
    if schedule.after is None:
        return f"{schedule.cron} {schedule.zone}"
    chain = schedule.after
    which = chain.title if chain.title is not None else chain.program
    how = {"done": "is done", "failed": "failed", "any": "ended"}[chain.state]
    return f"after {printable(which or '')} {how}"


def events_of(rule: EventRule) -> str:
    """Return the events that fire a trigger."""
    details = {
        "s3": f" {rule.bucket}/{rule.prefix}*{rule.suffix}",
        "sqs": f" {(rule.queue or '').rpartition(':')[2]}, {rule.batch} messages at once",
        "watch": f" {rule.directory}",
    }
    pause = f", debounce {_time(rule.debounce)}" if rule.debounce else ""
    return printable(f"{rule.source}{details.get(rule.source, '')}{pause}")


def source_of(schedule: Schedule) -> str:
    what: Any = schedule.what
    if what.kind == "template":
        return f"a copy of {what.pipeline}"
    if what.kind == "git":
        return f"{what.command} in {what.url}#{what.ref}"
    return shlex.join(what.command)


def state_of(firing: Firing) -> str:
    if firing.pipeline is None:
        return firing.state.value
    outcome = "running" if firing.outcome is None else firing.outcome.value
    return f"{firing.pipeline} {'failed' if outcome == 'error' else outcome}"


def firing_cells(firing: Firing) -> tuple[str, ...]:
    due = _moment(firing.due)
    if firing.until is not None and firing.until != firing.due:
        due = f"{due} to {_moment(firing.until)}"
    return due, state_of(firing), firing.cause.value, printable(firing.why or "")


def lines_of(view: ScheduleView) -> list[str]:
    schedule = view.schedule
    noun = "schedule" if schedule.on is None else "trigger"
    lines = [
        f"{schedule.name}: {when_of(schedule)}",
        f"  launches {printable(source_of(schedule))}",
        f"  overlap {schedule.overlap.value}"
        + (f", {_catch_up(schedule)}" if schedule.on is None else ""),
    ]
    if schedule.title is not None:
        lines.append(f"  title {printable(schedule.title)}")
    if schedule.jitter:
        lines.append(f"  delayed by up to {_time(schedule.jitter)}")
    if schedule.pause_after is not None:
        lines.append(f"  pauses after {count_of(schedule.pause_after, 'failure')} in a row")
    if schedule.budget is not None:
        lines.append(f"  budget {in_dollars(schedule.budget)} for each pipeline")
    if schedule.until is not None:
        lines.append(f"  until {_moment(schedule.until)}")
    if view.last is not None and view.last.state.value == "queued":
        lines.append(f"  {printable(view.last.why or 'waits')}")
    if schedule.paused:
        why = "" if schedule.paused_why is None else f": {printable(schedule.paused_why)}"
        lines.append(f"  paused{why}; resume it: conducto {noun} resume {schedule.name}")
    elif view.times:
        zone = _zone_note(schedule, view.times[0])
        lines.append(f"  next: {', '.join(map(_moment, view.times))}{zone}")
    elif schedule.cron is not None:
        lines.append("  next: never")
    return lines


def _catch_up(schedule: Schedule) -> str:
    """Return the rule for missed times; those of a chain are never made up for."""
    rule = f"catch-up {schedule.catch_up.value}"
    if schedule.catch_up.value == "none" or schedule.cron is None:
        return rule
    return f"{rule}, window {_time(schedule.window)}"


def _time(seconds: float) -> str:
    """Return a time in the largest unit of which it is a multiple."""
    for unit, noun in _UNITS:
        if seconds % unit == 0:
            return count_of(round(seconds / unit), noun)
    return f"{seconds:g} seconds"


def _zone_note(schedule: Schedule, moment: float) -> str:
    """Return the time zone of the times that are shown, if the schedule's has another time."""
    here = time.localtime(moment)
    try:
        offset = datetime.fromtimestamp(moment, ZoneInfo(schedule.zone)).utcoffset()
    except KeyError:  # this machine does not know the zone
        offset = None
    return "" if offset == timedelta(seconds=here.tm_gmtoff) else f" ({here.tm_zone})"


def _moment(moment: float | None) -> str:
    if moment is None:
        return ""
    return time.strftime("%a %Y-%m-%d %H:%M", time.localtime(moment))


# ----------------------------------------------------------------------------------------
# The time zone of this machine.


_LINK = Path("/etc/localtime")
_NAME = Path("/etc/timezone")


def zone_here() -> str:
    """Return the name of this machine's time zone; UTC if it is not known."""
    for name in (os.environ.get("TZ", "").lstrip(":"), _linked(), _named()):
        if name and _is_known(name):
            return name
    return "UTC"


def _linked() -> str:
    try:
        target = str(_LINK.resolve())
    except OSError:
        return ""
    return target.partition("zoneinfo/")[2]


def _named() -> str:
    try:
        return _NAME.read_text().strip()
    except (OSError, ValueError):
        return ""


def _is_known(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
