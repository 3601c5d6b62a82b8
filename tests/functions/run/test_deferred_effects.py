"""Effects outside of requests: they may be lost, repeated or interrupted."""

from __future__ import annotations

from contextvars import copy_context
from typing import Any

import pytest

from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.errors import ConflictError, ThrottledError
from chalicelib.run.deferred_effects import OUTDATED, RESERVE, WAVE
from chalicelib.run.effects import MAX_CHAIN, begin, invoke_next
from chalicelib.run.reconcile import MAX_LISTED, SHARE, SPLIT_SECONDS
from chalicelib.run.rules.deferred import BackgroundEvent
from chalicelib.services import Services
from chalicelib.workers.aws.ecs import LaunchPace
from chalicelib.workers.port import WorkerTask
from conducto_core.asl.rules.partition import Size
from conducto_core.run.model.states import State
from support.cloud.aws import TABLE, aws
from support.cloud.background import Background
from support.cloud.world import ME, World, with_ports
from support.trees import form, lazy, leaf, parallel, serial

#: A machine for every few commands.
_SMALL = Size(3, 10**6, 10**6, 2)


@pytest.fixture
def world() -> World:
    return World()


def _wide(workers: int) -> dict[str, Any]:
    """Return commands that each need a worker: a new pool starts with a few workers only."""
    return parallel(*(leaf(f"n{n:03}", mem=2 + n / 64) for n in range(workers)))


def test_launch_responds_before_anything_starts_in_aws(world: World) -> None:
    background = Background(world)
    pipeline = world.launch(parallel("a", "b"))
    assert world.get(pipeline).pipeline.armed
    assert (world.fleet.tasks, world.machines.executions) == ({}, {})

    background.run_all()
    assert len(world.fleet.tasks) == 2
    assert list(world.machines.executions) == [f"{pipeline}-1"]


def test_first_workers_are_launched_before_the_tree_is_read(world: World) -> None:
    background = Background(world)
    world.launch(parallel("a", "b"))
    launched: list[int] = []

    class Store:
        """The store; records how many workers were launched when a definition is read."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.store, name)

        def definition(self, pipeline_id: str) -> bytes:
            launched.append(len(world.fleet.tasks))
            found: bytes = world.store.definition(pipeline_id)
            return found

    world.cloud = with_ports(world.cloud, store=Store())
    background.run()
    assert launched == [2]


def test_first_workers_are_not_launched_after_a_later_entry(world: World) -> None:
    background = Background(world)
    pipeline = world.launch(parallel("a", "b"))
    world.control(pipeline, "sleep")
    background.run()
    assert world.fleet.tasks == {}


def test_lost_effects_are_executed_again_within_a_minute(world: World) -> None:
    background = Background(world)
    pipeline = world.launch(serial("a", "b"))
    background.events.clear()
    world.minute()
    background.run_all()
    world.serve()
    assert list(world.running()) == ["/a"]
    assert list(world.machines.executions) == [f"{pipeline}-1"]  # the same run
    assert len(world.fleet.tasks) == 1  # of the same worker


def test_effects_of_an_executor_at_work_are_left_to_it(world: World) -> None:
    background = Background(world)
    pipeline = world.launch(_wide(2 * WAVE))
    looks: list[int] = []

    def look(_number: int) -> float:
        world.now += 15
        world.reconciler().look_at(ME.org, pipeline)
        looks.append(len(background.events))
        return 0.0

    background.launch_delay = look
    background.run()
    assert len(world.fleet.tasks) == 2 * WAVE
    assert looks == [0, 0]  # the minute's check starts no other executor


def test_repeated_effects_change_nothing(world: World) -> None:
    background = Background(world)
    world.launch(parallel("a", "b"))
    event = background.events[0]
    background.run_all()
    tasks, executions = dict(world.fleet.tasks), dict(world.machines.executions)
    background.events = [event]
    background.run_all()
    assert (world.fleet.tasks, world.machines.executions) == (tasks, executions)


def test_workers_are_launched_at_the_rate_that_aws_allows(world: World) -> None:
    reserved: list[int] = []
    slept: list[float] = []

    def reserve(number: int) -> float:
        reserved.append(number)
        return 0.5

    background = Background(world, launch_delay=reserve, sleep=slept.append)
    world.launch(_wide(2 * WAVE + 3))
    background.run_all()
    assert reserved == [WAVE, WAVE, 3]
    assert slept == [0.5, 0.5, 0.5]


def test_workers_that_the_pipeline_no_longer_needs_are_not_launched(world: World) -> None:
    slept: list[float] = []

    def cancel(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            world.control(pipeline, "sleep")

    background = Background(world, launch_delay=lambda _: 0.5, sleep=cancel)
    pipeline = world.launch(_wide(4 * WAVE))
    background.run()
    assert len(world.fleet.tasks) == WAVE
    assert slept == [0.5, 0.5]


def test_workers_that_another_executor_launched_are_left_out(world: World) -> None:
    background = Background(world)
    world.launch(_wide(2 * WAVE))
    repeated = background.events[0]
    started: list[str] = []
    background.run()

    class Fleet:
        """ECS; records the workers that are launched again."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.fleet, name)

        def start(self, task: WorkerTask) -> None:
            started.append(task.worker_id)

    world.cloud = with_ports(world.cloud, fleet=Fleet())
    background.events = [repeated]
    background.run()
    assert started == []


def test_executor_that_waits_for_its_rate_is_at_work(world: World) -> None:
    background = Background(world)
    pipeline = world.launch(_wide(2 * WAVE))
    looks: list[int] = []

    def look(seconds: float) -> None:
        world.now += seconds
        world.reconciler().look_at(ME.org, pipeline)
        looks.append(len(background.events))

    background.launch_delay = lambda _number: 90.0
    world.cloud = with_ports(world.cloud, sleep=look)
    background.run()
    assert len(looks) > 2 * 90 / OUTDATED
    assert set(looks) == {0}  # the minute's check starts no other executor
    assert len(world.fleet.tasks) == 2 * WAVE


def test_executor_that_waits_for_its_rate_hands_over_in_time(world: World) -> None:
    background = Background(world)
    slept: list[float] = []
    world.launch(_wide(WAVE))
    background.launch_delay = lambda _number: 90.0
    background.seconds = lambda: RESERVE + 20 - sum(slept)  # type: ignore[method-assign]
    world.cloud = with_ports(world.cloud, sleep=slept.append)
    background.run()
    assert sum(slept) == 20
    assert world.fleet.tasks == {}
    handed_over = BackgroundEvent.model_validate_json(background.events[0]).effects
    assert handed_over is not None
    assert len(handed_over.workers) == WAVE


def test_executor_without_time_hands_over_to_the_next(world: World) -> None:
    background = Background(world, max_machine_size=_SMALL)
    pipeline = world.launch(_wide(2 * WAVE))
    # Two looks at one wave of workers, one at the next, then three machines.
    background.left = [*[RESERVE + 1] * 2, RESERVE, *[RESERVE + 1] * 3, RESERVE]
    background.run()
    created = list(world.machines.machines)
    assert (len(world.fleet.tasks), len(created)) == (WAVE, 3)
    assert world.machines.executions == {}

    background.left = [RESERVE + 1]
    rest = background.run().effects
    assert rest is not None
    assert (rest.run, rest.created, len(rest.workers)) == (f"{pipeline}-1", 3, WAVE)
    assert len(world.fleet.tasks) == 2 * WAVE
    assert list(world.machines.executions) == [f"{pipeline}-1"]


def test_machines_wait_while_aws_throttles(world: World) -> None:
    class Throttling:
        """Step Functions that creates every second machine only."""

        def __init__(self) -> None:
            self.calls = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(world.machines, name)

        def create(self, *given: Any) -> None:
            self.calls += 1
            if self.calls % 2:
                raise ThrottledError("slow down")
            world.machines.create(*given)

    machines = Throttling()
    slept: list[float] = []
    background = Background(world, machines=machines, max_machine_size=_SMALL, sleep=slept.append)
    pipeline = world.launch(parallel(*"abcdefghij"))
    background.run_all()
    assert machines.calls == 2 * len(world.machines.machines) > 4
    assert slept.count(1.0) == len(world.machines.machines)
    assert list(world.machines.executions) == [f"{pipeline}-1"]


def test_effects_of_an_outdated_run_are_left_out(world: World) -> None:
    background = Background(world)
    pipeline = world.launch(serial("a", "b"))
    world.control(pipeline, "pause")
    world.control(pipeline, "run")
    background.run_all()
    assert list(world.machines.executions) == [f"{pipeline}-2"]


def test_generated_tree_runs_when_its_machines_exist(world: World) -> None:
    background = Background(world)
    pipeline = world.launch(lazy())
    background.run_all()
    world.serve()
    world.running()["/Generate"].finish(tree=form(parallel("x", "y")))
    world.serve()
    assert world.running() == {}
    background.run_all()
    world.serve()
    background.run_all()
    world.serve()
    assert set(world.running()) == {"/Execute/x", "/Execute/y"}
    assert world.get(pipeline).state is State.RUNNING


def test_effects_of_a_deleted_pipeline_are_ignored(world: World) -> None:
    background = Background(world)
    pipeline = world.launch(serial("a"))
    world.store.forget(pipeline)
    background.run_all()
    assert world.fleet.tasks == {}


def test_all_functions_share_one_rate_of_launches() -> None:
    now = [1_000.0]
    with aws() as clients:
        one, other = (LaunchPace(DynamoTable(clients, TABLE), lambda: now[0]) for _ in range(2))
        assert [one.reserve(20), other.reserve(20), one.reserve(10)] == [0.0, 1.0, 1.5]
        now[0] += 2.5  # the bucket is full again
        assert [other.reserve(20), one.reserve(1)] == [0.0, pytest.approx(0.05)]


def test_each_minute_checks_every_pipeline_in_shares(world: World) -> None:
    background = Background(world)
    pipelines = {world.launch(serial("a"), run=False) for _ in range(SHARE + 1)}
    for pipeline in pipelines:
        world.control(pipeline, "run")
    background.events.clear()
    world.reconciler().run()
    shares = [_checked(BackgroundEvent.model_validate_json(event)) for event in background.events]
    assert sorted(map(len, shares)) == [SHARE // 2, SHARE // 2 + 1]
    assert set().union(*shares) == pipelines


def test_slow_checks_share_the_rest_with_another_invocation(world: World) -> None:
    background = Background(world)
    for _ in range(5):
        world.launch(serial("a"))
    background.run_all()
    world.reconciler().run()

    def pass_time() -> float:
        world.now += SPLIT_SECONDS
        return 600.0

    background.seconds = pass_time  # type: ignore[method-assign]
    first = _checked(background.run())
    others = [_checked(BackgroundEvent.model_validate_json(event)) for event in background.events]
    assert len(first) == 5
    assert others  # not all were left to one invocation
    assert all(other < first for other in others)


def test_checks_without_time_are_continued(world: World) -> None:
    background = Background(world)
    for _ in range(3):
        world.launch(serial("a"))
    background.run_all()
    world.reconciler().run()
    background.left = [600.0, RESERVE]
    first = _checked(background.run())
    rest = _checked(BackgroundEvent.model_validate_json(background.events[-1]))
    assert len(rest) == 2
    assert rest < first


def test_pipelines_are_checked_although_single_calls_of_the_minute_fail(world: World) -> None:
    background = Background(world)
    pipelines = {world.launch(serial("a")) for _ in range(SHARE + 1)}
    background.run_all()
    world.serve()
    failures: list[BackgroundEvent] = []

    class Fleet:
        """ECS whose list of all tasks is throttled."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.fleet, name)

        def all_running(self) -> None:
            raise ThrottledError("slow down")

    def invoke(event: BackgroundEvent) -> None:
        if not failures:
            failures.append(event)
            raise ThrottledError("slow down")
        background.events.append(event.model_dump_json(exclude_defaults=True))

    world.cloud = with_ports(world.cloud, invoke_background=invoke, fleet=Fleet())
    Services(world.cloud).reconciler.run()
    (missed,) = failures
    assert missed.checks is not None
    lost = {each.pipeline_id for each in missed.checks.pipelines}
    assert _checked(background.run()) == pipelines - lost
    assert all(each.running is None for each in missed.checks.pipelines)  # the check lists them


def test_a_pipeline_with_too_many_tasks_for_an_event_is_listed_by_its_check(world: World) -> None:
    background = Background(world)
    pipeline = world.launch(serial("a"))
    background.run_all()

    class Fleet:
        """ECS with many tasks."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.fleet, name)

        def all_running(self) -> dict[str, dict[str, str]]:
            return {pipeline: {f"w{n}": "arn" for n in range(MAX_LISTED + 1)}}

    Services(with_ports(world.cloud, fleet=Fleet())).reconciler.run()
    (event,) = map(BackgroundEvent.model_validate_json, background.events)
    assert event.checks is not None
    assert [each.running for each in event.checks.pipelines] == [None]


def test_each_minute_a_share_begins_with_its_next_pipeline(world: World) -> None:
    background = Background(world)
    pipelines = {world.launch(serial("a")) for _ in range(3)}
    background.events.clear()
    begins = []
    for _ in pipelines:
        world.now += 60
        world.reconciler().run()
        event = BackgroundEvent.model_validate_json(background.events.pop())
        assert event.checks is not None
        begins.append(event.checks.pipelines[0].pipeline_id)
    assert set(begins) == pipelines


def test_limits_that_a_request_could_not_release_are_released_in_the_background(
    world: World,
) -> None:
    background = Background(world)
    world.launch(serial(leaf("load", limits=[{"name": "db", "number": 1, "priority": 0}])))
    background.run_all()
    world.serve()
    slept: list[float] = []

    class Contended:
        """Limits that others write at the same time, until the background has paused."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.limits, name)

        def write(self, *given: Any) -> None:
            if 1.0 not in slept:
                raise ConflictError("contended")
            world.limits.write(*given)

    world.cloud = with_ports(world.cloud, limits=Contended(), sleep=slept.append)
    world.services = Services(world.cloud)
    world.running()["/load"].finish()
    assert len(world.limits.read(ME.org)[0]) == 1
    background.run_all()
    assert world.limits.read(ME.org)[0] == []


def test_a_chain_of_invocations_has_an_end(caplog: pytest.LogCaptureFixture) -> None:
    started: list[BackgroundEvent] = []

    def chain() -> int:
        """Execute an event that starts the next, and so on; return how many there were."""
        started.clear()
        invoke_next(started.append, BackgroundEvent())
        for event in started:
            copy_context().run(execute, event)
        return len(started)

    def execute(event: BackgroundEvent) -> None:
        begin(event)
        invoke_next(started.append, BackgroundEvent())

    assert chain() == MAX_CHAIN
    assert "chain of invocations ends" in caplog.text
    assert chain() == MAX_CHAIN  # a request begins a new one


def _checked(event: BackgroundEvent) -> set[str]:
    assert event.checks is not None
    return {each.pipeline_id for each in event.checks.pipelines}
