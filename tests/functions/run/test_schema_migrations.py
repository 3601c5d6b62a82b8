"""Records of an older schema are read in the newest one; records of a newer schema are refused.

The first schema of the layout is the only one so far, so `NEXT` is an invented one after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.aws import table_keys
from chalicelib.aws.dynamodb import DynamoTable, Update
from chalicelib.aws.table_keys import Key, kind_of
from chalicelib.errors import ConflictError
from chalicelib.people.tokens import digest_of
from chalicelib.run.rules import snapshots
from chalicelib.run.rules.snapshots import (
    ATTRIBUTE,
    SCHEMA,
    MigrationStep,
    OtherVersionError,
    Schema,
)
from conducto_core.installation.names import LAYOUT
from conducto_core.tree.model import unpack_form
from conducto_core.workers.model import Report
from support.cloud.aws import TABLE, aws
from support.cloud.stored_records import dumped, play, world_over
from support.cloud.world import LARGE, ME, WorkerCalls, World
from support.trees import leaf, serial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.aws.clients import Clients
    from support.cloud.stored_records import Scenes


def _titled(definition: Any) -> Any:
    record = {**definition["record"], "title": definition["record"]["title"] + "!"}
    return {**definition, "record": record}


def _noted(attempt: Any) -> Any:
    return {**attempt, "env": {**attempt["env"], "SCHEMA": "next"}}


NEXT = Schema(
    (
        *SCHEMA.steps,
        MigrationStep(
            items={"org": lambda item: {**item, "steps": item.get("steps", 0) + 1}},
            bodies={"attempt": _noted, "spilled": _noted, "definition": _titled},
        ),
    )
)


@pytest.fixture
def clients() -> Iterator[Clients]:
    with aws() as made:
        yield made


@pytest.fixture
def scenes(clients: Clients) -> Scenes:
    return play(clients)


@pytest.fixture
def world(clients: Clients, scenes: Scenes) -> World:
    made = world_over(clients)
    made.now = scenes.now
    return made


def _org(clients: Clients, schema: Schema) -> dict[str, Any]:
    found = DynamoTable(clients, TABLE, schema).get(table_keys.org(ME.org))
    assert found is not None
    return found


def test_a_pipeline_of_the_older_schema_continues_in_the_newer_one(
    clients: Clients, scenes: Scenes
) -> None:
    world = world_over(clients, schema=NEXT)
    world.now = scenes.now
    worker = world.cloud.records.tokens.find(digest_of(scenes.token))
    assert worker is not None

    WorkerCalls(world.services).report(
        worker, Report(path="/long", attempt=1, exit_code=0, seconds=3.0, last=True)
    )
    with world.engine.reading(ME.org, scenes.running) as live:
        run = live.cloud_machine.run
    world.reconciler().execution_ended(run, "ABORTED")
    world.run_out()

    assert set(world.states(scenes.running).values()) == {"done"}
    (last,) = world.attempts(scenes.running, "/last")
    assert last.command == "echo edited"
    assert "SCHEMA" not in last.env


def test_a_deletion_leaves_nothing(clients: Clients, world: World, scenes: Scenes) -> None:
    world.cloud.storage.logs.forget(scenes.failed)
    world.cloud.records.store.forget(scenes.failed)

    left = dumped(clients, scenes)
    partitions = {item["pk"]["S"] for item in left["items"]}
    stored = tuple(f"{kind}#{scenes.failed}" for kind in "PWX")
    assert [partition for partition in partitions if partition.startswith(stored)] == []
    assert [name for name in left["objects"] if scenes.failed in name] == []


def test_each_item_and_tree_has_the_number_of_its_schema(clients: Clients, scenes: Scenes) -> None:
    dump = dumped(clients, scenes)

    numbers = {item.get(ATTRIBUTE, {}).get("N") for item in dump["items"]}
    trees = {name.split("/")[2].partition("-")[0] for name in dump["objects"] if "trees/" in name}
    assert numbers == {str(SCHEMA.number)}
    assert trees == {str(SCHEMA.number)}


def test_a_body_goes_through_the_steps_since_it_was_written(
    clients: Clients, world: World, scenes: Scenes
) -> None:
    store = world_over(clients, schema=NEXT).cloud.records.store

    definition: Any = unpack_form(store.definition(scenes.running))
    assert definition["record"]["title"] == "Running!"
    assert {a.env["SCHEMA"] for a in store.attempts(scenes.running)} == {"next"}
    assert _org(clients, NEXT)["steps"] == 1
    assert "steps" not in _org(clients, SCHEMA)  # reading changes nothing
    assert all("SCHEMA" not in a.env for a in world.cloud.records.store.attempts(scenes.running))


def test_replaced_definition_goes_through_the_steps_of_a_definition(clients: Clients) -> None:
    world, written = world_over(clients), serial(leaf("a", command="true"))
    world.orgs.set_plan(ME.org, LARGE)
    pipeline = world.launch(written, program="/x.py", run=False)
    world.continue_with(pipeline, written, program="/x.py", title="second")
    newer = world_over(clients, schema=NEXT)

    with newer.engine.reading(ME.org, pipeline) as live:
        assert live.definition["record"]["title"] == "second!"
        assert live.plan_key is not None
        snapshot = snapshots.snapshot_of(live)
        stored = newer.cloud.records.store.definition(pipeline)
        again = snapshots.restore(ME.org, stored, snapshot, live.tree_of)
    assert again.definition["record"]["title"] == "second!"


def test_an_item_that_is_changed_in_place_is_brought_up_to_date_first(
    clients: Clients, world: World, scenes: Scenes
) -> None:
    assert scenes.running
    later = DynamoTable(clients, TABLE, NEXT)
    one_more = Update(table_keys.org(ME.org), add={"workers": 2}, where="workers = :one")

    later.update(one_more._replace(values={":one": 1}))

    found = _org(clients, NEXT)
    assert (found["workers"], found["steps"], found[ATTRIBUTE]) == (3, 1, NEXT.number)


def test_a_condition_that_does_not_hold_is_still_a_conflict(
    clients: Clients, scenes: Scenes
) -> None:
    assert scenes.running
    later = DynamoTable(clients, TABLE, NEXT)
    update = Update(
        table_keys.org(ME.org), set={"x": 1}, where="workers = :none", values={":none": 9}
    )

    with pytest.raises(ConflictError):
        later.update(update)


def test_records_of_another_layout_are_rejected_and_nothing_is_changed(
    clients: Clients, scenes: Scenes
) -> None:
    table = clients.get("dynamodb")
    for item in dumped(clients, scenes)["items"]:
        table.put_item(TableName=TABLE, Item={**item, ATTRIBUTE: {"N": str(LAYOUT - 1)}})
    before = dumped(clients, scenes)
    world = world_over(clients)
    world.now = scenes.now

    for act in (
        lambda: world.control(scenes.running, "pause"),
        lambda: world.launch(leaf("x")),
    ):
        with pytest.raises(OtherVersionError, match=r"conducto deploy --stage NAME"):
            act()
    world.reconciler().run()

    assert dumped(clients, scenes) == before


def test_older_functions_reject_newer_records_and_change_nothing(
    clients: Clients, world: World, scenes: Scenes
) -> None:
    world.states(scenes.running)  # these have it in memory
    newer = world_over(clients, schema=NEXT)
    newer.now = scenes.now
    newer.control(scenes.running, "pause")
    before = dumped(clients, scenes)

    with pytest.raises(OtherVersionError, match=r"deploy the newer version again"):
        world.control(scenes.running, "run")
    with pytest.raises(OtherVersionError):
        world_over(clients).states(scenes.running)

    assert dumped(clients, scenes) == before
    newer.control(scenes.running, "run")
    assert newer.states(scenes.running)["/long"] == "running"


def test_older_functions_that_have_not_noticed_yet_cannot_write_over_it(
    clients: Clients, scenes: Scenes
) -> None:
    assert scenes.running
    older, later = DynamoTable(clients, TABLE), DynamoTable(clients, TABLE, NEXT)
    later.update(Update(table_keys.org(ME.org), set={"plan": "{}"}))

    with pytest.raises(OtherVersionError):
        older.update(Update(table_keys.org(ME.org), add={"workers": 1}))
    assert _org(clients, NEXT)["workers"] == 1


def _keys() -> list[tuple[str, Key]]:
    """Return a key of each kind of item."""
    samples = {"str": "a", "int": 1, "float": 1.0}
    found = []
    for name, make in vars(table_keys).items():
        notes = getattr(make, "__annotations__", {})
        if notes.get("return") is Key:
            given = [samples[note.__name__] for arg, note in notes.items() if arg != "return"]
            found.append((name, make(*given)))
    return found


@pytest.mark.parametrize(("name", "key"), _keys())
def test_each_item_that_can_be_read_has_a_kind(name: str, key: Key) -> None:
    assert kind_of(key), name
