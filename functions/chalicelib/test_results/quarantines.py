"""Ends of commands of which only quarantined tests failed."""

from collections.abc import Callable

from chalicelib.logs.port import LogKey, LogStore
from chalicelib.records import Records
from chalicelib.run.rules.pipeline import CloudPipeline
from conducto_core.results.outputs import MAX_STREAM
from conducto_core.results.records import records_in
from conducto_core.run.model.states import Cause
from conducto_core.test_results.model import TestResult
from conducto_core.test_results.rules import excuse
from conducto_core.workers.model import Report


def excused_report(
    records: Records,
    logs: LogStore,
    clock: Callable[[], float],
    live: CloudPipeline,
    call: Report,
    *,
    cause: Cause | None,
) -> str | None:
    """Return the message of an attempt of which only quarantined tests failed, or None."""
    key = LogKey(live.id, call.path, call.attempt, "tests")
    return excuse(
        (cause, call.exit_code),
        None if call.outputs is None else call.outputs.tests,
        lambda: records_in(logs.read(key, 0, MAX_STREAM), TestResult)[0],
        lambda: records.quarantines.list_by_name(live.org),
        record=live.record,
        now=clock(),
    )
