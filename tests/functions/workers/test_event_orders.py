"""Events of ECS, Step Functions and CodeBuild that come twice, late, out of order, or never."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.workers.port import TaskEnd
from conducto_core.run.model.states import State
from support.cloud.world import ME, World
from support.trees import leaf, parallel, serial

if TYPE_CHECKING:
    from collections.abc import Callable


class Post:
    """Keeps the events of a world, and delivers them as AWS may: shuffled, repeated, late."""

    def __init__(self, world: World, rng: Random) -> None:
        self.world = world
        self._rng = rng
        self._events: list[Callable[[], Any]] = []
        self._known: set[str] = set()

    def collect(self) -> None:
        """Record the executions that have ended since the last call."""
        world = self.world
        for arn in world.fleet.stopped:
            if arn not in self._known:
                self._known.add(arn)
                world.reported.add(arn)
                task = world.fleet.tasks[arn]
                end = TaskEnd(
                    "Your Spot Task was interrupted.", began=world.now - 90, ended=world.now
                )
                event = partial(
                    world.reconciler().task_stopped, task.pipeline_id, task.worker_id, end
                )
                self._events += [event] * self._rng.choice((0, 1, 2, 3))
        for run, arn in world.machines.executions.items():
            status = world.machines.status(arn)
            if status != "RUNNING" and run not in self._known:
                self._known.add(run)
                event = partial(world.reconciler().execution_ended, run, status)
                self._events += [event] * self._rng.choice((0, 1, 2, 3))

    def deliver(self, share: float) -> None:
        """Deliver some of the kept events, in any order; some are repeated later."""
        self._rng.shuffle(self._events)
        number = int(len(self._events) * share)
        now, self._events = self._events[:number], self._events[number:]
        for event in now:
            event()
            if self._rng.random() < 0.2:
                self._events.append(event)


@pytest.mark.parametrize("seed", range(6))
def test_pipeline_ends_the_same_for_any_event_delivery(seed: int) -> None:
    rng = Random(seed)
    world = World()
    post = Post(world, rng)
    tree = serial(
        parallel(*[leaf(f"n{i}", retry_lost=9) for i in range(4)], name="p"),
        leaf("z", retry_lost=9),
    )
    pipeline = world.launch(tree)
    for _ in range(400):
        world.start_workers()
        world.retire()
        for hand in world.living():
            hand.look()
        running = sorted(world.running().items())
        if running and rng.random() < 0.6:
            _, hand = rng.choice(running)
            if rng.random() < 0.3:
                hand.vanish()
            else:
                hand.finish(seconds=5.0)
        post.collect()
        post.deliver(rng.random())
        if rng.random() < 0.4:
            _minute(world)
        if world.get(pipeline).settled and not list(world.store.open_pipelines()):
            break
    number = len(world.store.news(pipeline, 0).entries)
    used = world.orgs.usage(ME.org, "1970-01")
    post.collect()
    for _ in range(3):
        post.deliver(1.0)

    ends = {
        path: [(str(a.state), str(a.cause), a.message) for a in world.attempts(pipeline, path)]
        for path in world.states(pipeline)
    }
    assert world.get(pipeline).state is State.DONE, "\n".join(map(str, ends.items()))
    assert world.orgs.workers(ME.org) == 0
    assert list(world.store.open_pipelines()) == []
    assert len(world.store.news(pipeline, 0).entries) == number  # late events changed nothing
    assert world.orgs.usage(ME.org, "1970-01") == used
    tasks = len(world.fleet.tasks)
    assert used["exec_seconds"] <= tasks * 90 + 5 * 60  # nobody was charged twice


def _minute(world: World) -> None:
    world.now += 61
    world.beat()
    world.time_out()
    for hand in world.living():
        if hand.job is None and not hand.held and world.now - hand.since >= hand.instructions.idle:
            hand.leave()
    world.reconciler().run()
