"""Workers that an older version started end as they are, and newer ones take their places."""

from __future__ import annotations

import pytest

from chalicelib.workers.output_handlers import WorkerGoneError
from conducto_core.workers.model import PROTOCOL, Report, WorkerStart
from support.cloud.world import Hand, WorkerCalls, World
from support.trees import leaf, parallel, serial

OLD = PROTOCOL - 1


@pytest.fixture
def world() -> Aged:
    """A world whose workers are as old as an installation may have them."""
    return Aged()


class Aged(World):
    """A world in which an older version started the workers.

    Attributes:
        age: What a worker that comes up says.
    """

    age = OLD

    def start_workers(self) -> list[Hand]:
        new = [
            Hand(self, arn, task, protocol=self.age)
            for arn, task in self.fleet.tasks.items()
            if arn not in self.hands and arn not in self.fleet.stopped
        ]
        for hand in new:
            self.hands[hand.arn] = hand
            hand.start()
        return new


def test_an_old_worker_that_comes_up_is_to_run_one_command(world: World) -> None:
    world.launch(leaf())
    world.start_workers()

    (hand,) = world.living()
    assert hand.instructions.policy == "once"


def test_an_old_worker_ends_its_command_and_gives_the_next_to_a_newer_one(world: Aged) -> None:
    pipeline = world.launch(serial(leaf("a"), leaf("b")))
    world.serve()
    old = world.running()["/a"]
    old.instructions = old.instructions.model_copy(
        update={"policy": "many"}
    )  # as in the earlier response
    world.age = PROTOCOL

    old.finish()
    world.serve()

    assert not old.alive
    assert world.states(pipeline)["/a"] == "done"
    newer = world.running()["/b"]
    assert newer.protocol == PROTOCOL
    newer.finish()
    world.run_out()
    assert world.states(pipeline)["/"] == "done"
    assert [a.number for a in world.attempts(pipeline, "/b")] == [1]


def test_report_of_an_old_worker_counts(world: Aged) -> None:
    pipeline = world.launch(parallel("a", "b"))
    world.serve()
    hand = min(world.running().items())[1]
    world.age = PROTOCOL
    assert hand.job is not None

    hand.desk.report(hand.identity, Report(path=hand.job.path, attempt=1, exit_code=0, seconds=2.5))

    assert world.states(pipeline)["/a"] == "done"
    assert hand.heartbeat()  # the attempt is over


def test_an_old_worker_of_a_context_stays_because_its_container_has_state(world: Aged) -> None:
    tree = serial(leaf("a"), leaf("b"), container_reuse_context="new")
    pipeline = world.launch(tree)
    world.serve()
    old = world.running()["/a"]
    world.age = PROTOCOL

    old.finish()
    world.serve()

    assert world.running()["/b"] is old
    old.finish()
    assert world.states(pipeline)["/"] == "done"


def test_reports_of_a_dismissed_worker_are_ignored(world: Aged) -> None:
    world.launch(serial(leaf("a"), leaf("b")))
    world.serve()
    old = world.running()["/a"]
    identity = old.identity
    old.instructions = old.instructions.model_copy(update={"policy": "many"})
    world.age = PROTOCOL
    old.finish()
    world.serve()

    with pytest.raises(WorkerGoneError):
        WorkerCalls(world.services).start(identity, WorkerStart(task=old.arn, protocol=OLD))
