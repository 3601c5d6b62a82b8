"""Other interpreters run our machines alike: ministack's and aws-local-stepfunctions."""

from __future__ import annotations

import os
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from conducto_core.asl.rules.partition import MAX_SIZE
from support.asl.local_stepfunctions import replayed
from support.asl.named_trees import NAMED_TREES
from support.asl.play import SMALL
from support.asl.random_trees import random_tree
from support.asl.recorded import Recording, record, replay
from support.trees import pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Replies of workers that each named tree is played with.
SEEDS = 6
GAMES = int(os.environ.get("CONFORMANCE_OTHERS_GAMES", "30"))


def recordings() -> dict[str, Recording]:
    named = {
        f"{name}, seed {seed}": record(pipeline(tree()), seed, maximum)
        for name, (tree, maximum) in NAMED_TREES.items()
        for seed in range(SEEDS)
    }
    return named | {f"game {seed}": _random(seed) for seed in range(GAMES)}


def _random(seed: int) -> Recording:
    rng = Random(seed)
    return record(pipeline(random_tree(rng, plain=True)), seed, rng.choice([MAX_SIZE, *SMALL]))


def test_aws_local_stepfunctions_agrees() -> None:
    games = recordings()
    found = dict(zip(games, replayed([each.game() for each in games.values()]), strict=True))

    different = {
        name: (games[name].result, each)
        for name, each in found.items()
        if each.result != games[name].result
    }
    assert different == {}
    assert {each.result.status for each in found.values()} == {"FAILED", "RUNNING", "SUCCEEDED"}


@pytest.fixture(scope="module")
def ministack_engine() -> Iterator[Any]:
    import boto3

    from support.asl.moto_engine import MotoEngine
    from support.cloud.aws import ACCOUNT, REGION
    from support.cloud.other_aws import ministack

    keys = {"aws_access_key_id": ACCOUNT, "aws_secret_access_key": "test"}
    client = boto3.client("stepfunctions", REGION, endpoint_url=ministack(), **keys)
    engine = MotoEngine(client)
    yield engine
    engine.clear()


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_ministack_agrees(ministack_engine: Any) -> None:
    different = {
        name: (game.result, found)
        for name, game in recordings().items()
        if (found := replay(ministack_engine, game)) != game.result
    }

    assert different == {}
