"""``run_if`` in the cloud: the result of a command decides, also of a cached one."""

from __future__ import annotations

from typing import Any

from chalicelib.logs.port import LogKey
from chalicelib.run.rules import snapshots
from conducto_core.results.model import OutputSummary
from support.cloud.world import ME, World
from support.trees import leaf, parallel, serial


def tree(**params: Any) -> dict[str, Any]:
    deploy = parallel("eu", "us", name="deploy", run_if=["==", "/check", ["status"], "changed"])
    return serial(leaf("check", **params), deploy, "after", title="t")


def launch(world: World, result: bytes, **params: Any) -> str:
    id_ = world.launch(tree(**params))
    world.serve()
    report(world, id_, result)
    return id_


def report(world: World, id_: str, result: bytes) -> None:
    """End the command ``/check`` with a result."""
    world.logs.append(LogKey(id_, "/check", 1, "result"), 0, result)
    world.running()["/check"].finish(None, outputs=OutputSummary(result=len(result)))
    world.serve()


def test_a_condition_that_holds_costs_no_further_execution() -> None:
    world = World()
    launch(world, b'{"status": "changed"}')

    assert set(world.running()) >= {"/deploy/eu"}
    assert len(world.machines.executions) == 1


def test_a_condition_that_does_not_hold_skips_the_group_in_a_new_execution() -> None:
    world = World()
    id_ = launch(world, b'{"status": "same"}')

    assert set(world.running()) == {"/after"}
    assert len(world.machines.executions) == 2
    with world.engine.reading(ME.org, id_) as live:
        assert live.tree.nodes["/deploy"].condition == "false"
        kept = snapshots.snapshot_of(live)
        again = snapshots.restore(ME.org, world.store.definition(id_), kept, live.tree_of)
        assert again.tree.nodes["/deploy"].condition == "false"
        assert again.tree.nodes["/check"].known == live.tree.nodes["/check"].known
    world.run_out()
    assert world.states(id_)["/"] == "done"


def test_a_cached_result_decides_without_a_worker() -> None:
    world = World()
    launch(world, b'{"status": "same"}', cache={})
    world.run_out()

    second = world.launch(tree(cache={}))
    world.serve()

    assert set(world.running()) == {"/after"}
    with world.engine.reading(ME.org, second) as live:
        assert live.tree.nodes["/deploy"].condition == "false"
