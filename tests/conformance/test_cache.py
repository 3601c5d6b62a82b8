"""Both drivers decide equally about cached commands: random trees, changes, failures and reruns."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.engine import FakeEngine, Outcome
from tests.fakes.pipelines import MemorySecrets

from conducto_core.run.model.params import PipelineParams, TreeParams
from conducto_core.run.model.requests import Action, ControlRequest
from conducto_core.run.model.states import Cause
from support.cached_agent import Machine, agent_at
from support.cloud.world import World
from support.trees import form, leaf, parallel, serial

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conducto_core.run.model.requests import NodeView
    from support.cached_agent import Agent

#: ``{path: (state, number of attempts, whether the last is from the cache, why it ran)}``
Seen = dict[str, tuple[str, int, bool, str | None]]
FAILS = "fails"


def random_tree(random: Random, version: int) -> dict[str, Any]:
    """Return a tree; each version changes some of its commands."""

    def command(name: str) -> dict[str, Any]:
        changed = random.random() < 0.2
        text = FAILS if random.random() < 0.1 else f"{name}{version if changed else ''}"
        cache: dict[str, Any] = {} if random.random() < 0.8 else {"cache": False}
        return leaf(name, command=text, suppress_errors=random.random() < 0.5, **cache)

    groups = [serial, parallel]
    children = [
        random.choice(groups)(*(command(f"{name}{n}") for n in range(3)), name=name)
        for name in ("a", "b", "c")
    ]
    return random.choice(groups)(*children, cache={}, title="t")


def steps(seed: int) -> list[tuple[dict[str, Any], bool, list[str]]]:
    """Return trees to launch, whether without the cache, and the nodes to rerun then."""
    found = []
    for version in range(4):
        random = Random(f"{seed} {version}")
        tree = random_tree(random, version)
        resets = [path for path in ("/a/a0", "/b", "/c/c2") if random.random() < 0.3]
        found.append((tree, random.random() < 0.15, resets))
    return found


def seen(nodes: list[NodeView], ids: dict[str, str]) -> Seen:
    """Return the facts of nodes, with names for the ids of pipelines."""

    def named(reason: str | None) -> str | None:
        for id_, name in ids.items():
            reason = None if reason is None else reason.replace(id_, name)
        return reason

    found: Seen = {}
    for node in nodes:
        last = node.attempts[-1] if node.attempts else None
        is_hit = last is not None and last.from_cache is not None
        reason = None if last is None else named(last.cache)
        found[node.path] = (str(node.state), len(node.attempts), is_hit, reason)
    return found


def failures(world: World, pipeline: str) -> Callable[[str], Cause | None]:
    commands = {path: node.command for path, node in world.nodes(pipeline).items()}
    return lambda path: Cause.EXIT_CODE if commands[path] == FAILS else None


def in_the_cloud(seed: int) -> list[Seen]:
    world, ids, found = World(), {}, []
    for number, (tree, no_cache, resets) in enumerate(steps(seed)):
        pipeline = world.launch(tree, no_cache=no_cache)
        ids[pipeline] = f"pipeline {number}"
        fail = failures(world, pipeline)
        world.run_out(fail)
        if resets:
            world.control(pipeline, "reset", *resets)
            world.run_out(fail)
        page = world.pipelines().get_tree(TreeParams(id=pipeline, attempts="all"))
        found.append(seen(list(asyncio.run(page).nodes), ids))
    return found


async def on_a_machine(seed: int, home: Path) -> list[Seen]:
    outcomes = {FAILS: Outcome(code=1)}
    machine = Machine(FakeEngine(outcomes), MemorySecrets())
    ids: dict[str, str] = {}
    found = []
    async with agent_at(home, machine) as agent:
        for number, (tree, no_cache, resets) in enumerate(steps(seed)):
            pipeline = await agent.launch_form(form(tree), no_cache=no_cache)
            ids[pipeline] = f"pipeline {number}"
            if resets:
                await reset(agent, pipeline, resets)
            page = await agent.pipelines.get_tree(TreeParams(id=pipeline, attempts="all"))
            found.append(seen(list(page.nodes), ids))
    return found


async def reset(agent: Agent, pipeline: str, paths: list[str]) -> None:
    request = ControlRequest(action=Action.RESET, paths=tuple(paths))
    await agent.pipelines.control(PipelineParams(id=pipeline), request)
    await agent.settle(pipeline)


@pytest.mark.parametrize("seed", range(6))
def test_both_drivers_decide_equally(seed: int, tmp_path: Path) -> None:
    cloud = in_the_cloud(seed)
    machine = asyncio.run(on_a_machine(seed, tmp_path))
    for there, here in zip(cloud, machine, strict=True):
        assert {p: s[:3] for p, s in there.items()} == {p: s[:3] for p, s in here.items()}


def test_the_games_have_hits_and_misses() -> None:
    states = [each for seed in range(3) for one in in_the_cloud(seed) for each in one.values()]
    assert sum(each[2] for each in states) > 10
    assert sum(each[3] is not None for each in states) > 10
