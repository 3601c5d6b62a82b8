"""Workers of an organisation: at all times each pipeline has its share, and none starves."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from conducto_core.workers.rules.pools import (
    TURN,
    Claimant,
    grants,
    in_line,
    shortage,
    targets,
    too_many,
)

NAMES = "abcdef"
CLAIMANTS = st.dictionaries(
    st.sampled_from(NAMES),
    st.builds(
        Claimant,
        held=st.integers(0, 6),
        wanted=st.integers(0, 12),
        since=st.floats(0, 2 * TURN),
    ),
)


@given(CLAIMANTS, st.integers(0, 20))
def test_targets_are_equal_unless_a_pipeline_needs_fewer(
    claimants: dict[str, Claimant], workers: int
) -> None:
    goal = targets(claimants, workers, 2 * TURN)

    needs = {name: each.held + each.wanted for name, each in claimants.items()}
    assert sum(goal.values()) == min(workers, sum(needs.values()))
    least = min((goal[n] for n in claimants if goal[n] < needs[n]), default=None)
    if least is not None:  # it has too few, so nobody has more than one above it
        assert max(goal.values()) <= least + 1


@given(CLAIMANTS, st.integers(0, 20))
def test_free_workers_go_to_those_with_fewest_and_none_stays_free(
    claimants: dict[str, Claimant], workers: int
) -> None:
    free = max(0, workers - sum(each.held for each in claimants.values()))
    goal = targets(claimants, workers, 2 * TURN)
    given_out = grants(claimants, workers, free, 2 * TURN)

    assert sum(given_out.values()) <= free
    if shortage(claimants, free):  # so no worker stays free
        assert sum(given_out.values()) == free
    if sum(given_out.values()) < free:
        assert given_out == {name: claimants[name].wanted for name in in_line(claimants)}
    has = {name: each.held + given_out.get(name, 0) for name, each in claimants.items()}
    for name in given_out:
        assert has[name] <= goal[name]
        for other in claimants:  # nobody who may have more is left with fewer
            assert has[other] >= min(goal[other], has[name] - 1)


def test_a_context_that_has_started_gets_the_workers_that_it_reserved() -> None:
    claimants = {
        "group": Claimant(held=1, wanted=1, since=50.0, reserved=2),
        "other": Claimant(held=1, wanted=9, since=10.0),
    }
    assert targets(claimants, 2, 60.0) == {"group": 2, "other": 0}
    assert too_many(claimants, 2, 60.0) == {"other": 0}


@dataclass
class _Pipeline:
    arrives: float
    commands: int
    held: int = 0
    since: float = 0.0
    first: float | None = None

    def claimant(self) -> Claimant:
        return Claimant(self.held, max(0, self.commands - self.held), self.since)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.floats(0, 400), st.sampled_from([1, 3, 10, 10_000])), max_size=7),
    st.integers(1, 5),
    st.floats(1, 120),
)
def test_every_pipeline_gets_a_worker_in_bounded_time(
    given_out: list[tuple[float, int]], workers: int, seconds: float
) -> None:
    """Commands of all pipelines take ``seconds``; some pipelines never end."""
    there = {f"p{i}": _Pipeline(*each) for i, each in enumerate(given_out)}
    rounds = -(-len(there) // workers)
    longest = rounds * (TURN + 2 * seconds) + seconds
    now, end = 0.0, 400 + 2 * longest
    seen: set[str] = set()
    waits: dict[str, float] = {}
    while now < end:
        for name, each in there.items():
            if each.arrives <= now and name not in seen:
                seen.add(name)
                each.since = now
        present = {name: there[name] for name in seen if there[name].commands or there[name].held}
        claimants = {name: each.claimant() for name, each in present.items()}
        keeps = too_many(claimants, workers, now)
        for name, number in keeps.items():  # its commands have just ended
            present[name].held = number
            if not number:
                present[name].since = now
        claimants = {name: each.claimant() for name, each in present.items()}
        free = workers - sum(each.held for each in present.values())
        for name, number in grants(claimants, workers, free, now).items():
            each = present[name]
            each.since = each.since if each.held else now
            each.held += number
        assert sum(each.held for each in present.values()) <= workers
        idle = workers - sum(each.held for each in present.values())
        after = {name: each.claimant() for name, each in present.items()}
        assert not idle or not in_line(after), "a worker is free although a pipeline waits"
        for name, each in present.items():
            if each.held:
                waits.pop(name, None)
            else:
                waits.setdefault(name, now)
                assert now - waits[name] <= longest, f"{name} starves"
        now += seconds
        for each in present.values():
            each.commands -= min(each.held, each.commands)
            each.held = min(each.held, each.commands)


def test_with_more_pipelines_than_workers_they_take_turns() -> None:
    holds = {"a": Claimant(held=1, wanted=5, since=0.0), "b": Claimant(held=1, wanted=5, since=1.0)}
    waits = {"c": Claimant(wanted=5, since=2.0), "d": Claimant(wanted=5, since=3.0)}

    before = TURN - 1
    assert too_many({**holds, **waits}, 2, before) == {}
    after = TURN + 1
    assert too_many({**holds, **waits}, 2, after) == {"a": 0, "b": 0}
    assert in_line({**holds, **waits})[:2] == ["c", "d"]
    one = {name: replace(each, wanted=0) for name, each in waits.items() if name == "c"}
    assert too_many({**holds, **one}, 2, after) == {}
