"""Sends the spans of a run to an OpenTelemetry collector, in the background after its end.

A lost invocation loses the spans of its run; one that is repeated sends them again, with the same
ids, and counts it again. A collector that does not take them is not asked again for this run.
"""

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from chalicelib.errors import Timing
from chalicelib.images.poller import Reading
from chalicelib.installation import Installation
from chalicelib.logs.port import Storage
from chalicelib.records import Records
from chalicelib.run.port import Blobs
from chalicelib.run.rules.changes import PipelineChanges
from chalicelib.run.rules.pipeline import CloudPipeline
from chalicelib.telemetry.output import export_output
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.rules.live_nodes import LiveExec
from conducto_core.telemetry.rules.metrics import Counting
from conducto_core.telemetry.rules.spans import BATCH, Run, batches, is_of, run_of, spans_of

if TYPE_CHECKING:
    from conducto_core.telemetry.otlp import OtlpSender

logger = logging.getLogger(__name__)

_ROOT = "/"


def ends_run(live: CloudPipeline, changes: PipelineChanges) -> bool:
    """Return whether these results of an event end a run: its last attempt, and with it the root.

    Of the events of one entry, only the event that changed the root ends it.
    """
    ended = bool(changes.attempts) and live.settled()
    return ended and any(row.path == _ROOT for row in changes.changes)


def has_receiver(log_bucket: Blobs | None, collector: "Callable[[], OtlpSender] | None") -> bool:
    """Return whether the end of a run is reported to a collector or a bucket."""
    return collector is not None or log_bucket is not None


def send_run(
    records: Records,
    storage: Storage,
    installation: Installation,
    timing: Timing,
    collector: "Callable[[], OtlpSender] | None",
    *,
    reading: Reading,
    org: str,
    pipeline_id: str,
    done: int = 0,
    is_over: Callable[[], bool] = lambda: False,
) -> int | None:
    """Send the spans of the run that ended last, and copy its output.

    Args:
        reading: Reads pipelines.
        org: The organisation.
        pipeline_id: The pipeline.
        done: Number of attempts whose output is copied; the spans are sent before the first.
        is_over: Whether the time of the invocation is short.

    Returns:
        The number of attempts whose output is copied, if another invocation must continue.
    """
    run = _last_run(installation.web_app, reading, org, pipeline_id)
    if run is None:
        return None
    attempts = [each for each in records.store.attempts(pipeline_id) if is_of(run, each)]
    if not done and collector is not None:
        timing.retry(lambda: _count(records, timing.clock, org, run, attempts))
        sender = collector()
        parts = batches(spans_of(run, attempts), BATCH)
        if not all(sender.spans(part) for part in parts):
            logger.warning("the collector did not take spans", extra={"pipeline": pipeline_id})
    done += export_output(storage, installation.site, org, run, attempts[done:], is_over=is_over)
    return done if done < len(attempts) else None


def _last_run(
    web_app: Callable[[], str], reading: Reading, org: str, pipeline_id: str
) -> Run | None:
    with reading(org, pipeline_id) as live:
        record = live.record.model_copy(update={"status": live.status()})
        nodes = live.tree.nodes.values()
        groups = {node.path: node.state for node in nodes if not isinstance(node, LiveExec)}
        rounds = live.activity.rounds
    site = web_app()
    page = f"{site.rstrip('/')}/p/{pipeline_id}" if site else ""
    return run_of(record, rounds, groups, url=page, charged=True)


def _count(
    records: Records,
    clock: Callable[[], float],
    org: str,
    run: Run,
    attempts: Iterable[AttemptRecord],
) -> None:
    """Add a run and its attempts to the totals of its organisation."""
    totals, version = records.telemetry.read(org)
    counting = Counting(clock()) if totals is None else Counting.continued(totals)
    counting.add_run(run)
    for attempt in attempts:
        counting.add_attempt(attempt, charged=attempt.from_cache is None)
    records.telemetry.write(org, counting.totals(), version)
