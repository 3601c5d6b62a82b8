"""Effects outside of requests: they may be lost, repeated or interrupted."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.adapters.dynamodb import DynamoTable
from chalicelib.adapters.launch_pace import LaunchPace
from chalicelib.domain.deferred_effects import BackgroundEvent
from chalicelib.ports.errors import ThrottledError
from chalicelib.services.deferred_effects import RESERVE, WAVE
from chalicelib.services.processor import CommandProcessor
from chalicelib.services.reconcile import SHARE, SPLIT_SECONDS, Reconciler
from conducto_core.model.states import State
from conducto_core.semantics.asl.partition import Size
from support.cloud.aws import TABLE, aws
from support.cloud.world import ME, World
from support.trees import form, lazy, leaf, parallel, serial


class Background:
    """The function ``background``, whose invocations a test executes.

    Attributes:
        events: Events that were not executed yet, as JSON.
        left: Seconds that an invocation has at each look at the clock; the last value stays.
    """

    def __init__(self, world: World, **ports: Any) -> None:
        self.events: list[str] = []
        self.left = [600.0]
        self._world = world
        self.launch_delay = ports.pop("launch_delay", lambda _number: 0.0)
        world.cloud = world.over(
            invoke_background=self._invoke, launch_delay=self._reserve, **ports
        )
        world.engine = CommandProcessor(world.cloud)

    def _invoke(self, event: BackgroundEvent) -> None:
        self.events.append(event.model_dump_json(exclude_defaults=True))

    def _reserve(self, number: int) -> float:
        return self.launch_delay(number)

    def seconds(self) -> float:
        """Return the seconds that an invocation has left."""
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]

    def run(self) -> BackgroundEvent:
        """Execute the oldest event in a new process, and return it."""
        event = BackgroundEvent.model_validate_json(self.events.pop(0))
        engine = CommandProcessor(self._world.cloud)
        if event.effects is not None:
            engine.deferred.execute(event.effects, self.seconds)
        if event.checks is not None:
            Reconciler(engine).check(event.checks, self.seconds)
        return event

    def run_all(self) -> None:
        while self.events:
            self.run()


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


def test_executor_without_time_hands_over_to_the_next(world: World) -> None:
    background = Background(world, max_machine_size=_SMALL)
    pipeline = world.launch(_wide(2 * WAVE))
    # One wave of workers, then three machines.
    background.left = [RESERVE + 1, RESERVE, *[RESERVE + 1] * 3, RESERVE]
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


def _checked(event: BackgroundEvent) -> set[str]:
    assert event.checks is not None
    return {each.pipeline_id for each in event.checks.pipelines}
