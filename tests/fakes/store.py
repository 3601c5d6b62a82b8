"""A store in memory that meets the contract of the port, except for durability."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

from conducto_core.notifications.model import DeliveryState, NotificationRecord
from conducto_core.run.model.records import (
    AttemptRecord,
    ChangeRow,
    ImageRecord,
    NodeChange,
    NodeState,
    Period,
    PipelineRecord,
)
from conducto_core.run.model.states import FINISHED, State
from conducto_local.store.port import (
    DuplicatePipelineError,
    NodeRow,
    UnknownPipelineError,
    WriteBatch,
)
from conducto_local.store.rows import check_changes, overwritten, prefix_of


def may_replace(stored: AttemptRecord, new: AttemptRecord) -> bool:
    """Return whether ``new`` may replace ``stored``, an earlier record of the same attempt.

    An attempt that has ended may get further details but must not end again: that would be another
    attempt with the same number. `conducto_local.store.rows` has the same rule in SQL.
    """
    if stored.state not in FINISHED:
        return True
    return (stored.state, stored.ended) == (new.state, new.ended)


class _Kept:
    """One pipeline. Attempts are ``{path: {number: attempt}}``."""

    def __init__(self, record: PipelineRecord, definition: bytes) -> None:
        self.record = record
        self.definition = definition
        self.nodes: dict[str, NodeState] = {}
        self.attempts: dict[str, dict[int, AttemptRecord]] = {}
        self.changes: list[NodeChange] = []
        self.plan: bytes | None = None
        self.generated: dict[str, bytes] = {}
        self.edits: dict[str, dict[str, Any]] = {}
        self.images: dict[str, ImageRecord] = {}
        self.notifications: dict[int, NotificationRecord] = {}

    def check(self, turn: WriteBatch) -> None:
        check_changes(self.record.id, len(self.changes), turn.changes)
        if turn.record is not None and turn.record.id != self.record.id:
            raise ValueError(
                f"the record of {turn.record.id!r} is in a batch of {self.record.id!r}"
            )
        newest: dict[tuple[str, int], AttemptRecord] = {}
        for attempt in turn.attempts:
            key = (attempt.path, attempt.number)
            before = newest.get(key, self.attempts.get(attempt.path, {}).get(attempt.number))
            if before is not None and not may_replace(before, attempt):
                raise overwritten(self.record.id, [each.path for each in turn.attempts])
            newest[key] = attempt

    def apply(self, turn: WriteBatch) -> None:
        if turn.redefinition is not None:
            self.definition = turn.redefinition.definition
            self.plan = turn.redefinition.plan
            self.generated = dict(turn.redefinition.generated)
            self.edits.clear()
            self.nodes.clear()
        for target in sorted(turn.generated):
            self._put_generated(target, turn.generated[target])
        self.edits.update((path, dict(edit)) for path, edit in turn.edits.items())
        self.nodes.update((node.path, _node(node)) for node in turn.nodes)
        for attempt in turn.attempts:
            self.attempts.setdefault(attempt.path, {})[attempt.number] = attempt
        self.changes.extend(map(_change, turn.changes))
        self.images.update((image.name, image) for image in turn.images)
        self.notifications.update((each.number, each) for each in turn.notifications)
        if turn.record is not None:
            self.record = turn.record

    def _put_generated(self, target: str, definition: bytes | None) -> None:
        prefix = prefix_of(target)
        for path in [path for path in self.nodes if _is_below(path, prefix)]:
            del self.nodes[path]
        for inner in [inner for inner in self.generated if _is_below(inner, prefix)]:
            del self.generated[inner]
        if definition is None:
            self.generated.pop(target, None)
        else:
            self.generated[target] = definition


class MemoryStore:
    """A `conducto_local.store.port.Store` for tests."""

    def __init__(self) -> None:
        self._pipelines: dict[str, _Kept] = {}

    def check_room(self) -> None:
        """Do nothing: memory has room."""

    def create(self, record: PipelineRecord, definition: bytes) -> None:
        if record.id in self._pipelines:
            raise DuplicatePipelineError(record.id)
        self._pipelines[record.id] = _Kept(record, definition)

    def definition(self, pipeline_id: str) -> bytes:
        return self._kept(pipeline_id).definition

    def plan(self, pipeline_id: str) -> bytes | None:
        return self._kept(pipeline_id).plan

    def put_record(self, record: PipelineRecord) -> None:
        self.save(record.id, WriteBatch(record=record))

    def ids(self) -> frozenset[str]:
        return frozenset(self._pipelines)

    def records(self) -> list[PipelineRecord]:
        return [kept.record for kept in self._pipelines.values()]

    def damaged(self) -> dict[str, str]:
        return {}

    def delete(self, pipeline_id: str) -> None:
        self._kept(pipeline_id)
        del self._pipelines[pipeline_id]

    def save(self, pipeline_id: str, turn: WriteBatch) -> None:
        self.save_all({pipeline_id: turn})

    def save_all(self, turns: Mapping[str, WriteBatch]) -> None:
        for pipeline_id, turn in turns.items():
            self._kept(pipeline_id).check(turn)
        for pipeline_id, turn in turns.items():
            self._kept(pipeline_id).apply(turn)

    def nodes(self, pipeline_id: str) -> Iterator[NodeState]:
        nodes = self._kept(pipeline_id).nodes
        return iter([nodes[path] for path in sorted(nodes)])

    def attempts(self, pipeline_id: str, path: str | None = None) -> Iterator[AttemptRecord]:
        attempts = self._kept(pipeline_id).attempts
        paths = sorted(attempts) if path is None else [path]
        return iter([each for key in paths for _, each in sorted(attempts.get(key, {}).items())])

    def snapshots(self, pipeline_id: str) -> list[AttemptRecord]:
        kept = [each for each in self.attempts(pipeline_id) if each.snapshot is not None]
        return sorted(kept, key=lambda each: (each.ended is None, each.ended or 0.0))

    def newest_attempts(self, pipeline_id: str, below: str = "/") -> dict[str, int]:
        prefix = prefix_of(below)
        return {
            path: max(numbers)
            for path, numbers in self._kept(pipeline_id).attempts.items()
            if path == below or _is_below(path, prefix)
        }

    def period(self, pipeline_id: str, below: str, removed: Sequence[str] = ()) -> Period:
        prefix = prefix_of(below)
        known = self._kept(pipeline_id).attempts
        newest = [
            known[path][max(known[path])]
            for path in known
            if path not in removed and _is_below(path, prefix)
        ]
        begun = (one.started if one.queued is None else one.queued for one in newest)
        started = [time for time in begun if time is not None]
        ended = [one.ended for one in newest if one.ended is not None]
        return Period(min(started, default=None), max(ended, default=None))

    def changes(self, pipeline_id: str, after: int, limit: int) -> list[NodeChange]:
        return self._kept(pipeline_id).changes[after : after + limit]

    def last_seq(self, pipeline_id: str) -> int:
        return len(self._kept(pipeline_id).changes)

    def queued_since(self, pipeline_id: str, path: str) -> float | None:
        mine = [c for c in reversed(self._kept(pipeline_id).changes) if c.path == path]
        times = [c.time for c in takewhile(lambda c: c.state is State.QUEUED, mine)]
        return times[-1] if times else None

    def generated(self, pipeline_id: str) -> dict[str, bytes]:
        return dict(sorted(self._kept(pipeline_id).generated.items()))

    def edits(self, pipeline_id: str) -> dict[str, dict[str, Any]]:
        return dict(self._kept(pipeline_id).edits)

    def images(self, pipeline_id: str) -> list[ImageRecord]:
        return list(self._kept(pipeline_id).images.values())

    def notifications(self, pipeline_id: str, path: str | None = None) -> list[NotificationRecord]:
        kept = self._kept(pipeline_id).notifications
        return [kept[number] for number in sorted(kept) if path in {None, kept[number].path}]

    def last_notification(self, pipeline_id: str) -> int:
        return max(self._kept(pipeline_id).notifications, default=0)

    def undelivered(self) -> list[tuple[str, NotificationRecord]]:
        return [
            (pipeline_id, each)
            for pipeline_id in self._pipelines
            for each in self.notifications(pipeline_id)
            if each.delivery is DeliveryState.PENDING
        ]

    def close(self) -> None:
        """Do nothing: no resources to release."""

    def _kept(self, pipeline_id: str) -> _Kept:
        kept = self._pipelines.get(pipeline_id)
        if kept is None:
            raise UnknownPipelineError(pipeline_id)
        return kept


def _node(given: NodeState | NodeRow) -> NodeState:
    return given if isinstance(given, NodeState) else NodeState(**given._asdict())


def _change(given: NodeChange | ChangeRow) -> NodeChange:
    return given if isinstance(given, NodeChange) else NodeChange(**given._asdict())


def _is_below(path: str, prefix: str) -> bool:
    return path.startswith(prefix) and path != prefix
