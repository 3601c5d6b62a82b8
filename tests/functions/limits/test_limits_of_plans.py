"""Sizes and minutes that a plan allows are enforced wherever they could be passed by."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.services import Services
from conducto.errors import DefinitionError
from conducto_core.billing.rules import FREE, FULL, Billing, BillingPlan, Remedies, Status
from conducto_core.errors import RefusedError
from conducto_core.run.model.params import ListParams
from conducto_core.run.model.requests import Action, Changes
from conducto_core.run.model.states import Cause, State
from conducto_core.workers.rules.fargate import largest_mem
from support.cloud.world import ME, World
from support.trees import leaf, parallel, serial

if TYPE_CHECKING:
    from collections.abc import Mapping

SMALL = BillingPlan("small", max_workers=10, max_pipelines=10, max_cpu=4, exec_minutes=10)
DOUBLE = [["error", ["retry_with_double_mem", {"max_num_retries": 2}]]]


def used_up(world: World) -> None:
    world.orgs.add_usage(ME.org, "1970-01", "before", 601, 1)


@pytest.mark.parametrize("size", [{"mem": 99}, {"cpu": 5}, {"mem": 30}])
def test_modify_enforces_the_size_limits_of_launch(size: dict[str, float]) -> None:
    world = World(SMALL)
    with pytest.raises(DefinitionError, match="more than the plan"):
        world.launch(leaf(**size))
    pipeline = world.launch(leaf(), run=False)

    with pytest.raises(DefinitionError, match="more than the plan"):
        world.control(pipeline, "modify", "/", changes=Changes(**size))

    assert world.nodes(pipeline)["/"].mem == 2


def test_retry_with_more_memory_stays_within_the_plan() -> None:
    world = World(SMALL)
    pipeline = world.launch(leaf(mem=20, callbacks=DOUBLE))
    world.serve()
    world.running()["/"].finish(Cause.OUT_OF_MEMORY)
    world.serve()

    assert world.attempts(pipeline, "/")[-1].mem == largest_mem(4)
    assert world.running()["/"].task.mem == largest_mem(4)


@pytest.mark.parametrize("when", [{"run": True}, {"run": False, "run_at": 2_000_000.0}])
def test_launch_that_runs_needs_minutes(when: dict[str, Any]) -> None:
    world = World(SMALL)
    used_up(world)

    with pytest.raises(RefusedError, match="10 worker minutes per month, 10 are used"):
        world.launch(leaf(), **when)

    assert asyncio.run(world.pipelines().who_am_i()).plan == "small"
    assert asyncio.run(world.pipelines().list_pipelines(ListParams())).pipelines == ()


@pytest.mark.parametrize(
    "action",
    [Action.RUN, Action.RESET, Action.RERUN, Action.REBUILD, Action.UNSKIP, Action.MODIFY],
)
def test_actions_that_start_commands_need_minutes(action: Action) -> None:
    world = World(SMALL)
    pipeline = world.launch(serial(leaf("a"), leaf("b", skip=True)))
    world.run_out()
    used_up(world)
    more = {"changes": Changes(mem=3)} if action is Action.MODIFY else {}

    with pytest.raises(RefusedError, match="conducto admin set-plan"):
        world.control(pipeline, action, *(() if action is Action.RUN else ("/b",)), **more)


def test_paused_pipeline_can_be_changed_without_minutes() -> None:
    world = World(SMALL)
    pipeline = world.launch(serial(leaf("a")), run=False)
    used_up(world)

    world.control(pipeline, "reset", "/a")
    world.control(pipeline, "modify", "/a", changes=Changes(mem=3))
    with pytest.raises(RefusedError, match="conducto admin set-plan"):
        world.control(pipeline, "rerun", "/a")

    assert world.get(pipeline).state is State.PENDING


def test_scheduled_start_without_minutes_pauses_and_says_why() -> None:
    world = World(SMALL)
    pipeline = world.launch(leaf(), run=False, run_at=world.now + 90)
    used_up(world)
    world.minute(100)

    record = world.get(pipeline).pipeline
    assert (record.armed, record.run_at) == (False, None)
    assert "worker minutes per month" in str(record.problem)


def test_commands_in_the_cloud_know_the_owner_of_their_files() -> None:
    world = World(SMALL)
    world.launch(leaf())
    world.serve()
    job = world.running()["/"].job
    assert job is not None

    assert job.env["CONDUCTO_OUTER_OWNER"] == "0:0"


def test_documented_plans_are_those_of_the_code() -> None:
    page = Path(__file__).parents[3] / "docs" / "cloud.md"
    text = page.read_text(encoding="utf-8")
    for plan in (FREE, FULL):
        minutes = "any" if plan.exec_minutes is None else f"{plan.exec_minutes:,g}"
        row = (
            f"| {plan.name} | {plan.max_workers:,} | {plan.max_pipelines:,} | {plan.max_cpu:g} | "
            f"{largest_mem(plan.max_cpu):g} | {minutes} |"
        )
        assert row in text


def test_workers_wait_at_the_spend_limit_and_start_when_it_is_raised() -> None:
    world = World(BillingPlan(max_pipelines=9, exec_minutes=None))
    world.cloud = world.over(remedies=lambda: Remedies(billing=True))
    world.services = Services(world.cloud)
    paying = Billing(Status.ACTIVE)
    world.orgs.set_billing(ME.org, paying, 10.0, fetched=1.0)
    world.orgs.set_limit(ME.org, 10.0, 15)
    pipeline = world.launch(leaf())
    world.serve()

    waiting = world.nodes(pipeline)["/"]
    assert not world.hands
    assert "spend limit of $10.00" in str(waiting.waits_for)
    assert waiting.wait_kind == "spend_limit"
    assert "conducto billing limit" in str(waiting.wait_remedy)

    world.orgs.set_limit(ME.org, 11.0, 15)
    world.engine.slots.resume(ME.org)

    assert len(world.fleet.tasks) == 1


def test_minutes_are_enforced_at_each_worker_launch() -> None:
    world = World(SMALL)
    pipeline = world.launch(serial(leaf("a"), leaf("b", cpu=2)))
    world.serve()
    used_up(world)
    world.running()["/a"].finish()
    world.serve()

    assert "worker minutes per month" in str(world.nodes(pipeline)["/b"].waits_for)


def test_minutes_are_not_read_again_for_commands_that_wait_for_a_worker() -> None:
    world = World(replace(SMALL, max_workers=1))
    world.launch(parallel(*(leaf(f"n{number}") for number in range(6))))
    world.serve()
    reads: list[str] = []
    usage = world.orgs.usage

    def counted(org: str, month: str) -> Mapping[str, float]:
        reads.append(org)
        return usage(org, month)

    world.orgs.usage = counted  # type: ignore[method-assign]
    for _ in range(5):
        (hand,) = world.running().values()
        hand.finish()
        world.serve()

    assert len(reads) <= 1
