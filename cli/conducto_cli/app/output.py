"""The machine-readable documents. Stable: a key may be added, none changes or goes.

Times are seconds since the epoch; whatever is not known is null.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from conducto_core.record import Record
    from conducto_core.run.model.records import AttemptRecord, Counts
    from conducto_core.run.model.requests import ControlResult, NodeView, PipelineSummary


def listing(summaries: Sequence[PipelineSummary]) -> list[dict[str, Any]]:
    """Return the document of ``conducto list --json``, the newest pipeline first.

    If one of two targets is unreachable, it has the pipelines of the other (see ``mode``).
    """
    from conducto_core.run.rules.activity import active_time  # noqa: PLC0415 - heavy

    return [
        {
            **_pipeline(summary),
            "settled": summary.settled,
            "mode": summary.pipeline.mode,
            "engine": summary.pipeline.engine,
            "lifecycle": summary.pipeline.lifecycle.value,
            "armed": summary.pipeline.armed,
            "run_at": summary.pipeline.run_at,
            "owner": summary.pipeline.owner,
            "tags": list(summary.pipeline.tags),
            "program": summary.pipeline.program,
            "parent": _parent(summary),
            "created": summary.pipeline.created,
            "started": summary.started,
            "ended": summary.ended,
            "active_seconds": active_time(summary, time.time()),
        }
        for summary in summaries
    ]


def pipeline_document(summary: PipelineSummary, nodes: Iterable[NodeView]) -> dict[str, Any]:
    """Return the document of ``conducto show ID --json``: nodes in definition order."""
    parent = _parent(summary)
    return {**_pipeline(summary), "parent": parent, "nodes": [_node(view) for view in nodes]}


def action_document(verb: str, pipeline_id: str, result: ControlResult) -> dict[str, Any]:
    """Return the document that actions print with ``--json``.

    ``paths`` are the first of the affected Execs; ``stopped`` is how many of them ran.
    """
    return {"id": pipeline_id, "action": verb, **result.model_dump(mode="json")}


def as_json(document: Record | object) -> str:
    dump = getattr(document, "model_dump", None)
    return json.dumps(document if dump is None else dump(mode="json"), indent=1)


def _parent(summary: PipelineSummary) -> dict[str, Any] | None:
    parent = summary.pipeline.parent
    return None if parent is None else parent.model_dump(mode="json")


def _pipeline(summary: PipelineSummary) -> dict[str, Any]:
    return {
        "id": summary.pipeline.id,
        "title": summary.pipeline.title,
        "state": summary.state.value,
        "counts": _counts(summary.counts),
    }


def _counts(counts: Counts) -> dict[str, int]:
    names = ("pending", "queued", "running", "done", "error", "killed", "skipped")
    return {name: getattr(counts, name) for name in names}


def _node(view: NodeView) -> dict[str, Any]:
    return {
        "path": view.path,
        "type": view.type.value,
        "state": view.state.value,
        "skipped": view.skipped,
        "cause": None if view.cause is None else view.cause.value,
        "command": view.command,
        "file": view.file,
        "line": view.line,
        "waits_for": view.waits_for,
        "wait_kind": view.wait_kind,
        "wait_since": view.wait_since,
        "wait_holder": view.wait_holder,
        "wait_remedy": view.wait_remedy,
        "wait_until": view.wait_until,
        "counts": None if view.counts is None else _counts(view.counts),
        "attempts": [_attempt(attempt) for attempt in view.attempts],
    }


def _attempt(attempt: AttemptRecord) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "state": attempt.state.value,
        "cause": None if attempt.cause is None else attempt.cause.value,
        "exit_code": attempt.exit_code,
        "command": attempt.command,
        "container": attempt.container,
        "queued": attempt.queued,
        "started": attempt.started,
        "ended": attempt.ended,
    }
