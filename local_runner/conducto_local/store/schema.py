"""Tables of the SQLite store, as the steps that lead to them.

Every step that a release has shipped stays as it is: a change is a new step at the end. The
number of steps is the schema's version, kept in the file's ``user_version``.
"""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from conducto_local.store.errors import StoreVersionError

#: Marks a file as ours (``application_id``): "Cdto".
APPLICATION_ID = 0x4364746F

#: The statements of one step.
Migration = tuple[str, ...]

# ``pipeline`` is the small number of a pipeline, not its id: it stands in every row.
# ``command``, ``env`` and ``image`` of an attempt (BLOB: no conversion) hold a short text itself,
# or the number of a longer one in ``texts``: most attempts of a pipeline share these.
MIGRATIONS: tuple[Migration, ...] = (
    (
        """CREATE TABLE pipelines (
            number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
            record TEXT NOT NULL)""",
        """CREATE TABLE definitions (
            pipeline INTEGER NOT NULL, target TEXT NOT NULL, body BLOB NOT NULL,
            PRIMARY KEY (pipeline, target))""",
        """CREATE TABLE edits (
            pipeline INTEGER NOT NULL, path TEXT NOT NULL, body TEXT NOT NULL,
            PRIMARY KEY (pipeline, path)) WITHOUT ROWID""",
        """CREATE TABLE nodes (
            pipeline INTEGER NOT NULL, path TEXT NOT NULL, state TEXT NOT NULL,
            skipped INTEGER NOT NULL, cause TEXT, warning INTEGER NOT NULL,
            attempt INTEGER NOT NULL, tries INTEGER NOT NULL, expired INTEGER NOT NULL,
            mem REAL, stop TEXT, lost INTEGER NOT NULL, lost_starts INTEGER NOT NULL,
            PRIMARY KEY (pipeline, path)) WITHOUT ROWID""",
        """CREATE TABLE attempts (
            pipeline INTEGER NOT NULL, path TEXT NOT NULL, number INTEGER NOT NULL,
            state TEXT NOT NULL, cause TEXT, message TEXT, exit_code INTEGER,
            command BLOB, env BLOB, image BLOB, container TEXT, position INTEGER,
            cpu REAL, mem REAL, queued REAL, started REAL, ended REAL, peak_memory INTEGER,
            snapshot TEXT, image_ready REAL, admitted REAL,
            PRIMARY KEY (pipeline, path, number)) WITHOUT ROWID""",
        """CREATE TABLE texts (
            pipeline INTEGER NOT NULL, number INTEGER NOT NULL, body TEXT NOT NULL,
            PRIMARY KEY (pipeline, number)) WITHOUT ROWID""",
        """CREATE TABLE changes (
            pipeline INTEGER NOT NULL, seq INTEGER NOT NULL, time REAL NOT NULL,
            path TEXT NOT NULL, type TEXT NOT NULL, state TEXT NOT NULL,
            skipped INTEGER NOT NULL, cause TEXT, warning INTEGER NOT NULL,
            attempt INTEGER NOT NULL, exit_code INTEGER,
            PRIMARY KEY (pipeline, seq)) WITHOUT ROWID""",
        """CREATE TABLE images (
            position INTEGER PRIMARY KEY, pipeline INTEGER NOT NULL, name TEXT NOT NULL,
            record TEXT NOT NULL, UNIQUE (pipeline, name))""",
        """CREATE TABLE notifications (
            pipeline INTEGER NOT NULL, number INTEGER NOT NULL, path TEXT NOT NULL,
            pending INTEGER NOT NULL, record TEXT NOT NULL,
            PRIMARY KEY (pipeline, number)) WITHOUT ROWID""",
        "CREATE INDEX undelivered ON notifications (pipeline, number) WHERE pending",
    ),
)

#: Tables whose rows belong to one pipeline, named by their column ``pipeline``.
OWNED = ("definitions", "edits", "nodes", "attempts", "texts", "changes", "images", "notifications")


def schema_version(connection: sqlite3.Connection, path: Path, *, known: int) -> int:
    """Return the version of the file's schema, 0 for an empty file.

    Raises:
        StoreVersionError: it is above ``known``, or the file is no store of ours.
        sqlite3.Error: the file cannot be read.
    """
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    tables: int = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    if tables and application != APPLICATION_ID:
        raise StoreVersionError(
            f"{path}: this SQLite file is not a Conducto store. Move it away and start again."
        )
    if version > known:
        raise StoreVersionError(
            f"{path}: a newer Conducto wrote this store (schema {version}; this one knows up to "
            f"{known}). Upgrade conducto, or use another profile (CONDUCTO_PROFILE)."
        )
    return version


def migrate(
    connection: sqlite3.Connection, path: Path, version: int, migrations: Sequence[Migration]
) -> None:
    """Bring the file from schema ``version`` to the newest; all steps or none are taken.

    A file that holds something is first copied to `backup_path`.

    Raises:
        sqlite3.Error: the file cannot be read or written.
    """
    if version == len(migrations):
        return
    if version:
        back_up(connection, backup_path(path, version))
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in migrations[version:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def backup_path(path: Path, version: int) -> Path:
    """Return where the copy of a store goes that has schema ``version``."""
    return path.with_name(f"{path.name}.schema-{version}.bak")


def back_up(connection: sqlite3.Connection, target: Path) -> None:
    """Write a copy of the whole store to ``target``; it appears complete or not at all."""
    partial = target.with_name(f"{target.name}.partial")
    partial.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        copy = sqlite3.connect(partial)
        try:
            connection.backup(copy)
        finally:
            copy.close()
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
