"""A store of an older release opens completely, and its pipelines continue.

``tests/support/stores`` holds the stores that each released schema's own code has written, as SQL.
"""

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from conducto_core.model.records import Lifecycle
from conducto_core.model.requests import Action
from conducto_core.model.states import State
from conducto_local.state_dir import StateDir
from conducto_local.store.schema import MIGRATIONS, backup_path
from conducto_local.store.sqlite import SqliteStore
from support.local import Run, local_runner

STORES = Path(__file__).parents[1] / "support" / "stores"
SCHEMAS = sorted(int(path.stem.partition("-")[2]) for path in STORES.glob("schema-*.sql"))


@pytest.fixture(params=SCHEMAS, ids="schema-{}".format)
def schema(request):
    return request.param


@pytest.fixture
def home(tmp_path, schema):
    home = StateDir(tmp_path / "home", "test")
    home.make()
    with contextlib.closing(sqlite3.connect(home.store)) as connection:
        connection.executescript((STORES / f"schema-{schema}.sql").read_text())
    return home


def test_every_schema_that_was_released_is_tried():
    assert list(range(1, len(MIGRATIONS))) == SCHEMAS


def test_nothing_in_it_is_lost(home):
    with contextlib.closing(SqliteStore.open(home.store)) as store:
        records = store.records()
        nodes = {node.path: node for node in store.nodes("old-one")}
        attempts = [(a.path, a.number, a.exit_code) for a in store.attempts("old-one")]
        changes = store.changes("old-one", 0, 100)
        notifications = store.undelivered()

    assert [record.id for record in records] == ["old-one", "old-two"]
    assert (nodes["/b"].state, nodes["/b"].tries, nodes["/b"].order) == (State.ERROR, 2, None)
    assert nodes["/c"].skipped
    assert attempts == [("/a", 1, 0), ("/b", 1, 3), ("/b", 2, 3)]
    assert [change.seq for change in changes] == list(range(1, len(changes) + 1))
    assert notifications == []


def test_it_is_copied_before_it_is_changed(home, schema):
    SqliteStore.open(home.store).close()

    with contextlib.closing(sqlite3.connect(backup_path(home.store, schema))) as backup:
        assert backup.execute("PRAGMA user_version").fetchone() == (schema,)
        assert backup.execute("SELECT count(*) FROM pipelines").fetchone() == (2,)


def test_the_copy_can_be_put_back_and_opened_again(home, schema):
    SqliteStore.open(home.store).close()
    shutil.copy(backup_path(home.store, schema), home.store)

    with contextlib.closing(SqliteStore.open(home.store)) as store:
        assert len(store.records()) == 2


def test_wait_reasons_of_old_attempts_are_unknown(home):
    with contextlib.closing(SqliteStore.open(home.store)) as store:
        waits = {(a.image_ready, a.admitted) for a in store.attempts("old-one")}

    assert waits == {(None, None)}


async def test_old_pipelines_continue(home):
    for pipeline in ("old-one", "old-two"):
        home.make_pipeline(pipeline)
    async with local_runner(home.base, "process") as local:
        one, two = [
            Run(local, s) for s in sorted((await local.pipelines.list()).pipelines, key=by_id)
        ]
        await two.control(Action.RUN)
        await two.settled()
        await one.control(Action.RESET, "/b")
        await one.settled()

        assert (await two.summary()).state is State.DONE
        assert [a.number for a in await one.attempts("/b")] == [1, 2, 3, 4]
        assert (await one.summary()).pipeline.lifecycle is Lifecycle.ACTIVE


def by_id(summary):
    return summary.pipeline.id
