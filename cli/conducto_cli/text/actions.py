"""The sentence that reports an action."""

import time

from conducto_cli.text.text import count_of, printable
from conducto_core.run.model.records import Lifecycle
from conducto_core.run.model.requests import Action, ControlResult, PipelineSummary
from conducto_core.run.model.states import FINISHED

_LISTED = 10


_PAST = {
    Action.RESET: "reset",
    Action.RERUN: "reset",
    Action.SKIP: "skipped",
    Action.UNSKIP: "unskipped",
    Action.KILL: "killed",
    Action.REBUILD: "reset, to run with rebuilt images,",
    Action.MODIFY: "modified",
}


_WOULD = {
    Action.RESET: "would reset",
    Action.RERUN: "would reset",
    Action.SKIP: "would skip",
    Action.UNSKIP: "would unskip",
    Action.KILL: "would kill",
    Action.REBUILD: "would rebuild images for and reset",
    Action.MODIFY: "would modify",
}


#: What became of the pipeline, and the words before the command that continues it.
_WHOLE = {
    Action.PAUSE: ("paused", "continue: conducto run"),
    Action.CANCEL: ("cancelled", "continue: conducto run"),
    Action.SLEEP: ("asleep", "continue: conducto run"),
    Action.WAKE: ("awake", "continue: conducto run"),
    Action.ARCHIVE: ("archived", "take it back: conducto wake"),
}


def action_report(action: Action, pipeline_id: str, result: ControlResult) -> str:
    if action is Action.RUN:
        running = (f"running; watch it: conducto show {pipeline_id}",)
        return "\n".join(map(printable, result.notes or running))  # a note: nothing starts
    if action not in _WHOLE:
        if not result.affected:
            return f"nothing to {action.value}"
        said = _WOULD[action] if result.preview else _PAST[action]
        stops = f", {result.stopped:,} of them running" if result.stopped else ""
        lines = [f"{said} {count_of(result.affected, 'Exec')}{stops}"]
        lines += [f"  {printable(path)}" for path in result.paths[:_LISTED]]
        if result.affected > _LISTED:
            lines.append(f"  and {result.affected - _LISTED:,} more")
        notes = (note for note in result.notes if note != result.idle)
        lines += [f"note: {printable(note)}" for note in notes]
        return "\n".join(lines)
    outcome, continuation = _WHOLE[action]
    ended = f"; ended {count_of(result.stopped, 'Exec')}" if result.stopped else ""
    return "\n".join([f"{outcome}{ended}; {continuation} {pipeline_id}", *result.notes])


# ----------------------------------------------------------------------------------------
# The state of a pipeline in words.


def state_text(summary: PipelineSummary) -> str:
    """Return the pipeline's state, and what it does not tell: a pause, a start to come, a rest."""
    record, state = summary.pipeline, summary.state
    if summary.settled and record.lifecycle is not Lifecycle.ACTIVE:
        return f"{state.value}, {record.lifecycle.value}"
    if record.run_at is not None and not record.armed:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.run_at))
        return f"{state.value}, starts at {when}"
    if record.armed or state in FINISHED:
        return state.value
    if summary.settled:
        return "pending" if summary.started is None else "paused"
    return f"{state.value}, paused"
