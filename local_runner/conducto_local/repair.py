"""Rebuilds a lost or damaged store: ``conducto agent repair``.

Each pipeline's directory has its record and definition as launched
(`conducto_local.state_dir.PipelineDir.keep`) and the output of its attempts. They replace what the
store has lost. An attempt with output but no record becomes ``killed`` with the cause
``worker_lost``: its result is unknown, and its number must not be used again.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from conducto.tree.launch_form import to_launch_form
from conducto.tree.nodes import Serial
from conducto_core.model.form_codec import pack_form, unpack_form
from conducto_core.model.nodes import Pipeline
from conducto_core.model.records import AttemptRecord, NodeState, PipelineRecord
from conducto_core.model.states import Cause, State
from conducto_core.semantics.resolve import resolve
from conducto_local.agent_files import AgentFiles
from conducto_local.scheduling import image_build, pipeline_loader
from conducto_local.scheduling.attempt_logs import LogDirectory
from conducto_local.state_dir import PipelineDir, StateDir
from conducto_local.store.errors import DamagedError, StoreError
from conducto_local.store.port import WriteBatch
from conducto_local.store.salvage import Salvaged, is_sound, salvage
from conducto_local.store.sqlite import SqliteStore

_UNKNOWN_END = "its record was lost with the store; its result is unknown"
_WITHOUT = (
    "rebuilt from its directory without a definition: data and logs are kept, nothing can run"
)
_REBUILT = "rebuilt by 'conducto agent repair'"


class RepairError(Exception):
    """The store cannot be repaired now; the message has the remedy."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """The repair of one pipeline.

    Attributes:
        lost: The parts that could not be rebuilt, for users.
    """

    id: str
    lost: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RepairReport:
    """The result of a repair.

    Attributes:
        moved: New path of the damaged store; None if it was usable.
        intact: Number of pipelines that needed no repair.
    """

    repaired: tuple[Repaired, ...]
    intact: int
    moved: Path | None = None

    def lines(self) -> list[str]:
        """Return the report as text."""
        lines = [] if self.moved is None else [f"the damaged store was moved to {self.moved}"]
        for one in self.repaired:
            lost = f"; lost: {', '.join(one.lost)}" if one.lost else ""
            lines.append(f"{one.id}: rebuilt{lost}")
        lines.append(f"{len(self.repaired)} rebuilt, {self.intact} intact")
        return lines


def repair(home: StateDir, now: Callable[[], float] = time.time) -> RepairReport:
    """Rebuild the lost or damaged parts of a profile's store.

    Raises:
        RepairError: An agent is running, the disk is full, or a newer Conducto wrote the store.
    """
    with AgentFiles(home.agent).held_by_agent() as is_ours:
        if not is_ours:
            raise RepairError("an agent is running; stop it first: conducto agent stop")
        try:
            home.make()
            moved = None if _is_usable(home.store) else _move_away(home.store, now())
            with closing(SqliteStore.open(home.store)) as store:
                return _Repair(home, store, now()).run(moved)
        except (StoreError, OSError) as error:
            raise RepairError(str(error)) from error


class _Repair:
    def __init__(self, home: StateDir, store: SqliteStore, now: float) -> None:
        self._home = home
        self._store = store
        self._now = now

    def run(self, moved: Path | None) -> RepairReport:
        repaired: list[Repaired] = []
        intact: set[str] = set()
        for found in salvage(self._home.store if moved is None else moved):
            if moved is None and not found.lost and self._loads(found):
                intact.add(found.id)
            else:
                repaired.append(self._rebuild(found))
        known = intact | {one.id for one in repaired}
        repaired += [
            self._rebuild(Salvaged(one, lost=["results of its attempts"]))
            for one in self._home.pipeline_ids()
            if one not in known and not self._home.pipeline(one).is_empty()
        ]
        return RepairReport(tuple(repaired), len(intact), moved)

    def _loads(self, found: Salvaged) -> bool:
        if found.record is None:
            return False
        try:
            pipeline_loader.load(self._store, found.record)
        except Exception:  # noqa: BLE001  any failure means that it must be rebuilt
            found.lost.append("state")
            return False
        return True

    def _rebuild(self, found: Salvaged) -> Repaired:
        directory = self._home.pipeline(found.id)
        definition = next(filter(_resolves, self._definitions(found, directory)), None)
        problem = _WITHOUT if definition is None else _REBUILT
        record = found.record or _kept_record(directory) or self._stub(found.id)
        record = record.model_copy(update={"armed": False, "run_at": None, "problem": problem})
        if definition is None:
            definition = pack_form(to_launch_form(Serial()))
            record = record.model_copy(update={"retention": 0})  # kept until a user deletes it
        turn = self._with_attempts_of_logs(found, directory, definition)
        if not self._put(record, definition, turn):
            found.lost.append("states, modifications and generated trees")
            self._put(record, definition, WriteBatch(attempts=turn.attempts, images=turn.images))
        lost = tuple(part for part in found.lost if part not in ("record", "definition"))
        return Repaired(found.id, (*lost, "definition") if problem == _WITHOUT else lost)

    @staticmethod
    def _definitions(found: Salvaged, directory: PipelineDir) -> Iterator[bytes]:
        if found.definition is not None:
            yield found.definition
        try:
            yield directory.definition.read_bytes()
        except OSError:
            return

    def _stub(self, pipeline_id: str) -> PipelineRecord:
        return PipelineRecord(
            id=pipeline_id, title=pipeline_id, created=self._now, touched=self._now
        )

    def _put(self, record: PipelineRecord, definition: bytes, turn: WriteBatch) -> bool:
        """Store a pipeline; return False if it cannot be loaded afterwards."""
        if record.id in self._ids():
            self._store.delete(record.id)
        self._store.create(record, definition)
        self._store.save(record.id, turn)
        try:
            live = pipeline_loader.load(self._store, record)
        except Exception:  # noqa: BLE001  as in `_loads`
            return False
        self._store.put_record(
            record.model_copy(update={"status": live.status(), "touched": self._now})
        )
        return True

    def _ids(self) -> set[str]:
        return {record.id for record in self._store.records()} | self._store.damaged().keys()

    def _with_attempts_of_logs(
        self, found: Salvaged, directory: PipelineDir, definition: bytes
    ) -> WriteBatch:
        """Return the salvaged parts, with an attempt for each output that has none."""
        turn = found.turn()
        pipeline = resolve(unpack_form(definition))
        logs = LogDirectory(directory.logs)
        known = {(attempt.path, attempt.number) for attempt in turn.attempts}
        numbers = logs.attempts_of(node.path for node in pipeline.execs())
        added = [
            AttemptRecord(
                path=path,
                number=number,
                state=State.KILLED,
                cause=Cause.WORKER_LOST,
                message=_UNKNOWN_END,
                ended=ended,
            )
            for path, attempts in numbers.items()
            for number, ended in attempts.items()
            if (path, number) not in known
        ]
        if not found.attempts:
            logs.set_apart(_owners(pipeline))
        states = {node.path for node in turn.nodes}
        lost = {one.path: one.number for one in sorted(added, key=lambda one: one.number)}
        nodes = [
            NodeState(path=path, state=State.KILLED, cause=Cause.WORKER_LOST, attempt=number)
            for path, number in lost.items()
            if path not in states
        ]
        return replace(turn, attempts=[*turn.attempts, *added], nodes=[*turn.nodes, *nodes])


def _owners(pipeline: Pipeline) -> list[str]:
    return [*pipeline.nodes, *map(image_build.log_name, pipeline.images)]


def _resolves(definition: bytes) -> bool:
    try:
        resolve(unpack_form(definition))
    except Exception:  # noqa: BLE001  corrupt data may raise anything
        return False
    return True


def _kept_record(directory: PipelineDir) -> PipelineRecord | None:
    try:
        record = PipelineRecord.model_validate_json(directory.record.read_bytes())
    except (OSError, ValueError):
        return None
    return record if record.id == directory.root.name else None


def _is_usable(path: Path) -> bool:
    try:
        SqliteStore.open(path).close()
    except DamagedError:
        return False
    return is_sound(path)


def _move_away(path: Path, now: float) -> Path:
    """Move a store and its associated files; return the new path."""
    target = path.with_name(
        f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}"
    )
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(target.with_name(target.name + suffix))
    return target
