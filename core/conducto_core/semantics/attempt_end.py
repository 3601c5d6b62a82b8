"""The end of an attempt."""

from typing import Final, NamedTuple

from conducto_core.model.base import trusted
from conducto_core.model.outputs import OutputSummary
from conducto_core.model.records import ApprovalDecision, AttemptRecord
from conducto_core.semantics import events as ev

#: One set for all records: killing 100,000 queued nodes makes as many records at once.
_FIELDS = set(AttemptRecord.model_fields)


class AttemptEnd(NamedTuple):
    """The facts that only the driver of an attempt knows, for its record."""

    exit_code: int | None = None
    message: str | None = None
    peak_memory: int | None = None
    output_bytes: int | None = None
    outputs: OutputSummary | None = None
    interpreter: str | None = None
    decision: ApprovalDecision | None = None


#: No such facts.
UNKNOWN: Final = AttemptEnd()


def ended_record(
    record: AttemptRecord, command: ev.EndAttempt, end: AttemptEnd, now: float
) -> AttemptRecord:
    """Return the record of an attempt that has ended, given its last one."""
    reason = ": ".join(filter(None, (end.message, command.note)))
    more = {
        **end._asdict(),
        "state": command.state,
        "cause": command.cause,
        "message": "\n".join(filter(None, (record.message, reason))) or None,
        "outputs": end.outputs or record.outputs,  # those that arrived before it was lost
        "ended": max(now, record.started or 0.0),  # the clock may have been set back
    }
    return changed_record(record, **more)


def changed_record(record: AttemptRecord, **changes: object) -> AttemptRecord:
    """Return a record with other values of some fields, which must be valid."""
    return trusted(AttemptRecord, {**record.__dict__, **changes}, _FIELDS)
