"""Usage reports, from attempts or from stored sums."""

import time
from collections.abc import Iterable, Mapping

from conducto_core.model.records import AttemptRecord, PipelineRecord
from conducto_core.model.usage import (
    MAX_USAGE_PIPELINES,
    MONTHS,
    MonthSpent,
    NodeSpent,
    PipelineSpent,
    Spent,
    Usage,
    UsageParams,
)
from conducto_core.semantics.cost import Use, own_use_of, total, use_of
from conducto_core.semantics.fargate import PRICES
from conducto_core.semantics.service_costs import request_dollars, transition_dollars


def month_of(moment: float) -> str:
    """Return the month of a time, e.g. ``2026-11`` (UTC)."""
    return time.strftime("%Y-%m", time.gmtime(moment))


def months_before(moment: float) -> tuple[str, ...]:
    """Return the month of a time and the months before it, `MONTHS` in total, the newest first."""
    year, month, *_ = time.gmtime(moment)
    numbers = range(year * 12 + month - 1, year * 12 + month - 1 - MONTHS, -1)
    return tuple(f"{number // 12:04}-{number % 12 + 1:02}" for number in numbers)


def usage_of(
    pipelines: Iterable[tuple[PipelineRecord, Iterable[AttemptRecord]]], query: UsageParams
) -> Usage:
    """Return the usage of these pipelines; on a user's own machine it costs nothing."""
    found: list[PipelineSpent] = []
    uses: dict[tuple[str, str], dict[str, Use]] = {}
    for record, attempts in pipelines:
        months: dict[str, list[AttemptRecord]] = {}
        for attempt in attempts:
            if attempt.started is not None and attempt.ended is not None:
                months.setdefault(month_of(attempt.ended), []).append(attempt)
        for month, own in months.items():
            if query.month in (None, month):
                nodes = uses_by_node(own, free=record.mode == "local")
                sums = _fields(total(nodes.values()))
                found.append(PipelineSpent(id=record.id, title=record.title, month=month, **sums))
                if query.nodes:
                    uses[record.id, month] = nodes
    newest = sorted({spent.month for spent in found}, reverse=True)[:MONTHS]
    report = usage_report(spent for spent in found if spent.month in newest)
    named = [
        with_nodes(spent, uses.get((spent.id, spent.month), {}), query.nodes)
        for spent in dearest(report)
    ]
    return usage_report([*named, *report.pipelines[len(named) :]])


def usage_report(pipelines: Iterable[PipelineSpent]) -> Usage:
    """Return the report of pipelines, with their totals by month."""
    found = sorted(
        map(_with_services, pipelines), key=lambda s: (s.month, s.dollars, s.seconds), reverse=True
    )
    months: dict[str, Use] = {}
    for spent in found:
        months.setdefault(spent.month, Use()).add(_use(spent))
    return Usage(
        priced=PRICES.date,
        region=PRICES.region,
        months=tuple(_month(name, use, found) for name, use in months.items()),
        pipelines=tuple(found),
    )


def uses_by_node(
    attempts: Iterable[AttemptRecord], *, month: str | None = None, free: bool = False
) -> dict[str, Use]:
    """Return ``{path: use of its finished attempts}``, only in ``month`` if given."""
    nodes: dict[str, Use] = {}
    for attempt in attempts:
        if attempt.started is None or attempt.ended is None:
            continue
        if month in (None, month_of(attempt.ended)):
            use = own_use_of(attempt) if free else use_of(attempt)
            nodes.setdefault(attempt.path, Use()).add(use)
    return nodes


def with_nodes(spent: PipelineSpent, nodes: Mapping[str, Use], maximum: int) -> PipelineSpent:
    """Return a pipeline's usage with its most expensive nodes."""
    if not maximum:
        return spent
    dearest = sorted(nodes.items(), key=lambda item: (-item[1].dollars, -item[1].seconds, item[0]))
    named = tuple(NodeSpent(path=path, **_fields(use)) for path, use in dearest[:maximum])
    more = {
        "nodes": named,
        "more_nodes": len(dearest) - len(named),
        "idle_dollars": max(0.0, spent.dollars - total(nodes.values()).dollars),
    }
    return spent.model_copy(update=more)


def dearest(report: Usage) -> tuple[PipelineSpent, ...]:
    """Return the pipelines of a report whose nodes may be requested."""
    return report.pipelines[:MAX_USAGE_PIPELINES]


def _with_services(spent: PipelineSpent) -> PipelineSpent:
    """Add the costs of other services; a user's own machine has none."""
    if not spent.dollars:
        return spent
    return spent.model_copy(
        update={
            "transition_dollars": transition_dollars(spent.attempts),
            "request_dollars": request_dollars(spent.attempts, spent.seconds),
        }
    )


def _month(name: str, use: Use, pipelines: Iterable[PipelineSpent]) -> MonthSpent:
    own = [spent for spent in pipelines if spent.month == name]
    return MonthSpent(
        month=name,
        transition_dollars=sum(spent.transition_dollars for spent in own),
        request_dollars=sum(spent.request_dollars for spent in own),
        **_fields(use),
    )


def _fields(use: Use) -> dict[str, float]:
    return {name: getattr(use, name) for name in Spent.model_fields}


def _use(spent: Spent) -> Use:
    return Use(**{name: getattr(spent, name) for name in Spent.model_fields})
