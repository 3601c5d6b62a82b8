"""A snapshot and the rest of a journal yield the same state as the whole journal."""

from __future__ import annotations

import json
from functools import partial
from random import Random
from typing import TYPE_CHECKING

import pytest

from chalicelib.domain import snapshots
from chalicelib.domain.events import JournalEntry
from chalicelib.domain.folding import replay
from chalicelib.ports.journal import Snapshot
from support.cloud.play import new_game
from support.cloud.world import World
from support.trees import form, lazy, leaf, serial

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.domain.pipeline import CloudPipeline
    from chalicelib.ports.journal import Entry


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
    taken = snapshots.take(whole)
    written = Snapshot(taken.number, json.loads(json.dumps(taken.state)))
    again = snapshots.restore("acme", store.definition(game.id), written, tree_of)
    assert snapshots.take(again).state == taken.state

    _replay(whole, entries[at:])
    _replay(again, entries[at:])
    assert snapshots.take(again).state == snapshots.take(whole).state


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
        taken = snapshots.take(live)
    tree_of = partial(world.store.tree, pipeline)
    again = snapshots.restore("acme", world.store.definition(pipeline), taken, tree_of)
    place = again.pipeline.nodes["/Execute/x"].placement
    assert again.images[place.image].record.reference == "other:2"
    assert set(again.resolved({}).images) == {"i", "i@/Execute", "i@/Execute@2"}


def test_a_snapshot_of_another_version_is_not_read() -> None:
    game = new_game(1)
    store = game.world.store
    old = Snapshot(99, {"version": 0})
    live = snapshots.restore("acme", store.definition(game.id), old, lambda _: b"")
    assert live.number == 0
