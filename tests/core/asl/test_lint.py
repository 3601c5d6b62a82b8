"""Findings of the linter in definitions with one error each."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from conducto_core.asl.rules.compiler import compile_residual
from conducto_core.asl.rules.naming import Site
from conducto_core.asl.rules.partition import MAX_SIZE
from conducto_core.asl.rules.states import residual
from conducto_core.run.rules.tree_state import TreeState
from support.asl.lint import max_events, problems
from support.asl.play import SMALL
from support.asl.random_trees import random_tree
from support.trees import pipeline

SITE = Site("us-east-1", "123456789012")
ACTIVITY = "arn:aws:states:us-east-1:123456789012:activity:x"


def task(**more: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": ACTIVITY,
        "TimeoutSeconds": 300,
        "HeartbeatSeconds": 60,
        "End": True,
        **more,
    }


def found(states: dict[str, Any], start: str = "a", name: str | None = None) -> list[str]:
    return problems(json.dumps({"StartAt": start, "States": states}), name)


def branch(**states: Any) -> dict[str, Any]:
    return {"StartAt": next(iter(states)), "States": states}


def test_a_right_definition_is_right() -> None:
    assert found({"a": task()}, name="conducto-1") == []


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"b": task()}, "StartAt names 'a'"),
    ({"a": task(Next="c")}, "'a': leads to 'c'"),
    ({"a": task(Catch=[{"ErrorEquals": ["X"], "Next": "c"}])}, "'a': leads to 'c'"),
    ({"a": {"Type": "Pass", "Next": "a"}}, "nothing ends its scope"),
    ({"a": {"Type": "Pass"}, "b": {"Type": "Succeed"}}, "'a': has neither Next nor End"),
    ({"a": task(), "b": task()}, "'b': nothing leads to it"),
    ({"a": task(Next="b" * 81), "b" * 81: task()}, "longer than 80"),
    ({"a": task(HeartbeatSeconds=300)}, "HeartbeatSeconds below its TimeoutSeconds"),
    ({"a": task(TimeoutSeconds=None)}, "HeartbeatSeconds below its TimeoutSeconds"),
    (
        {"a": task(Catch=[{"ErrorEquals": ["States.ALL", "X"], "Next": "a"}])},
        "States.ALL must be alone",
    ),
    (
        {
            "a": task(
                Retry=[{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["X"]}],
            )
        },
        "States.ALL must be alone",
    ),
    (
        {"a": {"Type": "Parallel", "Branches": [branch(a=task())], "End": True}},
        "'a': there are two states of this name",
    ),
    (
        {"a": {"Type": "Parallel", "Branches": [branch(b=task(Next="a"))], "End": True}},
        "'b': leads to 'a', which is not a state of the same scope",
    ),
]


@pytest.mark.parametrize(("states", "message"), WRONG, ids=[m for _, m in WRONG])
def test_definitions_that_aws_rejects_are_found(states: dict[str, Any], message: str) -> None:
    assert any(message in problem for problem in found(states))


@pytest.mark.parametrize("name", ["a b", "ä", "x" * 81, "a:b", ""])
def test_a_machine_name_that_aws_refuses_is_found(name: str) -> None:
    assert found({"a": task()}, name=name) == [f"a state machine cannot be called {name!r}"]


def test_more_than_a_megabyte_is_found() -> None:
    assert any("bytes" in p for p in found({"a": task(Comment="x" * 1_048_576)}))


def test_more_than_25_000_events_are_found() -> None:
    states = {f"s{n}": task(Next=f"s{n + 1}") for n in range(5_000)}
    states["s5000"] = task()

    assert any("25,007 events" in problem for problem in found(states, start="s0"))


def test_state_data_that_grows_beyond_256_kilobytes_is_found() -> None:
    states = {f"s{n}": task(ResultPath=f"$.r{n}", Next=f"s{n + 1}") for n in range(1_400)}
    states["s1400"] = task()

    assert any("state data" in problem for problem in found(states, start="s0"))


def test_retries_count_as_events() -> None:
    once = max_events({"States": {"a": task()}})

    assert max_events({"States": {"a": task(Retry=[{"MaxAttempts": 2}])}}) == once + 6


@pytest.mark.parametrize("seed", range(60))
def test_compiled_random_trees_have_no_problems(seed: int) -> None:
    rng = Random(seed)
    tree = TreeState(pipeline(random_tree(rng)))

    for machine in compile_residual(
        residual(tree), SITE, maximum=rng.choice([MAX_SIZE, *SMALL])
    ).machines:
        assert problems(machine.definition, machine.name) == []
