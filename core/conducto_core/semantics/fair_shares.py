"""Distribution of an organisation's workers between its pipelines. No I/O, no clock.

Each pipeline may use every worker of the plan that no other one needs. If they need more than there
are, a worker goes to the pipeline with the fewest, so that each has an equal share or all that it
needs; among equals, to the pipeline with the longest wait. With more pipelines than workers, a
pipeline that has had a worker for a turn gives it to one that waits.
"""

from collections.abc import Mapping
from dataclasses import dataclass

#: Seconds for which a pipeline keeps its only worker while others have none. The next pipeline
#: needs a new container, which takes up to a minute.
TURN = 600.0
#: Number of pipelines that `place_in_line` names.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Claimant:
    """A pipeline that has workers or waits for one.

    Attributes:
        held: Number of its workers.
        wanted: Number of further workers that it could use now.
        since: When it got the first of its workers, or, without a worker, since when it waits: in
            seconds since the epoch.
        reserved: Workers with which its ``new`` groups can finish
            (`conducto_core.semantics.capacity.claim`); it always gets these.
    """

    held: int = 0
    wanted: int = 0
    since: float = 0.0
    reserved: int = 0


def targets(claimants: Mapping[str, Claimant], workers: int, now: float) -> dict[str, int]:
    """Return ``{pipeline: workers that it should have}``; at most ``workers`` in total.

    Args:
        claimants: ``{pipeline: claimant}``.
        workers: Maximum number of workers of all claimants.
        now: The current time, in seconds since the epoch.
    """
    needs = {name: each.held + each.wanted for name, each in claimants.items()}
    found = {name: min(needs[name], each.reserved) for name, each in claimants.items()}
    left = workers - sum(found.values())
    order = sorted(claimants, key=lambda name: (claimants[name].since, name))
    level = 1
    while left > 0 and any(found[name] < needs[name] for name in order):
        turns = _by_turn(order, claimants, now) if level == 1 else order
        for name in turns:
            if found[name] < min(level, needs[name]) and left > 0:
                found[name] += 1
                left -= 1
        level += 1
    return found


def _by_turn(order: list[str], claimants: Mapping[str, Claimant], now: float) -> list[str]:
    """Return the order of the first workers: holders in their turn, then others, then holders."""

    def place(name: str) -> int:
        each = claimants[name]
        if not each.held:
            return 1
        return 2 if now - each.since >= TURN else 0

    recent = [name for name in reversed(order) if place(name) == 2]  # noqa: PLR2004  turn is over
    return [name for name in order if place(name) == 0] + [
        *(name for name in order if place(name) == 1),
        *recent,
    ]


def grants(
    claimants: Mapping[str, Claimant], workers: int, free: int, now: float
) -> dict[str, int]:
    """Return ``{pipeline: free workers that it may start}``, the next one first.

    The arguments are those of `targets`, and the number of free workers.
    """
    goal = targets(claimants, workers, now)
    has = {name: each.held for name, each in claimants.items()}
    granted: dict[str, int] = {}
    for _ in range(free):
        short = [name for name in claimants if has[name] < goal[name]]
        if not short:
            break
        name = min(short, key=lambda each: (has[each], claimants[each].since, each))
        granted[name] = granted.get(name, 0) + 1
        has[name] += 1
    return granted


def too_many(claimants: Mapping[str, Claimant], workers: int, now: float) -> dict[str, int]:
    """Return ``{pipeline: workers to keep}`` for those that must give some to others."""
    goal = targets(claimants, workers, now)
    return {name: goal[name] for name, each in claimants.items() if each.held > goal[name]}


def shortage(claimants: Mapping[str, Claimant], free: int) -> int:
    """Return how many further free workers the waiting pipelines could use.

    So many workers without a command should stop; more would only have to start again.

    Args:
        claimants: ``{pipeline: claimant}``.
        free: Number of free workers.
    """
    return max(0, sum(each.wanted for each in claimants.values()) - free)


def in_line(claimants: Mapping[str, Claimant]) -> list[str]:
    """Return the pipelines that wait, the next one first."""
    waiting = [name for name, each in claimants.items() if each.wanted]
    return sorted(waiting, key=lambda name: (claimants[name].held, claimants[name].since, name))


def place_in_line(claimants: Mapping[str, Claimant], name: str, maximum: int) -> str | None:
    """Return the place of a waiting pipeline and the holders of workers; None: it does not wait.

    The text is for example ``2nd in line for a worker; abc-def has 7 of 8``.

    Args:
        claimants: ``{pipeline: claimant}``.
        name: The pipeline.
        maximum: Number of workers that the plan allows.
    """
    line = in_line(claimants)
    if name not in line:
        return None
    number = line.index(name) + 1
    place = "next" if number == 1 else _ordinal(number)
    others = served(claimants, name)
    said = [f"{each} has {claimants[each].held}" for each in others[:_NAMED]]
    if not said:
        return f"{place} in line for a worker"
    said[0] += f" of {maximum}"
    more = len(others) - len(said)
    rest = sum(claimants[each].held for each in others[_NAMED:])
    said += [f"{more} more {'has' if more == 1 else 'have'} {rest}"] if more else []
    return f"{place} in line for a worker; {', '.join(said)}"


def served(claimants: Mapping[str, Claimant], name: str) -> list[str]:
    """Return the other pipelines that have workers, those with most first."""
    others = [each for each in claimants if each != name and claimants[each].held]
    return sorted(others, key=lambda each: (-claimants[each].held, each))


def _ordinal(number: int) -> str:
    teen = number % 100 in range(11, 14)
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
