"""Makes a sound copy of a store that may be damaged; the original is only read.

The copy is the file itself, if SQLite finds nothing wrong in it. Otherwise it is a new file with
every row that can still be reached, from either end of its table, pipeline by pipeline, and with
the paths and numbers that other tables have.
"""

import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from conducto_local.store.port import is_damage
from conducto_local.store.schema import APPLICATION_ID, MIGRATIONS, OWNED, compact, schema_version
from conducto_local.store.sqlite import SqliteStore

#: Suffixes of the files of a store.
PARTS = ("-wal", "-shm", "")
_PAGE = 4096
#: The tables of schedules, with the column of their names.
_OF_SCHEDULES = (("schedules", "name"), ("firings", "schedule"), ("events", "schedule"))
#: Format versions in the header, without and with a write-ahead log.
_FORMATS = (b"\x01\x01", b"\x02\x02")
_SCHEMA = "the first page of the store's file is damaged"
#: Larger numbers are damage.
_MAX_NUMBER = 1 << 53

_Insert = Callable[[tuple[object, ...]], None]


@dataclass(slots=True)
class SoundCopy:
    """A store that SQLite considers intact.

    Attributes:
        damage: Damage of the file that the copy does not have, for users; "" for none.
        unread: ``{number of a pipeline: its tables with rows that could not be read}``.
    """

    path: Path
    damage: str = ""
    unread: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))


class _Text(bytes):
    """A text that is not valid UTF-8."""


def copy_store(path: Path, directory: Path) -> SoundCopy:
    """Copy the store at ``path`` into an empty directory, and return a sound copy.

    Raises:
        StoreVersionError: A newer Conducto wrote it, or it is another program's file.
        OSError: The disk is full, or the file cannot be read.
    """
    copy, new = directory / path.name, directory / "rescued.sqlite"
    for suffix in ("-wal", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            shutil.copyfile(part, copy.with_name(copy.name + suffix))
    if not copy.exists() or copy.stat().st_size == 0:
        SqliteStore.open(new).close()
        return SoundCopy(new)
    version, damage = _check_first_page(copy)
    if damage != _SCHEMA and _is_sound(copy):
        return SoundCopy(copy, damage)
    SqliteStore.open(new, MIGRATIONS[:version]).close()
    _replace_first_page(copy, new)
    if _is_sound(copy):
        return SoundCopy(copy, _SCHEMA)
    sound = SoundCopy(new, "the file of the store is damaged")
    with closing(_connect(copy)) as source, closing(_connect(new)) as target:
        target.execute("PRAGMA synchronous = OFF")
        target.execute("BEGIN")
        _Rows(source, target, sound).copy()
        target.execute("COMMIT")
    return sound


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.text_factory = _text
    return connection


def _text(stored: bytes) -> str | _Text:
    try:
        return stored.decode()
    except UnicodeDecodeError:
        return _Text(stored)


def _is_unreadable(error: Exception) -> bool:
    """Return whether a page of the copy is damaged; other errors end the repair."""
    if not isinstance(error, sqlite3.Error):
        return isinstance(error, MemoryError | OverflowError)
    too_long = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_TOOBIG
    return too_long or is_damage(error)


def _check_first_page(copy: Path) -> tuple[int, str]:
    """Return the version of the schema, and the damage of the first page; correct its marks."""
    known = len(MIGRATIONS)
    with copy.open("rb") as file:
        if file.read(20)[18:] not in _FORMATS:  # SQLite would open it read-only
            return known, _SCHEMA
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in chain(*MIGRATIONS):
            connection.execute(statement)
        expected = _schema(connection)
    with closing(_connect(copy)) as connection:
        try:
            if _schema(connection) != expected:
                version = schema_version(connection, copy, known=known)
                return version, _SCHEMA if version == known else ""
            damage = ""
            for mark, value in (("application_id", APPLICATION_ID), ("user_version", known)):
                if connection.execute(f"PRAGMA {mark}").fetchone() != (value,):
                    connection.execute(f"PRAGMA {mark} = {value}")
                    damage = "the marks of the store's file are damaged"
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter: of a message
            if not isinstance(error, UnicodeDecodeError) and not is_damage(error):
                raise
            return known, _SCHEMA
        return known, damage


def _schema(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """Return the definitions of the tables and indexes; earlier versions wrote them on lines."""
    query = "SELECT type, name, tbl_name, sql FROM sqlite_schema"
    rows = connection.execute(query)
    # A damaged text is bytes.
    return [(*names, compact(sql) if isinstance(sql, str) else sql) for *names, sql in rows]


def _replace_first_page(copy: Path, new: Path) -> None:
    """Replace the page with the schema by that of a new store, which has the same tables."""
    with new.open("rb") as file:
        page = bytearray(file.read(_PAGE))
    pages = -(-copy.stat().st_size // _PAGE)
    page[28:32] = pages.to_bytes(4, "big")
    page[92:96] = page[24:28]  # the number of pages is valid
    with copy.open("r+b") as file:
        file.write(page)
        file.truncate(pages * _PAGE)


def _is_sound(path: Path) -> bool:
    with closing(_connect(path)) as connection:
        try:
            found = connection.execute("PRAGMA integrity_check(1)").fetchall()
        except sqlite3.Error as error:
            if not _is_unreadable(error):
                raise
            return False
        return bool(found == [("ok",)])


class _Rows:
    """The rows of a damaged store, on their way to a new one."""

    def __init__(
        self, source: sqlite3.Connection, target: sqlite3.Connection, sound: SoundCopy
    ) -> None:
        self._source = source
        self._target = target
        self._sound = sound

    def copy(self) -> None:
        """Copy every row that can be read."""
        listed: dict[Any, tuple[object, ...]] = {}
        known: list[tuple[object, ...]] = []
        query = "SELECT number, id, record FROM pipelines ORDER BY number"
        self._scan(query, (), lambda row: listed.update({row[0]: row}))
        query = """SELECT id, number FROM pipelines INDEXED BY sqlite_autoindex_pipelines_1
            ORDER BY id"""
        self._scan(query, (), known.append)
        numbers = {*listed, *(number for _, number in known if isinstance(number, int))}
        for table in OWNED:
            self._copy_owned(table, numbers)
        self._copy_schedules()
        for number, pipeline_id, record in self._pipelines(listed, known):
            self._inserter("pipelines")((number, pipeline_id, record))
        self._count_on()

    def _pipelines(
        self, listed: dict[Any, tuple[object, ...]], known: Iterable[tuple[object, ...]]
    ) -> Iterator[tuple[object, ...]]:
        """Yield number, id and record of the pipelines in the table, the index, or in both."""
        by_id = {row[1]: number for number, row in listed.items()}
        for pipeline_id, number in known:
            if not isinstance(pipeline_id, str) or not isinstance(number, int):
                continue
            other = by_id.get(pipeline_id, number)
            if other != number and self._is_defined(other):
                continue  # the number in the index is damaged
            row = listed.pop(number, None) or listed.get(other)
            listed.pop(other, None)
            yield number, pipeline_id, "" if row is None else row[2]
        yield from listed.values()

    def _is_defined(self, number: int) -> bool:
        query = "SELECT 1 FROM definitions WHERE pipeline=?"
        return self._target.execute(query, (number,)).fetchone() is not None

    def _copy_owned(self, table: str, numbers: Collection[int]) -> None:
        insert = self._inserter(table)
        place = [name for _, name, *_ in self._columns(table)].index("pipeline")
        for number in numbers:

            def of_pipeline(row: tuple[object, ...], number: int = number) -> None:
                # The place of a row in the table has its pipeline, too.
                insert((*row[:place], number, *row[place + 1 :]))

            query = f"SELECT * FROM {table} WHERE pipeline=? ORDER BY {self._key(table)}"  # noqa: S608
            if not self._scan(query, (number,), of_pipeline):
                self._sound.unread[number].add(table)
                self._probe(table, number)

        def of_others(row: tuple[object, ...]) -> None:
            number = row[place]
            # Their index may lack rows of "definitions" and "images".
            if by_rowid or number not in numbers or number in self._sound.unread:
                insert(row)

        by_rowid = table in ("definitions", "images")
        order = "rowid" if by_rowid else self._key(table)
        self._scan(f"SELECT * FROM {table} ORDER BY {order}", (), of_others)  # noqa: S608

    def _copy_schedules(self) -> None:
        known: list[tuple[object, ...]] = []
        for query in (
            "SELECT name FROM schedules INDEXED BY waking WHERE wakes IS NOT NULL ORDER BY wakes",
            "SELECT name FROM schedules ORDER BY name",
            "SELECT schedule FROM firings ORDER BY schedule",
        ):
            self._scan(query, (), known.append)
        for name in dict.fromkeys(known):
            for table, column in _OF_SCHEDULES:
                if not self._columns(table):  # of an older version
                    continue
                query = f"SELECT * FROM {table} WHERE {column}=? ORDER BY {self._key(table)}"  # noqa: S608
                found: list[tuple[object, ...]] = []
                self._scan(query, name, found.append)
                for row in found:
                    self._inserter(table)((*name, *row[1:]))
        for table, _ in _OF_SCHEDULES:  # a damaged key hides others from a search by name
            if self._columns(table):
                query = f"SELECT * FROM {table} ORDER BY {self._key(table)}"  # noqa: S608
                self._scan(query, (), self._inserter(table))

    def _columns(self, table: str) -> list[Any]:
        return self._target.execute(f"PRAGMA table_info({table})").fetchall()

    def _key(self, table: str) -> str:
        columns = sorted(self._columns(table), key=lambda column: column[-1])
        return ", ".join(name for _, name, *_, place in columns if place)

    def _probe(self, table: str, number: int) -> None:
        """Copy the rows between two unreadable pages, by the keys that are known."""
        insert = self._inserter(table)
        if table in ("changes", "texts", "notifications"):
            key = "seq" if table == "changes" else "number"
            query = f"SELECT min({key}), max({key}) FROM {table} WHERE pipeline=?"  # noqa: S608
            first, last = self._target.execute(query, (number,)).fetchone()
            known: Iterable[object] = range(first or 0, min(last or 0, (first or 0) + 1_000_000))
        elif table in ("nodes", "attempts", "edits"):
            key = "path"
            query = """SELECT path FROM nodes WHERE pipeline=:n UNION SELECT path FROM attempts
                WHERE pipeline=:n UNION SELECT path FROM changes WHERE pipeline=:n"""
            known = [path for (path,) in self._target.execute(query, {"n": number}).fetchall()]
        else:
            return
        query = f"SELECT * FROM {table} WHERE pipeline=? AND {key}=?"  # noqa: S608
        for one in known:
            self._scan(query, (number, one), insert, both_ways=False)

    def _scan(
        self,
        query: str,
        values: tuple[object, ...],
        insert: _Insert,
        *,
        both_ways: bool = True,
    ) -> bool:
        """Pass on the rows from either end up to an unreadable page; return whether all were."""
        for ordered in (query, _descending(query)) if both_ways else (query,):
            try:
                for row in self._source.execute(ordered, values):
                    insert(row)
            except Exception as error:
                if not _is_unreadable(error):
                    raise
                continue
            return ordered == query
        return False

    def _inserter(self, table: str) -> _Insert:
        def insert(row: tuple[object, ...]) -> None:
            marks = ",".join("CAST(? AS TEXT)" if isinstance(v, _Text) else "?" for v in row)
            values = [bytes(v) if isinstance(v, _Text) else v for v in row]
            self._target.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", values)  # noqa: S608

        return insert

    def _count_on(self) -> None:
        """Never use a number again that rows of a lost pipeline have."""
        numbers = [0]
        for table in OWNED:
            query = f"SELECT max(pipeline) FROM {table} WHERE pipeline < {_MAX_NUMBER}"  # noqa: S608
            numbers += [number or 0 for (number,) in self._target.execute(query)]
        query = "SELECT seq FROM sqlite_sequence WHERE name='pipelines'"
        self._scan(query, (), lambda row: numbers.append(int(str(row[0]))), both_ways=False)
        found = self._target.execute(query).fetchone()
        newest = max([*(n for n in numbers if n < _MAX_NUMBER), *(found or ())])
        self._target.execute("DELETE FROM sqlite_sequence WHERE name='pipelines'")
        if newest:
            self._target.execute("INSERT INTO sqlite_sequence VALUES ('pipelines', ?)", (newest,))


def _descending(query: str) -> str:
    head, order = query.split(" ORDER BY ")
    return f"{head} ORDER BY {', '.join(f'{name} DESC' for name in order.split(', '))}"
