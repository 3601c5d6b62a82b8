"""Records of an older version are read completely, and its pipelines continue; newer ones fail.

``tests/support/clouds`` holds the items that each released schema's own code has written into the
table and the bucket (`support.cloud.released`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.cloud import FakeOrgs, FakeTokens

from chalicelib.adapters import table_keys
from chalicelib.adapters.dynamodb import DynamoTable, Update
from chalicelib.adapters.idempotency import IdempotencyTable
from chalicelib.api.authorizer import identify
from chalicelib.api.workers import WorkerApi
from chalicelib.domain.schema_migrations import (
    ATTRIBUTE,
    RELEASED,
    SCHEMA,
    NewerRecordError,
    Schema,
    Step,
)
from chalicelib.domain.tokens import digest_of
from chalicelib.ports import ConflictError, LogKey, Plan
from chalicelib.services.admin import Administration
from conducto.version import __version__
from conducto_core.model.deployment import RECORD_SCHEMA
from conducto_core.model.form_codec import unpack_form
from conducto_core.model.worker import Report
from support.cloud import released
from support.cloud.aws import TABLE, aws
from support.cloud.released import KEY, SOCKET, TOKEN, put_back, world_over
from support.cloud.world import LARGE, ME, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.adapters.clients import Clients
    from chalicelib.ports import Identity
    from support.cloud.released import Scenes


def _titled(definition: Any) -> Any:
    record = {**definition["record"], "title": definition["record"]["title"] + "!"}
    return {**definition, "record": record}


def _noted(attempt: Any) -> Any:
    return {**attempt, "env": {**attempt["env"], "SCHEMA": "next"}}


#: The schema after this one, as a later version may have it.
NEXT = Schema(
    (
        *SCHEMA.steps,
        Step(
            items={"org": lambda item: {**item, "colour": "red"}},
            bodies={"attempt": _noted, "spilled": _noted, "definition": _titled},
        ),
    )
)


@pytest.fixture
def clients() -> Iterator[Clients]:
    with aws() as made:
        yield made


@pytest.fixture(params=released.released(), ids="schema-{}".format)
def scenes(request: pytest.FixtureRequest, clients: Clients) -> Scenes:
    return put_back(clients, released.dump_of(request.param))


@pytest.fixture
def world(clients: Clients, scenes: Scenes) -> World:
    made = world_over(clients)
    made.now = scenes.now
    return made


def test_there_is_a_file_of_every_schema() -> None:
    assert released.released() == list(range(1, SCHEMA.number + 1))


def _org(clients: Clients, schema: Schema) -> dict[str, Any]:
    found = DynamoTable(clients, TABLE, schema).get(table_keys.org(ME.org))
    assert found is not None
    return found


def test_written_records_match_their_schema(clients: Clients) -> None:
    now = released.shapes(released.dumped(clients, released.play(clients)))

    what = (
        "the shape of records has changed: add a step to domain/schema_migrations.py, then run "
        "`python -m support.cloud.released` in tests/"
        if SCHEMA.number <= RELEASED
        else "if this is meant, run `python -m support.cloud.released` in tests/; schema "
        f"{SCHEMA.number} is in no release yet, so it needs no step of its own"
    )
    assert json.loads(json.dumps(now)) == released.shapes_of(SCHEMA.number), what


def test_deployments_know_the_schema_that_functions_write() -> None:
    admin = Administration(FakeTokens(lambda: 0.0), FakeOrgs(), lambda: 0.0)

    said = admin.answer({"kind": "show_schema"})
    assert (said["record_schema"], said["version"]) == (SCHEMA.number, __version__)
    assert SCHEMA.number == RECORD_SCHEMA


def test_no_schema_is_released_that_there_is_not() -> None:
    assert RELEASED in (SCHEMA.number - 1, SCHEMA.number)


# ---- nothing is lost --------------------------------------------------------------------------


def test_pipelines_have_their_old_states(world: World, scenes: Scenes) -> None:
    assert world.states(scenes.running) == {
        "/": "running",
        "/first": "done",
        "/long": "running",
        "/last": "pending",
    }
    assert world.states(scenes.failed) == {
        "/": "error",
        "/grow": "done",
        "/grow/Generate": "done",
        "/grow/Execute": "done",
        "/grow/Execute/x": "done",
        "/grow/Execute/y": "done",
        "/check": "error",
    }
    records, _ = world.cloud.store.records(ME.org)
    assert {record.title for record in records} == {"Running", "Failed"}


def test_old_attempts_output_changes_and_notifications_are_read(
    world: World, scenes: Scenes
) -> None:
    store = world.cloud.store
    attempts = [(a.path, a.number, str(a.state)) for a in store.attempts(scenes.running)]
    changes = store.changes(scenes.failed, 0, 1000)
    (outgoing,) = store.outgoing(scenes.failed)

    assert attempts == [("/first", 1, "done"), ("/long", 1, "running")]
    log = LogKey(scenes.running, "/long", 1, "stdout")
    assert world.cloud.logs.read(log, 0, 100) == b"half of it\n"
    assert [change.seq for change in changes] == list(range(1, len(changes) + 1))
    assert len(changes) > 10
    assert [told.path for told in outgoing.notifications] == ["/check"]
    assert list(store.outgoing_due(world.now)) == [(ME.org, scenes.failed)]
    assert set(store.open_pipelines()) == {(ME.org, scenes.running)}


def test_old_tokens_plans_connections_and_responses_are_read(
    clients: Clients, world: World, scenes: Scenes
) -> None:
    someone: Identity | None = identify(world.cloud.tokens, TOKEN)
    remembered = IdempotencyTable(DynamoTable(clients, TABLE), (ME.org, ME.user)).recall(
        KEY, world.now
    )

    assert someone is not None
    assert (someone.org, someone.user) == (ME.org, "ann")
    assert world.cloud.orgs.plan(ME.org) == LARGE
    assert world.cloud.orgs.workers(ME.org) == 1
    assert world.cloud.orgs.usage(ME.org, "2026-11") == {"exec_seconds": 60.0, "cpu_seconds": 15.0}
    assert world.cloud.connections.followers(scenes.running) == [(SOCKET, 3)]
    assert remembered is not None
    assert remembered.answer == b"answer"


# ---- and it continues -------------------------------------------------------------------------


def test_a_command_that_ran_meanwhile_is_reported_and_the_pipeline_ends(
    world: World, scenes: Scenes
) -> None:
    worker = world.cloud.tokens.find(digest_of(scenes.token))
    assert worker is not None

    WorkerApi(world.engine).report(
        worker, Report(path="/long", attempt=1, exit_code=0, seconds=3.0, last=True)
    )
    with world.engine.reading(ME.org, scenes.running) as live:
        run = live.course.run
    world.reconciler().execution_ended(run, "ABORTED")
    world.run_out()

    assert set(world.states(scenes.running).values()) == {"done"}
    (last,) = world.attempts(scenes.running, "/last")
    assert last.command == "echo edited"


def test_failed_nodes_of_an_old_pipeline_are_reset_and_succeed(
    world: World, scenes: Scenes
) -> None:
    world.control(scenes.failed, "reset", "/check")
    world.run_out()

    assert world.states(scenes.failed)["/"] == "done"
    assert [a.number for a in world.attempts(scenes.failed, "/check")] == [1, 2]


def test_a_plan_changes_where_the_count_of_workers_is_old(world: World, scenes: Scenes) -> None:
    assert scenes.running
    world.cloud.orgs.set_plan(ME.org, Plan("free"))

    assert world.cloud.orgs.workers(ME.org) == 1
    assert world.cloud.orgs.plan(ME.org) == Plan("free")


def test_a_deletion_leaves_nothing(clients: Clients, world: World, scenes: Scenes) -> None:
    world.cloud.logs.forget(scenes.failed)
    world.cloud.store.forget(scenes.failed)

    left = released.dumped(clients, scenes)
    assert [item for item in left["items"] if item["pk"]["S"] == f"P#{scenes.failed}"] == []
    assert [name for name in left["objects"] if scenes.failed in name] == []


# ---- the next schema, and back ------------------------------------------------------------------


def test_everything_that_is_written_says_its_schema(clients: Clients) -> None:
    scenes = released.play(clients)
    dump = released.dumped(clients, scenes)

    numbers = {item.get(ATTRIBUTE, {}).get("N") for item in dump["items"]}
    trees = {name.split("/")[2].partition("-")[0] for name in dump["objects"] if "trees/" in name}
    assert numbers == {str(SCHEMA.number)}
    assert trees == {str(SCHEMA.number)}


def test_a_body_goes_through_the_steps_since_it_was_written(
    clients: Clients, world: World, scenes: Scenes
) -> None:
    store = world_over(clients, schema=NEXT).cloud.store

    definition: Any = unpack_form(store.definition(scenes.running))
    assert definition["record"]["title"] == "Running!"
    assert {a.env["SCHEMA"] for a in store.attempts(scenes.running)} == {"next"}
    assert _org(clients, NEXT)["colour"] == "red"
    assert "colour" not in _org(clients, SCHEMA)  # a look changes nothing
    assert all("SCHEMA" not in a.env for a in world.cloud.store.attempts(scenes.running))


def test_an_item_that_is_changed_in_place_is_brought_up_to_date_first(
    clients: Clients, world: World, scenes: Scenes
) -> None:
    assert scenes.running
    later = DynamoTable(clients, TABLE, NEXT)
    one_more = Update(table_keys.org(ME.org), add={"workers": 2}, where="workers = :one")

    later.update(one_more._replace(values={":one": 1}))

    found = _org(clients, NEXT)
    assert (found["workers"], found["colour"], found[ATTRIBUTE]) == (3, "red", NEXT.number)


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


def test_older_functions_reject_newer_records_and_change_nothing(
    clients: Clients, world: World, scenes: Scenes
) -> None:
    world.states(scenes.running)  # these have it in memory
    newer = world_over(clients, schema=NEXT)
    newer.now = scenes.now
    newer.control(scenes.running, "pause")
    before = released.dumped(clients, scenes)

    with pytest.raises(NewerRecordError, match=r"deploy the newer version again"):
        world.control(scenes.running, "run")
    with pytest.raises(NewerRecordError):
        world_over(clients).states(scenes.running)

    assert released.dumped(clients, scenes) == before
    newer.control(scenes.running, "run")
    assert newer.states(scenes.running)["/long"] == "running"


def test_older_functions_that_have_not_noticed_yet_cannot_write_over_it(
    clients: Clients, scenes: Scenes
) -> None:
    assert scenes.running
    older, later = DynamoTable(clients, TABLE), DynamoTable(clients, TABLE, NEXT)
    later.update(Update(table_keys.org(ME.org), set={"plan": "{}"}))

    with pytest.raises(NewerRecordError):
        older.update(Update(table_keys.org(ME.org), add={"workers": 1}))
    assert _org(clients, NEXT)["workers"] == 1
