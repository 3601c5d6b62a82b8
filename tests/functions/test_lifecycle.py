"""The cloud as a story: a tree is launched, workers come, run it, and leave."""

from __future__ import annotations

import asyncio
import base64

import pytest

from conducto_core.billing.rules import BillingPlan
from conducto_core.run.model.params import LogParams
from conducto_core.run.model.states import Cause, State
from support.cloud.world import ME, World
from support.trees import leaf, parallel, serial


@pytest.fixture
def world() -> World:
    return World()


def test_two_commands_run_one_after_the_other_and_the_pipeline_is_done(world: World) -> None:
    # Ann launches two commands, one after the other.
    pipeline = world.launch(serial(leaf("build"), leaf("test")))
    assert world.states(pipeline) == {"/": "running", "/build": "queued", "/test": "pending"}

    # One worker is started for the one command that can run; it belongs to her.
    (task,) = world.fleet.tasks.values()
    assert (task.org, task.user, task.pipeline_id, task.image) == (
        ME.org,
        ME.user,
        pipeline,
        "busybox",
    )
    assert world.orgs.workers(ME.org) == 1

    # It comes up, is handed the first task, and may run it.
    world.serve()
    (worker,) = world.living()
    assert worker.job is not None
    assert (worker.job.path, worker.job.attempt, worker.job.script) == ("/build", 1, "true")
    assert worker.job.env["CONDUCTO_PIPELINE_ID"] == pipeline
    assert world.states(pipeline)["/build"] == "running"

    # What it prints can be read while it runs.
    worker.print("hello\n")
    chunk = asyncio.run(world.pipelines().read_log(LogParams(id=pipeline, path="/build")))
    assert base64.b64decode(chunk.data) == b"hello\n"
    assert not chunk.complete

    # It reports; the same worker, and no other, continues with the second command.
    worker.finish(exit_code=0, seconds=2.0)
    world.serve()
    assert worker.job is not None
    assert worker.job.path == "/test"
    assert len(world.fleet.tasks) == 1
    worker.finish(exit_code=0, seconds=3.0)
    world.serve()

    # All is done, and the execution has ended too.
    summary = world.get(pipeline)
    assert (summary.state, summary.settled) == (State.DONE, True)
    assert {world.machines.status(arn) for arn in world.machines.executions.values()} == {
        "SUCCEEDED"
    }
    assert world.orgs.usage(ME.org, "1970-01")["exec_seconds"] == 5.0
    (attempt,) = world.attempts(pipeline, "/build")
    assert (attempt.state, attempt.exit_code, attempt.container) == (State.DONE, 0, worker.id)

    # The worker has nothing more to do and leaves; nobody pays for it any more.
    worker.leave()
    world.deliver()
    assert world.orgs.workers(ME.org) == 0
    assert list(world.store.open_pipelines()) == []


def test_failure_stops_a_serial_and_a_reset_continues_it(world: World) -> None:
    pipeline = world.launch(serial(leaf("a"), leaf("b")))
    world.serve()
    world.running()["/a"].finish(Cause.EXIT_CODE, exit_code=3)
    world.serve()
    assert world.states(pipeline) == {"/": "error", "/a": "error", "/b": "pending"}
    world.control(pipeline, "reset", "/a")
    world.run_out()
    assert world.states(pipeline) == {"/": "done", "/a": "done", "/b": "done"}
    assert [a.exit_code for a in world.attempts(pipeline, "/a")] == [3, None]


def test_a_wide_parallel_gets_a_worker_for_each_command_and_they_are_shared_afterwards(
    world: World,
) -> None:
    pipeline = world.launch(serial(parallel("a", "b", "c"), parallel("d", "e", "f")))
    world.serve()
    assert set(world.running()) == {"/n0/a", "/n0/b", "/n0/c"}
    world.run_out()
    assert world.get(pipeline).state is State.DONE
    assert len(world.fleet.tasks) == 3


def test_free_plan_runs_two_workers_and_reports_the_limit(world: World) -> None:
    world.orgs.set_plan(ME.org, BillingPlan())
    pipeline = world.launch(parallel("a", "b", "c", "d"))
    world.serve()
    assert len(world.running()) == 2
    waiting = [n for n in world.nodes(pipeline).values() if n.state is State.QUEUED]
    said = "the plan 'free' allows 2 workers at once"
    remedy = "wait for a free worker, or choose a larger plan"
    assert [(n.wait_kind, n.waits_for, n.wait_remedy) for n in waiting] == [
        ("plan", said, remedy),
        ("plan", said, remedy),
    ]
    world.run_out()
    assert world.get(pipeline).state is State.DONE
    assert len(world.fleet.tasks) == 2


def test_a_larger_plan_scales_out_within_a_minute(world: World) -> None:
    world.orgs.set_plan(ME.org, BillingPlan())
    world.launch(parallel("a", "b", "c", "d"))
    world.serve()
    world.orgs.set_plan(ME.org, BillingPlan("scale", max_workers=50))
    world.minute()
    world.serve()
    assert len(world.running()) == 4
