"""From when to when groups ran, by the newest attempts below them."""

from collections.abc import Iterable, Mapping

from chalicelib.pipeline import CloudPipeline
from conducto.model.nodes import ancestors
from conducto.model.records import Period
from conducto.model.states import State
from conducto.semantics.live import LiveGroup, LiveNode


def periods_of(live: CloudPipeline, nodes: Iterable[LiveNode]) -> Mapping[str, Period]:
    """Return ``{path: period}`` of those nodes that are groups and have begun.

    One look at every attempt, however many groups are asked for.
    """
    begun = {
        node.path
        for node in nodes
        if isinstance(node, LiveGroup) and node.state not in (State.PENDING, State.QUEUED)
    }
    root = live.tree.root.path
    found = {root: Period(live.started, live.ended)} if root in begun else {}
    below = begun - {root}
    if below:
        for path, times in live.times.items():
            for group in below.intersection(ancestors(path)):
                found[group] = _both(found.get(group, Period()), Period(*times))
    return found


def _both(one: Period, other: Period) -> Period:
    starts = [time for time in (one.started, other.started) if time is not None]
    ends = [time for time in (one.ended, other.ended) if time is not None]
    return Period(min(starts, default=None), max(ends, default=None))
