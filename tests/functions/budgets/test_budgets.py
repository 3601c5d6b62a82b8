"""Budgets of nodes in the cloud: nothing more starts than they allow, by an independent bill."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from conducto.errors import DefinitionError
from conducto_core.billing.rules import BillingPlan
from conducto_core.run.model.records import Lifecycle
from conducto_core.run.model.requests import Changes, LaunchRequest
from conducto_core.run.model.states import Cause, State
from support.cloud.world import ME, World
from support.trees import form, leaf, parallel, serial

#: A worker of 1 vCPU and 3 GB with an address, by AWS's pages for us-east-1.
MINUTE = (0.04048 + 3 * 0.004445 + 0.005) / 60


@pytest.fixture
def world() -> World:
    return World()


class Bill:
    """Charges each worker that exists, minute by minute."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dollars = 0.0

    def minute(self) -> None:
        for _ in range(2):
            self.dollars += MINUTE / 2 * len(self.world.living())
            self.world.beat()
            self.world.minute(30)


def play(world: World, *, minutes: int, limit: int = 60) -> tuple[Bill, int]:
    """Let each command take some minutes; return the bill, and the most workers at once."""
    bill, most, ages = Bill(world), 0, {}
    world.serve()
    for _ in range(limit):
        most = max(most, len(world.living()))
        bill.minute()
        for path, hand in world.running().items():
            ages[path] = ages.get(path, 0) + 1
            if ages[path] >= minutes:
                hand.finish()
        world.serve()
    return bill, most


def test_pipeline_pauses_within_one_interval_of_its_budget(world: World) -> None:
    budget = 8 * MINUTE
    tree = serial(*[leaf(f"n{i}") for i in range(20)], budget=budget)
    pipeline = world.launch(tree)

    bill, workers = play(world, minutes=1)

    record = world.get(pipeline).pipeline
    assert record.armed is False
    assert str(record.problem).startswith(f"the budget of ${budget:.4f} of / is used up: it has")
    done = list(world.states(pipeline).values()).count("done")
    assert 4 <= done < 20
    assert bill.dollars <= budget + workers * MINUTE
    assert world.living() == []


def test_more_workers_overshoot_by_at_most_one_interval_each(world: World) -> None:
    budget = 20 * MINUTE
    world.launch(parallel(*[leaf(f"n{i}") for i in range(60)], budget=budget))

    bill, workers = play(world, minutes=2)

    assert 1 < workers <= 20
    assert bill.dollars <= budget + workers * MINUTE


def test_commands_stop_within_one_interval_if_the_budget_kills(world: World) -> None:
    budget = 20 * MINUTE
    tree = parallel(*[leaf(f"n{i}") for i in range(60)], budget=budget, budget_action="kill")
    pipeline = world.launch(tree)
    bill, workers = Bill(world), 0
    world.serve()

    for _ in range(30):
        workers = max(workers, len(world.living()))
        bill.minute()
        for hand in world.running().values():
            if hand.heartbeat():
                hand.finish(Cause.KILLED_BY_USER)
        world.serve()

    assert workers == 20
    assert budget <= bill.dollars <= budget + workers * MINUTE
    causes = {a.cause for a in world.store.attempts(pipeline)}
    assert causes == {Cause.BUDGET}
    assert world.get(pipeline).pipeline.armed is False


def test_raised_budget_continues_the_pipeline(world: World) -> None:
    pipeline = world.launch(serial(*[leaf(f"n{i}") for i in range(6)], budget=3 * MINUTE))
    play(world, minutes=1, limit=12)
    assert world.get(pipeline).pipeline.armed is False

    world.control(pipeline, "modify", "/", changes=Changes(budget=100.0))
    world.serve()
    assert world.get(pipeline).pipeline.problem is None
    play(world, minutes=1, limit=12)

    assert world.get(pipeline).state is State.DONE


def test_budget_of_a_group_holds_back_only_the_group(world: World) -> None:
    group = serial(*[leaf(f"n{i}") for i in range(9)], budget=2 * MINUTE)
    tree = parallel(leaf("free"), group)
    pipeline = world.launch(tree)
    world.serve()
    running = world.running()
    assert set(running) == {"/free", "/n1/n0"}
    world.minute(600)  # its cost is used up while it runs; it may finish
    for hand in running.values():
        hand.heartbeat()
    running["/n1/n0"].finish(seconds=600.0)
    world.serve()

    waiting = world.nodes(pipeline)["/n1/n1"]
    assert waiting.state is State.QUEUED
    assert waiting.wait_kind == "budget"
    assert waiting.wait_holder == "/n1"
    assert str(waiting.waits_for).startswith(f"the budget of ${2 * MINUTE:.4f} of /n1 is used up")
    assert waiting.wait_remedy == f"raise it: conducto modify {pipeline} /n1 --budget DOLLARS"
    assert world.get(pipeline).pipeline.armed

    world.running()["/free"].finish()
    world.serve()
    assert world.get(pipeline).pipeline.armed is False
    assert world.get(pipeline).pipeline.lifecycle is Lifecycle.ACTIVE


def test_budget_below_the_cost_so_far_is_refused(world: World) -> None:
    pipeline = world.launch(serial(*[leaf(f"n{i}") for i in range(9)]))
    play(world, minutes=1, limit=5)

    with pytest.raises(DefinitionError, match=r"budget=0.001 is not above the cost of / so far"):
        world.control(pipeline, "modify", "/", changes=Changes(budget=0.001))


@pytest.mark.parametrize("budget", [0, -1, float("nan"), "5", True])
def test_invalid_budget_is_refused(world: World, budget: object) -> None:
    with pytest.raises(DefinitionError, match="budget must be"):
        world.launch(serial(leaf("a"), budget=budget))


@pytest.mark.parametrize(
    ("own", "token", "found"), [(None, None, 20.0), (None, 5.0, 5.0), (2.0, 5.0, 2.0)]
)
def test_default_budget_of_an_organisation_is_the_last_of_the_defaults(
    own: float | None, token: float | None, found: float
) -> None:
    world = World(BillingPlan("team", 8, pipeline_budget=20.0))
    request = LaunchRequest(tree=form(leaf(budget=own) if own else leaf()))

    caller = world.pipelines(replace(ME, budget=token))
    launched = asyncio.run(caller.launch(request)).pipeline.id

    with world.engine.reading(ME.org, launched) as live:
        assert live.pipeline.root.budget == found
    assert asyncio.run(caller.who_am_i()).budget == (20.0 if token is None else token)
