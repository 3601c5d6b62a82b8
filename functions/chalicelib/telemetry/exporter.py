"""Sends the spans of a run to an OpenTelemetry collector, in the background after its end.

A lost invocation loses the spans of its run; one that is repeated sends them again, with the same
ids, and counts it again. A collector that does not take them is not asked again for this run.
"""

import logging
from collections.abc import Iterable

from chalicelib.dependencies import Dependencies, write_with_retry
from chalicelib.images.poller import Reading
from chalicelib.run.rules.changes import PipelineChanges
from chalicelib.run.rules.pipeline import CloudPipeline
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.rules.tree_state import LiveExec
from conducto_core.telemetry.rules.metrics import Counting
from conducto_core.telemetry.rules.spans import BATCH, Run, batches, is_of, run_of, spans_of

logger = logging.getLogger(__name__)

_ROOT = "/"


def ends_run(live: CloudPipeline, changes: PipelineChanges) -> bool:
    """Return whether these results of an event end a run: its last attempt, and with it the root.

    Of the events of one entry, only the event that changed the root ends it.
    """
    ended = bool(changes.attempts) and live.settled()
    return ended and any(row.path == _ROOT for row in changes.changes)


def send_run(cloud: Dependencies, reading: Reading, org: str, pipeline_id: str) -> None:
    """Send the spans of the run that ended last."""
    if cloud.collector is None:
        return
    sender = cloud.collector()
    with reading(org, pipeline_id) as live:
        record = live.record.model_copy(update={"status": live.status()})
        nodes = live.tree.nodes.values()
        groups = {node.path: node.state for node in nodes if not isinstance(node, LiveExec)}
        rounds = live.activity.rounds
    web_app = cloud.web_app()
    page = f"{web_app.rstrip('/')}/p/{pipeline_id}" if web_app else ""
    run = run_of(record, rounds, groups, url=page, charged=True)
    if run is None:
        return
    attempts = [each for each in cloud.store.attempts(pipeline_id) if is_of(run, each)]
    write_with_retry(cloud, lambda: _count(cloud, org, run, attempts))
    for batch in batches(spans_of(run, attempts), BATCH):
        if not sender.spans(batch):
            logger.warning("the collector did not take spans", extra={"pipeline": pipeline_id})
            return


def _count(cloud: Dependencies, org: str, run: Run, attempts: Iterable[AttemptRecord]) -> None:
    """Add a run and its attempts to the totals of its organisation."""
    totals, version = cloud.telemetry.read(org)
    counting = Counting(cloud.clock()) if totals is None else Counting.continued(totals)
    counting.add_run(run)
    for attempt in attempts:
        counting.add_attempt(attempt, charged=attempt.from_cache is None)
    cloud.telemetry.write(org, counting.totals(), version)
