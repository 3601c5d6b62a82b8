"""Filters and pages of pipeline lists."""

from collections.abc import Iterable
from itertools import islice, tee

from conducto_core.api.queries.run_history import histories_of
from conducto_core.errors import NotFoundError
from conducto_core.model.params import MAX_HISTORY_SCAN, ListParams
from conducto_core.model.records import Lifecycle, PipelineRecord
from conducto_core.model.requests import PipelineSummary
from conducto_core.model.responses import PipelineList

_LISTED = frozenset({Lifecycle.ACTIVE, Lifecycle.SLEEPING})


def page(summaries: Iterable[PipelineSummary], query: ListParams | None) -> PipelineList:
    """Return the pipelines that match, in order; None selects all that are not archived.

    Args:
        summaries: All pipelines, the newest first; as few as possible are read.
        query: The filter, and options.

    Raises:
        NotFoundError: the pipeline to continue after does not exist any more.
    """
    if query is None:
        listed = ListParams()
        return PipelineList(pipelines=tuple(one for one in summaries if _matches(one, listed)))
    if not query.history:
        return _page(summaries, query)
    # Read once, since reading is the cost of a list.
    asked_for, known, above = tee(summaries, 3)
    found = _page(asked_for, query)
    parents = () if query.parent is None else _first_with_id(above, query.parent)
    histories = histories_of((*parents, *found.pipelines), islice(known, MAX_HISTORY_SCAN))
    return found.model_copy(update={"histories": histories})


def _first_with_id(
    summaries: Iterable[PipelineSummary], pipeline_id: str
) -> Iterable[PipelineSummary]:
    return islice((one for one in summaries if one.pipeline.id == pipeline_id), 1)


def _page(summaries: Iterable[PipelineSummary], query: ListParams) -> PipelineList:
    rest = iter(summaries)
    if query.after is not None:
        _go_behind(rest, query.after)
    found = tuple(islice((one for one in rest if _matches(one, query)), query.limit))
    full = len(found) == query.limit
    return PipelineList(pipelines=found, next=found[-1].pipeline.id if full else None)


def _go_behind(summaries: Iterable[PipelineSummary], after: str) -> None:
    for one in summaries:
        if one.pipeline.id == after:
            return
    raise NotFoundError(f"no pipeline {after!r} to continue after; list them from the start")


def _matches(summary: PipelineSummary, query: ListParams) -> bool:
    record = summary.pipeline
    return (
        record.lifecycle in _lifecycles(query)
        and query.state in (None, summary.state)
        and query.owner in (None, record.owner)
        and (query.parent is None or query.parent == _parent_of(record))
        and (query.tag is None or query.tag in record.tags)
        and (not query.text or query.text.lower() in _words(summary))
    )


def _parent_of(record: PipelineRecord) -> str | None:
    return None if record.parent is None else record.parent.pipeline


def _lifecycles(query: ListParams) -> frozenset[Lifecycle]:
    match query.lifecycle:
        case "listed":
            return _LISTED
        case "all":
            return frozenset(Lifecycle)
        case one:
            return frozenset({Lifecycle(one)})


def _words(summary: PipelineSummary) -> str:
    record = summary.pipeline
    return "\n".join((record.id, record.title, record.program or "", *record.tags)).lower()
