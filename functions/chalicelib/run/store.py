"""Pipelines and their journals in DynamoDB; values that are too large for an item are in S3.

An entry is one transaction: the entry with its state changes, which must not exist yet, and its
related items. If it has more attempts than a transaction can hold, they are written to one item in
the transaction, and separately afterwards; if that is interrupted, the next reader of attempts
completes it.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from heapq import merge
from itertools import islice
from operator import itemgetter
from typing import Any

from chalicelib.aws import table_keys
from chalicelib.aws.dynamodb import (
    MAX_TRANSACTION,
    NEW,
    Condition,
    DynamoTable,
    Item,
    Update,
    Value,
    compress,
    decompress,
)
from chalicelib.aws.errors import TransactionCancelledError
from chalicelib.aws.table_keys import Key
from chalicelib.errors import ConflictError, PlanLimitError, ThrottledError
from chalicelib.people.store.organisations import TableOrgs
from chalicelib.run import items
from chalicelib.run.items import TURN_SECONDS, JournalItems
from chalicelib.run.port import (
    Blobs,
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
from chalicelib.run.rules.snapshots import ATTRIBUTE, Kind
from conducto_core.installation.names import (
    BY_ORG,
    OPEN,
    PARTITION_KEY,
    STATE_PREFIX,
    TREE_PREFIX,
)
from conducto_core.notifications.model import NotificationRecord
from conducto_core.run.model.records import (
    AttemptRecord,
    NodeChange,
    ParentAttempt,
    PipelineRecord,
)
from conducto_core.tree.model import pack_form, unpack_form

#: Maximum number of attempts in an entry's transaction, which also has the entry, the record, the
#: organisation, the share, notifications, the turn and the spilled attempts.
MAX_ATTEMPTS = MAX_TRANSACTION - 7
#: Number of the latest entries that are read first to find a change, and the last such number; then
#: a binary search is faster.
_LATEST, _MANY = 4, 64
#: Maximum bytes of attempts in a transaction, which is limited to 4 MB.
MAX_BYTES = 2 << 20
#: Number of records that are read at once.
RECORDS_PAGE = 200
#: Seconds after which a worker's heartbeat expires.
WORKER_SECONDS = 7 * 86_400
#: Seconds after which the number of pipelines that an attempt has launched expires.
CHILD_SECONDS = 400 * 86_400
#: Number above those of all entries.
_LAST_ENTRY = 10**12 - 1
_LATER = frozenset({"ThrottlingError", "ProvisionedThroughputExceeded"})


@dataclass(frozen=True, slots=True)
class _Part:
    """An operation of a transaction, and the error if its condition fails."""

    operation: Mapping[str, Any]
    refusal: Exception


class JournalStore:
    """Pipelines and their journals (DynamoDB; large values in S3)."""

    def __init__(self, table: DynamoTable, bucket: Blobs, orgs: TableOrgs) -> None:
        self._table = table
        self._bucket = bucket
        self._items = JournalItems(table, bucket)
        self._orgs = orgs

    def create(self, record: CloudRecord, definition: bytes) -> None:
        """Store a new pipeline. Raises `ConflictError` if the id is taken."""
        pipeline_id = record.record.id
        key = self.keep_tree(pipeline_id, definition)
        item = {
            **items.record_item(record.org, record.record),
            **items.listed(record.org, pipeline_id, open_=False),
            "definition": key,
        }
        self._table.put_where(table_keys.record(pipeline_id), item)

    def record(self, org: str, pipeline_id: str) -> PipelineRecord | None:
        """Return a pipeline's record, or None if it belongs to another organisation."""
        item = self._table.get(table_keys.record(pipeline_id))
        if item is None or item["org"] != org:
            return None
        return items.read_record(item)

    def records(
        self, org: str, *, after: str | None = None, limit: int = 100
    ) -> tuple[tuple[PipelineRecord, ...], str | None]:
        """Return a page of an organisation's pipelines, newest first, and the next ``after``."""
        found: list[PipelineRecord] = []
        partition = items.org_key(org)
        place = None if after is None else items.place_after(partition, after)
        for _, item in self._table.index(BY_ORG, partition, after=place):
            if len(found) == limit:
                return tuple(found), items.created_key(found[-1])
            found.append(items.read_record(item))
        return tuple(found), None

    def open_pipelines(self) -> Iterator[tuple[str, str]]:
        """Yield ``(org, pipeline id)`` of all pipelines whose latest entry is ``open``."""
        yield from self._listed_in(items.LISTED_OPEN)

    def asking_pipelines(self, org: str) -> Iterator[PipelineRecord]:
        """Yield an organisation's pipelines whose latest entry `asks`."""
        begin = f"{org}#{items.ASKS}"
        for _, item in self._table.index(OPEN, items.LISTED_OPEN, begins=begin):
            record = self.record(org, str(item[OPEN.sort_key]).removeprefix(begin))
            if record is not None:
                yield record

    def resting_pipelines(self) -> Iterator[tuple[str, str]]:
        """Yield ``(org, pipeline id)`` of all other pipelines."""
        yield from self._listed_in(items.RESTING)

    def _listed_in(self, partition: str) -> Iterator[tuple[str, str]]:
        for _, item in self._table.index(OPEN, partition):
            org, _, pipeline_id = str(item[OPEN.sort_key]).partition("#")
            yield org, pipeline_id.lstrip(items.ASKS + items.SETTLED)

    def count_active(self, org: str, maximum: int) -> int:
        """Return the number of an organisation's pipelines that are not settled, up to a maximum.

        The latest changes may be missing.
        """
        begin = f"{org}#"
        places = (
            item[OPEN.sort_key]
            for _, item in self._table.index(OPEN, items.LISTED_OPEN, begins=begin)
        )
        active = (1 for place in places if not str(place).startswith(begin + items.SETTLED))
        return sum(islice(active, maximum))

    def count_child(self, parent: ParentAttempt) -> int:
        """Count a pipeline that an attempt launches; return the number of those before."""
        key = table_keys.children(parent.pipeline, parent.path, parent.attempt)
        expires: Item = {"expires": int(time.time()) + CHILD_SECONDS}
        return self._table.count(Update(key, set=expires, add={"launched": 1}), "launched") - 1

    def object_bytes(self, pipeline_id: str) -> int:
        """Return the size of a pipeline's definitions and states in the bucket."""
        prefixes = (TREE_PREFIX, STATE_PREFIX)
        return sum(self._bucket.bytes_below(f"{prefix}{pipeline_id}/") for prefix in prefixes)

    def forget(self, pipeline_id: str, check: Callable[[], None] = no_check) -> None:
        """Delete all data of a pipeline, its record last; a missing pipeline is not an error.

        It can no longer be loaded from the first step on. ``check`` is called between the steps and
        may raise an error; the next call continues.

        Raises:
            ThrottledError: Another request writes the record.
        """
        for prefix in (TREE_PREFIX, STATE_PREFIX):
            self._bucket.delete_below(f"{prefix}{pipeline_id}/")
            check()
        record = table_keys.record(pipeline_id)
        org = self.org_of(pipeline_id)
        if org is not None:
            self._table.delete(table_keys.share(org, pipeline_id))
        found = [
            Key(partition, sort)
            for partition in (
                table_keys.waiting(pipeline_id, "").partition,
                *self._partitions_of_attempts(pipeline_id),
                record.partition,
            )
            for sort, _ in self._table.range(partition, "!", table_keys.LAST)
        ]
        # Both at once: a repeated deletion must not charge storage a second time.
        last = (record, table_keys.measured(pipeline_id))
        self._table.delete_all([key for key in found if key not in last], check)
        try:
            self._table.transact([self._table.delete_operation(key) for key in last])
        except TransactionCancelledError as error:
            raise ThrottledError(f"DynamoDB throttled the deletion: {error}") from error

    def org_of(self, pipeline_id: str) -> str | None:
        """Return a pipeline's organisation, for AWS events that do not name it."""
        item = self._table.get(table_keys.record(pipeline_id))
        return None if item is None else str(item["org"])

    def definition(self, pipeline_id: str) -> bytes:
        """Return the definition that `create` stored; raises `LookupError`."""
        item = self._table.get(table_keys.record(pipeline_id))
        if item is None:
            raise LookupError(f"no pipeline {pipeline_id}")
        return self._form("definition", pipeline_id, str(item["definition"]))

    def keep_tree(self, pipeline_id: str, data: bytes) -> str:
        """Store a generated tree and return its key; equal bytes have the same key."""
        key = f"{self._table.schema.number}-{sha256(data).hexdigest()}"
        self._bucket.put(items.tree_key(pipeline_id, key), compress(data))
        return key

    def tree(self, pipeline_id: str, key: str, kind: TreeKind = "tree") -> bytes:
        """Return a generated tree, or a definition or plan that `keep_tree` stored."""
        return self._form(kind, pipeline_id, key)

    def _form(self, kind: Kind, pipeline_id: str, key: str) -> bytes:
        written = int(key.partition("-")[0])
        schema = self._table.schema
        older = schema.is_older(kind, written)
        data = decompress(self._items.object(items.tree_key(pipeline_id, key)))
        return pack_form(schema.body(kind, written, unpack_form(data))) if older else data

    def commit(self, org: str, pipeline_id: str, entry: Entry) -> None:
        """Write an entry and the related records in one transaction.

        Raises:
            ConflictError: An entry with that number exists, or ``entry.turn`` is over.
            LookupError: The organisation has no such pipeline.
            PlanLimitError: ``entry.workers``, or ``entry.reserved`` of an entry that `admits`,
                exceeds the organisation's plan.
            ThrottledError: Retry later.
        """
        parts = [self._entry_part(pipeline_id, entry)]
        if entry.listed or entry.turn is None:  # a turn ends with its pipeline
            parts.append(self._record_part(org, pipeline_id, entry))
        if entry.workers or entry.reserved:
            parts.append(self._workers_part(org, entry))
        if entry.share is not None:
            operation = self._orgs.share_operation(org, pipeline_id, entry.share)
            parts.append(_Part(operation, ConflictError(f"the share of {pipeline_id}")))
        if entry.notifications:
            parts.append(self._outgoing_part(org, pipeline_id, entry))
        if entry.turn is not None:
            parts.append(self._turn_part(pipeline_id, entry, entry.turn))
        written = [self._attempt_part(pipeline_id, a, entry.number) for a in entry.attempts]
        many = len(written) > MAX_ATTEMPTS or sum(size for size, _ in written) > MAX_BYTES
        if many:
            parts.append(self._spill_part(pipeline_id, entry))
        else:
            parts += [part for _, part in written]
        self._transact(parts)
        if many:
            self._spread(pipeline_id, entry.number, entry.attempts)

    def _attempt_part(
        self, pipeline_id: str, attempt: AttemptRecord, number: int
    ) -> tuple[int, _Part]:
        item = self._items.attempt(pipeline_id, attempt, number)
        data = item.get("data", b"")
        size = len(data) if isinstance(data, bytes) else 0
        return size, self._put(table_keys.attempt(pipeline_id, attempt.path, attempt.number), item)

    def _spill_part(self, pipeline_id: str, entry: Entry) -> _Part:
        text = "\n".join(attempt.model_dump_json() for attempt in entry.attempts)
        item = self._items.store(pipeline_id, f"X{entry.number}", compress(text.encode()))
        return self._put(table_keys.spilled(pipeline_id, entry.number), item)

    def _entry_part(self, pipeline_id: str, entry: Entry) -> _Part:
        key = table_keys.entry(pipeline_id, entry.number)
        refusal = ConflictError(f"pipeline {pipeline_id} already has an entry {entry.number}")
        return _Part(
            self._table.put_operation(key, self._items.entry(pipeline_id, entry), new=True), refusal
        )

    def _turn_part(self, pipeline_id: str, entry: Entry, version: int) -> _Part:
        """Return the check of the turn, or its end, which costs as much."""
        key, refusal = table_keys.turn(pipeline_id), f"the turn of pipeline {pipeline_id} is over"
        where, values = "version = :mine", {":mine": version}
        if entry.opens:
            item = {**items.turn_item(Turn(version + 1, TurnState.OPEN)), "entry": entry.number}
            update = Update(key, set=item, where=where, values=values)
            return _Part(self._table.update_operation(update), ConflictError(refusal))
        operation = self._table.check_operation(key, Condition(where, values))
        return _Part(operation, ConflictError(refusal))

    def _record_part(self, org: str, pipeline_id: str, entry: Entry) -> _Part:
        """Return the write of the record, or the check that it is not deleted."""
        refusal = LookupError(f"org {org} has no pipeline {pipeline_id}")
        key = table_keys.record(pipeline_id)
        owner: Item = {":owner": org}
        if not entry.listed:
            known = {**owner, ":schema": self._table.schema.number}
            condition = Condition(f"org = :owner AND {ATTRIBUTE} <= :schema", known)
            return _Part(self._table.check_operation(key, condition), refusal)
        item = {} if entry.record is None else items.record_item(org, entry.record)
        settled = entry.record is not None and entry.record.status.settled
        item |= items.listed(org, pipeline_id, open_=entry.open, asks=entry.asks, settled=settled)
        item["entry"] = entry.number
        update = Update(key, set=item, where="org = :owner", values=owner)
        return _Part(self._table.update_operation(update), refusal)

    def put_record(self, org: str, record: PipelineRecord, entry: int) -> bool:
        """Write a pipeline's record as of an entry; return False if a newer one is written."""
        key, item = table_keys.record(record.id), items.record_item(org, record)
        where = "org = :owner AND (attribute_not_exists(entry) OR entry < :entry)"
        values: Item = {":owner": org}
        return self._table.update_if(
            Update(key, set={**item, "entry": entry}, where=where, values=values)
        )

    def _outgoing_part(self, org: str, pipeline_id: str, entry: Entry) -> _Part:
        new_notifications = tuple(entry.notifications)
        outgoing = Outgoing(entry.number, 1, new_notifications[0].created, new_notifications)
        item = self._items.outgoing(org, pipeline_id, outgoing)
        return self._put(table_keys.outgoing(pipeline_id, entry.number), item)

    def _workers_part(self, org: str, entry: Entry) -> _Part:
        update, wait = self._orgs.reservation(
            org, entry.workers, entry.reserved, admits=entry.admits
        )
        return _Part(self._table.update_operation(update), PlanLimitError(wait))

    def _put(self, key: Key, item: Item) -> _Part:
        return _Part(self._table.put_operation(key, item), ConflictError(str(key)))

    def _transact(self, parts: Sequence[_Part]) -> None:
        try:
            self._table.transact([part.operation for part in parts])
        except TransactionCancelledError as error:
            raise _refusal(parts, error.reasons) from error

    def _spread(self, pipeline_id: str, number: int, attempts: Sequence[AttemptRecord]) -> None:
        """Write the attempts of an entry separately; repeating this changes nothing."""
        for attempt in attempts:
            key = table_keys.attempt(pipeline_id, attempt.path, attempt.number)
            item = self._items.attempt(pipeline_id, attempt, number)
            # Unless the attempt has changed since.
            self._table.put_if(key, item, f"{NEW} OR entry < :n", {":n": number})
        self._table.delete(table_keys.spilled(pipeline_id, number))

    def _finish_spreading(self, pipeline_id: str) -> None:
        for sort, item in self._below(pipeline_id, "X#"):
            lines = self._items.lines("spilled", item)
            attempts = [AttemptRecord.model_validate_json(line) for line in lines]
            self._spread(pipeline_id, int(sort.removeprefix("X#")), attempts)

    def news(self, pipeline_id: str, after: int) -> News:
        """Return the entries after number ``after`` up to the first gap, and the turn.

        Only ``number`` and ``input`` of entries are set.

        A query is not a snapshot: it may return a later entry and miss an earlier one.
        """
        low, high = table_keys.entry(pipeline_id, after + 1), table_keys.turn(pipeline_id)
        entries: list[Entry] = []
        turn = Turn()
        for sort, item in self._table.range(low.partition, low.sort, high.sort):
            if sort == high.sort:
                state = TurnState(str(item["state"]))
                turn = Turn(int(item["version"]), state, int(item.get("entry", 0)))
            elif int(sort.removeprefix("E#")) == after + len(entries) + 1:
                entries.append(Entry(after + len(entries) + 1, self._items.input(item)))
        return News(entries, turn)

    def ends_with(self, pipeline_id: str, number: int) -> bool:
        """Return whether this is the number of the newest entry, without reading its input."""
        low, high = table_keys.entry(pipeline_id, number), table_keys.turn(pipeline_id)
        found = self._table.range(low.partition, low.sort, high.sort)
        return [sort for sort, _ in found if sort != high.sort] == [low.sort]

    def pass_turn(self, pipeline_id: str, before: Turn, state: TurnState) -> Turn:
        """Change the state of the turn; return the new turn.

        Raises:
            ConflictError: The turn has changed since ``before`` was read, or the first turn of the
                pipeline was to be taken after its deletion.
        """
        after = Turn(before.version + 1, state)
        item, key = items.turn_item(after), table_keys.turn(pipeline_id)
        if before.version:
            self._table.put_where(key, item, "version = :before", {":before": before.version})
            return after
        there = Condition(f"attribute_exists({PARTITION_KEY})")
        record = self._table.check_operation(table_keys.record(pipeline_id), there)
        refusal = ConflictError(f"the turn of pipeline {pipeline_id} was taken, or it was deleted")
        turn = self._table.put_operation(key, item, new=True)
        self._transact([_Part(turn, refusal), _Part(record, refusal)])
        return after

    def put_waiting(self, pipeline_id: str, waiting: Waiting) -> None:
        """Let an input wait for an entry."""
        data = compress(json.dumps(waiting.submitted, separators=(",", ":")).encode())
        item = self._items.store(pipeline_id, f"W{waiting.id}", data)
        item["expires"] = int(time.time()) + TURN_SECONDS
        self._table.put(table_keys.waiting(pipeline_id, waiting.id), item)

    def waiting(self, pipeline_id: str, limit: int) -> Sequence[Waiting]:
        """Return the first waiting inputs by id (a consistent read)."""
        low = table_keys.waiting(pipeline_id, "!")
        found = self._table.range(low.partition, low.sort, table_keys.LAST, limit=limit)
        return [
            Waiting(sort, json.loads(self._items.body("waiting", item))) for sort, item in found
        ]

    def drop_waiting(self, pipeline_id: str, ids: Sequence[str]) -> None:
        """Delete waiting inputs; missing ones are not an error."""
        self._table.delete_all([table_keys.waiting(pipeline_id, each) for each in ids])

    def snapshot(self, pipeline_id: str) -> Snapshot | None:
        """Return the latest snapshot."""
        item = self._table.get(table_keys.snapshot(pipeline_id))
        if item is None:
            return None
        return Snapshot(int(item["number"]), json.loads(self._items.body("snapshot", item)))

    def put_snapshot(self, pipeline_id: str, snapshot: Snapshot) -> None:
        """Store a snapshot unless a newer one exists."""
        data = compress(json.dumps(snapshot.state, separators=(",", ":")).encode())
        item = self._items.store(pipeline_id, f"S{snapshot.number}", data)
        item["number"] = snapshot.number
        key = table_keys.snapshot(pipeline_id)
        before = self._table.get(key)
        where = f"{NEW} OR #number < :number"
        stored = self._table.put_if(key, item, where, {":number": snapshot.number})
        if stored and before is not None and "object" in before:
            self._bucket.delete(str(before["object"]))

    def attempts(self, pipeline_id: str, path: str | None = None) -> Iterator[AttemptRecord]:
        """Yield attempts of a node, or of all nodes, by path and number."""
        self._finish_spreading(pipeline_id)
        if path is None:
            parts = [
                self._table.range(partition, "!", table_keys.LAST)
                for partition in self._partitions_of_attempts(pipeline_id)
            ]
            found: Iterator[tuple[str, Item]] = merge(*parts, key=itemgetter(0))
        else:
            first = table_keys.attempt(pipeline_id, path, 0)
            found = self._table.below(Key(first.partition, table_keys.attempts_of(path)))
        for _, item in found:
            yield AttemptRecord.model_validate_json(self._items.body("attempt", item))

    def _partitions_of_attempts(self, pipeline_id: str) -> list[str]:
        return [table_keys.attempts(pipeline_id, part) for part in range(table_keys.PARTS)]

    def changes(self, pipeline_id: str, after: int, limit: int) -> Sequence[NodeChange]:
        """Return the changes numbered above ``after``, in order."""
        found: list[NodeChange] = []
        for item in self._entries_with_changes(pipeline_id, after):
            rows = (
                self._items.upgraded("changes", item, line) for line in self._items.rows(item)[1:]
            )
            batch = map(NodeChange.model_validate_json, rows)
            found += [change for change in batch if change.seq > after]
            if len(found) >= limit:
                break
        return found[:limit]

    def _entries_with_changes(self, pipeline_id: str, after: int) -> Iterator[Item]:
        """Yield the entries from that with the first change above ``after`` on."""
        low, high = table_keys.entry(pipeline_id, 1), table_keys.entry(pipeline_id, _LAST_ENTRY)
        number, first = _LATEST, 1
        while True:
            newest = self._table.range(
                low.partition, low.sort, high.sort, reverse=True, limit=number
            )
            latest = list(newest)
            known = [int(item["last"]) <= after for _, item in latest]
            if any(known) or len(latest) < number:
                yield from (item for _, item in reversed(latest[: _first(known)]))
                return
            first = int(latest[-1][0].removeprefix("E#"))
            if number >= _MANY:
                break
            number *= _LATEST
        first = self._first_above(pipeline_id, after, first)
        for _, item in self._table.range(
            low.partition, table_keys.entry(pipeline_id, first).sort, high.sort, page=_MANY
        ):
            yield item

    def _first_above(self, pipeline_id: str, after: int, highest: int) -> int:
        """Return the number of the first entry with a change above ``after``, at most `highest`."""
        lowest = 1
        while lowest < highest:
            middle = (lowest + highest) // 2
            item = self._table.get(table_keys.entry(pipeline_id, middle))
            if item is None:  # the pipeline is being deleted
                return highest
            lowest, highest = (
                (middle + 1, highest) if int(item["last"]) <= after else (lowest, middle)
            )
        return lowest

    def outgoing(self, pipeline_id: str) -> Iterator[Outgoing]:
        """Yield the notifications of a pipeline, sent or not, by entry (consistent reads)."""
        for sort, item in self._below(pipeline_id, "M#"):
            lines = self._items.lines("outgoing", item)
            yield Outgoing(
                entry=int(sort.removeprefix("M#")),
                version=int(item["version"]),
                due=float(item["due"]) if "due" in item else None,
                notifications=tuple(map(NotificationRecord.model_validate_json, lines)),
            )

    def put_outgoing(self, org: str, pipeline_id: str, outgoing: Outgoing) -> None:
        """Write the delivery status of notifications.

        Raises:
            ConflictError: The stored version is not the preceding one: another process has written.
        """
        self._table.put_where(
            table_keys.outgoing(pipeline_id, outgoing.entry),
            self._items.outgoing(org, pipeline_id, outgoing),
            "version = :before",
            {":before": outgoing.version - 1},
        )

    def outgoing_due(self, now: float) -> Iterator[tuple[str, str]]:
        """Yield each ``(org, pipeline id)`` with due notifications once, the earliest first.

        So the status of a commit that two pipelines report is that of the later one. Notifications
        written in the last seconds may be missing.
        """
        latest = items.sortable_time(now)
        found: dict[tuple[str, str], str] = {}
        for _, item in self._table.index(OPEN, items.DUE):
            moment, org, pipeline_id, _ = str(item[OPEN.sort_key]).split("#")
            if moment <= latest:
                found[org, pipeline_id] = min(moment, found.get((org, pipeline_id), moment))
        yield from sorted(found, key=lambda each: found[each])

    def note_worker(self, pipeline_id: str, worker_id: str, time: float) -> None:
        """Record the time of a worker's launch or heartbeat, outside of the journal.

        ``worker_id`` may also be `chalicelib.run.rules.deferred.EXECUTOR`.
        """
        item: Item = {"time": time, "expires": int(time) + WORKER_SECONDS}
        self._table.put(table_keys.worker(pipeline_id, worker_id), item)

    def workers_seen(self, pipeline_id: str) -> Mapping[str, float]:
        """Return ``{worker id: time of its launch or last heartbeat}``."""
        return {
            sort.removeprefix("W#"): float(item["time"])
            for sort, item in self._below(pipeline_id, "W#")
        }

    def _below(self, pipeline_id: str, prefix: str) -> Iterator[tuple[str, dict[str, Value]]]:
        return self._table.range(table_keys.pipeline(pipeline_id), prefix, prefix + table_keys.LAST)


def _refusal(parts: Sequence[_Part], reasons: Sequence[str]) -> Exception:
    """Return the error for a cancelled transaction; conflicts take precedence over the plan."""
    failed = [
        part.refusal
        for part, reason in zip(parts, reasons, strict=True)
        if reason == "ConditionalCheckFailed"
    ]
    if failed:
        return failed[0]
    if _LATER & set(reasons):
        return ThrottledError("DynamoDB throttled the write")
    if "TransactionConflict" in reasons:
        return ConflictError("another transaction is writing the same items")
    return RuntimeError(f"the transaction was rejected: {', '.join(reasons)}")


def _first(known: Sequence[bool]) -> int:
    """Return the place of the first True, or the length."""
    return known.index(True) if True in known else len(known)


def all_records(store: JournalStore, org: str) -> Iterator[PipelineRecord]:
    """Yield the records of an organisation's pipelines, page by page."""
    after: str | None = None
    while True:
        page, after = store.records(org, after=after, limit=RECORDS_PAGE)
        yield from page
        if after is None:
            return
