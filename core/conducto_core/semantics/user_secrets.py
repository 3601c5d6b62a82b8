"""The owner of the user secrets that a pipeline's commands get: one rule for every target.

A command gets its owner's secrets, whichever user resets or runs it. So once another user has
changed what commands do, all later attempts of the pipeline run without them: a changed command,
image or data file can also change what the pipeline's other commands do.
"""

from datetime import UTC, datetime

from conducto_core.model.records import ForeignChange, PipelineRecord
from conducto_core.model.requests import Action

#: Operations that can change what a command does: actions, and changes of its tree or its data.
CHANGES = frozenset(
    {
        Action.MODIFY.value,
        Action.REBUILD.value,
        "continue",
        "write_data",
        "delete_data",
        "remote_shell",
    }
)


def changed(record: PipelineRecord, change: str, by: str, now: float) -> PipelineRecord:
    """Return the record of a pipeline after a change; only the first one by another user is kept.

    Args:
        record: Record before the change.
        change: The operation; operations that are not in `CHANGES` change no command.
        by: User who made it; "" is Conducto itself.
        now: Seconds since the epoch.
    """
    if change not in CHANGES or by in ("", record.owner) or record.foreign_change is not None:
        return record
    foreign = ForeignChange(by=by, change=change, time=now)
    return record.model_copy(update={"foreign_change": foreign})


def secrets_user(record: PipelineRecord) -> str | None:
    """Return the user whose secrets and user data commands get, or None."""
    return record.owner if record.foreign_change is None else None


def withheld(record: PipelineRecord) -> str | None:
    """Return a sentence on why commands run without user secrets; None if they have them."""
    foreign = record.foreign_change
    if foreign is None:
        return None
    when = f"{datetime.fromtimestamp(foreign.time, UTC):%Y-%m-%d %H:%M} UTC"
    return (
        f"runs without the user secrets of {record.owner}: {foreign.by} changed this pipeline "
        f"({foreign.change.replace('_', ' ')}, {when}); launch it again to run it with your own"
    )
