"""The state of a pipeline in words."""

import time

from conducto_core.model.records import Lifecycle
from conducto_core.model.requests import PipelineSummary
from conducto_core.model.states import FINISHED


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
