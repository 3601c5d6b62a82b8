"""Usage reports, from attempts or from stored sums."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from conducto_core.billing.model import (
    MAX_USAGE_PIPELINES,
    MONTHS,
    Charged,
    MonthSpent,
    NodeSpent,
    PipelineCost,
    PipelineSpent,
    ProgramSpent,
    Spent,
    Usage,
    UsageParams,
)
from conducto_core.billing.rules import (
    Rates,
    Stored,
    Use,
    month_of,
    own_use_of,
    price_of,
    request_dollars,
    total,
    transition_dollars,
    use_of,
)
from conducto_core.programs.rules.programs import (
    HasProgram,
    ProgramKey,
    is_of_program,
    program_key,
)
from conducto_core.run.model.records import AttemptRecord, PipelineRecord
from conducto_core.workers.rules.fargate import PRICES

_USE = tuple(field.name for field in fields(Use))
R = TypeVar("R", Usage, PipelineCost)


def months_before(moment: float) -> tuple[str, ...]:
    """Return the month of a time and the months before it, `MONTHS` in total, the newest first."""
    year, month, *_ = time.gmtime(moment)
    numbers = range(year * 12 + month - 1, year * 12 + month - 1 - MONTHS, -1)
    return tuple(f"{number // 12:04}-{number % 12 + 1:02}" for number in numbers)


def is_requested(record: HasProgram, query: UsageParams) -> bool:
    program = ProgramKey(query.title, query.program, query.function)
    return program == ProgramKey(None, None, None) or is_of_program(record, program)


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
                found.append(
                    PipelineSpent(
                        id=record.id,
                        title=record.title,
                        month=month,
                        program=record.program,
                        function=record.function,
                        **sums,
                    )
                )
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
    months: dict[str, list[PipelineSpent]] = {}
    for spent in found:
        months.setdefault(spent.month, []).append(spent)
    return Usage(
        priced=PRICES.date,
        region=PRICES.region,
        months=tuple(MonthSpent(month=name, **_sums(own)) for name, own in months.items()),
        pipelines=tuple(found),
        programs=_by_program(found),
    )


def cost_of(
    record: PipelineRecord,
    attempts: Iterable[AttemptRecord],
    maximum: int,
    *,
    spent: Sequence[PipelineSpent] = (),
    stored: Stored | None = None,
) -> PipelineCost:
    """Return the cost of a pipeline; on a user's own machine it costs nothing.

    Args:
        record: The pipeline.
        attempts: All of them.
        maximum: Maximum number of nodes.
        spent: Its usage by month, with the cost of its storage.
        stored: What it stores now.
    """
    free = record.mode == "local"
    listed = list(attempts)
    nodes = uses_by_node(listed, free=free)
    inside = total(nodes.values())
    use = Use()
    for month in spent:
        use.add(Use(**{name: getattr(month, name) for name in _USE}))
    if inside.dollars > use.dollars or free:  # an attempt is stored before it is metered
        use = inside
    ranked = _ranked(nodes)
    stored = Stored() if stored is None else stored
    return PipelineCost(
        id=record.id,
        title=record.title,
        free=free,
        priced=PRICES.date,
        region=PRICES.region,
        idle_dollars=use.dollars - inside.dollars,
        running=sum(a.started is not None and a.ended is None for a in listed),
        transition_dollars=0.0 if free else transition_dollars(use.attempts),
        request_dollars=0.0 if free else request_dollars(use.attempts, use.seconds),
        storage_dollars=sum(month.storage_dollars for month in spent),
        object_bytes=stored.objects,
        file_bytes=stored.files,
        nodes=tuple(NodeSpent(path=path, **_fields(use)) for path, use in ranked[:maximum]),
        more_nodes=max(0, len(ranked) - maximum),
        more_dollars=sum(use.dollars for _, use in ranked[maximum:]),
        **_fields(use),
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
    ranked = _ranked(nodes)
    named = tuple(NodeSpent(path=path, **_fields(use)) for path, use in ranked[:maximum])
    more = {
        "nodes": named,
        "more_nodes": len(ranked) - len(named),
        "idle_dollars": max(0.0, spent.dollars - total(nodes.values()).dollars),
    }
    return spent.model_copy(update=more)


def with_prices(found: R, rates: Rates | None) -> R:
    """Return a report with what the organisation pays; None: nothing is billed."""
    return found if rates is None else _priced(found, rates)


def _priced(found: Any, rates: Rates) -> Any:
    changes: dict[str, Any] = {
        name: tuple(_priced(each, rates) for each in getattr(found, name))
        for name in ("months", "pipelines", "programs", "nodes")
        if isinstance(getattr(found, name, None), tuple)
    }
    if isinstance(found, Spent):
        use = (found.dollars, found.seconds, found.cpu_seconds)
        changes["price"] = price_of(*use, rates)
    return found.model_copy(update=changes)


def dearest(report: Usage) -> tuple[PipelineSpent, ...]:
    """Return the pipelines of a report whose nodes may be requested."""
    return report.pipelines[:MAX_USAGE_PIPELINES]


def _ranked(nodes: Mapping[str, Use]) -> list[tuple[str, Use]]:
    """Return nodes, the most expensive first."""
    return sorted(nodes.items(), key=lambda item: (-item[1].dollars, -item[1].seconds, item[0]))


def _by_program(pipelines: Iterable[PipelineSpent]) -> tuple[ProgramSpent, ...]:
    """Return the sums of programs; ``pipelines`` have the most expensive of each month first."""
    groups: dict[tuple[str, ProgramKey], list[PipelineSpent]] = {}
    for spent in pipelines:
        groups.setdefault((spent.month, program_key(spent)), []).append(spent)
    found = [
        ProgramSpent(
            program=key.program,
            function=key.function,
            title=own[0].title,
            month=month,
            pipelines=len({spent.id for spent in own}),
            **_sums(own),
        )
        for (month, key), own in groups.items()
    ]
    return tuple(sorted(found, key=lambda s: (s.month, s.total_dollars, s.seconds), reverse=True))


def _sums(charged: Sequence[Charged]) -> dict[str, float]:
    names = (name for name in Charged.model_fields if name != "price")
    return {name: sum(getattr(each, name) for each in charged) for name in names}


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


def _fields(use: Use) -> dict[str, float]:
    return {name: getattr(use, name) for name in _USE}
