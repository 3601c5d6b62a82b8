"""Rebuilds a lost or damaged store: ``conducto agent repair``.

It works on a copy of the store, which replaces the original at once, at the end, if the user
agrees. Unreadable data counts as damaged, never as missing: as much as possible is taken from
the row itself, then from the other tables, and then from the pipeline's directory, which has its
record and definition as launched (`conducto_local.agent.state_dir.PipelineDir.keep`) and the output
of its attempts. An attempt of which only output is left becomes ``killed`` with the cause
``worker_lost``: its result is unknown, and its number must not be used again. A pipeline that
cannot be repaired stays as it is.
"""

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from conducto.tree.launch_form import to_launch_form
from conducto.tree.nodes import Serial
from conducto_core.run.model.records import PipelineRecord
from conducto_core.tree.model import Pipeline, pack_form, unpack_form
from conducto_core.tree.rules.resolve import resolve
from conducto_local.agent.files import AgentFiles
from conducto_local.agent.state_dir import PipelineDir, StateDir
from conducto_local.images import waiters as image_build
from conducto_local.logs.store import LogDirectory
from conducto_local.notifications.store import RulesFile
from conducto_local.run import pipelines as pipeline_loader
from conducto_local.run.pipelines import unreadable
from conducto_local.schedules.salvage import salvage_schedules
from conducto_local.store import history
from conducto_local.store.port import StoreError, WriteBatch
from conducto_local.store.replacement import finish_replacement, replace_store
from conducto_local.store.rescue import SoundCopy, copy_store
from conducto_local.store.rows import Row, cause_of_damage
from conducto_local.store.salvage import Salvaged, listed, salvage
from conducto_local.store.schema import StoreLock
from conducto_local.store.sqlite import SqliteStore

_WITHOUT = (
    "rebuilt from its directory without a definition: data and logs are kept, nothing can run"
)
_REBUILT = "rebuilt by 'conducto agent repair'"


class RepairError(Exception):
    """The store cannot be repaired now; the message has the remedy."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """The repair of one pipeline, of a schedule, or of the rules.

    Attributes:
        id: The pipeline, or for example ``schedule nightly``.
        lost: The parts that could not be rebuilt, for users.
    """

    id: str
    lost: tuple[str, ...]


@dataclass(slots=True)
class RepairReport:
    """The result of a repair, or of its preview.

    Attributes:
        repaired: The pipelines that need a repair.
        others: The schedules and rules that need one.
        left: ``{name: cause}`` of parts that cannot be repaired, and stay as they are.
        intact: Number of pipelines that need no repair.
        damage: Damage of the file itself; "" if it has none.
        done: The repair was accepted.
        moved: New path of the damaged store; None if it was not changed.
    """

    repaired: list[Repaired] = field(default_factory=list)
    others: list[Repaired] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    intact: int = 0
    damage: str = ""
    done: bool = False
    moved: Path | None = None

    def needs_repair(self) -> bool:
        return bool(self.repaired or self.others or self.damage)

    def lines(self) -> list[str]:
        """Return the report as text."""
        lines = [self.damage] if self.damage else []
        for one in (*self.repaired, *self.others):
            lost = f"; lost: {', '.join(one.lost)}" if one.lost else ""
            lines.append(f"{one.id}: rebuilt{lost}")
        lines += [f"{name}: not repaired: {cause}" for name, cause in self.left.items()]
        intact = f"{self.intact} pipelines intact" if self.intact != 1 else "1 pipeline intact"
        lines.append(f"{len(self.repaired)} rebuilt, {intact}")
        return lines


Confirm = Callable[[RepairReport], bool]


def repair(
    home: StateDir,
    now: Callable[[], float] = time.time,
    confirm: Confirm = lambda _: True,
) -> RepairReport:
    """Rebuild the lost or damaged parts of a profile's store, if ``confirm`` accepts the report.

    Raises:
        RepairError: An agent is running, the disk is full or cannot be read, or a newer Conducto
            wrote the store.
    """
    with AgentFiles(home.agent).held_by_agent() as is_ours:
        if not is_ours:
            raise RepairError("an agent is running; stop it first: conducto agent stop")
        try:
            home.make()
            with _locked(home.store), _draft_directory(home) as directory:
                return _repair(home, directory, now(), confirm)
        except (StoreError, OSError, sqlite3.Error) as error:
            raise RepairError(str(error)) from error


def damage_of(home: StateDir) -> tuple[str, ...]:
    """Return a sentence for each damaged part that an agent would find when it starts."""
    found = [] if (rules := RulesFile(home.notification_rules).damage()) is None else [rules]
    try:
        pipeline_loader.check_store(home)
        if home.store.exists():
            with closing(SqliteStore.open(home.store)) as store:
                found += [str(unreadable(*each)) for each in store.damaged().items()]
    except StoreError as error:
        found.append(str(error))
    return tuple(found)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep others from opening a store; complete a replacement that was killed."""
    lock = StoreLock(path.with_name(f"{path.name}.lock"))
    try:
        finish_replacement(path)
        yield
    finally:
        lock.release()


@contextmanager
def _draft_directory(home: StateDir) -> Iterator[Path]:
    directory = home.agent / "repair"
    shutil.rmtree(directory, ignore_errors=True)  # of a repair that was killed
    directory.mkdir(mode=0o700)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _repair(home: StateDir, directory: Path, now: float, confirm: Confirm) -> RepairReport:
    sound = copy_store(home.store, directory)
    with (
        closing(SqliteStore.open(sound.path)) as store,
        closing(sqlite3.connect(sound.path, isolation_level=None)) as connection,
    ):
        draft = _Draft(home, sound, store, connection, now)
        draft.repair()
    report, is_changed = draft.report, draft.report.needs_repair()
    rules = RulesFile(home.notification_rules)
    if rules.damage() is not None:
        report.others.append(Repaired("notification rules", ("rules that cannot be read",)))
    if not report.needs_repair() or not confirm(report):
        return report
    report.done = True
    for logs, owners in draft.logs:
        logs.set_apart(owners)
    if is_changed:
        report.moved = replace_store(home.store, sound.path, now)
    if rules.damage() is not None:
        kept = home.notification_rules.with_name(f"{home.notification_rules.name}.damaged")
        shutil.copyfile(home.notification_rules, kept)
        rules.write(rules.readable())
    return report


class _Draft:
    """A copy of the store that is being repaired.

    Attributes:
        logs: Logs of which output without an owner is to be set apart.
    """

    def __init__(
        self,
        home: StateDir,
        sound: SoundCopy,
        store: SqliteStore,
        connection: sqlite3.Connection,
        now: float,
    ) -> None:
        self.report = RepairReport(damage=sound.damage)
        self.logs: list[tuple[LogDirectory, set[str]]] = []
        self._home = home
        self._sound = sound
        self._store = store
        self._connection = connection
        self._now = now
        connection.execute("PRAGMA synchronous = OFF")

    def repair(self) -> None:
        known = set()
        for row in listed(self._connection):
            known.add(self._repair_row(row))
        for pipeline_id in self._home.pipeline_ids():
            if pipeline_id not in known:
                self._adopt(pipeline_id)
        schedules = salvage_schedules(self._connection)
        for name, lost in schedules.corrected.items():
            self.report.others.append(Repaired(f"schedule {name}", (lost,)))
        for name, cause in schedules.left.items():
            self.report.left[f"schedule {name}"] = cause

    def _repair_row(self, row: Row) -> str:
        """Repair a pipeline, unless it is intact; return its id."""
        self._connection.execute("BEGIN IMMEDIATE")
        found = salvage(self._connection, row, self._sound.unread.get(row[0], ()))
        is_whole = found.record is not None and not found.lost and not found.corrected
        kept = None if is_whole else self._files_of(found.id)
        readable = is_whole or kept is not None
        self._connection.execute("COMMIT" if readable else "ROLLBACK")
        if not readable:
            return found.id
        fails = found.record is None or self._failure(found.record) is not None
        if is_whole and not fails and not self._sound.damage:
            self.report.intact += 1
            return found.id
        kept = kept or self._files_of(found.id)
        if kept is not None:
            if is_whole and not fails and not self._lacks_rows(found, kept):
                self.report.intact += 1
            else:
                self._rebuild(found, kept)
        return found.id

    def _lacks_rows(self, found: Salvaged, kept: "_Kept") -> bool:
        """Return whether rows are missing that the others show; a damaged file hides some.

        The states of nodes that were replaced, or generated again, are deleted with the old tree.
        """
        pipeline = self._pipeline(found)
        if found.record is not None and found.record.revision == 0:
            generated = tuple(f"{target}/" for target in self._store.generated(found.id))
            found.nodes.update(path for path in pipeline.nodes if not path.startswith(generated))
        missing = self._missing(found, pipeline, kept.logs)
        for count, what in ((len(missing.nodes), "states"), (len(missing.attempts), "attempts")):
            found.lost += [f"{count} {what}"] if count else []
        return bool(found.lost)

    def _pipeline(self, found: Salvaged) -> Pipeline:
        edits = self._store.edits(found.id)
        return pipeline_loader.resolve_stored(self._store, found.id, edits)

    def _files_of(self, pipeline_id: str) -> "_Kept | None":
        """Return the files of a pipeline; None, with an entry in the report, if unreadable."""
        try:
            return _Kept(self._home.pipeline(pipeline_id))
        except ValueError:
            self.report.left[pipeline_id] = "this is not the id of a pipeline"
        except OSError as error:
            self.report.left[pipeline_id] = f"its directory cannot be read: {error}"
        return None

    def _adopt(self, pipeline_id: str) -> None:
        """Make a pipeline of a directory that the store does not know."""
        kept = self._files_of(pipeline_id)
        if kept is None or kept.directory.is_empty():
            return
        record = kept.record or self._stub(pipeline_id)
        self._store.create(record, b"")
        row = next(row for row in listed(self._connection) if row[1] == pipeline_id)
        found = Salvaged(pipeline_id, row[0], record, lost=["results of its attempts"])
        found.nodes.add(None)
        self._rebuild(found, kept)

    def _rebuild(self, found: Salvaged, kept: "_Kept") -> None:
        definition = next(filter(_resolves, (found.definition, kept.definition)), None)
        problem = _WITHOUT if definition is None else _REBUILT
        record = found.record or kept.record or self._stub(found.id)
        changed = {"id": found.id, "armed": False, "run_at": None, "problem": problem}
        if definition is None:
            definition = pack_form(to_launch_form(Serial()))
            changed["retention"] = 0  # kept until a user deletes it
        record = record.model_copy(update=changed)
        query = "INSERT OR REPLACE INTO definitions VALUES (?, '', ?)"
        self._connection.execute(query, (found.number, definition))
        self._put_record(found.number, record)
        self._store.save(found.id, found.turn)
        failure = self._complete(found, record, kept)
        if failure is not None:
            self.report.left[found.id] = failure
            return
        live = pipeline_loader.load(self._store, record)
        self._put_record(
            found.number, record.model_copy(update={"status": live.status(), "touched": self._now})
        )
        lost = tuple(part for part in found.lost if part != "record")
        lost += ("definition",) if problem == _WITHOUT else ()
        self.report.repaired.append(Repaired(found.id, lost))

    def _complete(self, found: Salvaged, record: PipelineRecord, kept: "_Kept") -> str | None:
        """Add what the other tables and the output show; return why it cannot be loaded."""
        if self._failure(record) is not None:
            self._drop(found, "modifications and generated trees", "target>''", "edits")
        if self._failure(record) is not None:
            self._drop(found, "states", "0", "nodes")
            found.nodes.add(None)
        failure = self._failure(record)
        if failure is None:
            pipeline = self._pipeline(found)
            missing = self._missing(found, pipeline, kept.logs)
            owners = {*pipeline.nodes, *map(image_build.log_name, pipeline.images)}
            owners.update(each.path for each in self._store.attempts(found.id))
            self.logs.append((kept.logs, owners))
            self._store.save(found.id, missing)
            failure = self._failure(record)
        return failure

    def _drop(self, found: Salvaged, lost: str, trees: str, table: str) -> None:
        found.lost.append(lost)
        number = (found.number,)
        self._connection.execute(f"DELETE FROM definitions WHERE pipeline=? AND {trees}", number)  # noqa: S608
        self._connection.execute(f"DELETE FROM {table} WHERE pipeline=?", number)  # noqa: S608

    def _missing(self, found: Salvaged, pipeline: Pipeline, logs: LogDirectory) -> WriteBatch:
        attempts = list(self._store.attempts(found.id))
        changes = self._store.changes(found.id, 0, -1)
        nodes = list(self._store.nodes(found.id))
        paths = {node.path for node in pipeline.execs()} | {one.path for one in attempts}
        added = history.missing_attempts(paths, attempts, changes, nodes, logs.attempts_of(paths))
        unknown = pipeline.nodes.keys() - {node.path for node in nodes}
        lost = unknown if None in found.nodes else {path for path in found.nodes if path in unknown}
        states = history.missing_nodes(lost, [*attempts, *added], changes)
        return WriteBatch(nodes=states, attempts=added)

    def _failure(self, record: PipelineRecord) -> str | None:
        """Return why a pipeline cannot be loaded, or None."""
        try:
            pipeline_loader.load(self._store, record)
        except Exception as error:  # noqa: BLE001  corrupt data may raise anything
            return cause_of_damage(error)
        return None

    def _put_record(self, number: int, record: PipelineRecord) -> None:
        self._connection.execute(
            "UPDATE pipelines SET id=?, record=? WHERE number=?",
            (record.id, record.model_dump_json(), number),
        )

    def _stub(self, pipeline_id: str) -> PipelineRecord:
        return PipelineRecord(
            id=pipeline_id, title=pipeline_id, created=self._now, touched=self._now
        )


class _Kept:
    """The files in a pipeline's directory.

    Attributes:
        record: As launched; None if there is no valid one, like ``definition``.

    Raises:
        OSError: They may exist, but cannot be read.
    """

    def __init__(self, directory: PipelineDir) -> None:
        self.directory = directory
        self.logs = LogDirectory(directory.logs)
        self.logs.attempts_of(())
        self.definition = _content(directory.definition)
        self.record = None
        content = _content(directory.record)
        if content is not None:
            with suppress(ValueError):
                record = PipelineRecord.model_validate_json(content)
                self.record = record if record.id == directory.root.name else None


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _resolves(definition: bytes | None) -> bool:
    try:
        resolve(unpack_form(definition or b""))
    except Exception:  # noqa: BLE001  corrupt data may raise anything
        return False
    return True
