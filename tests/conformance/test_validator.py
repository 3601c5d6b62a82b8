"""asl-validator over what random games compile, with every residual on the way, and named trees."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.asl.interpreter import Interpreter
from support.asl.judge import judged
from support.asl.named_trees import NAMED_TREES, compiled
from support.asl.play import new_game, play

if TYPE_CHECKING:
    from conducto_core.asl.rules.compiler import Machine


class Collector(Interpreter):
    """Keeps every definition once."""

    def __init__(self, found: dict[str, None]) -> None:
        super().__init__()
        self._found = found

    def create(self, machine: Machine) -> None:
        self._found.setdefault(machine.definition)
        super().create(machine)


@pytest.mark.parametrize(
    "games", [range(200, 206), pytest.param(range(206, 250), marks=pytest.mark.long)]
)
def test_asl_validator_accepts_compiled_games(games: range) -> None:
    found: dict[str, None] = {}
    for seed in games:
        play(new_game(seed, Collector(found)))

    assert len(found) > len(games)  # residuals are among them, not only what games begin with
    assert judged(list(found)) == []


@pytest.mark.parametrize("name", NAMED_TREES)
def test_asl_validator_finds_nothing_in_a_named_tree(name: str) -> None:
    assert judged([machine.definition for machine in compiled(name).machines]) == []


def test_asl_validator_reports_errors_with_their_places() -> None:
    right = {"StartAt": "a", "States": {"a": {"Type": "Succeed"}}}
    wrong = {"StartAt": "a", "States": {"a": {"Type": "Pass", "Next": "nowhere"}}}

    found = judged([json.dumps(right), json.dumps(wrong)])

    assert any("MISSING_TRANSITION_TARGET" in problem for problem in found)
    assert all("nowhere" in problem for problem in found)
