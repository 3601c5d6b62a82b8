"""Expansions outside of requests: they may be lost, repeated, or outdated."""

from __future__ import annotations

import json

import pytest

from chalicelib.logs.port import LogKey
from conducto_core.results.model import OutputSummary
from conducto_core.run.model.requests import Changes
from support.cloud.background import Background
from support.cloud.world import ME, World
from support.trees import leaf, mapped, serial


@pytest.fixture
def world() -> World:
    return World()


class Launched:
    """A pipeline whose list is known, and whose map waits for its expansion."""

    def __init__(self, world: World, items: list[str], **options: object) -> None:
        self.world = world
        self.background = Background(world)
        tree = serial(leaf("plan"), mapped("m", **options), leaf("use", results=["/m"]))
        self.id = world.launch(tree)
        self.serve()
        self.end_plan(items)

    def end_plan(self, items: list[str], number: int = 1) -> None:
        data = json.dumps(items).encode()
        key = LogKey(self.id, "/plan", number, "result")
        self.world.cloud.storage.logs.append(key, 0, data)
        self.world.running()["/plan"].finish(exit_code=0, outputs=OutputSummary(result=len(data)))

    def serve(self) -> None:
        """Execute deferred effects, and let workers poll."""
        for _ in range(5):
            self.background.run_all()
            self.world.serve()

    def states(self) -> dict[str, str]:
        with self.world.engine.reading(ME.org, self.id) as live:
            assert live.cloud_machine.run_state.refused == []
            return {path: node.state.value for path, node in live.tree.nodes.items()}

    def runs(self) -> int:
        with self.world.engine.reading(ME.org, self.id) as live:
            return live.cloud_machine.run_state.number


def test_map_waits_for_no_worker(world: World) -> None:
    pipeline = Launched(world, ["a", "b"])

    assert pipeline.states()["/m/Generate"] == "queued"
    before = len(world.fleet.tasks)
    pipeline.serve()

    assert set(world.running()) == {"/m/Execute/a", "/m/Execute/b"}
    assert pipeline.runs() == 2
    (attempt,) = world.attempts(pipeline.id, "/m/Generate")
    assert (attempt.started, attempt.container) == (None, None)
    assert before == 1


def test_lost_expansion_is_made_within_a_minute(world: World) -> None:
    pipeline = Launched(world, ["a"])
    pipeline.background.events.clear()

    world.minute()
    pipeline.serve()

    assert set(world.running()) == {"/m/Execute/a"}


def test_repeated_expansion_changes_nothing(world: World) -> None:
    pipeline = Launched(world, ["a"])
    again = list(pipeline.background.events)
    pipeline.background.run_all()
    before = pipeline.states()

    pipeline.background.events += again
    pipeline.background.run_all()

    assert pipeline.states() == before
    assert len(world.attempts(pipeline.id, "/m/Generate")) == 1
    assert pipeline.runs() == 2


def test_map_uses_the_newest_list(world: World) -> None:
    pipeline = Launched(world, ["old"])
    world.control(pipeline.id, "pause")
    world.control(pipeline.id, "rerun", "/plan")
    pipeline.serve()

    pipeline.end_plan(["new"], 2)
    pipeline.serve()

    assert set(world.running()) == {"/m/Execute/new"}


def test_paused_map_is_expanded_when_it_runs_again(world: World) -> None:
    pipeline = Launched(world, ["a"])
    world.control(pipeline.id, "pause")
    pipeline.serve()
    assert pipeline.states()["/m/Generate"] == "pending"

    world.control(pipeline.id, "run")
    pipeline.serve()

    assert set(world.running()) == {"/m/Execute/a"}


def test_rerun_expands_again(world: World) -> None:
    pipeline = Launched(world, ["a"])
    pipeline.serve()
    world.running()["/m/Execute/a"].finish(exit_code=0)
    pipeline.serve()

    world.control(pipeline.id, "rerun", "/m/Generate")
    pipeline.serve()

    assert [one.number for one in world.attempts(pipeline.id, "/m/Generate")] == [1, 2]
    assert set(world.running()) == {"/m/Execute/a"}


def test_command_of_a_user_replaces_the_expansion(world: World) -> None:
    pipeline = Launched(world, [])
    changes = Changes(command="echo mine")
    world.control(pipeline.id, "modify", "/m/Generate", changes=changes)
    pipeline.serve()

    assert world.running()["/m/Generate"].job.script.endswith("echo mine")


def test_killed_map_is_not_expanded(world: World) -> None:
    pipeline = Launched(world, ["a"])
    world.control(pipeline.id, "kill", "/m/Generate")
    pipeline.serve()

    assert pipeline.states()["/m/Generate"] == "killed"
    assert "/m/Execute/a" not in pipeline.states()
