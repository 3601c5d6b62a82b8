"""Flaky and slow nodes of a program."""

import pytest

from conducto_core.programs.rules.comparison import (
    flaky_nodes,
    node_runs,
    percentile,
    ranked_paths,
    slow_time,
    slowest_nodes,
)
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.states import State


def attempt(
    state: State = State.DONE, seconds: float = 1.0, command: str = "true", path: str = "/a"
) -> AttemptRecord:
    return AttemptRecord(
        path=path, number=1, state=state, command=command, started=10.0, ended=10.0 + seconds
    )


def runs_of(outcomes: str, commands: str | None = None) -> list:
    """Return pipelines with one node: ``p`` passed, ``f`` failed, ``r`` after a retry, ``-``."""
    made = []
    for letter, command in zip(outcomes, commands or "x" * len(outcomes), strict=True):
        attempts = {
            "p": [attempt(command=command)],
            "f": [attempt(State.ERROR, command=command)],
            "r": [attempt(State.ERROR, 2.0, command), attempt(command=command)],
            "-": [],
        }[letter]
        made.append(node_runs(attempts))
    return made


@pytest.mark.parametrize("outcomes", ["ppfp", "r", "pr", "fpf", "pf-p", "pffp"])
def test_node_is_flaky_after_a_retry_or_if_its_outcome_alternates(outcomes: str) -> None:
    (node,) = flaky_nodes(runs_of(outcomes))

    assert node.outcomes == outcomes
    assert node.flaked == outcomes.count("f") + outcomes.count("r")
    assert node.runs == len(outcomes.replace("-", ""))


@pytest.mark.parametrize("outcomes", ["ppp", "fff", "ppff", "ffpp", "--", ""])
def test_node_that_broke_or_was_fixed_is_not_flaky(outcomes: str) -> None:
    assert flaky_nodes(runs_of(outcomes)) == []


def test_changed_command_explains_another_outcome() -> None:
    assert flaky_nodes(runs_of("pfp", "aab")) == []
    assert flaky_nodes(runs_of("pfpf", "abbc")) == []
    assert len(flaky_nodes(runs_of("pfpfp", "abbbb"))) == 1


def test_retry_with_another_command_is_not_flaky() -> None:
    edited = [attempt(State.ERROR, command="old"), attempt(command="new")]

    assert flaky_nodes([node_runs(edited)]) == []


def test_lost_time_is_that_of_all_failed_attempts() -> None:
    (node,) = flaky_nodes(runs_of("rfp"))

    assert node.lost_seconds == 3.0


def test_most_often_flaky_nodes_come_first() -> None:
    rare = [attempt(path="/rare"), attempt(State.ERROR, path="/rare"), attempt(path="/rare")]
    often = [attempt(State.ERROR, path="/often"), attempt(path="/often")]
    runs = [node_runs([each, *often]) for each in rare]

    assert [(one.path, one.flaked) for one in flaky_nodes(runs)] == [("/often", 3), ("/rare", 1)]


def test_slowest_nodes_are_ranked_by_the_median_of_passed_runs() -> None:
    runs = [
        node_runs([attempt(seconds=a, path="/a"), attempt(state, seconds=b, path="/b")])
        for a, b, state in [
            (1.0, 6.0, State.DONE),
            (3.0, 60.0, State.ERROR),
            (2.0, 6.0, State.DONE),
        ]
    ]

    first, second = slowest_nodes(runs, 10)

    assert (first.path, first.median_seconds, first.share, first.runs) == ("/b", 6.0, 0.75, 2)
    assert (second.path, second.median_seconds, second.newest_seconds) == ("/a", 2.0, 2.0)
    assert [one.path for one in slowest_nodes(runs, 1)] == ["/b"]


def test_percentile_is_a_value_that_was_seen() -> None:
    assert percentile([1, 2, 3, 4], 0.95) == 4
    assert percentile(list(range(1, 101)), 0.95) == 95


def test_slow_time_needs_five_runs() -> None:
    assert slow_time([1.0, 9.0, 1.0, 1.0]) is None
    assert slow_time([1.0, 9.0, 1.0, 1.0, 1.0]) == 9.0


def test_nodes_are_ranked_by_their_newest_attempts() -> None:
    attempts = [
        attempt(seconds=90, path="/retried"),
        attempt(seconds=2, path="/retried"),
        attempt(seconds=5, path="/a"),
        attempt(seconds=5, path="/b"),
        attempt(seconds=50, path="/unwanted"),
        AttemptRecord(path="/runs", number=1, state=State.RUNNING, started=10.0),
        AttemptRecord(path="/waits", number=1, state=State.QUEUED),
    ]

    def ranked(limit: int) -> list[str]:
        return ranked_paths(attempts, limit, 14.0, lambda one: one.path != "/unwanted")

    assert ranked(10) == ["/a", "/b", "/runs", "/retried"]
    assert ranked(1) == ["/a"]


def test_nodes_without_a_known_memory_are_not_ranked_by_it() -> None:
    known = attempt(path="/known").model_copy(update={"peak_memory": 7})

    found = ranked_paths([attempt(), known], 10, 0.0, lambda _: True, by_memory=True)

    assert found == ["/known"]
