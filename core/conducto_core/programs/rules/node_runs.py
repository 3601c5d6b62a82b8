"""The usual time of a node, and the run from which on it changed."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from conducto_core.programs.history import RunOfNode
from conducto_core.programs.rules.comparison import is_beyond_noise, slow_time
from conducto_core.programs.rules.why import are_comparable, changed_field, recorded_changes
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.states import State

#: Fewest runs before and after a change.
MIN_AROUND = 3


class Usual(NamedTuple):
    """`conducto_core.programs.history.HistoryOfNode` has the same values."""

    usual: float | None = None
    slow: float | None = None
    since: str | None = None
    before: float | None = None


def usual_times(runs: Sequence[RunOfNode], current: str) -> Usual:
    """Return the usual time of a node.

    Args:
        runs: The newest first.
        current: The pipeline that is compared with the others.
    """
    passed = [
        (each.pipeline, each.seconds)
        for each in reversed(runs)
        if each.state is State.DONE and each.seconds is not None and each.from_cache is None
    ]
    known = [seconds for pipeline, seconds in passed if pipeline != current]
    if not known:
        return Usual()
    return Usual(statistics.median(known), slow_time(known), *_change(passed))


def _change(passed: Sequence[tuple[str, float]]) -> tuple[str | None, float | None]:
    """Return the first run after the clearest change of the time, and the median before it.

    The runs before and after it differ from their medians by the least sum. It counts if hardly any
    earlier run is as long as a later one.
    """
    times = [seconds for _, seconds in passed]
    places = range(MIN_AROUND, len(times) - MIN_AROUND + 1)
    at = min(places, key=lambda each: _spread(times[:each]) + _spread(times[each:]), default=None)
    if at is None:
        return None, None
    before, after = times[:at], times[at:]
    medians = statistics.median(before), statistics.median(after)
    middle = sum(medians) / 2
    rises = medians[1] > medians[0]
    astray = sum((each > middle) is rises for each in before)
    astray += sum((each > middle) is not rises for each in after)
    if not is_beyond_noise(*medians) or astray > len(times) // 10:
        return None, None
    return passed[at][0], medians[0]


def _spread(times: Sequence[float]) -> float:
    median = statistics.median(times)
    return sum(abs(each - median) for each in times)


def with_changes(
    runs: Sequence[RunOfNode], attempts: Sequence[AttemptRecord | None]
) -> list[RunOfNode]:
    """Return the runs with the inputs that differ from those of the run before.

    Args:
        runs: The newest first.
        attempts: The attempt of each of them; None for a group.
    """
    found = []
    for place, (run, now) in enumerate(zip(runs, attempts, strict=True)):
        before = attempts[place + 1] if place + 1 < len(attempts) else None
        if now is None or before is None:
            found.append(run)
            continue
        changed = tuple(changed_field(*each) for each in recorded_changes(before, now))
        comparable = are_comparable(before, now)
        found.append(run.model_copy(update={"changed": changed, "comparable": comparable}))
    return found
