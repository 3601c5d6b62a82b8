"""Schedules of programs with partitions: a firing launches the partition of its due time."""

import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from conducto.wire.partitions import from_wire
from conducto_core.errors import invalid
from conducto_core.partitions.model import PartitionState
from conducto_core.partitions.rules import check_partitions, key_at
from conducto_core.programs.rules.programs import PARTITION
from conducto_core.schedules.model import (
    MAX_AT_ONCE,
    CatchUp,
    Firing,
    FiringCause,
    GitSource,
    Overlap,
    Schedule,
    ScheduleSettings,
    ScriptSource,
    TemplateSource,
)
from conducto_core.schedules.rules.schedules import firing_id, is_open


def check_settings(settings: ScheduleSettings) -> None:
    """Check the partitions of a schedule.

    Raises:
        DefinitionError: They are invalid, or it cannot launch one.
    """
    if settings.partitions is None:
        if settings.catch_up is CatchUp.MISSING:
            raise invalid(
                "catch_up", "missing is for partitions; add --partitions 'daily 2026-01-01 UTC'"
            )
        return
    check_partitions(settings.partitions)
    if settings.cron is None:
        raise invalid("partitions", "a schedule with partitions needs a cron expression")
    if isinstance(settings.what, TemplateSource):
        raise invalid(
            "what",
            "the tree of a pipeline is that of one partition; launch its script (--script ID), a "
            "command, or a repository",
        )


def gaps(
    schedule: Schedule, due: Sequence[Firing], states: Mapping[str, PartitionState], now: float
) -> tuple[Firing, ...]:
    """Return firings for the partitions of the schedule's window that are missing.

    Args:
        schedule: A schedule with partitions.
        due: Its firings that are due now.
        states: ``{key: state}`` of the partitions that have one.
        now: The time.
    """
    wire = schedule.partitions or {}
    known = from_wire(wire)
    moment = datetime.fromtimestamp(now, UTC)
    taken = {key_at(wire, one.due) for one in due if is_open(one)}
    open_ = {one.partition("-")[0] for one in schedule.open}
    found: list[Firing] = []
    for key in reversed(known.keys(moment)):
        end = known.partition(key, moment).end.timestamp()
        if end < now - schedule.window or len(found) == MAX_AT_ONCE:
            break
        is_missing = states.get(key, PartitionState.MISSING) is PartitionState.MISSING
        if is_missing and key not in taken and firing_id(end) not in open_:
            found.append(
                Firing(
                    id=firing_id(end, f"gap{now:.0f}"),
                    due=end,
                    cause=FiringCause.BACKFILL,
                    overlap=Overlap.QUEUE,
                    at=now,
                )
            )
    return tuple(reversed(found))


def with_partition(schedule: Schedule, key: str) -> Schedule:
    """Return a schedule whose command launches a partition."""
    what, word = schedule.what, f"--{PARTITION}={key}"
    if isinstance(what, ScriptSource):
        what = what.model_copy(update={"command": (*what.command, word)})
    elif isinstance(what, GitSource):
        what = what.model_copy(update={"command": shlex.join([*shlex.split(what.command), word])})
    return schedule.model_copy(update={"what": what})


def git_call(schedule: Schedule, source: GitSource, key: str) -> dict[str, Any]:
    """Return the record of the call of a program in a repository; it identifies the program."""
    return {
        "function": schedule.name,
        "script": source.url,
        "command": shlex.split(source.command),
        "directory": "",
        "partitions": schedule.partitions,
        "partition": key,
    }
