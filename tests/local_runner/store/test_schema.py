"""A store of an older version is brought up to date; one of a newer version is left alone."""

import shutil
import sqlite3
import stat
from pathlib import Path

import pytest

from conducto_core.run.model.records import PipelineRecord
from conducto_local.run.pipelines import resolve_stored
from conducto_local.store.port import StoreError, StoreFullError, StoreVersionError
from conducto_local.store.schema import MIGRATIONS, OWNED, backup_path
from conducto_local.store.sqlite import SqliteStore
from support.limits import files_no_larger_than

NEXT = (*MIGRATIONS, ("CREATE TABLE notes (pipeline INTEGER, body TEXT)",))
RECORD = PipelineRecord(id="abc", title="Train")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of today's schema that holds one pipeline."""
    path = tmp_path / "store.sqlite"
    store = SqliteStore.open(path)
    store.create(RECORD, b"tree")
    store.close()
    return path


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_a_new_store_has_the_newest_schema(path: Path) -> None:
    assert query(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]


def test_a_new_store_needs_no_backup(path: Path) -> None:
    assert [file.name for file in path.parent.iterdir() if "bak" in file.name] == []


def test_every_table_but_that_of_pipelines_is_emptied_by_a_deletion(path: Path) -> None:
    tables = {name for (name,) in query(path, "SELECT name FROM sqlite_schema WHERE type='table'")}

    assert {name for name in tables if not name.startswith("sqlite_")} == {
        "pipelines",
        "schedules",
        "firings",
        "events",
        *OWNED,
    }


def test_an_older_store_gets_the_missing_steps(path: Path) -> None:
    SqliteStore.open(path, NEXT).close()

    assert query(path, "PRAGMA user_version") == [(len(NEXT),)]
    assert query(path, "SELECT * FROM notes") == []


def test_older_store_keeps_its_data(path: Path) -> None:
    store = SqliteStore.open(path, NEXT)

    records = store.records()

    store.close()
    assert records == [RECORD]


def test_an_older_store_is_copied_before_it_is_changed(path: Path) -> None:
    SqliteStore.open(path, NEXT).close()

    backup = backup_path(path, len(MIGRATIONS))
    assert query(backup, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert query(backup, "SELECT id FROM pipelines") == [("abc",)]
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600


def test_a_backup_put_back_is_a_store_again(path: Path) -> None:
    SqliteStore.open(path, NEXT).close()
    shutil.copy(backup_path(path, len(MIGRATIONS)), path)

    store = SqliteStore.open(path)

    records = store.records()
    store.close()
    assert records == [RECORD]


def test_a_step_that_fails_changes_nothing(path: Path) -> None:
    broken = (*NEXT, ("CREATE TABLE more (x)", "CREATE TABLE pipelines (x)"))

    with pytest.raises(StoreError, match="already exists"):
        SqliteStore.open(path, broken)

    assert query(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert query(path, "SELECT name FROM sqlite_schema WHERE name IN ('notes', 'more')") == []


def test_a_step_that_failed_can_be_taken_after_all(path: Path) -> None:
    broken = (*NEXT[:-1], ("CREATE TABLE pipelines (x)",))
    with pytest.raises(StoreError):
        SqliteStore.open(path, broken)

    SqliteStore.open(path, NEXT).close()

    assert query(path, "SELECT * FROM notes") == []


def test_a_newer_store_is_refused_and_left_alone(path: Path) -> None:
    SqliteStore.open(path, NEXT).close()
    before = path.read_bytes()

    with pytest.raises(StoreVersionError, match=r"a newer Conducto wrote this .* Upgrade conducto"):
        SqliteStore.open(path)

    assert path.read_bytes() == before


def test_nothing_half_written_is_left_of_a_backup_that_failed(path: Path) -> None:
    backup_path(path, len(MIGRATIONS)).mkdir()

    with pytest.raises(StoreError, match="Is a directory"):
        SqliteStore.open(path, NEXT)

    assert not [file for file in path.parent.iterdir() if file.name.endswith(".partial")]
    assert query(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]


def test_a_store_that_cannot_be_copied_is_not_migrated(path: Path) -> None:
    store = SqliteStore.open(path)
    store.create(RECORD.model_copy(update={"id": "big"}), b"t" * (2 << 20))
    store.close()

    with files_no_larger_than(1 << 20), pytest.raises(StoreFullError, match="free some space"):
        SqliteStore.open(path, NEXT)

    assert query(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert not [file for file in path.parent.iterdir() if "bak" in file.name]


def test_a_store_of_the_first_schema_is_read(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(Path(__file__).with_name("first_schema.sql").read_text())
    connection.close()
    path.chmod(0o600)

    store = SqliteStore.open(path)

    (record,) = store.records()
    attempts = [(one.path, one.number, one.state.value) for one in store.attempts(record.id)]
    nodes = {node.path: node.state.value for node in store.nodes(record.id)}
    tree = resolve_stored(store, record.id, store.edits(record.id))
    damaged = store.damaged()
    changes, number = store.changes(record.id, 0, 100), store.last_seq(record.id)
    store.close()
    assert (record.id, record.title, damaged) == ("cfd-qeg", "p.py main", {})
    assert attempts == [("/tests/a", 1, "done"), ("/tests/b", 1, "error"), ("/tests/b", 2, "error")]
    assert nodes == {"/": "error", "/tests": "error", "/tests/a": "done", "/tests/b": "error"}
    assert set(nodes) <= set(tree.nodes)
    assert [change.seq for change in changes] == list(range(1, number + 1))
    assert query(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert query(backup_path(path, 1), "PRAGMA user_version") == [(1,)]
