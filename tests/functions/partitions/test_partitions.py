"""States of partitions in the cloud."""

from __future__ import annotations

import asyncio

from conducto_core.partitions.model import PartitionsParams, ProgramPartitions
from conducto_core.run.model.params import PipelineParams, ProgramParams
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.model.states import Cause
from conducto_core.test_results.rules import program_id
from support.cloud.world import STRANGER, World
from support.partitions import with_partition
from support.trees import form, leaf, parallel, serial


def launch(world: World, key: str | None, *keys: str) -> str:
    one = serial(leaf("load"), leaf("check"))
    root = one if key is not None else parallel(*({**one, "name": each} for each in keys))
    request = LaunchRequest(
        tree=with_partition(form(root), key, keys, start="1970-01-01"),
        run=True,
        program="/src/p.py",
    )
    return asyncio.run(world.pipelines().launch(request)).pipeline.id


def states(world: World) -> ProgramPartitions:
    query = PartitionsParams(program="/src/p.py", function="nightly")
    return asyncio.run(world.pipelines().list_partitions(query))


def finish(world: World, *failed: str) -> None:
    """Run all commands that can start."""
    world.serve()
    while hands := world.running():
        for path, hand in hands.items():
            bad = path in failed
            hand.finish(exit_code=int(bad), cause=Cause.EXIT_CODE if bad else None)
        world.serve()


def letters(found: ProgramPartitions) -> dict[str, str]:
    return {
        key: state + "".join(step.states[place] for step in found.steps)
        for place, (key, state) in enumerate(zip(found.keys, found.states, strict=True))
        if state != "m"
    }


def test_states_of_a_backfill_change_with_its_reruns_and_outlive_it() -> None:
    world = World()
    launch(world, "1970-01-01")
    finish(world)
    backfill = launch(world, None, "1970-01-02", "1970-01-03")
    finish(world, "/1970-01-03/load")
    assert letters(states(world)) == {
        "1970-01-01": "ddd",
        "1970-01-02": "ddd",
        "1970-01-03": "ffp",
    }

    world.control(backfill, "rerun", "/1970-01-03")
    finish(world)
    assert letters(states(world))["1970-01-03"] == "ddd"

    world.control(backfill, "rerun", "/1970-01-02")
    finish(world, "/1970-01-02/check")
    world.control(backfill, "archive")
    world.serve()
    world.minute(3600)
    world.serve()
    asyncio.run(world.pipelines().delete_pipeline(PipelineParams(id=backfill)))
    assert letters(states(world))["1970-01-02"] == "fdf"


def test_damaged_states_are_made_again() -> None:
    world = World()
    launch(world, "1970-01-01")
    finish(world)
    before = states(world)
    store = world.pipelines().partition_store()
    name = program_id(ProgramParams(program="/src/p.py", function="nightly"))
    assert store.read(name) is not None
    store.write(name, b"damaged")

    assert letters(states(world)) == letters(before) == {"1970-01-01": "ddd"}


def test_other_organisations_see_no_states() -> None:
    world = World()
    launch(world, "1970-01-01")
    finish(world)

    query = PartitionsParams(program="/src/p.py", function="nightly")
    found = asyncio.run(world.pipelines(STRANGER).list_partitions(query))

    assert found.partitions is None
