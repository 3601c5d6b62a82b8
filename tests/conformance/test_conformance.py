"""Random trees, outcomes and actions, run by the local machine and by the compiled one.

Replay a game with ``CONFORMANCE_SEED=N pytest tests/conformance``.
"""

from __future__ import annotations

from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from conducto_core.asl.rules.partition import MAX_SIZE
from conducto_core.run.model import events as ev
from conducto_core.run.rules.outcomes import Outcome
from support.asl.alone import Alone, Script, out_of_order
from support.asl.interpreter import Interpreter
from support.asl.play import SMALL, new_game, play
from support.asl.random_trees import random_tree
from support.trees import Driver, pipeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ENDS = {Outcome.OK: "SUCCEEDED", Outcome.FAILED: "FAILED", Outcome.UNFINISHED: "RUNNING"}


def test_both_targets_agree_after_every_move(seeds: Iterable[int]) -> None:
    for seed in seeds:
        with _named(seed):
            play(new_game(seed, Interpreter()))


def test_undisturbed_pipeline_needs_one_execution(seeds: Iterable[int]) -> None:
    for seed in seeds:
        with _named(seed):
            game = new_game(seed, Interpreter(), plain=True)
            game.send(ev.Armed())
            game.run_out()

            nodes = game.local.tree.nodes.values()
            skipped = sum(node.condition == "false" for node in nodes)  # in generated trees
            expanded = sum("expand /" in move for move in game.moves)
            assert len(game.cloud.executions) <= 1 + skipped + expanded


def test_the_machine_alone_runs_the_same_attempts_in_order(seeds: Iterable[int]) -> None:
    for seed in seeds:
        with _named(seed):
            rng, script = Random(seed), Script(seed)
            tree = pipeline(random_tree(rng, plain=True))
            maximum = rng.choice([MAX_SIZE, *SMALL])

            there = Alone(tree, Interpreter(), script, maximum).run(rng)

            here = run_locally(tree, script, rng)
            assert _states(there.tree) == _states(here.tree)
            started = [path for what, path in there.log if what == "start"]
            assert sorted(started) == sorted(here.started)
            assert out_of_order(there.tree, there.log) == []
            if there.pipeline.root.path in there.causes or here.started:
                assert there.status == ENDS[here.tree.root.seen()]


# A thread of moto that executes a branch may outlive its execution for a moment.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("games", [range(8), pytest.param(range(8, 25), marks=pytest.mark.long)])
def test_moto_agrees_too(moto: Any, games: range) -> None:
    for seed in games:
        with _named(seed):
            play(new_game(seed, moto, seconds=10.0), orders=4)
        moto.clear()


def run_locally(tree: Any, script: Script, rng: Random) -> Driver:
    """Run a tree by the local machine with scripted outcomes."""
    driver = Driver(tree)
    while driver.queued or driver.running:
        for path in list(driver.queued):
            driver.start(path)
        path = rng.choice(sorted(driver.running))
        cause = script.cause(path)
        target = driver.tree.nodes[path].spec.lazy_target
        if cause is None and target is not None and not driver.tree.nodes[target].skipped:
            specs = {n.path: n.spec for n in driver.tree.nodes.values()}
            here = type(driver.pipeline)(specs, driver.pipeline.images)
            driver.send(ev.TreeGenerated(path, script.tree(target, here)))
        driver.finish(path, cause)
    return driver


def _states(tree: Any) -> dict[str, tuple[str, bool]]:
    return {path: (str(n.state), n.warning) for path, n in tree.nodes.items()}


@contextmanager
def _named(seed: int) -> Iterator[None]:
    """Say the seed of a game that failed."""
    try:
        yield
    except Exception as error:
        error.add_note(f"replay it with CONFORMANCE_SEED={seed}")
        raise
