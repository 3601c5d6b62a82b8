"""Sizes that AWS limits and people wait for, and what another linter says."""

from __future__ import annotations

import json
import time

import pytest

from conducto_core.asl.rules.compiler import Machine, compile_residual
from conducto_core.asl.rules.states import residual
from conducto_core.run.rules.tree_state import TreeState
from support.asl.cloud import SITE
from support.asl.interpreter import Interpreter
from support.asl.lint import problems
from support.asl.play import new_game, play
from support.trees import leaf, parallel, pipeline

BUDGET_SECONDS = 10.0


@pytest.mark.parametrize(
    ("count", "expected"), [(10_000, 8), pytest.param(100_000, 68, marks=pytest.mark.long)]
)
def test_many_commands_compile_within_the_budget(count: int, expected: int) -> None:
    tree = TreeState(pipeline(parallel(*[leaf() for _ in range(count)])))

    began = time.process_time()  # others may use the machine as well
    machines = compile_residual(residual(tree), SITE).machines
    seconds = time.process_time() - began

    assert seconds < BUDGET_SECONDS
    assert len(machines) == expected
    assert sum(len(m.definition) for m in machines) < 520 * count
    assert max(m.events for m in machines) < 25_000
    assert problems(machines[0].definition, machines[0].name) == []


@pytest.mark.parametrize(
    "first", [0, *(pytest.param(n, marks=pytest.mark.long) for n in (50, 100, 150))]
)
def test_statelint_accepts_compiled_games(first: int) -> None:
    linter = pytest.importorskip("statelint.linter", reason="pip install -e '.[cloud-test]'")
    found: list[str] = []

    class Linted(Interpreter):
        def create(self, machine: Machine) -> None:
            found.extend(linter.Linter.validate(json.loads(machine.definition)))
            super().create(machine)

    for seed in range(first, first + 50):
        play(new_game(seed, Linted()))

    assert found == []
