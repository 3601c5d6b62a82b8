"""Cached commands in the cloud: hits without a worker or an execution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.logs.port import LogKey
from support.cloud.world import World
from support.trees import leaf, parallel, serial

if TYPE_CHECKING:
    from conducto_core.run.model.records import AttemptRecord


def tree(**params: Any) -> dict[str, Any]:
    both = parallel(leaf("a", command="a"), leaf("b", command="b"), name="both")
    return serial(leaf("fetch", command="fetch", **params), both, cache={}, title="t")


def launch(world: World, **options: Any) -> str:
    pipeline = world.launch(tree(), **options)
    world.run_out()
    return pipeline


def last(world: World, pipeline: str, path: str) -> AttemptRecord:
    return world.attempts(pipeline, path)[-1]


def test_an_unchanged_launch_starts_neither_worker_nor_execution() -> None:
    world = World()
    first = launch(world)
    workers, executions = len(world.fleet.tasks), len(world.machines.executions)
    second = launch(world)

    assert set(world.states(second).values()) == {"done"}
    assert (len(world.fleet.tasks), len(world.machines.executions)) == (workers, executions)
    attempt = last(world, second, "/both/a")
    assert attempt.from_cache is not None
    assert attempt.from_cache.model_dump() == {"pipeline": first, "path": "/both/a", "attempt": 1}
    assert (attempt.started, attempt.exit_code) == (None, 0)


def test_a_hit_has_the_streams_of_its_attempt() -> None:
    world = World()
    first = world.launch(tree())
    world.serve()
    for stream, data in (("stdout", b"hello\n"), ("result", b'{"x":1}')):
        world.logs.append(LogKey(first, "/fetch", 1, stream), 0, data)
    world.run_out()
    second = launch(world)

    assert world.logs.read(LogKey(second, "/fetch", 1, "stdout"), 0, 99) == b"hello\n"
    assert world.logs.read(LogKey(second, "/fetch", 1, "result"), 0, 99) == b'{"x":1}'
    assert last(world, second, "/fetch").output_bytes == 6
