"""The differences between two pipelines."""

import pytest

from conducto_core.programs.history import DifferenceKind
from conducto_core.programs.rules.comparison import (
    MAX_VALUE,
    Change,
    ExecFacts,
    RunFacts,
    differences,
    is_beyond_noise,
)
from conducto_core.run.model.states import State


def done(seconds: float = 1.0, command: str = "true", image: str = "main") -> ExecFacts:
    return ExecFacts(State.DONE, command, image, seconds)


def in_state(state: State) -> ExecFacts:
    return ExecFacts(state, "true", "main", 1.0)


def found(
    before: dict[str, ExecFacts], after: dict[str, ExecFacts]
) -> dict[DifferenceKind, list[str]]:
    """Return the names by kind, without empty kinds."""
    result = differences(RunFacts("a", before), RunFacts("b", after))
    return {kind: [one.name for one in items] for kind, items in result.items() if items}


def test_failures_are_new_only_if_the_command_did_not_fail_before() -> None:
    error, killed = in_state(State.ERROR), in_state(State.KILLED)
    before = {"/breaks": done(), "/still": error, "/heals": killed, "/not-run": error}
    after = {
        "/breaks": error,
        "/still": killed,
        "/heals": done(),
        "/not-run": in_state(State.PENDING),
        "/new": error,
    }

    assert found(before, after) == {
        DifferenceKind.NEWLY_FAILING: ["/breaks", "/new"],
        DifferenceKind.FIXED: ["/heals"],
        DifferenceKind.ADDED: ["/new"],
    }


def test_times_differ_beyond_noise_and_the_largest_difference_comes_first() -> None:
    before = {"/a": done(10), "/b": done(10), "/same": done(10), "/short": done(0.1)}
    after = {"/a": done(13), "/b": done(30), "/same": done(12), "/short": done(0.9)}

    assert found(before, after) == {DifferenceKind.SLOWER: ["/b", "/a"]}
    assert found(after, before) == {DifferenceKind.FASTER: ["/b", "/a"]}
    assert not is_beyond_noise(100.0, 120.0)


def test_failed_commands_are_not_slower() -> None:
    slow_failure = ExecFacts(State.ERROR, "true", "main", 100.0)

    assert DifferenceKind.SLOWER not in found({"/a": done(1)}, {"/a": slow_failure})


@pytest.mark.parametrize(
    ("before", "after", "is_changed"),
    [("a@1", "a@1", False), ("a@1", "a@2", True), ("a@1", None, False), (None, "a@2", False)],
)
def test_image_that_is_not_built_is_not_changed(
    before: str | None, after: str | None, is_changed: bool
) -> None:
    """If all of its commands are from the cache."""
    runs = [
        RunFacts("x", {}, {"a": "python:3.11"}, built={"a": each} if each else {})
        for each in (before, after)
    ]
    assert bool(differences(*runs)[DifferenceKind.IMAGE]) is is_changed


def test_commands_images_parameters_and_nodes_are_compared() -> None:
    before = RunFacts(
        "a",
        {"/edited": done(command="old"), "/moved": done(), "/gone": done()},
        {"main": "python:3.11", "other": "node"},
        {"shards": "2", "seed": "1"},
    )
    after = RunFacts(
        "b",
        {"/edited": done(command="new"), "/moved": done(image="other")},
        {"main": "python:3.12", "other": "node"},
        {"shards": "4", "seed": "1", "fast": "true"},
    )

    result = {kind: items for kind, items in differences(before, after).items() if items}

    assert result == {
        DifferenceKind.COMMAND: [Change(name="/edited", before="old", after="new")],
        DifferenceKind.NODE_IMAGE: [Change(name="/moved", before="main", after="other")],
        DifferenceKind.IMAGE: [Change(name="main", before="python:3.11", after="python:3.12")],
        DifferenceKind.PARAMETER: [
            Change(name="shards", before="2", after="4"),
            Change(name="fast", after="true"),
        ],
        DifferenceKind.REMOVED: [Change(name="/gone", before="done")],
    }


def test_long_commands_are_shown_from_their_first_difference_on() -> None:
    start = "x" * 5000
    (change,) = differences(
        RunFacts("a", {"/a": done(command=f"{start} old")}),
        RunFacts("b", {"/a": done(command=f"{start} new")}),
    )[DifferenceKind.COMMAND]

    assert change.before is not None
    assert change.after is not None
    assert change.before.endswith("x old")
    assert change.after.endswith("x new")
    assert len(change.after) <= MAX_VALUE
