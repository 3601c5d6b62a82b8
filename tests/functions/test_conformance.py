"""Random trees, outcomes, actions and faults: the cloud has the same states as the local machine.

Replay a game with ``CLOUD_SEED=N pytest tests/functions/test_conformance.py``.
"""

from __future__ import annotations

import os

import pytest

from support.cloud.play import new_game

_SEED = os.environ.get("CLOUD_SEED")
_GAMES = int(os.environ.get("CLOUD_GAMES", "60"))
#: Games with changed trees.
_CONTINUED = _GAMES // 4
SEEDS = [int(_SEED)] if _SEED is not None else range(_GAMES)


@pytest.mark.parametrize("seed", SEEDS)
def test_both_targets_agree_after_every_move(seed: int) -> None:
    new_game(seed).play()


@pytest.mark.parametrize("seed", SEEDS)
def test_effects_lost_on_the_way_to_aws_are_repeated(seed: int) -> None:
    new_game(seed, lossy=0.2).play()


@pytest.mark.parametrize("seed", SEEDS)
def test_several_engines_over_one_store_lose_no_update(seed: int) -> None:
    new_game(seed, conflicts=0.3).play()


@pytest.mark.parametrize("seed", SEEDS)
def test_groups_and_containers_are_never_too_full(seed: int) -> None:
    new_game(seed, confined=True).play()


@pytest.mark.parametrize("seed", SEEDS)
def test_everything_at_once(seed: int) -> None:
    new_game(seed, confined=True, lossy=0.1, conflicts=0.2).play()


@pytest.mark.parametrize("seed", SEEDS)
def test_inputs_that_arrive_late_or_twice_take_effect_once(seed: int) -> None:
    new_game(seed, crowded=0.3).play()


@pytest.mark.parametrize("seed", SEEDS[:_CONTINUED])
def test_both_targets_keep_the_same_nodes_of_a_changed_tree(seed: int) -> None:
    game = new_game(seed, confined=seed % 2 == 0, conflicts=0.2 * (seed % 3))
    game.play()
    game.play_on()
