"""A snapshot and the rest of a journal yield the same state as the whole journal."""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING

import pytest

from chalicelib.people.port import Share, Spender
from chalicelib.run.model import BuiltImage, JournalEntry
from chalicelib.run.port import Snapshot
from chalicelib.run.rules import snapshots
from chalicelib.run.rules.changes import WorkerUsage
from chalicelib.run.rules.pipeline import replay
from chalicelib.workers.rules import WorkerEntry
from conducto.wire.services import Service
from conducto_core.asl.rules.machine import RunState
from conducto_core.run.model.records import AttemptRecord, ImageRecord, NodeState, PipelineRecord
from conducto_core.workers.model import WarmPool
from conducto_core.workers.rules.pools import Pool
from conducto_core.workers.rules.start_failures import PoolStarts
from support.cloud.play import new_game
from support.cloud.world import World
from support.trees import form, lazy, leaf, serial

DB = Service("postgres:16", env={"POSTGRES_PASSWORD": "x"}, port=5432)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.run.port import Entry
    from chalicelib.run.rules.pipeline import CloudPipeline


def _replay(live: CloudPipeline, entries: Iterable[Entry]) -> None:
    for entry in entries:
        written = JournalEntry.model_validate(json.loads(json.dumps(entry.input)))
        replay(live, written)


@pytest.mark.parametrize("seed", range(40))
def test_a_pipeline_is_the_same_from_a_snapshot_as_from_its_start(seed: int) -> None:
    game = new_game(seed)
    game.play()
    store = game.world.store
    entries = store.news(game.id, 0).entries
    tree_of = partial(store.tree, game.id)
    whole = snapshots.restore("acme", store.definition(game.id), None, tree_of)
    at = Random(seed).randrange(len(entries))
    _replay(whole, entries[:at])
    if not snapshots.can_be_taken(whole):
        return
    taken = snapshots.snapshot_of(whole)
    written = Snapshot(taken.number, json.loads(json.dumps(taken.state)))
    again = snapshots.restore("acme", store.definition(game.id), written, tree_of)
    assert snapshots.snapshot_of(again).state == taken.state

    _replay(whole, entries[at:])
    _replay(again, entries[at:])
    assert snapshots.snapshot_of(again).state == snapshots.snapshot_of(whole).state


def test_the_names_of_images_that_trees_brought_outlast_a_snapshot() -> None:
    world = World()
    pipeline = world.launch(lazy())
    for number in (1, 2):
        world.control(pipeline, "reset", "/Generate")
        world.serve()
        images = {"i": {"image": f"other:{number}"}}
        tree = form(serial(leaf("x", image_name="i")), images)
        world.running()["/Generate"].finish(tree=tree)
        world.run_out()
    with world.engine.reading("acme", pipeline) as live:
        assert set(live.pipeline.images) == {"i", "i@/Execute", "i@/Execute@2"}
        taken = snapshots.snapshot_of(live)
    tree_of = partial(world.store.tree, pipeline)
    again = snapshots.restore("acme", world.store.definition(pipeline), taken, tree_of)
    place = again.pipeline.nodes["/Execute/x"].placement
    assert again.images[place.image].record.reference == "other:2"
    assert set(again.resolved({}).images) == {"i", "i@/Execute", "i@/Execute@2"}


@pytest.mark.parametrize("version", [0, snapshots.VERSION - 1, snapshots.VERSION + 1])
def test_a_snapshot_of_another_version_is_not_read(version: int) -> None:
    game = new_game(1)
    store = game.world.store
    old = Snapshot(99, {"version": version})
    live = snapshots.restore("acme", store.definition(game.id), old, lambda _: b"")
    assert live.number == 0


def test_only_pools_with_services_have_a_field_for_them() -> None:
    world = World()
    raw = {"/data": {"url": "s3://acme", "mode": "ro"}}
    served = leaf("served", services={"db": DB.to_wire()}, buckets=raw)
    tree = serial(leaf("plain"), served)
    pipeline = world.launch(tree)
    with world.engine.reading("acme", pipeline) as live:
        for node in live.pipeline.execs():
            live.pool_for(node)
        taken = snapshots.snapshot_of(live)
        pools = live.pools
    written = json.loads(json.dumps(taken.state))
    found = [each.get("services") for each in written["pools"].values()]
    assert found == [None, {"db": DB.to_wire()}]
    assert [each.get("buckets") for each in written["pools"].values()] == [None, raw]
    state = Snapshot(taken.number, written)
    tree_of = partial(world.store.tree, pipeline)
    again = snapshots.restore("acme", world.store.definition(pipeline), state, tree_of)
    assert again.pools == pools


def test_new_fields_get_a_new_version() -> None:
    """The fields of a released version do not change: raise `VERSION` with them."""
    fields = {
        "state": sorted(snapshots.snapshot_of(_live()).state),
        "parts": [sorted(one.name for one in dataclasses.fields(part)) for part in _PARTS],
        "records": [sorted(part.model_fields) for part in _RECORDS],
    }
    digest = sha256(json.dumps(fields).encode()).hexdigest()[:16]

    assert (snapshots.VERSION, digest) == (10, "0f44afd90ce7a4b7")


#: The classes whose fields a snapshot has, and which other versions of the functions create.
_PARTS = (WorkerEntry, Pool, PoolStarts, RunState, WorkerUsage, Spender)
_RECORDS = (AttemptRecord, BuiltImage, ImageRecord, NodeState, PipelineRecord, Share, WarmPool)


def _live() -> CloudPipeline:
    store = new_game(1).world.store
    (pipeline,) = (record.id for record in store.records("acme", after=None, limit=10)[0])
    return snapshots.restore(
        "acme", store.definition(pipeline), None, partial(store.tree, pipeline)
    )
