"""A `Store` in memory."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from threading import RLock

from tests.fakes.cloud.identity import FakeOrgs

from chalicelib.errors import ConflictError
from chalicelib.people.port import Share
from chalicelib.run.port import (
    CloudRecord,
    Entry,
    News,
    Outgoing,
    Snapshot,
    TreeKind,
    Turn,
    TurnState,
    Waiting,
    no_check,
)
from conducto_core.run.model.records import (
    AttemptRecord,
    NodeChange,
    ParentAttempt,
    PipelineRecord,
)


@dataclass(slots=True)
class _Kept:
    org: str
    record: PipelineRecord
    definition: bytes
    recorded: int = 0
    open: bool = False
    asks: bool = False
    journal: list[Entry] = field(default_factory=list)
    turn: Turn = field(default_factory=Turn)
    waiting: dict[str, str] = field(default_factory=dict)
    trees: dict[str, bytes] = field(default_factory=dict)
    attempts: dict[tuple[str, int], AttemptRecord] = field(default_factory=dict)
    changes: list[NodeChange] = field(default_factory=list)
    snapshot: tuple[int, str] | None = None
    seen: dict[str, float] = field(default_factory=dict)
    outgoing: dict[int, Outgoing] = field(default_factory=dict)


class FakeStore:
    """A thread-safe `Store` in memory."""

    def __init__(self, orgs: FakeOrgs) -> None:
        self._orgs = orgs
        self._kept: dict[str, _Kept] = {}
        self._children: dict[ParentAttempt, int] = {}
        self._lock = RLock()

    def create(self, record: CloudRecord, definition: bytes) -> None:
        with self._lock:
            if record.record.id in self._kept:
                raise ConflictError(record.record.id)
            self._kept[record.record.id] = _Kept(record.org, record.record, definition)

    def record(self, org: str, pipeline_id: str) -> PipelineRecord | None:
        kept = self._kept.get(pipeline_id)
        return None if kept is None or kept.org != org else kept.record

    def records(
        self, org: str, *, after: str | None = None, limit: int = 100
    ) -> tuple[tuple[PipelineRecord, ...], str | None]:
        mine = [kept.record for kept in self._kept.values() if kept.org == org]
        mine.sort(key=_place, reverse=True)
        rest = [r for r in mine if after is None or _place(r) < after]
        page = tuple(rest[:limit])
        return page, _place(page[-1]) if len(rest) > limit else None

    def open_pipelines(self) -> Iterator[tuple[str, str]]:
        yield from [(kept.org, i) for i, kept in list(self._kept.items()) if kept.open]

    def asking_pipelines(self, org: str) -> Iterator[PipelineRecord]:
        kept = list(self._kept.values())
        yield from [one.record for one in kept if one.asks and one.org == org]

    def resting_pipelines(self) -> Iterator[tuple[str, str]]:
        yield from [(kept.org, i) for i, kept in list(self._kept.items()) if not kept.open]

    def count_active(self, org: str, maximum: int) -> int:
        mine = [kept for kept in list(self._kept.values()) if kept.org == org and kept.open]
        return min(maximum, sum(not kept.record.status.settled for kept in mine))

    def count_child(self, parent: ParentAttempt) -> int:
        with self._lock:
            self._children[parent] = before = self._children.get(parent, 0) + 1
            return before - 1

    def object_bytes(self, pipeline_id: str) -> int:
        return len(self._kept[pipeline_id].definition)

    def forget(self, pipeline_id: str, check: Callable[[], None] = no_check) -> None:
        check()
        with self._lock:
            kept = self._kept.pop(pipeline_id, None)
            if kept is not None:
                self._orgs.set_share(kept.org, pipeline_id, Share())

    def org_of(self, pipeline_id: str) -> str | None:
        kept = self._kept.get(pipeline_id)
        return None if kept is None else kept.org

    def definition(self, pipeline_id: str) -> bytes:
        return self._kept[pipeline_id].definition

    def keep_tree(self, pipeline_id: str, data: bytes) -> str:
        key = sha256(data).hexdigest()
        self._kept[pipeline_id].trees[key] = data
        return key

    def tree(self, pipeline_id: str, key: str, kind: TreeKind = "tree") -> bytes:
        return self._kept[pipeline_id].trees[key]

    def commit(self, org: str, pipeline_id: str, entry: Entry) -> None:
        json.dumps(entry.input)  # the real store accepts JSON only
        if len({(a.path, a.number) for a in entry.attempts}) < len(entry.attempts):
            raise ValueError(f"{pipeline_id}: an attempt twice in one transaction")
        with self._lock:
            kept = self._kept[pipeline_id]
            if kept.org != org:
                raise ConflictError(f"{pipeline_id} is of another org")
            if entry.number != len(kept.journal) + 1:
                raise ConflictError(f"{pipeline_id} has {len(kept.journal)} entries")
            if entry.turn not in (None, kept.turn.version):
                raise ConflictError(f"{pipeline_id}: the turn is over")
            self._orgs.count(org, entry.workers, entry.reserved, admits=entry.admits)
            if entry.share is not None:
                self._orgs.set_share(org, pipeline_id, entry.share)
            kept.journal.append(entry)
            kept.changes += [NodeChange.model_validate_json(row.json()) for row in entry.changes]
            kept.attempts.update({(a.path, a.number): a for a in entry.attempts})
            if entry.notifications:
                new_notifications = tuple(entry.notifications)
                kept.outgoing[entry.number] = Outgoing(
                    entry.number, 1, new_notifications[0].created, new_notifications
                )
            if entry.listed:
                kept.open, kept.asks = entry.open, entry.open and entry.asks
                kept.record, kept.recorded = entry.record or kept.record, entry.number

    def put_record(self, org: str, record: PipelineRecord, entry: int) -> bool:
        with self._lock:
            kept = self._kept.get(record.id)
            if kept is None or kept.org != org or kept.recorded >= entry:
                return False
            kept.record, kept.recorded = record, entry
            return True

    def news(self, pipeline_id: str, after: int) -> News:
        with self._lock:
            kept = self._kept.get(pipeline_id)
            return News([], Turn()) if kept is None else News(kept.journal[after:], kept.turn)

    def ends_with(self, pipeline_id: str, number: int) -> bool:
        with self._lock:
            kept = self._kept.get(pipeline_id)
            return kept is not None and len(kept.journal) == number > 0

    def pass_turn(self, pipeline_id: str, before: Turn, state: TurnState) -> Turn:
        with self._lock:
            kept = self._kept[pipeline_id]
            if kept.turn.version != before.version:
                raise ConflictError(f"{pipeline_id}: the turn has changed")
            kept.turn = Turn(before.version + 1, state)
            return kept.turn

    def put_waiting(self, pipeline_id: str, waiting: Waiting) -> None:
        self._kept[pipeline_id].waiting[waiting.id] = json.dumps(waiting.submitted)

    def waiting(self, pipeline_id: str, limit: int) -> Sequence[Waiting]:
        with self._lock:
            found = sorted(self._kept[pipeline_id].waiting.items())
        return [Waiting(id_, json.loads(text)) for id_, text in found[:limit]]

    def drop_waiting(self, pipeline_id: str, ids: Sequence[str]) -> None:
        for each in ids:
            self._kept[pipeline_id].waiting.pop(each, None)

    def snapshot(self, pipeline_id: str) -> Snapshot | None:
        kept = self._kept[pipeline_id].snapshot
        return None if kept is None else Snapshot(kept[0], json.loads(kept[1]))

    def put_snapshot(self, pipeline_id: str, snapshot: Snapshot) -> None:
        kept = self._kept[pipeline_id]
        if kept.snapshot is None or kept.snapshot[0] < snapshot.number:
            kept.snapshot = (snapshot.number, json.dumps(snapshot.state))

    def attempts(self, pipeline_id: str, path: str | None = None) -> Iterator[AttemptRecord]:
        kept = self._kept[pipeline_id].attempts
        yield from [kept[key] for key in sorted(kept) if path is None or key[0] == path]

    def changes(self, pipeline_id: str, after: int, limit: int) -> Sequence[NodeChange]:
        return self._kept[pipeline_id].changes[after : after + limit]

    def outgoing(self, pipeline_id: str) -> Iterator[Outgoing]:
        yield from list(self._kept[pipeline_id].outgoing.values())

    def put_outgoing(self, org: str, pipeline_id: str, outgoing: Outgoing) -> None:
        with self._lock:
            kept = self._kept[pipeline_id]
            before = kept.outgoing.get(outgoing.entry)
            if kept.org != org or before is None or before.version != outgoing.version - 1:
                raise ConflictError(f"{pipeline_id}: notifications of entry {outgoing.entry}")
            kept.outgoing[outgoing.entry] = outgoing

    def outgoing_due(self, now: float) -> Iterator[tuple[str, str]]:
        yield from [
            (kept.org, pipeline_id)
            for pipeline_id, kept in list(self._kept.items())
            if any(one.due is not None and one.due <= now for one in kept.outgoing.values())
        ]

    def note_worker(self, pipeline_id: str, worker_id: str, time: float) -> None:
        self._kept[pipeline_id].seen[worker_id] = time

    def workers_seen(self, pipeline_id: str) -> Mapping[str, float]:
        return dict(self._kept[pipeline_id].seen)


def _place(record: PipelineRecord) -> str:
    return f"{record.created:020.6f}#{record.id}"
