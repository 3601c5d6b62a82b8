"""Pipelines in the cloud: workers and their pools, what AWS does to them, what people order."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from chalicelib.errors import AccessDeniedError, CapacityError, ThrottledError
from chalicelib.people.port import Identity
from chalicelib.run.model import BuiltImage, ImagesUpdated
from chalicelib.services import Services
from chalicelib.workers.handlers import CONTEXT_IDLE
from chalicelib.workers.port import TaskEnd, WorkerTask
from conducto.errors import DefinitionError
from conducto.wire import limits
from conducto_core.billing.rules import BillingPlan
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.run.model.params import (
    ListParams,
    LogParams,
    NodeParams,
    PipelineParams,
    StatesParams,
)
from conducto_core.run.model.records import ImageState, Lifecycle
from conducto_core.run.model.requests import (
    Action,
    Changes,
    ControlRequest,
    ControlResult,
    LaunchRequest,
)
from conducto_core.run.model.states import Cause, State
from conducto_core.secrets.model import DeleteSecrets, PutSecrets
from conducto_core.workers.rules.start_failures import FIRST_WAVE, MAX_STARTS
from support.cloud.world import EVERYTHING, ME, STRANGER, Hand, World
from support.trees import form, leaf, parallel, serial


@pytest.fixture
def world() -> World:
    return World()


# ---- launching under an idempotency key ----------------------------------------------------------


def test_launch_that_was_cut_off_is_completed_once(world: World) -> None:
    def launch(key: str, *, run: bool = True) -> str:
        request = LaunchRequest(tree=form(parallel("a", "b")), run=run)
        return asyncio.run(world.pipelines().launch(request, key, repeated=True)).pipeline.id

    created = launch("k", run=False)  # the first request ended before it ran the pipeline
    completed, again, other = launch("k"), launch("k"), launch("k2")

    assert completed == again == created != other
    assert world.states(created) == {"/": "running", "/a": "queued", "/b": "queued"}
    world.control(created, Action.PAUSE)
    launch("k")
    assert not world.get(created).pipeline.armed


def test_launches_under_one_key_at_the_same_time_are_one(world: World) -> None:
    request = LaunchRequest(tree=form(parallel("a")), run=True)
    first = asyncio.run(world.pipelines().launch(request, "k")).pipeline.id

    # As if the first had created it after the second looked for it.
    assert asyncio.run(world.pipelines().launch(request, "k")).pipeline.id == first


# ---- rejections before anything starts -----------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"docker_run_args": ["--privileged"]}, "/a: docker_run_args is not available"),
        ({"requires_docker": True}, "/a: requires_docker is not available"),
        ({"gpu": 1}, "/a: gpu=1: Fargate has no GPUs"),
        ({"cpu": 64}, "/a: cpu=64 and mem=2 are more than Fargate has"),
        ({"cpu": 8}, "/a: cpu=8 is more than the plan 'free' allows"),
    ],
)
def test_requests_beyond_fargate_are_rejected_with_the_path_of_the_node(
    world: World, params: dict[str, Any], said: str
) -> None:
    world.orgs.set_plan(ME.org, BillingPlan())
    with pytest.raises(DefinitionError, match=said):
        world.launch(serial(leaf("a", **params)))
    assert world.store.records(ME.org) == ((), None)
    assert world.fleet.tasks == {}


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        (serial(leaf("a", command="x" * (limits.MAX_CLOUD_COMMAND_BYTES + 1))), "^/a: .*command"),
        (serial(serial(serial("a", name="ü" * 350), name="ü" * 350)), "bytes long in a URL"),
        (serial(leaf("n" * (limits.MAX_NAME_BYTES + 1))), "name"),
    ],
    ids=["command", "path", "name"],
)
def test_a_tree_over_the_limits_is_refused_and_nothing_is_launched(
    world: World, tree: dict[str, Any], said: str
) -> None:
    with pytest.raises(DefinitionError, match=said):
        world.launch(tree)
    assert world.store.records(ME.org) == ((), None)


def test_an_image_whose_files_were_not_sent_along_is_refused(world: World) -> None:
    images = {"i": {"image": "busybox", "copy_dir": "/code"}}
    with pytest.raises(DefinitionError, match="files were not sent with"):
        world.launch(leaf(image_name="i"), images=images)


def test_an_edit_that_fargate_cannot_run_is_refused_and_changes_nothing(world: World) -> None:
    pipeline = world.launch(serial(leaf("a")), run=False)
    with pytest.raises(DefinitionError, match="/a: gpu=2: Fargate has no GPUs"):
        world.control(pipeline, "modify", "/a", changes=Changes(gpu=2))
    assert world.states(pipeline) == {"/": "pending", "/a": "pending"}


def test_the_plan_limits_pipelines_under_way_at_once(world: World) -> None:
    world.orgs.set_plan(ME.org, BillingPlan(max_pipelines=1))
    world.launch(leaf())
    with pytest.raises(RefusedError, match="allows 1 active pipelines"):
        world.launch(leaf())


def test_the_plan_limits_minutes_of_commands_a_month(world: World) -> None:
    world.orgs.set_plan(ME.org, BillingPlan(exec_minutes=1))
    pipeline = world.launch(leaf())
    world.serve()
    world.running()["/"].finish(seconds=61.0)
    for action, paths in (("reset", ("/",)), ("run", ())):
        with pytest.raises(RefusedError, match="1 worker minutes per month"):
            world.control(pipeline, action, *paths)


# ---- ownership -----------------------------------------------------------------------------------


def test_another_orgs_pipeline_does_not_exist(world: World) -> None:
    pipeline = world.launch(leaf())
    theirs = world.pipelines(STRANGER)
    for call in (
        lambda: theirs.get_pipeline(PipelineParams(id=pipeline)),
        lambda: theirs.list_attempts(NodeParams(id=pipeline, path="/")),
        lambda: theirs.read_log(LogParams(id=pipeline, path="/")),
        lambda: theirs.get_definition(PipelineParams(id=pipeline)),
        lambda: theirs.control(
            PipelineParams(id=pipeline), ControlRequest(action=Action.KILL, paths=("/",))
        ),
        lambda: theirs.get_node(NodeParams(id=pipeline, path="/")),
    ):
        with pytest.raises(NotFoundError, match=f"no pipeline {pipeline!r}"):
            asyncio.run(call())
    assert asyncio.run(theirs.list_pipelines(ListParams())).pipelines == ()


def test_pipeline_is_owned_by_its_launcher_and_not_by_a_user_in_the_request(world: World) -> None:
    pipeline = world.launch(leaf(), owner="root")
    assert world.get(pipeline).pipeline.owner == ME.user


def test_a_pipeline_is_found_by_the_beginning_of_its_id_and_launched_again(world: World) -> None:
    pipeline = world.launch(serial(leaf("a")), title="mine", run=False)
    again = asyncio.run(world.pipelines().get_definition(PipelineParams(id=pipeline[:5])))
    assert isinstance(again, LaunchRequest)
    assert again.title == "mine"
    other = asyncio.run(world.pipelines().launch(again)).pipeline.id
    assert set(world.states(other)) == {"/", "/a"}
    assert len(asyncio.run(world.pipelines().list_pipelines(ListParams())).pipelines) == 2


# ---- pools ---------------------------------------------------------------------------------------


def test_a_full_group_keeps_only_its_own_commands_waiting(world: World) -> None:
    narrow = parallel("a", "b", "c", max_concurrent=1)
    pipeline = world.launch(parallel(leaf("x"), leaf("y"), narrow))
    world.serve()
    running = set(world.running())
    assert {"/x", "/y"} <= running
    assert len(running) == 3
    waiting = next(n for n in world.nodes(pipeline).values() if n.state is State.QUEUED)
    assert waiting.waits_for == "max_concurrent=1 of /n2 is reached"
    assert waiting.wait_kind == "turn"
    assert len(world.fleet.tasks) == 3
    maximum = 0
    while world.running():
        maximum = max(maximum, sum(path.startswith("/n2") for path in world.running()))
        min(world.running().items())[1].finish()
        world.serve()
    assert (maximum, world.get(pipeline).state) == (1, State.DONE)


def test_no_two_pipelines_share_workers(world: World) -> None:
    world.launch(leaf())
    world.launch(leaf())
    pools = {task.pool for task in world.fleet.tasks.values()}
    assert len(pools) == 2


def test_a_context_has_one_worker_which_is_stopped_when_its_group_is_done(world: World) -> None:
    group = parallel("a", "b", "c", container_reuse_context="new")
    pipeline = world.launch(serial(group, leaf("last")))
    world.serve()
    (hand,) = world.running().values()
    assert (hand.instructions.policy, hand.instructions.idle) == ("context", CONTEXT_IDLE)
    for _ in range(3):
        next(h for h in world.running().values() if h is hand).finish()
        world.serve()
    assert hand.arn in world.fleet.stopped
    world.run_out()
    assert world.get(pipeline).state is State.DONE


@pytest.mark.parametrize("ends", ["before the reset", "after the reset"])
def test_reset_of_a_whole_context_uses_a_fresh_container(world: World, ends: str) -> None:
    group = serial("a", "b", container_reuse_context="new", name="g")
    pipeline = world.launch(serial(group))
    world.serve()
    (first,) = world.running().values()
    first.finish()
    world.serve()
    if ends == "before the reset":
        first.finish(Cause.EXIT_CODE)
        world.serve()

    world.control(pipeline, "reset", "/g")
    if ends == "after the reset":
        first.finish(Cause.KILLED_BY_USER)
    world.run_out()

    assert world.get(pipeline).state is State.DONE
    assert first.arn in world.fleet.stopped
    assert world.get(pipeline).pipeline.problem is None
    attempts = [world.attempts(pipeline, path)[-1] for path in ("/g/a", "/g/b")]
    assert len({attempt.container for attempt in attempts}) == 1
    assert attempts[0].container != first.id


def test_a_command_that_wants_a_fresh_container_gets_one_for_each_attempt(world: World) -> None:
    fresh = leaf(
        "a",
        container_reuse_context="new",
        callbacks=[["error", ["retry", {"max_num_retries": 1}]]],
    )
    pipeline = world.launch(serial(fresh))
    world.serve()
    first = world.running()["/a"]
    assert first.instructions.policy == "once"
    first.finish(Cause.EXIT_CODE)
    first.leave("once")
    world.serve()
    second = world.running()["/a"]
    assert second is not first
    second.finish()
    second.leave("once")
    world.serve()
    assert world.get(pipeline).state is State.DONE


def test_end_of_nodes_from_before_the_run_is_known_to_its_graph(
    world: World,
) -> None:
    once = leaf("a", container_reuse_context="new")
    pipeline = world.launch(serial(parallel(once, leaf("b")), leaf("c")))
    world.serve()
    world.control(pipeline, "reset", "/n0/b")  # a new run is planned, /n0/a continues
    world.running()["/n0/b"].finish(Cause.EXIT_CODE)
    world.running()["/n0/a"].finish()  # its worker leaves: nobody will claim its new task
    world.serve()
    world.running()["/n0/b"].finish()
    world.serve()
    assert set(world.running()) == {"/c"}


def test_a_task_that_got_lost_is_offered_again_though_a_worker_waits_for_it(world: World) -> None:
    pipeline = world.launch(parallel("a", container_reuse_context="new"))
    (hand,) = world.start_workers()
    assert (
        world.poll(hand.instructions.activity) is not None
    )  # and it forgets it, and AWS does, too
    world.handed_out.clear()
    for _ in range(4):
        world.minute(61)
        world.serve()
    assert set(world.running()) == {"/a"}
    assert len(world.machines.executions) == 2
    assert world.get(pipeline).pipeline.armed


# ---- what AWS does -------------------------------------------------------------------------------


def test_a_lost_workers_command_runs_again_on_another_and_the_attempt_says_why(
    world: World,
) -> None:
    pipeline = world.launch(serial(leaf("a"), leaf("b"), retry_lost=2))
    world.serve()
    hand = world.running()["/a"]
    hand.vanish()
    world.reconciler().task_stopped(pipeline, hand.id, TaskEnd("Host EC2 terminated."))
    world.serve()
    other = world.running()["/a"]
    assert other is not hand
    first, second = world.attempts(pipeline, "/a")
    assert (first.state, first.cause) == (State.KILLED, Cause.WORKER_LOST)
    assert first.message == (
        "the worker was lost: Host EC2 terminated: tried again by itself: retry_lost (retry 1 of 2)"
    )
    assert second.container == other.id
    world.run_out()
    assert world.get(pipeline).state is State.DONE


def test_worker_that_is_silent_for_a_minute_counts_as_lost(world: World) -> None:
    pipeline = world.launch(leaf(retry_lost=1))
    world.serve()
    hand = world.running()["/"]
    hand.alive = False  # it hangs: ECS takes it for running
    world.minute(61)
    world.serve()
    assert world.running()["/"] is not hand
    assert hand.arn in world.fleet.stopped
    assert [a.cause for a in world.attempts(pipeline, "/")] == [Cause.WORKER_LOST, None]


def test_worker_that_ecs_did_not_list_when_it_had_to_leave_is_stopped_by_the_minute_rule(
    world: World,
) -> None:
    pipeline = world.launch(leaf())
    world.fleet.unlisted = True
    world.control(pipeline, "kill", "/")
    world.fleet.unlisted = False
    assert world.fleet.stopped == []

    world.reconciler().run()

    assert world.fleet.stopped == list(world.fleet.tasks)


def test_a_worker_that_says_something_every_minute_is_left_alone(world: World) -> None:
    pipeline = world.launch(leaf())
    world.serve()
    for _ in range(5):
        world.minute(55)
    world.run_out()
    assert [a.cause for a in world.attempts(pipeline, "/")] == [None]


def test_task_that_gets_no_machine_is_given_up_and_the_node_says_why(world: World) -> None:
    pipeline = world.launch(leaf())
    world.fleet.placing = True
    for _ in range(9):
        world.minute()
    (task,) = world.fleet.tasks
    assert world.fleet.stopped == []

    world.minute()

    assert world.fleet.stopped == [task]
    waiting = world.nodes(pipeline)["/"]
    assert waiting.wait_kind == "capacity"
    assert "AWS has no capacity: it found no machine for a worker" in str(waiting.waits_for)
    assert "next: Fargate on demand, $0.0588 an hour, after" in str(waiting.waits_for)
    assert "without a machine, it fails after" in str(waiting.waits_for)

    world.fleet.placing = False
    for _ in range(3):
        world.minute()
    world.run_out()
    assert world.get(pipeline).state is State.DONE


def test_lost_command_is_not_run_again_unless_asked(world: World) -> None:
    pipeline = world.launch(leaf())
    world.serve()
    hand = world.running()["/"]
    hand.vanish()
    world.reconciler().task_stopped(pipeline, hand.id, TaskEnd("Your Spot Task was interrupted."))
    world.serve()

    assert world.running() == {}
    (attempt,) = world.attempts(pipeline, "/")
    assert (attempt.state, attempt.cause) == (State.KILLED, Cause.WORKER_LOST)
    assert "set retry_lost" in str(attempt.message)


def test_a_pull_that_is_throttled_is_tried_again_and_is_why_the_queue_waits(world: World) -> None:
    reason = "CannotPullContainerError: 429 Too Many Requests - toomanyrequests: rate exceeded"
    pipeline = world.launch(leaf())
    for number in range(6):
        (hand,) = world.start_workers()
        hand.vanish()
        world.reconciler().task_stopped(pipeline, hand.id, TaskEnd(reason))
        assert reason in str(world.nodes(pipeline)["/"].waits_for)
        world.minute(60 * 2**number)
    world.run_out()
    assert world.get(pipeline).state is State.DONE
    assert len(world.attempts(pipeline, "/")) == 1


@pytest.mark.parametrize("wide", [1, 200])
@pytest.mark.parametrize(
    ("end", "cause", "starts", "remedy"),
    [
        (
            TaskEnd("Essential container in task exited", exit_code=255),
            Cause.IMAGE,
            4,
            "--platform linux/amd64",
        ),
        (TaskEnd("Task failed to start"), Cause.NO_WORKER, 4, ""),
        (
            TaskEnd("ResourceInitializationError: failed to invoke EFS utils commands"),
            Cause.NO_WORKER,
            4,
            "mount targets",
        ),
        (TaskEnd("CannotPullContainerError: x: not found"), Cause.IMAGE, 1, "name and tag"),
    ],
)
def test_workers_that_end_before_any_command_are_bounded(
    end: TaskEnd, cause: Cause, starts: int, remedy: str, *, wide: int
) -> None:
    world = World()
    pipeline = world.launch(parallel(*[f"n{i}" for i in range(wide)]))
    _let_all_die(world, pipeline, end)
    assert len(world.fleet.tasks) == min(MAX_STARTS, starts - 1 + min(wide, FIRST_WAVE))
    assert world.get(pipeline).settled
    (attempt,) = world.attempts(pipeline, "/n0")
    assert (attempt.cause, attempt.state) == (cause, State.ERROR)
    assert end.reason in str(attempt.message)
    assert remedy in str(attempt.message)


def _let_all_die(world: World, pipeline: str, end: TaskEnd, *, up: bool = False) -> None:
    """End every worker before it runs a command, with AWS's reason for it."""
    for _ in range(30):
        for arn, task in list(world.fleet.tasks.items()):
            if arn in world.fleet.stopped:
                continue
            if up:
                hand = world.hands[arn] = Hand(world, arn, task)
                hand.start()
                hand.leave("stopping")
            world.fleet.stopped.append(arn)
            world.reconciler().task_stopped(pipeline, task.worker_id, end)
        world.minute(1800.0)


def test_workers_whose_agent_is_up_when_the_users_container_ends_are_bounded(world: World) -> None:
    pipeline = world.launch(parallel(*[f"n{i}" for i in range(50)]))
    end = TaskEnd("Essential container in task exited", exit_code=1)
    _let_all_die(world, pipeline, end, up=True)

    assert len(world.fleet.tasks) == 3 + FIRST_WAVE
    (attempt,) = world.attempts(pipeline, "/n0")
    assert (attempt.cause, attempt.state) == (Cause.IMAGE, State.ERROR)
    assert "Essential container in task exited (exit code 1)" in str(attempt.message)


def test_pool_that_is_given_up_starts_nothing_for_later_nodes_until_a_reset(world: World) -> None:
    nodes = [leaf(f"n{i}") for i in range(20)]
    pipeline = world.launch(serial(*nodes, stop_on_error=False))
    _let_all_die(world, pipeline, TaskEnd("Task failed to start"))
    assert len(world.fleet.tasks) == 4
    assert set(world.states(pipeline).values()) == {"error"}

    world.control(pipeline, "reset", "/")
    world.run_out()
    assert world.get(pipeline).state is State.DONE


def test_image_that_no_worker_can_run_is_tried_by_one_pool_only(world: World) -> None:
    sizes = [leaf(f"n{i}", cpu=i) for i in (1, 2, 4)]
    pipeline = world.launch(serial(*sizes, stop_on_error=False))
    said = "CannotPullContainerError: does not contain descriptor matching platform 'linux/amd64'"
    _let_all_die(world, pipeline, TaskEnd(said))
    assert len(world.fleet.tasks) == 1
    assert "--platform linux/amd64" in str(world.attempts(pipeline, "/n4")[0].message)


@pytest.mark.parametrize(
    ("error", "starts", "remedy"),
    [
        (ThrottledError("Rate exceeded"), 10, ""),
        (AccessDeniedError("not authorized to perform: ecs:RunTask"), 10, "deploy the"),
        (RuntimeError("RunTask: MISSING"), 4, ""),
    ],
)
def test_starts_that_aws_refuses_are_bounded_and_say_why(
    world: World, error: Exception, starts: int, remedy: str
) -> None:
    calls: list[WorkerTask] = []

    def refuse(task: WorkerTask) -> str:
        calls.append(task)
        raise error

    world.fleet.start = refuse  # type: ignore[method-assign]
    pipeline = world.launch(leaf())
    waiting = world.nodes(pipeline)["/"]
    assert str(error) in str(waiting.waits_for)
    assert (waiting.wait_kind, waiting.wait_holder) == ("workers", "AWS")
    assert remedy in (waiting.wait_remedy or "")
    for _ in range(150):
        world.minute(600.0)

    assert len(calls) == starts
    (attempt,) = world.attempts(pipeline, "/")
    assert str(error) in str(attempt.message)


def test_capacity_that_never_comes_fails_the_command_after_six_hours(world: World) -> None:
    def refuse(task: WorkerTask) -> str:
        raise CapacityError("You've reached the limit on the number of vCPUs")

    world.fleet.start = refuse  # type: ignore[method-assign]
    began = world.now
    pipeline = world.launch(leaf())
    waiting = world.nodes(pipeline)["/"]
    assert (waiting.wait_kind, waiting.wait_holder) == ("capacity", "AWS")
    assert "quota" in str(waiting.wait_remedy)
    while world.get(pipeline).state is State.QUEUED:
        assert world.nodes(pipeline)["/"].waits_for is not None
        world.minute(120.0)

    (attempt,) = world.attempts(pipeline, "/")
    assert attempt.cause is Cause.NO_CAPACITY
    assert "limit on the number of vCPUs" in str(attempt.message)
    assert 6 * 3600 <= world.now - began <= 6 * 3600 + 800


def test_a_wide_group_starts_wide_once_its_first_worker_has_run_a_command(world: World) -> None:
    pipeline = world.launch(parallel(*[f"n{i}" for i in range(200)]))
    assert len(world.fleet.tasks) == FIRST_WAVE
    (first, *_) = world.start_workers()
    first.look()
    assert len(world.fleet.tasks) == 200
    world.run_out()
    assert world.get(pipeline).state is State.DONE


def test_a_quota_that_other_workers_use_up_only_delays(world: World) -> None:
    start = world.fleet.start

    def at_most_ten(task: WorkerTask) -> str:
        if len(world.fleet.tasks) - len(world.fleet.stopped) >= 10:
            raise CapacityError("You've reached the limit on the number of vCPUs")
        return start(task)

    world.fleet.start = at_most_ten  # type: ignore[method-assign]
    other = world.launch(parallel(*[leaf(f"o{i}", cpu=2) for i in range(10)]))
    world.serve()
    pipeline = world.launch(leaf())
    for _ in range(100):
        world.minute(50.0)
    assert world.states(pipeline) == {"/": "queued"}
    assert "limit on the number of vCPUs" in str(world.nodes(pipeline)["/"].waits_for)

    for hand in list(world.running().values()):
        hand.finish()
    world.minute(60)
    world.minute(601)
    world.run_out()
    assert world.get(pipeline).state is State.DONE
    assert world.get(other).state is State.DONE


@pytest.mark.parametrize("losses", [3, 4])
def test_worker_lost_while_it_starts_is_replaced_three_times(world: World, losses: int) -> None:
    pipeline = world.launch(parallel(leaf("a"), leaf("b")))
    for number in range(1, losses + 1):
        for arn, task in list(world.fleet.tasks.items()):
            if arn not in world.fleet.stopped:
                world.fleet.stopped.append(arn)
                end = TaskEnd("Host EC2 terminated")
                world.reconciler().task_stopped(pipeline, task.worker_id, end)
        if number < 3:
            waits = str(world.nodes(pipeline)["/a"].waits_for)
            assert "Host EC2 terminated" in waits
        world.minute(61)
    world.run_out()

    lost = losses > 3
    assert world.states(pipeline)["/a"] == ("killed" if lost else "done")
    (attempt,) = world.attempts(pipeline, "/a")
    assert attempt.cause is (Cause.WORKER_LOST if lost else None)
    if lost:
        assert "Host EC2 terminated" in str(attempt.message)
        assert "never started" in str(attempt.message)


def test_a_worker_lost_three_times_fails_the_node(world: World) -> None:
    pipeline = world.launch(leaf(retry_lost=2))
    for _ in range(3):
        world.serve()
        hand = world.running()["/"]
        hand.vanish()
        world.reconciler().task_stopped(pipeline, hand.id, TaskEnd("gone"))
    world.serve()
    assert world.states(pipeline) == {"/": "killed"}
    assert world.running() == {}


def test_memory_that_ran_out_is_the_cause_not_the_worker(world: World) -> None:
    pipeline = world.launch(leaf())
    world.serve()
    hand = world.running()["/"]
    hand.vanish()
    world.reconciler().task_stopped(
        pipeline, hand.id, TaskEnd("OutOfMemoryError: Container killed", exit_code=137, oom=True)
    )
    assert world.attempts(pipeline, "/")[0].cause is Cause.OUT_OF_MEMORY


def test_repeated_and_reordered_events_change_nothing(world: World) -> None:
    pipeline = world.launch(serial(leaf("a"), leaf("b"), retry_lost=1))
    world.serve()
    hand = world.running()["/a"]
    hand.leave("stopping")
    world.deliver()
    number = len(world.store.news(pipeline, 0).entries)
    for _ in range(2):
        world.reconciler().task_stopped(pipeline, hand.id, TaskEnd("stopped by itself"))
        world.reconciler().execution_ended(f"{pipeline}-0", "ABORTED")
        world.reconciler().execution_ended("abc-def-1", "SUCCEEDED")
        world.reconciler().task_stopped("abc-def", "w1", TaskEnd("of nobody"))
    assert len(world.store.news(pipeline, 0).entries) == number
    assert world.orgs.workers(ME.org) == 1


def test_execution_stopped_from_outside_is_restarted(world: World) -> None:
    pipeline = world.launch(serial(leaf("a"), leaf("b")))
    world.serve()
    (execution,) = world.machines.executions.values()
    world.machines.stop(execution, "by somebody in the console")
    world.deliver()
    world.run_out()
    assert world.get(pipeline).state is State.DONE
    assert len(world.attempts(pipeline, "/a")) == 1  # the running attempt continued


def test_executions_that_end_at_once_again_and_again_pause_the_pipeline(world: World) -> None:
    pipeline = world.launch(leaf())
    for _ in range(10):
        for arn in list(world.machines.executions.values()):
            world.machines.stop(arn, "again")
        world.deliver()
    record = world.get(pipeline).pipeline
    assert not record.armed
    assert "bug in Conducto" in (record.problem or "")
    assert len(world.machines.executions) < 10


def test_capacity_refused_for_ten_minutes_only_delays(world: World) -> None:
    world.fleet.full = True
    pipeline = world.launch(leaf())
    for _ in range(10):
        world.minute()
        assert world.fleet.tasks == {}
        assert world.orgs.workers(ME.org) == 0
        node = world.nodes(pipeline)["/"]
        assert (node.state, "AWS has no machine" in str(node.waits_for)) == (State.QUEUED, True)
    world.fleet.full = False
    world.minute(600)
    world.run_out()
    assert world.get(pipeline).state is State.DONE


def test_a_start_of_a_worker_that_is_lost_is_made_good_after_a_minute(world: World) -> None:
    world.fleet.deaf = True
    pipeline = world.launch(leaf())
    world.fleet.deaf = False
    world.minute(61)
    world.minute(61)
    world.run_out()
    assert world.get(pipeline).state is State.DONE


def test_image_that_cannot_be_pulled_fails_its_nodes(world: World) -> None:
    pipeline = world.launch(parallel("a", "b"))
    for arn, task in list(world.fleet.tasks.items()):
        world.fleet.stopped.append(arn)
        said = "CannotPullContainerError: pull access denied for busybox"
        world.reconciler().task_stopped(pipeline, task.worker_id, TaskEnd(said))
    assert set(world.states(pipeline).values()) == {"error"}
    (attempt,) = world.attempts(pipeline, "/a")
    assert attempt.cause is Cause.IMAGE
    assert "pull access denied" in (attempt.message or "")


def test_image_without_a_shell_fails_its_nodes(world: World) -> None:
    pipeline = world.launch(leaf())
    (hand,) = world.start_workers()
    hand.leave("the image has no shell: /bin/sh is not there", broken=True)
    world.deliver()
    assert world.states(pipeline) == {"/": "error"}
    (attempt,) = world.attempts(pipeline, "/")
    assert attempt.cause is Cause.IMAGE
    assert "no shell" in (attempt.message or "")
    assert list(world.store.open_pipelines()) == []


def _image(world: World, pipeline: str, state: ImageState, **more: Any) -> None:
    moved = ImagesUpdated(time=world.now, images=(BuiltImage(name="i", state=state, **more),))
    world.engine.submit(ME.org, pipeline, lambda _: moved)


def test_worker_is_launched_after_its_image_is_built(world: World) -> None:
    pipeline = world.launch(leaf(), run=False)
    _image(world, pipeline, ImageState.BUILDING)
    world.control(pipeline, "run")
    assert world.fleet.tasks == {}
    assert world.nodes(pipeline)["/"].waits_for == "image i is building"
    assert world.nodes(pipeline)["/"].wait_kind == "image"
    _image(world, pipeline, ImageState.DONE, reference="registry/i:1")
    (task,) = world.fleet.tasks.values()
    assert task.image == "registry/i:1"


def test_an_image_that_fails_to_build_fails_its_commands_with_the_log(world: World) -> None:
    pipeline = world.launch(parallel("a", "b"), run=False)
    _image(world, pipeline, ImageState.BUILDING)
    world.control(pipeline, "run")
    _image(world, pipeline, ImageState.ERROR, error="no such file: setup.py")
    assert set(world.states(pipeline).values()) == {"error"}
    (attempt,) = world.attempts(pipeline, "/b")
    assert (attempt.cause, attempt.message) == (Cause.IMAGE, "no such file: setup.py")


# ---- what people order ---------------------------------------------------------------------------


def test_preview_describes_the_action_and_changes_nothing(world: World) -> None:
    pipeline = world.launch(parallel("a", "b"))
    world.serve()
    number = len(world.store.news(pipeline, 0).entries)
    result = world.control(pipeline, "kill", "/", preview=True)
    assert (result.affected, result.stopped, result.preview) == (2, 2, True)
    assert len(world.store.news(pipeline, 0).entries) == number


def test_action_on_a_missing_node_changes_nothing(world: World) -> None:
    pipeline = world.launch(leaf())
    with pytest.raises(NotFoundError, match="/x: no such node"):
        world.control(pipeline, "kill", "/", "/x")
    assert world.states(pipeline) == {"/": "queued"}


def test_action_on_failed_nodes_names_no_node(world: World) -> None:
    pipeline = world.launch(parallel("a", "b", "c"))
    world.serve()
    world.running()["/a"].finish(Cause.EXIT_CODE)
    world.running()["/b"].finish(Cause.EXIT_CODE)
    world.control(pipeline, "skip", "/b")
    would = world.control(pipeline, "reset", failed=True, preview=True)
    assert (would.paths, would.preview) == (("/a",), True)
    world.control(pipeline, "reset", failed=True)
    assert world.states(pipeline)["/a"] == "queued"
    assert world.control(pipeline, "reset", failed=True) == ControlResult()
    with pytest.raises(NotFoundError, match="/x: no such node"):
        world.control(pipeline, "reset", "/x", failed=True)


def test_sleeping_pipeline_releases_its_workers_and_wakes(world: World) -> None:
    pipeline = world.launch(parallel("a", "b"))
    world.serve()
    world.running()["/a"].finish()
    idle = next(h for h in world.living() if h.job is None)
    busy = world.running()["/b"]
    world.control(pipeline, "sleep")
    assert world.get(pipeline).pipeline.lifecycle is Lifecycle.SLEEPING
    assert idle.arn in world.fleet.stopped
    assert busy.heartbeat()
    busy.finish(Cause.EXIT_CODE)
    assert busy.arn in world.fleet.stopped
    assert world.get(pipeline).settled
    world.retire()
    world.control(pipeline, "run")
    world.control(pipeline, "reset", "/")
    world.minute(61)
    world.run_out()
    assert world.get(pipeline).state is State.DONE


def test_cancelled_pipeline_kills_its_commands_and_starts_no_others(world: World) -> None:
    pipeline = world.launch(parallel("a", serial("b", "c")))
    world.serve()
    world.running()["/a"].finish()

    would = world.control(pipeline, "cancel", preview=True)
    world.control(pipeline, "cancel")
    (busy,) = world.running().values()
    stopping = busy.heartbeat()
    busy.finish(Cause.EXIT_CODE)

    assert (would.affected, would.stopped, would.preview) == (1, 1, True)
    assert stopping
    cancelled = world.get(pipeline)
    assert (cancelled.pipeline.armed, cancelled.settled) == (False, True)
    assert (cancelled.counts.killed, cancelled.counts.done, cancelled.counts.pending) == (1, 1, 1)


def test_archived_pipeline_deletes_its_files_once_workers_have_stopped(world: World) -> None:
    pipeline = world.launch(serial(leaf("a"), leaf("b")))
    world.serve()
    (hand,) = world.living()
    assert world.fleet.released == []

    world.control(pipeline, "archive")
    while_it_ends = list(world.fleet.released)
    world.serve()
    world.reconciler().task_stopped(pipeline, hand.id, TaskEnd("told to stop"))

    assert while_it_ends == []
    assert set(world.fleet.released) == {pipeline}


def test_archived_pipeline_is_not_listed_and_rejects_actions(world: World) -> None:
    pipeline = world.launch(leaf(), run=False)
    world.control(pipeline, "archive")
    assert asyncio.run(world.pipelines().list_pipelines(ListParams())).pipelines == ()
    for order, paths in (("reset", ("/",)), ("pause", ()), ("cancel", ()), ("run", ())):
        with pytest.raises(RefusedError, match="is archived; wake it first"):
            world.control(pipeline, order, *paths)
    assert (
        asyncio.run(world.pipelines().get_pipeline(PipelineParams(id=pipeline))).pipeline.lifecycle
        is Lifecycle.ARCHIVED
    )


def test_night_before_a_reset_does_not_count_as_active_time(world: World) -> None:
    pipeline = world.launch(leaf(), title="nightly")
    world.services = Services(world.cloud, snapshot_every=1)
    for _ in range(2):
        world.serve()
        world.now += 5
        world.run_out()
        world.now += 14 * 3600
        world.services = Services(world.cloud, snapshot_every=1)  # it reads what the last one wrote
        world.control(pipeline, "reset", "/")

    listed = asyncio.run(world.pipelines().list_pipelines(ListParams(history=True))).pipelines[0]
    assert world.get(pipeline).active_seconds == listed.active_seconds == 10
    assert world.get(pipeline).active_since == world.now  # the reset queued it


def test_pause_response_lists_running_nodes(world: World) -> None:
    pipeline = world.launch(serial("a", "b"))
    world.serve()

    told = world.control(pipeline, "pause")

    assert told.notes == ("1 Exec still runs and is not stopped; nothing more starts",)


def test_list_shows_the_results_of_earlier_runs(world: World) -> None:
    first = world.launch(leaf(), title="nightly")
    world.run_out()
    world.control(first, "archive")
    world.now += 1  # the newest comes first
    world.launch(leaf(), title="weekly", run=False)
    world.now += 1
    again = world.launch(leaf(), title="nightly", run=False)
    api = world.pipelines()

    (history,) = asyncio.run(api.list_pipelines(ListParams(history=True, limit=1))).histories
    strangers = asyncio.run(world.pipelines(STRANGER).list_pipelines(ListParams(history=True)))

    assert [run.id for run in history.runs] == [again, first]
    assert (history.passed, history.ended, history.median_seconds) == (1, 1, 0.0)
    assert strangers.histories == ()


def test_pipeline_starts_at_its_scheduled_time(world: World) -> None:
    pipeline = world.launch(leaf(), run=False, run_at=world.now + 100)
    world.minute(60)
    assert world.states(pipeline) == {"/": "pending"}
    world.minute(60)
    world.run_out()
    assert world.get(pipeline).state is State.DONE


def test_a_skipped_pending_node_is_passed_over(world: World) -> None:
    pipeline = world.launch(serial(leaf("a"), leaf("b"), leaf("c")))
    world.serve()
    world.control(pipeline, "skip", "/b")
    world.run_out()
    assert world.attempts(pipeline, "/b") == ()
    assert world.get(pipeline).state is State.DONE


def test_secrets_are_stored_listed_without_values_and_reach_the_next_command(
    world: World,
) -> None:
    mine = world.pipelines()
    request = PutSecrets.model_validate(
        {
            "secrets": [
                {"key": "A", "value": "of-ann"},
                {"key": "B", "value": "of-acme", "scope": "org"},
            ]
        }
    )
    listed = asyncio.run(mine.put_secrets(request))
    assert [(s.scope, s.key) for s in listed.secrets] == [("org", "B"), ("user", "A")]
    assert listed.kept == "in AWS Secrets Manager"
    assert "of-ann" not in listed.model_dump_json()
    world.launch(leaf())
    world.serve()
    job = world.running()["/"].job
    assert job is not None
    assert (job.env["A"], job.env["B"]) == ("of-ann", "of-acme")
    theirs = world.pipelines(Identity(ME.org, "bea", EVERYTHING))
    assert [s.key for s in asyncio.run(theirs.list_secrets()).secrets] == ["B"]
    assert asyncio.run(world.pipelines(STRANGER).list_secrets()).secrets == ()
    gone = DeleteSecrets.model_validate({"keys": [{"key": "A"}, {"key": "nowhere"}]})
    assert [s.key for s in asyncio.run(mine.delete_secrets(gone)).secrets] == ["B"]


def test_a_secret_with_a_name_that_no_variable_has_is_refused(world: World) -> None:
    request = PutSecrets.model_validate({"secrets": [{"key": "1=2", "value": "x"}]})
    with pytest.raises(RefusedError):
        asyncio.run(world.pipelines().put_secrets(request))
    assert asyncio.run(world.pipelines().list_secrets()).secrets == ()


# ---- who follows ---------------------------------------------------------------------------------


def test_events_come_in_order_and_without_gaps_from_any_cursor(world: World) -> None:
    pipeline = world.launch(serial(leaf("a"), leaf("b")))
    world.run_out()

    async def collect(cursor: int) -> list[int]:
        seqs: list[int] = []
        async for batch in world.pipelines().changes(pipeline, cursor):
            seqs += [change.seq for change in batch.changes]
            if batch.pipeline.seq == seqs[-1]:
                break
        return seqs

    last = world.get(pipeline).seq
    assert asyncio.run(collect(0)) == list(range(1, last + 1))
    assert asyncio.run(collect(3)) == list(range(4, last + 1))


def test_websocket_follower_receives_every_change(world: World) -> None:
    pipeline = world.launch(leaf(), run=False)
    world.follow("c1", pipeline)
    world.follow("c2", pipeline)
    world.gateway.gone.add("c2")
    world.control(pipeline, "run")
    world.run_out()
    frames = [json.loads(frame) for frame in world.gateway.sent["c1"]]
    seqs = [change["seq"] for frame in frames for change in frame["changes"]]
    assert seqs == list(range(1, world.get(pipeline).seq + 1))
    assert frames[-1]["pipeline"]["state"] == "done"
    assert world.connections.followers(pipeline) == [("c1", seqs[-1])]


def test_the_installation_says_how_many_workers_are_spot() -> None:
    group = serial("a", container_reuse_context="new")

    def started(share: int) -> list[bool]:
        world = World(spot_share=share)
        world.launch(parallel("b", "c", group))
        return sorted(task.spot for task in world.fleet.tasks.values())

    assert started(0) == [False, False, False]
    assert started(10) == [False, True, True]  # nodes in the container of a group stay there


def interrupt(world: World, pipeline: str, path: str = "/") -> None:
    hand = world.running()[path]
    hand.vanish()
    world.reconciler().task_stopped(pipeline, hand.id, TaskEnd("Your Spot Task was interrupted."))
    world.serve()


def spots(world: World) -> list[bool]:
    return [task.spot for task in world.fleet.tasks.values()]


def test_an_interrupted_command_that_asked_for_spot_runs_again_on_demand(world: World) -> None:
    pipeline = world.launch(leaf(spot=True))
    world.serve()

    interrupt(world, pipeline)

    first, second = world.attempts(pipeline, "/")
    assert (first.state, first.cause) == (State.KILLED, Cause.SPOT)
    assert "spot (interruption 1 of 10)" in str(first.message)
    assert (second.state, spots(world)) == (State.RUNNING, [True, False])
    world.run_out()
    assert world.get(pipeline).state is State.DONE


def test_with_only_an_interrupted_command_waits_for_spot_again(world: World) -> None:
    pipeline = world.launch(leaf(spot="only"))
    world.serve()

    interrupt(world, pipeline)

    assert spots(world) == [True, True]


def test_interruptions_use_up_no_retries_but_are_bounded(world: World) -> None:
    pipeline = world.launch(leaf(spot="only", retry_lost=1))
    world.serve()
    for _ in range(11):
        interrupt(world, pipeline)
    assert len(world.attempts(pipeline, "/")) == 12  # ten interruptions and one retry_lost
    interrupt(world, pipeline)
    assert world.states(pipeline) == {"/": "killed"}


def test_an_interrupted_command_of_the_share_is_lost_as_with_any_worker() -> None:
    world = World(spot_share=10)
    pipeline = world.launch(leaf())
    world.serve()

    interrupt(world, pipeline)

    (attempt,) = world.attempts(pipeline, "/")
    assert (attempt.state, attempt.cause) == (State.KILLED, Cause.SPOT)
    assert "set retry_lost" in str(attempt.message)


@pytest.mark.parametrize(
    "message", ["Capacity is unavailable at this time", "the limit on the number of Spot vCPUs"]
)
@pytest.mark.parametrize(("spot", "then"), [(True, [False]), ("only", []), (None, [False])])
def test_where_spot_is_refused_a_worker_on_demand_starts_at_once(
    message: str, spot: object, then: list[bool]
) -> None:
    world = World(spot_share=10)
    start = world.fleet.start

    def refuse(task: WorkerTask) -> str:
        if task.spot:
            raise CapacityError(message)
        return start(task)

    world.fleet.start = refuse  # type: ignore[method-assign]
    pipeline = world.launch(leaf(spot=spot))
    world.minute(1)

    assert spots(world) == then
    node = world.nodes(pipeline)["/"]
    assert message in str(node.waits_for)
    assert node.wait_kind == ("capacity" if spot == "only" else "start")


def test_a_worker_that_is_still_starting_when_nothing_is_left_to_do_is_stopped(
    world: World,
) -> None:
    pipeline = world.launch(parallel("a", "b"))
    (first, *_) = world.start_workers()[:1]
    world.control(pipeline, "kill", "/")
    late = world.launch(parallel("a"))

    world.control(late, "kill", "/")

    started = {task.pipeline_id: arn for arn, task in world.fleet.tasks.items()}
    assert world.fleet.stopped == [started[late]]
    assert first.arn not in world.fleet.stopped  # it is up: it may be wanted yet


def test_group_shows_its_start_and_end(world: World) -> None:
    pipeline = world.launch(serial(parallel("a", "b", name="p"), serial("c", name="s")))
    world.serve()
    began = world.now
    before = world.nodes(pipeline)
    assert (before["/p"].started, before["/p"].ended) == (began, None)
    assert (before["/s"].started, before["/s"].ended) == (None, None)
    world.now += 10
    world.running()["/p/a"].finish()
    world.now += 10
    world.running()["/p/b"].finish()
    world.run_out()
    after = world.nodes(pipeline)
    assert (after["/p"].started, after["/p"].ended) == (began, began + 20)
    assert (after["/"].started, after["/"].ended) == (began, began + 20)
    assert after["/p/a"].started is None


def test_a_group_that_ran_again_says_when_it_did_last(world: World) -> None:
    pipeline = world.launch(serial(serial("a", name="s"), "b"))
    world.run_out()
    world.now += 50
    world.control(pipeline, "reset", "/s")
    assert world.nodes(pipeline)["/s"].ended is None
    world.run_out()
    group = world.nodes(pipeline)["/s"]
    assert (group.started, group.ended) == (world.now, world.now)


def test_worker_counts_are_shown_while_workers_exist(world: World) -> None:
    pipeline = world.launch(parallel("a", "b"))
    wanted = world.get(pipeline).workers
    world.serve()
    busy = world.get(pipeline).workers
    world.run_out()

    assert wanted is not None
    assert (wanted.busy, wanted.starting) == (0, 2)
    assert busy is not None
    assert (busy.busy, busy.idle, busy.cpu) == (2, 0, None)


def test_states_of_execs_are_encoded_as_letters(world: World) -> None:
    pipeline = world.launch(parallel("a", "b"), run=False)
    world.control(pipeline, "skip", "/b")
    query = StatesParams(id=pipeline, names=True)

    states = asyncio.run(world.pipelines().get_states(query))

    assert (states.states, states.names, states.complete) == ("PS", ("a", "b"), True)
    with pytest.raises(NotFoundError, match="/nowhere"):
        asyncio.run(world.pipelines().get_states(StatesParams(id=pipeline, root="/nowhere")))
