"""Which pipelines a reader asks for."""

from collections.abc import Iterable
from itertools import islice

from conducto.model.api import PipelineSummary
from conducto.model.params import ListParams
from conducto.model.records import Lifecycle
from conducto.service.port import NotFoundError

_LISTED = frozenset({Lifecycle.ACTIVE, Lifecycle.SLEEPING})


def matching(
    summaries: Iterable[PipelineSummary], query: ListParams | None
) -> tuple[PipelineSummary, ...]:
    """Return those that match, in order; None is all that are not archived.

    Raises:
        NotFoundError: the pipeline to continue after is gone.
    """
    if query is None:
        listed = ListParams()
        return tuple(one for one in summaries if _matches(one, listed))
    rest = iter(summaries)
    if query.after is not None:
        _go_behind(rest, query.after)
    return tuple(islice((one for one in rest if _matches(one, query)), query.limit))


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
        and (query.tag is None or query.tag in record.tags)
        and (not query.text or query.text.lower() in _words(summary))
    )


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
