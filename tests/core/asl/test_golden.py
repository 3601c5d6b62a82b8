"""Definitions of named trees are those of the golden file: a change of one is seen in review."""

from __future__ import annotations

import json

import pytest

from support.asl.lint import problems, scopes
from support.asl.named_trees import NAMED_TREES, compiled, machines_of_named_trees
from support.golden import REMEDY, read

GOLDEN = "state_machines.json"


@pytest.mark.parametrize("name", NAMED_TREES)
def test_a_named_tree_compiles_to_the_golden_definitions(name: str) -> None:
    assert machines_of_named_trees()[name] == json.loads(read(GOLDEN))[name], REMEDY


def test_the_golden_file_has_the_named_trees_only() -> None:
    assert set(json.loads(read(GOLDEN))) == set(NAMED_TREES)


@pytest.mark.parametrize("name", NAMED_TREES)
def test_a_named_tree_has_no_problems(name: str) -> None:
    for machine in compiled(name).machines:
        assert problems(machine.definition, machine.name) == []


def test_the_named_trees_use_every_kind_of_state() -> None:
    kinds = {
        state["Type"]
        for name in NAMED_TREES
        for machine in compiled(name).machines
        for scope in scopes(json.loads(machine.definition))
        for state in scope["States"].values()
    }

    assert kinds == {"Task", "Parallel", "Choice", "Pass", "Wait", "Succeed", "Fail"}
