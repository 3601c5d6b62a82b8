"""The items of pipelines in the table: their values, and their places in its indexes.

A value that is too large for an item is in S3.
"""

import json
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from chalicelib.aws import table_keys
from chalicelib.aws.dynamodb import (
    MAX_INLINE,
    DynamoTable,
    Item,
    Value,
    compress,
    decompress,
)
from chalicelib.run.port import Blobs, Entry, Outgoing, Turn
from chalicelib.run.rules.snapshots import ATTRIBUTE, Kind
from conducto_core.installation.names import (
    BY_ORG,
    OPEN,
    PARTITION_KEY,
    SORT_KEY,
    STATE_PREFIX,
    TREE_PREFIX,
)
from conducto_core.run.model.records import AttemptRecord, ChangeRow, PipelineRecord

#: Partitions of the index of pipelines: each pipeline is in one of them.
LISTED_OPEN = "open"
RESTING = "resting"
#: Before the id of an open pipeline in which an approval waits: they can be read without the rest.
ASKS = "?"
#: The same for one that is settled and still has workers.
SETTLED = "~"
#: Partition of the same index with pending notifications, sorted by due time.
DUE = "due"
#: Seconds after which waiting inputs and the turn expire: they may be written after a deletion.
TURN_SECONDS = 86_400


class JournalItems:
    """The values of items: compressed, inline or in the bucket, upgraded when they are read."""

    def __init__(self, table: DynamoTable, bucket: Blobs) -> None:
        self._table = table
        self._bucket = bucket

    def store(self, pipeline_id: str, name: str, data: bytes) -> dict[str, Value]:
        """Return attributes with ``data``; the object of a failed write is never read."""
        if len(data) <= MAX_INLINE:
            return {"data": data}
        key = f"{STATE_PREFIX}{pipeline_id}/{name}-{sha256(data).hexdigest()}"
        self._bucket.put(key, data)
        return {"object": key}

    def entry(self, pipeline_id: str, entry: Entry) -> Item:
        lines = [
            json.dumps(entry.input, separators=(",", ":")),
            *map(ChangeRow.json, entry.changes),
        ]
        item = self.store(pipeline_id, f"E{entry.number}", compress("\n".join(lines).encode()))
        last = entry.changes[-1].seq if entry.changes else entry.seq
        return {**item, "last": last}

    def attempt(self, pipeline_id: str, attempt: AttemptRecord, number: int) -> Item:
        data = compress(attempt.model_dump_json().encode())
        return {**self.store(pipeline_id, f"A{number}", data), "entry": number}

    def outgoing(self, org: str, pipeline_id: str, outgoing: Outgoing) -> Item:
        text = "\n".join(notification.model_dump_json() for notification in outgoing.notifications)
        name = f"M{outgoing.entry}"
        item: dict[str, Value] = self.store(pipeline_id, name, compress(text.encode()))
        item |= {"version": outgoing.version}
        if outgoing.due is not None:
            place = f"{sortable_time(outgoing.due)}#{org}#{pipeline_id}#{outgoing.entry}"
            item |= {"due": outgoing.due, OPEN.partition_key: DUE, OPEN.sort_key: place}
        return item

    def rows(self, item: Item) -> list[bytes]:
        """Return the lines of an entry: the input, and the changes."""
        return decompress(self._data(item)).splitlines()

    def input(self, item: Item) -> Mapping[str, Any]:
        first, *_ = decompress(self._data(item)).split(b"\n", 1)
        found: Mapping[str, Any] = json.loads(self.upgraded("entry", item, first))
        return found

    def body(self, kind: Kind, item: Item) -> bytes:
        return self.upgraded(kind, item, decompress(self._data(item)))

    def lines(self, kind: Kind, item: Item) -> list[bytes]:
        lines = decompress(self._data(item)).splitlines()
        return [self.upgraded(kind, item, line) for line in lines]

    def upgraded(self, kind: Kind, item: Item, document: bytes) -> bytes:
        schema, written = self._table.schema, int(item[ATTRIBUTE])
        if not schema.is_older(kind, written):
            return document
        return json.dumps(schema.body(kind, written, json.loads(document))).encode()

    def _data(self, item: Item) -> bytes:
        data = item.get("data")
        return data if isinstance(data, bytes) else self.object(str(item["object"]))

    def object(self, key: str) -> bytes:
        data = self._bucket.get(key)
        if data is None:
            raise LookupError(f"{key} is not in the bucket")
        return data


def record_item(org: str, record: PipelineRecord) -> dict[str, Value]:
    return {
        "org": org,
        "record": record.model_dump_json(),
        BY_ORG.partition_key: org_key(org),
        BY_ORG.sort_key: created_key(record),
    }


def listed(
    org: str, pipeline_id: str, *, open_: bool, asks: bool = False, settled: bool = True
) -> dict[str, Value]:
    partition = LISTED_OPEN if open_ else RESTING
    mark = (ASKS if asks else SETTLED if settled else "") if open_ else ""
    return {OPEN.partition_key: partition, OPEN.sort_key: f"{org}#{mark}{pipeline_id}"}


def read_record(item: Item) -> PipelineRecord:
    return PipelineRecord.model_validate_json(str(item["record"]))


def org_key(org: str) -> str:
    return f"P#{org}"


def created_key(record: PipelineRecord) -> str:
    return f"{sortable_time(record.created)}#{record.id}"


def sortable_time(time: float) -> str:
    return f"{time:020.6f}"


def place_after(partition: str, after: str) -> Item:
    pipeline_id = after.partition("#")[2]
    key = table_keys.record(pipeline_id)
    return {
        PARTITION_KEY: key.partition,
        SORT_KEY: key.sort,
        BY_ORG.partition_key: partition,
        BY_ORG.sort_key: after,
    }


def tree_key(pipeline_id: str, key: str) -> str:
    return f"{TREE_PREFIX}{pipeline_id}/{key}"


def turn_item(turn: Turn) -> dict[str, Value]:
    expires = int(time.time()) + TURN_SECONDS
    return {"version": turn.version, "state": str(turn.state), "expires": expires}
