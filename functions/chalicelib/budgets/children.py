"""The costs of children, which count in the budgets above the commands that launched them.

A budget's pipeline knows its children from their launch. Each minute, its check reads their costs
and pauses those whose budget is used up; they continue when it is raised.
"""

from collections.abc import Callable
from functools import partial

from chalicelib.run.model import ActionRequested, ChildMetered, Input
from chalicelib.run.processor import CommandProcessor
from chalicelib.run.rules.pipeline import CloudPipeline
from conducto_core.errors import NotFoundError
from conducto_core.run.model.requests import Action

#: How the problem of a child begins that is paused because of a budget of its parent.
_PAUSED = "its parent {}: "


def register_child(
    engine: CommandProcessor, now: float, org: str, parent: str, *, path: str, child: str
) -> None:
    """Let a child that was launched at a time count in the budgets of its parent, if any."""

    def decide(live: CloudPipeline) -> Input | None:
        if child in live.children or not live.has_budget_above(path):
            return None
        return ChildMetered(time=now, child=child, path=path, dollars=0.0)

    engine.submit(org, parent, decide)


def meter_children(
    engine: CommandProcessor, clock: Callable[[], float], org: str, parent: str
) -> None:
    """Record the costs of a pipeline's children; pause or continue them by its budgets."""
    with engine.reading(org, parent) as live:
        known = {child: each for child, each in live.children.items() if not each[2]}
    for child, (path, before, _) in known.items():
        try:
            dollars, ended = _cost(engine, clock(), org, child)
        except NotFoundError:  # deleted
            dollars, ended = before, True
        if (dollars, ended) != (before, False):
            metered = ChildMetered(
                time=clock(),
                child=child,
                path=path,
                dollars=dollars,
                ended=ended,
            )
            engine.submit(org, parent, partial(_always, metered))
        if not ended:
            with engine.reading(org, parent) as live:
                why = live.why_above(path, clock())
            engine.submit(org, child, partial(_held, clock(), parent, why))


def _always(metered: ChildMetered, _live: CloudPipeline) -> ChildMetered:
    return metered


def _cost(engine: CommandProcessor, now: float, org: str, child: str) -> tuple[float, bool]:
    """Return the cost of a child so far, and whether it has settled; a paused one may continue."""
    with engine.reading(org, child) as live:
        live.asked_at = now
        ended = live.settled() and live.record.armed and not live.registry.workers
        return live.cost_of("/"), ended


def _held(now: float, parent: str, why: str | None, child: CloudPipeline) -> Input | None:
    prefix = _PAUSED.format(parent)
    is_held = (child.record.problem or "").startswith(prefix)
    if why is not None and child.record.armed and not child.settled():
        return ActionRequested(time=now, action=Action.PAUSE, problem=prefix + why)
    if why is None and is_held and not child.record.armed:
        return ActionRequested(time=now, action=Action.RUN)
    return None
