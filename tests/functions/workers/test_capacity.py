"""Workers of a limited plan: their allocation and release, without starvation.

``CAPACITY_SEED=N`` replays a game.
"""

from __future__ import annotations

import os
from random import Random
from typing import Any

import pytest

from chalicelib.billing.metering import month_of
from chalicelib.dependencies import BackgroundEvent
from chalicelib.workers.port import TaskEnd
from conducto.errors import DefinitionError
from conducto_core.billing.rules import BillingPlan
from conducto_core.run.model.states import Cause, State
from conducto_core.run.rules.contexts import CONTEXT_IDLE, CONTEXT_PAUSE
from conducto_core.workers.model import Report, ReportResponse, WorkerEnd
from conducto_core.workers.rules import pools as capacity
from conducto_core.workers.rules.pools import TURN
from support.cloud.world import ME, Hand, World
from support.trees import form, lazy, leaf, parallel, pipeline, serial

NEW, GLOBAL = {"container_reuse_context": "new"}, {"container_reuse_context": "global"}
FREE = BillingPlan(max_pipelines=100, exec_minutes=None)
_SEED = os.environ.get("CAPACITY_SEED")
SEEDS = [int(_SEED)] if _SEED is not None else range(30)


@pytest.fixture
def world() -> World:
    return World(FREE)


def _group(name: str, **params: Any) -> dict[str, Any]:
    """Return a group that leaves its container and comes back."""
    return serial(leaf("a"), leaf("free", **GLOBAL), leaf("c"), name=name, **NEW, **params)


def _failing_group(world: World, tree: dict[str, Any] | None = None) -> str:
    """Launch a ``new`` group of which the second command has failed."""
    failed = world.launch(serial("a", "b", **NEW) if tree is None else tree)
    world.serve()
    world.running()["/a"].finish()
    world.serve()
    world.running()["/b"].finish(Cause.EXIT_CODE)
    world.serve()
    return failed


def _paths(world: World) -> set[str]:
    return set(world.running())


# ---- no group waits for another forever ----


def test_two_groups_that_each_need_two_workers_run_one_after_the_other(world: World) -> None:
    run = world.launch(parallel(_group("g"), _group("h")))
    began = world.now
    world.serve()

    (first,) = _paths(world)  # one worker is free, and reserved for the rest of /g or /h
    assert first in ("/g/a", "/h/a")
    waiting = world.nodes(run)["/h/a" if first == "/g/a" else "/g/a"]
    assert "2 are reserved so that the container_reuse_context=NEW groups" in str(waiting.waits_for)
    world.run_out()
    assert world.get(run).state is State.DONE
    assert world.now == began  # nobody had to wait for the clock
    for group in ("/g", "/h"):
        (before,), (after,) = (world.attempts(run, f"{group}/{name}") for name in "ac")
        assert before.container == after.container


def test_groups_of_two_pipelines_do_not_block_each_other(world: World) -> None:
    runs = [world.launch(_group("g")) for _ in range(2)]
    world.run_out()
    assert [world.get(run).state for run in runs] == [State.DONE, State.DONE]


def test_groups_that_never_leave_their_container_run_side_by_side(world: World) -> None:
    world.launch(parallel(serial("a", name="g", **NEW), serial("a", name="h", **NEW)))
    world.serve()
    assert _paths(world) == {"/g/a", "/h/a"}


def test_requests_beyond_the_plan_are_rejected_at_launch(world: World) -> None:
    inner = serial("x", leaf("y", **GLOBAL), name="inner", **NEW)
    with pytest.raises(DefinitionError, match=r"^/outer: .*needs 3 workers at once"):
        world.launch(serial(serial("a", inner, name="outer", **NEW)))
    assert world.store.records(ME.org) == ((), None)


def test_a_generated_tree_that_the_plan_can_never_hold_fails_its_lazy(world: World) -> None:
    run = world.launch(serial("a", lazy("grow"), **NEW))
    world.serve()
    world.running()["/a"].finish()
    world.serve()
    inner = serial("x", leaf("y", **GLOBAL), **NEW)
    world.running()["/grow/Generate"].finish(tree=form(inner))
    (attempt,) = world.attempts(run, "/grow/Generate")
    assert attempt.cause is Cause.LAZY
    assert "/: container_reuse_context=NEW: the group needs 3 workers" in str(attempt.message)


def test_a_generated_tree_for_which_too_few_workers_are_left_fails_its_lazy() -> None:
    world = World(BillingPlan("scale", max_workers=3, exec_minutes=None))
    run = world.launch(serial("a", lazy("grow"), **NEW))
    other = world.launch(serial("a", **NEW))
    world.serve()
    next(h for h in world.living() if h.job and h.task.pipeline_id == run).finish()
    world.serve()
    inner = serial("x", leaf("y", **GLOBAL), **NEW)
    world.running()["/grow/Generate"].finish(tree=form(inner))
    (attempt,) = world.attempts(run, "/grow/Generate")
    assert "needs 1 more workers for container_reuse_context=NEW groups" in str(attempt.message)
    world.run_out()
    world.control(run, "reset", "/grow")
    world.serve()
    world.running()["/grow/Generate"].finish(tree=form(inner))
    world.run_out()
    assert [world.get(each).state for each in (run, other)] == [State.DONE, State.DONE]


def _random_tree(rng: Random, depth: int = 2) -> dict[str, Any]:
    params: dict[str, Any] = rng.choice([{}, NEW, NEW, GLOBAL])
    if depth == 0 or rng.random() < 0.2:
        return leaf(mem=rng.choice([2, 4]) if params is GLOBAL else 2, **params)
    kind = serial if rng.random() < 0.6 else parallel
    children = [_random_tree(rng, depth - 1) for _ in range(rng.randint(1, 3))]
    if rng.random() < 0.15:
        params = {**params, "max_concurrent": rng.randint(1, 2)}
    return kind(*children, **params)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_tree_that_fits_alone_ends_within_the_plan(seed: int) -> None:
    rng = Random(seed)
    trees = [parallel(_random_tree(rng), _random_tree(rng)) for _ in range(rng.randint(1, 3))]
    needs = [n for t in trees for n in capacity.extras(pipeline(t).nodes).values()]
    maximum = 1 + max(needs, default=0) + (rng.random() < 0.2)
    world = World(BillingPlan("scale", max_workers=maximum, max_pipelines=9, exec_minutes=None))
    runs = [world.launch(tree) for tree in trees]
    began = world.now
    for _ in range(500):
        world.serve()
        running = world.living()
        busy = [hand for hand in running if hand.job is not None]
        assert len(busy) <= maximum
        assert world.orgs.in_use(ME.org).workers <= maximum
        assert world.orgs.in_use(ME.org).reserved <= maximum
        if not busy:
            break
        rng.choice(busy).finish()
    states = [world.states(run) for run in runs]
    stuck = [[path for path, state in each.items() if state != "done"] for each in states]
    assert not any(stuck), f"seed {seed}: {maximum} workers, {stuck}"
    assert world.now == began
    _check_containers(world, runs)
    for hand in world.living():
        hand.leave()
    assert world.orgs.in_use(ME.org)[1:3] == (0, 0)
    assert world.orgs.shares(ME.org) == {}


def _check_containers(world: World, runs: list[str]) -> None:
    """Every context ran in one container."""
    for run in runs:
        with world.engine.reading(ME.org, run) as live:
            pools = {n.path: n.pool for n in live.pipeline.execs() if n.pool.startswith("context:")}
        members: dict[str, set[str | None]] = {}
        for path, pool in pools.items():
            found = {attempt.container for attempt in world.attempts(run, path)}
            members.setdefault(pool, set()).update(found)
        assert all(len(containers) == 1 for containers in members.values()), members


# ---- what a group's container means ----


def test_a_groups_container_is_one_also_for_a_limited_group_inside_of_it(world: World) -> None:
    inner = parallel("x", "y", name="inner", max_concurrent=1)
    run = world.launch(serial("a", inner, "c", **NEW))
    world.run_out()
    assert world.get(run).state is State.DONE
    _check_containers(world, [run])


def test_container_lost_between_two_commands_ends_its_group_with_a_message(
    world: World,
) -> None:
    run = world.launch(serial("a", leaf("free", **GLOBAL), "c", name="g", **NEW))
    world.serve()
    hand = world.running()["/a"]
    hand.finish()
    world.serve()
    hand.vanish()
    world.reconciler().task_stopped(run, hand.id, TaskEnd("Host EC2 terminated"))
    gone = (
        "the container of / is lost, and with it the state of earlier commands: Host EC2 terminated"
    )
    assert world.nodes(run)["/c"].waits_for == gone
    assert world.nodes(run)["/c"].wait_remedy == f"run the group again: conducto rerun {run} /"
    world.running()["/free"].finish()
    world.serve()
    (attempt,) = world.attempts(run, "/c")
    assert (attempt.state, attempt.cause) == (State.KILLED, Cause.WORKER_LOST)
    message = f"{gone}; to run the group again: conducto rerun {run} /"
    assert (attempt.message, attempt.started) == (message, None)

    world.control(run, "reset", "/")
    world.run_out()
    assert world.get(run).state is State.DONE


def test_a_node_that_is_reset_alone_runs_in_a_new_container(world: World) -> None:
    run = _failing_group(world)
    world.minute(CONTEXT_IDLE + 1)
    world.serve()
    assert not world.living()
    world.control(run, "reset", "/b")
    world.run_out()
    assert world.get(run).state is State.DONE


def test_skip_does_not_continue_in_a_lost_container(world: World) -> None:
    run = _failing_group(world, serial("a", "b", "c", **NEW))
    world.minute(CONTEXT_IDLE + 1)
    world.control(run, "skip", "/b")
    world.serve()
    assert not world.running()
    (attempt,) = world.attempts(run, "/c")
    assert "no command of the group had run for 15 minutes" in str(attempt.message)


def test_lost_container_is_tolerated_if_the_whole_group_is_retried(world: World) -> None:
    again = [["error", ["retry", {"max_num_retries": 1}]]]
    run = world.launch(serial("a", "b", callbacks=again, **NEW))
    world.serve()
    world.running()["/a"].finish()
    world.serve()
    hand = world.running()["/b"]
    hand.finish(Cause.EXIT_CODE)
    world.serve()
    world.run_out()
    assert world.get(run).state is State.DONE
    assert len(world.attempts(run, "/a")) == 2


def test_container_is_kept_while_its_detached_command_runs_for_hours(world: World) -> None:
    run = world.launch(_group("g"))
    world.serve()
    hand = world.running()["/a"]
    hand.finish()
    world.serve()
    for _ in range(120):
        world.minute(55)
    assert hand.alive
    world.running()["/free"].finish()
    world.run_out()
    assert world.get(run).state is State.DONE


def test_paused_group_keeps_its_container_for_a_day_and_reports_its_loss_then(
    world: World,
) -> None:
    run = world.launch(serial("a", "b", **NEW))
    world.serve()
    hand = world.running()["/a"]
    world.control(run, "pause")
    hand.finish()
    world.minute(CONTEXT_PAUSE - 60)
    assert hand.alive
    assert hand.arn not in world.fleet.stopped
    world.minute()
    world.retire()
    assert not hand.alive
    said = f"conducto rerun {run} /"
    problem = str(world.get(run).pipeline.problem)
    assert "paused for more than 24 hours" in problem
    assert said in problem
    assert said in str(world.nodes(run)["/b"].wait_remedy)

    world.control(run, "run")
    world.serve()
    assert world.states(run)["/b"] == "killed"
    world.control(run, "reset", "/")
    world.run_out()
    assert world.get(run).state is State.DONE


def test_cancelled_group_keeps_its_container_for_15_minutes(world: World) -> None:
    run = world.launch(serial("a", "b", **NEW))
    world.run_out()
    world.control(run, "reset", "/")
    world.control(run, "run")
    world.serve()
    hand = world.running()["/a"]
    world.control(run, "pause")  # between the two commands, nothing is killed
    hand.finish()
    world.control(run, "cancel")
    world.minute(CONTEXT_IDLE - 60)
    assert hand.alive
    assert hand.arn not in world.fleet.stopped
    world.minute()
    world.minute()
    world.retire()

    assert not hand.alive


def test_group_resumed_within_a_day_finds_its_container(world: World) -> None:
    run = world.launch(serial("a", "b", **NEW))
    world.serve()
    hand = world.running()["/a"]
    world.control(run, "pause")
    hand.finish()
    world.minute(CONTEXT_PAUSE / 2)
    world.control(run, "run")
    world.run_out()
    _check_containers(world, [run])
    assert world.get(run).state is State.DONE


# ---- workers that are not used ----


def test_a_worker_without_a_command_goes_to_another_pool_of_its_pipeline_at_once(
    world: World,
) -> None:
    world.orgs.set_plan(ME.org, BillingPlan(max_workers=1))
    run = world.launch(serial("a", leaf("b", mem=4), "c"))
    began = world.now
    world.run_out()
    assert (world.get(run).state, world.now) == (State.DONE, began)


def test_the_workers_of_a_failed_pipeline_go_to_one_that_waits_at_once(world: World) -> None:
    first = world.launch(parallel("a", "b"))
    world.run_out(lambda _path: Cause.EXIT_CODE)
    assert world.orgs.workers(ME.org) == 2
    second = world.launch(parallel("a", "b"))
    world.serve()
    assert {h.task.pipeline_id for h in world.running().values()} == {second}
    assert len(world.running()) == 2
    assert world.get(first).state is State.ERROR
    world.run_out()


# ---- workers that no command may need ----


def test_worker_leaves_with_the_report_after_which_its_pool_is_not_needed(world: World) -> None:
    run = world.launch(serial(parallel("x", "y", name="a"), leaf("b", mem=4)))
    world.serve()
    responses = {path: _report(hand) for path, hand in sorted(world.running().items())}
    assert {path: response.leave for path, response in responses.items()} == {
        "/a/x": True,  # the other command runs on the other worker, and so does its retry
        "/a/y": True,
    }
    assert _launched_since(world, run) == ["/b"]
    world.run_out()
    assert world.get(run).state is State.DONE
    assert world.orgs.workers(ME.org) == 0


def _report(hand: Hand) -> ReportResponse:
    """Report the end of a worker's command."""
    job, hand.job = hand.job, None
    assert job is not None
    report = Report(path=job.path, attempt=job.attempt, exit_code=0)
    response: ReportResponse = hand.desk.report(hand.identity, report)
    return response


def _launched_since(world: World, run: str) -> list[str]:
    """Return the Execs whose pools have launched workers that have not started."""
    with world.engine.reading(ME.org, run) as live:
        pools = {w.pool for w in live.registry.workers.values() if w.status == "starting"}
        return [path for pool in pools for path in live.queue[pool]]


@pytest.mark.parametrize(
    ("tree", "why"),
    [
        (serial("a", leaf("b", mem=4), "c"), "another command of the pool follows"),
        (serial("a", lazy("grow", mem=4)), "a tree that is not generated yet may need it"),
    ],
)
def test_worker_stays_while_its_pool_may_be_needed(tree: dict[str, Any], why: str) -> None:
    world = World()
    world.launch(tree)
    world.serve()
    assert not _report(world.running()["/a"]).leave, why


def test_worker_stays_for_a_minute_after_a_failure(world: World) -> None:
    world.launch(serial("a"))
    world.serve()
    world.running()["/a"].finish(Cause.EXIT_CODE)
    world.serve()
    assert len(world.living()) == 1
    world.minute()
    assert world.living() == []


def test_skipped_commands_need_no_worker(world: World) -> None:
    world.launch(serial("a", leaf("b", mem=4), parallel("c", name="d", skip=True)))
    world.serve()
    assert _report(world.running()["/a"]).leave


def test_worker_that_has_not_started_is_stopped_when_others_have_run_everything() -> None:
    world = World()
    run = world.launch(parallel("a", "b", leaf("c", mem=4)))
    first = next(iter(world.start_workers()))
    late = [hand for hand in world.living() if hand.task.pool == first.task.pool][1]
    del late  # it polls never
    for _ in range(2):
        first.look()
        first.finish()
    with world.engine.reading(ME.org, run) as live:
        pools = [worker.pool for worker in live.registry.staying()]
    assert first.task.pool not in pools
    world.run_out()


def test_stopped_worker_aborts_its_poll_only_if_no_task_can_come(world: World) -> None:
    world.orgs.set_plan(ME.org, BillingPlan(max_workers=1))
    run = world.launch(serial("a", leaf("b", mem=4), "c"))
    world.serve()
    (hand,) = world.living()
    entries = len(world.store.news(run, 0).entries)
    assert _report(hand).leave  # its slot goes to /b in the same entry
    assert len(world.store.news(run, 0).entries) == entries + 1
    assert _launched_since(world, run) == ["/b"]
    # If its response is lost, it polls until StopTask, and /c may follow while its poll is open.
    end = WorkerEnd(reason="stopping", polling=True)
    assert hand.desk.end(hand.identity, end).wait
    with world.engine.reading(ME.org, run) as live:
        assert hand.id in live.registry.workers
    world.run_out()
    for _ in range(2):  # a repeated call
        assert not hand.desk.end(hand.identity, end).wait
    assert world.get(run).state is State.DONE


def test_a_pipeline_that_waits_gets_the_worker_that_another_one_frees(world: World) -> None:
    first = world.launch(parallel("a", "b"))
    world.serve()
    second = world.launch(serial("c"))
    (node,) = [n for n in world.nodes(second).values() if n.path == "/c"]
    assert node.waits_for == (
        f"next in line for a worker; {first} has 2 of 2: the plan 'free' allows 2 workers at "
        "once, of which other pipelines and debug shells use 2"
    )
    assert (node.wait_kind, node.wait_holder) == ("workers", first)
    assert node.wait_remedy == "wait for a free worker, or choose a larger plan"
    world.running()["/a"].finish()
    world.serve()
    assert _paths(world) == {"/b", "/c"}
    world.run_out()
    assert [world.get(run).state for run in (first, second)] == [State.DONE, State.DONE]


def test_longest_waiting_group_is_first(world: World) -> None:
    world.orgs.set_plan(ME.org, BillingPlan(max_workers=1))
    world.launch(leaf())
    world.serve()
    runs = []
    for name in ("x", "y"):
        world.now += 1
        runs.append(world.launch(serial(name)))
    shares = world.orgs.shares(ME.org)
    assert [shares[run].waiting for run in runs] == [world.now - 1, world.now]
    world.running()["/"].finish()
    world.serve()
    assert _paths(world) == {"/x"}


def test_container_of_a_failed_group_goes_to_a_waiting_group_or_stays(
    world: World,
) -> None:
    world.orgs.set_plan(ME.org, BillingPlan(max_workers=1))
    failed = _failing_group(world)
    (hand,) = world.living()
    world.minute(CONTEXT_IDLE / 2)
    assert hand.arn not in world.fleet.stopped  # kept for a reset of the failed node
    world.launch(leaf())
    world.serve()
    assert _paths(world) == {"/"}
    world.run_out()
    world.control(failed, "skip", "/b")
    world.control(failed, "reset", "/a")
    world.run_out()
    assert world.get(failed).state is State.DONE


def test_a_stop_that_was_lost_is_ordered_again_by_the_minute_rule(world: World) -> None:
    world.launch(serial("a", leaf("b", mem=4), **NEW))
    world.serve()
    hand = world.running()["/a"]
    world.fleet.stopped.clear()
    world.reported.add(hand.arn)
    hand.finish()
    world.run_out()
    world.fleet.stopped.remove(hand.arn)
    hand.alive = True
    world.reconciler().run()
    assert hand.arn in world.fleet.stopped


# ---- fair between pipelines ----


def _many(number: int) -> dict[str, Any]:
    return parallel(*[leaf(f"n{i}") for i in range(number)])


def _busy(world: World) -> dict[str, int]:
    """Return ``{pipeline: running commands}``."""
    counts: dict[str, int] = {}
    for hand in world.living():
        if hand.job is not None:
            counts[hand.task.pipeline_id] = counts.get(hand.task.pipeline_id, 0) + 1
    return counts


def _finish(world: World, run: str) -> None:
    """End a command of a pipeline, and start the next ones."""
    world.now += 1
    next(h for h in world.living() if h.job and h.task.pipeline_id == run).finish()
    world.serve()


def test_a_pipeline_that_arrives_gets_a_worker_when_the_next_command_ends(world: World) -> None:
    """It does not wait for the end of a pipeline that has all workers."""
    first = world.launch(_many(20))
    world.serve()
    world.now += 1
    second = world.launch(_many(20))
    world.now += 1
    third = world.launch(_many(2))
    world.serve()
    assert _busy(world) == {first: 2}

    _finish(world, first)
    assert _busy(world) == {first: 1, second: 1}
    for _ in range(3):
        _finish(world, first)
    assert _busy(world) == {first: 1, second: 1}  # nobody is interrupted or changes to and fro
    world.minute(TURN)
    _finish(world, first)
    assert _busy(world) == {second: 1, third: 1}
    world.run_out()
    assert {world.get(run).state for run in (first, second, third)} == {State.DONE}


def test_workers_are_divided_equally_and_a_lone_pipeline_has_all(world: World) -> None:
    world.orgs.set_plan(
        ME.org, BillingPlan("scale", max_workers=8, max_pipelines=9, exec_minutes=None)
    )
    first = world.launch(_many(60))
    world.serve()
    while _busy(world)[first] < 8:  # one worker proves the image first
        _finish(world, first)
    second = world.launch(_many(3))
    world.now += 1
    third = world.launch(_many(40))
    for _ in range(5):
        _finish(world, first)
    assert _busy(world) == {first: 3, second: 3, third: 2}

    world.control(third, "cancel")
    while _busy(world).get(third):
        _finish(world, third)
    for _ in range(3):
        _finish(world, second)
    while _busy(world)[first] < 8:
        _finish(world, first)
    world.run_out()
    assert world.get(first).state is State.DONE


def test_a_pipeline_keeps_its_workers_if_a_waiting_pipeline_is_cancelled(world: World) -> None:
    first = world.launch(_many(20))
    world.serve()
    second = world.launch(_many(20))
    assert world.orgs.shares(ME.org)[first].keeps == 1
    world.control(second, "cancel")
    assert world.orgs.shares(ME.org)[first].keeps is None
    hands = {hand.id for hand in world.living()}
    for _ in range(4):
        _finish(world, first)
    assert {hand.id for hand in world.living()} == hands


def test_a_pipeline_keeps_its_workers_after_the_end_of_a_waiting_pipeline_is_lost() -> None:
    begun: list[BackgroundEvent] = []
    world = World(FREE, invoke_background=begun.append)

    def pump() -> None:
        world.serve()
        while begun:
            event = begun.pop(0)
            if event.effects is not None:
                world.engine.deferred.execute(event.effects, lambda: 900.0)
            if event.checks is not None:
                world.reconciler().check(event.checks, lambda: 900.0)
            world.serve()

    chain = serial(*[leaf() for _ in range(9)])
    first = world.launch(parallel(chain, chain))  # it waits for no further worker
    pump()
    second = world.launch(leaf())
    pump()
    assert world.orgs.shares(ME.org)[first].keeps == 1
    world.control(second, "cancel")
    begun.clear()  # the invocation that would give the workers back

    world.minute()
    pump()

    assert world.orgs.shares(ME.org)[first].keeps is None


def test_pipelines_that_wait_for_the_next_month_write_few_entries() -> None:
    world = World(BillingPlan(max_workers=2, max_pipelines=99, exec_minutes=100))
    pipelines = [world.launch(leaf()) for _ in range(8)]
    world.orgs.add_usage(ME.org, month_of(world.now), "x", 100 * 60.0, 1.0)
    world.now += 60
    world.run_out()

    def entries() -> int:
        return sum(len(world.store.news(pipeline, 0).entries) for pipeline in pipelines)

    world.minute()
    before = entries()
    for _ in range(10):
        world.minute()

    assert entries() - before <= 10 * len(pipelines)


def test_only_as_many_idle_workers_stop_as_other_pipelines_wait_for(world: World) -> None:
    world.orgs.set_plan(
        ME.org, BillingPlan("scale", max_workers=4, max_pipelines=9, exec_minutes=None)
    )
    first = world.launch(serial(parallel(*[leaf(f"n{i}") for i in range(12)]), leaf("last")))
    world.serve()
    while sum(hand.job is not None for hand in world.living()) < 4:
        _finish(world, first)
    while len(world.running()) > 1:
        _finish(world, first)
    assert len(world.living()) == 4  # three are idle: the last command may need them

    second = world.launch(leaf())
    world.serve()
    assert _busy(world) == {first: 1, second: 1}
    assert world.orgs.shares(ME.org)[first].workers == 3

    world.launch(parallel(leaf("x"), leaf("y", cpu=2)))
    world.serve()
    assert world.orgs.shares(ME.org)[first].workers == 1
    world.run_out()
    assert world.get(first).state is State.DONE


def test_a_waiting_command_shows_its_place_in_line_and_the_holders_of_workers(world: World) -> None:
    first = world.launch(_many(4))
    world.serve()
    second = world.launch(leaf())
    world.now += 1
    third = world.launch(leaf())
    waits = [str(world.nodes(run)["/"].waits_for) for run in (second, third)]
    assert waits[0].startswith(f"next in line for a worker; {first} has 2 of 2: the plan 'free'")
    assert waits[1].startswith(f"2nd in line for a worker; {first} has 2 of 2: the plan 'free'")


@pytest.mark.parametrize("seed", SEEDS[:8])
def test_no_worker_is_free_while_a_pipeline_waits_and_none_is_overtaken(seed: int) -> None:
    rng = Random(seed)
    maximum = rng.randint(2, 4)
    world = World(BillingPlan("scale", max_workers=maximum, max_pipelines=9, exec_minutes=None))
    runs: list[str] = []
    began: list[str] = []
    for _ in range(400):
        if len(runs) < 5 and rng.random() < 0.2:
            runs.append(world.launch(_many(rng.randint(1, 12))))
        world.now += rng.random() * 20
        world.serve()
        shares = world.orgs.shares(ME.org)
        used = world.orgs.in_use(ME.org).workers
        assert used <= maximum
        assert used == maximum or not any(share.wanted for share in shares.values()), shares
        began += [run for run in runs if run in _busy(world) and run not in began]
        assert began == runs[: len(began)], f"seed {seed}: a later pipeline began first"
        busy = [hand for hand in world.living() if hand.job is not None]
        if busy:
            rng.choice(busy).finish()
        elif len(runs) == 5:
            break
    assert {world.get(run).state for run in runs} == {State.DONE}
