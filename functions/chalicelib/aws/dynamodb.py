"""The DynamoDB table: items of strings, numbers and bytes, by partition and sort key.

`chalicelib.aws.table_keys` lists the kinds of items. Every item is written with the number of
its schema. Readers get the attributes in the current schema, and the number with which the item was
written, which still applies to its body (`chalicelib.run.rules.snapshots`). An item is
migrated before it is updated in place.
"""

import random
import re
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple

from chalicelib.aws.clients import Clients
from chalicelib.aws.errors import (
    TransactionCancelledError,
    cancelling,
    client_error,
    code_of,
    replacing,
    throttling,
)
from chalicelib.aws.table_keys import LAST, Key, kind_of
from chalicelib.errors import ConflictError, ThrottledError
from chalicelib.run.rules.snapshots import ATTRIBUTE, SCHEMA, Schema
from conducto_core.installation.names import PARTITION_KEY, SORT_KEY, Index

Value = str | int | float | bytes
Item = Mapping[str, Value]

#: DynamoDB's maximum number of items per transaction.
MAX_TRANSACTION = 100
#: Maximum bytes of an attribute in the table; DynamoDB's limit for a whole item is 400 KB.
MAX_INLINE = 256 * 1024
_BATCH = 25
#: The condition that an item does not exist.
NEW = f"attribute_not_exists({PARTITION_KEY})"
#: The reason for which a condition cancels a transaction, and the error of one operation.
REFUSED = "ConditionalCheckFailed"
_FAILED = f"{REFUSED}Exception"
#: Another transaction is writing the item. This takes some milliseconds, and boto3 does not retry.
_CONFLICT = "TransactionConflictException"
#: Seconds before a write is retried after such a conflict.
_PAUSES = (0.02, 0.05, 0.1, 0.2)
#: Seconds before each repetition of the rest of a batch, which DynamoDB throttled.
_BATCH_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Update(NamedTuple):
    """An update of an item, which creates the item if it does not exist.

    Attributes:
        set: Attributes to set.
        add: Numbers to add.
        remove: Attributes to remove.
        where: Condition, e.g. ``attribute_not_exists(x) OR x <= :room``.
        values: Values of placeholders such as ``:room``.
    """

    key: Key
    set: Item = _NOTHING
    add: Mapping[str, float] = _NOTHING
    remove: Sequence[str] = ()
    where: str = ""
    values: Item = _NOTHING


class Condition(NamedTuple):
    """A condition on the existing item, with the values of its placeholders."""

    where: str = ""
    values: Item = _NOTHING


#: No condition.
ALWAYS = Condition()


class DynamoTable:
    """A DynamoDB table.

    Every method raises `ThrottledError` if DynamoDB throttles, and
    `chalicelib.run.rules.snapshots.OtherVersionError` for an item of a newer schema.

    Attributes:
        schema: The schema for writing and reading.
    """

    def __init__(self, clients: Clients, name: str, schema: Schema = SCHEMA) -> None:
        self._clients = clients
        self._name = name
        self.schema = schema

    def get(self, key: Key) -> dict[str, Value] | None:
        """Return the current item."""
        item = self._raw(key)
        return None if item is None else self._current(key, item)

    def _raw(self, key: Key) -> dict[str, Value] | None:
        response = self._call("get_item", Key=_packed_key(key), ConsistentRead=True)
        return _unpacked(response["Item"]) if "Item" in response else None

    def _current(self, key: Key, item: Item) -> dict[str, Value]:
        return self.schema.item(kind_of(key), item)

    def _whole(self, key: Key, item: Item) -> dict[str, Any]:
        return _packed_key(key) | _packed({**item, ATTRIBUTE: self.schema.number})

    def put(self, key: Key, item: Item) -> None:
        """Write an item, replacing an existing one."""
        self._call("put_item", Item=self._whole(key, item))

    def put_where(
        self,
        key: Key,
        item: Item,
        where: str = NEW,
        values: Item | None = None,
    ) -> None:
        """Write an item if the existing one meets a condition; raises `ConflictError`.

        ``where`` has ``#name`` for attributes with words that DynamoDB reserves.
        """
        options: dict[str, Any] = {}
        if values:
            options["ExpressionAttributeValues"] = _packed(values)
        if names := {found: found[1:] for found in re.findall(r"#\w+", where)}:
            options["ExpressionAttributeNames"] = names
        with _conflicting(key, where):
            self._call(
                "put_item",
                Item=self._whole(key, item),
                ConditionExpression=where,
                **options,
            )

    def put_if(self, key: Key, item: Item, where: str = NEW, values: Item | None = None) -> bool:
        """Write an item as `put_where`; return False if the condition is not met."""
        try:
            self.put_where(key, item, where, values)
        except ConflictError:
            return False
        return True

    def update_if(self, update: Update) -> bool:
        """Update an item; return False if it does not meet ``where``."""
        try:
            self.update(update)
        except ConflictError:
            return False
        return True

    def update(self, update: Update) -> None:
        """Update an item; raises `ConflictError` if it does not meet ``where``."""
        try:
            with _conflicting(update.key, update.where):
                self._call("update_item", **self._update(update))
        except ConflictError:
            if not self._lift(update.key):
                raise
            self.update(update)

    def count(self, update: Update, name: str) -> int:
        """Update an item, and return the new value of a number; raises as `update`."""
        with _conflicting(update.key, update.where):
            found = self._call("update_item", **self._update(update), ReturnValues="UPDATED_NEW")
        return int(_unpacked(found["Attributes"])[name])

    def _lift(self, key: Key) -> bool:
        """Migrate an item that can be updated in place; return whether it was outdated.

        Only attributes that the steps change are written: older functions that still run for some
        seconds may change others concurrently.
        """
        item = self._raw(key)
        if item is None:
            return False
        current = self._current(key, item)
        if current[ATTRIBUTE] == self.schema.number:
            return False
        try:
            with _conflicting(key, "its schema"):
                self._call("update_item", **_lifting(key, item, current, self.schema.number))
        except ConflictError:
            return self._lift(key)  # another process was faster
        return True

    def delete(self, key: Key) -> None:
        """Delete an item; a missing one is not an error."""
        self._call("delete_item", Key=_packed_key(key))

    def delete_once(self, key: Key) -> bool:
        """Delete an item; return True for exactly one of concurrent callers."""
        response = self._call("delete_item", Key=_packed_key(key), ReturnValues="ALL_OLD")
        return bool(response.get("Attributes"))

    def delete_all(self, keys: Sequence[Key], check: Callable[[], None] = lambda: None) -> None:
        """Delete many items; ``check`` is called between batches and may raise an error."""
        for start in range(0, len(keys), _BATCH):
            asked = [
                {"DeleteRequest": {"Key": _packed_key(key)}} for key in keys[start : start + _BATCH]
            ]
            pauses = iter(_BATCH_PAUSES)
            while asked:
                response = self._call_plain("batch_write_item", RequestItems={self._name: asked})
                asked = response.get("UnprocessedItems", {}).get(self._name, [])
                if asked:
                    _pause_or_give_up(pauses, f"a batch: {len(asked)} items of {self._name} stay")
            check()

    def transact(self, operations: Sequence[Mapping[str, Any]]) -> None:
        """Execute all operations (`put_operation`, …) or none.

        Raises:
            TransactionCancelledError: A condition failed, or DynamoDB is busy.
        """
        try:
            self._transact(operations)
        except TransactionCancelledError as error:
            if not self._lift_all(operations, error.reasons):
                raise
            self._transact(operations)

    def try_transact(self, operations: Sequence[Mapping[str, Any]]) -> Sequence[str]:
        """Execute all operations or none; return `REFUSED` for those whose condition is not met.

        The result is empty after a success, and has another word for each other operation. A
        conflict with another transaction is tried again.

        Raises:
            ThrottledError: DynamoDB stays busy.
        """
        pauses = iter(_BATCH_PAUSES)
        while True:
            try:
                self.transact(operations)
            except TransactionCancelledError as error:
                if REFUSED in error.reasons:
                    return error.reasons
                busy = str(error)
            else:
                return ()
            _pause_or_give_up(pauses, f"the write: {busy}")

    def _transact(self, operations: Sequence[Mapping[str, Any]]) -> None:
        with cancelling():
            self._call_plain("transact_write_items", TransactItems=list(operations))

    def _lift_all(self, operations: Sequence[Mapping[str, Any]], reasons: Sequence[str]) -> bool:
        refused = [
            operation["Update"]["Key"]
            for operation, reason in zip(operations, reasons, strict=True)
            if reason == REFUSED and "Update" in operation
        ]
        lifted = [self._lift(_key(_unpacked(packed))) for packed in refused]  # all of them
        return any(lifted)

    def put_operation(
        self, key: Key, item: Item, *, new: bool = False, condition: Condition = ALWAYS
    ) -> Mapping[str, Any]:
        """Return an operation that writes an item; ``new``: only if it does not exist."""
        if new:
            condition = Condition(NEW)
        return {"Put": {"Item": self._whole(key, item)} | self._condition(condition)}

    def check_operation(self, key: Key, condition: Condition) -> Mapping[str, Any]:
        """Return an operation that fails unless an item meets a condition."""
        return {"ConditionCheck": {"Key": _packed_key(key)} | self._condition(condition)}

    def _condition(self, condition: Condition) -> dict[str, Any]:
        found: dict[str, Any] = {"TableName": self._name}
        if condition.where:
            found["ConditionExpression"] = condition.where
        if condition.values:
            found["ExpressionAttributeValues"] = _packed(condition.values)
        return found

    def update_operation(self, update: Update) -> Mapping[str, Any]:
        return {"Update": {"TableName": self._name, **self._update(update)}}

    def delete_operation(self, key: Key, *, condition: Condition = ALWAYS) -> Mapping[str, Any]:
        """Return an operation that deletes an item, which may be missing without a condition."""
        return {"Delete": {"Key": _packed_key(key)} | self._condition(condition)}

    def _update(self, update: Update) -> dict[str, Any]:
        changes = {**update.set, ATTRIBUTE: self.schema.number}
        names: dict[str, str] = {}
        values: dict[str, Value] = dict(update.values)
        clauses = []
        for word, sign, given in (("SET", " = ", changes), ("ADD", " ", update.add)):
            parts = []
            for name, value in given.items():
                names[f"#{name}"] = name
                values[f":{name}"] = value
                parts.append(f"#{name}{sign}:{name}")
            if parts:
                clauses.append(f"{word} {', '.join(parts)}")
        if update.remove:
            names |= {f"#{name}": name for name in update.remove}
            clauses.append("REMOVE " + ", ".join(f"#{name}" for name in update.remove))
        # Unchanged attributes must have this schema as well.
        where = f"({NEW} OR {ATTRIBUTE} = :{ATTRIBUTE})"
        return {
            "Key": _packed_key(update.key),
            "UpdateExpression": " ".join(clauses),
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": _packed(values),
            "ConditionExpression": f"({update.where}) AND {where}" if update.where else where,
        }

    def range(
        self,
        partition: str,
        low: str,
        high: str,
        *,
        reverse: bool = False,
        limit: int | None = None,
        page: int | None = None,
    ) -> Iterator[tuple[str, dict[str, Value]]]:
        """Yield ``(sort key, item)`` from ``low`` to ``high``, both included (consistent reads).

        ``limit`` is the maximum number of items, and ``page`` that of each request.
        """
        asked: dict[str, Any] = {
            "KeyConditionExpression": "#p = :p AND #s BETWEEN :low AND :high",
            "ExpressionAttributeNames": {"#p": PARTITION_KEY, "#s": SORT_KEY},
            "ExpressionAttributeValues": _packed({":p": partition, ":low": low, ":high": high}),
            "ScanIndexForward": not reverse,
            "ConsistentRead": True,
        }
        if (page or limit) is not None:
            asked["Limit"] = page or limit
        for item in islice(self._pages(asked), limit):
            yield str(item[SORT_KEY]), self._current(_key(item), item)

    def below(self, prefix: Key) -> Iterator[tuple[str, dict[str, Value]]]:
        """Yield ``(rest of the sort key, item)`` of the items whose keys begin with ``prefix``."""
        for sort, item in self.range(prefix.partition, prefix.sort, prefix.sort + LAST):
            yield sort.removeprefix(prefix.sort), item

    def index(
        self,
        index: Index,
        partition: str,
        *,
        after: Mapping[str, Any] | None = None,
        begins: str = "",
    ) -> Iterator[tuple[Key, dict[str, Value]]]:
        """Yield ``(key, item)`` of an index in descending order, after the key ``after``.

        An index of keys only has no other attributes. ``begins`` selects sort keys by their start.
        """
        asked: dict[str, Any] = {
            "IndexName": index.name,
            "KeyConditionExpression": "#p = :p",
            "ExpressionAttributeNames": {"#p": index.partition_key},
            "ExpressionAttributeValues": _packed({":p": partition}),
            "ScanIndexForward": False,
        }
        if begins:
            asked["KeyConditionExpression"] += " AND begins_with(#s, :s)"
            asked["ExpressionAttributeNames"]["#s"] = index.sort_key
            asked["ExpressionAttributeValues"] |= _packed({":s": begins})
        if after is not None:
            asked["ExclusiveStartKey"] = _packed(after)
        for item in self._pages(asked):
            key = _key(item)
            yield key, item if index.projection == "KEYS_ONLY" else self._current(key, item)

    def _pages(self, asked: dict[str, Any]) -> Iterator[dict[str, Value]]:
        while True:
            response = self._call("query", **asked)
            yield from map(_unpacked, response["Items"])
            if "LastEvaluatedKey" not in response:
                return
            asked = asked | {"ExclusiveStartKey": response["LastEvaluatedKey"]}

    def _call(self, operation: str, **arguments: Any) -> Any:
        return self._call_plain(operation, TableName=self._name, **arguments)

    def _call_plain(self, operation: str, **arguments: Any) -> Any:
        call = getattr(self._clients.get("dynamodb"), operation)
        with throttling():
            for pause in _PAUSES:
                try:
                    return call(**arguments)
                except client_error() as error:
                    if code_of(error) != _CONFLICT:
                        raise
                time.sleep(pause * (0.5 + random.random()))  # noqa: S311  not for secrets
            return call(**arguments)


def _pause_or_give_up(pauses: Iterator[float], message: str) -> None:
    pause = next(pauses, None)
    if pause is None:
        raise ThrottledError(f"DynamoDB throttled {message}")
    time.sleep(pause * (0.5 + random.random()))  # noqa: S311  not for secrets


def _conflicting(key: Key, where: str) -> AbstractContextManager[None]:
    return replacing({_FAILED}, ConflictError(f"{key.partition} {key.sort}: {where}"))


def compress(data: bytes) -> bytes:
    """Return ``data`` compressed for storage."""
    return zlib.compress(data)


def decompress(data: Value) -> bytes:
    """Return the original of compressed data."""
    if not isinstance(data, bytes):
        raise TypeError(f"bytes were expected, not {type(data).__name__}")
    return zlib.decompress(data)


def _lifting(key: Key, item: Item, current: Item, number: int) -> dict[str, Any]:
    """Return the update from ``item`` to ``current``, on condition that ``item`` is unchanged."""
    names: dict[str, str] = {}
    values: dict[str, Value] = {":number": number}
    sets, removes, conditions = [f"{ATTRIBUTE} = :number"], [], [f"attribute_exists({SORT_KEY})"]
    for place, name in enumerate(sorted(item.keys() | current.keys())):
        old, new = item.get(name), current.get(name)
        if name != ATTRIBUTE and old == new:
            continue
        names[f"#n{place}"] = name
        if old is None:
            conditions.append(f"attribute_not_exists(#n{place})")
        else:
            conditions.append(f"#n{place} = :old{place}")
            values[f":old{place}"] = old
        if name == ATTRIBUTE:
            continue
        if new is None:
            removes.append(f"#n{place}")
        else:
            sets.append(f"#n{place} = :new{place}")
            values[f":new{place}"] = new
    removed = f" REMOVE {', '.join(removes)}" if removes else ""
    return {
        "Key": _packed_key(key),
        "UpdateExpression": f"SET {', '.join(sets)}{removed}",
        "ConditionExpression": " AND ".join(conditions),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": _packed(values),
    }


def _key(item: Item) -> Key:
    return Key(str(item[PARTITION_KEY]), str(item[SORT_KEY]))


def _packed_key(key: Key) -> dict[str, Any]:
    return _packed({PARTITION_KEY: key.partition, SORT_KEY: key.sort})


def _packed(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _pack(value) for name, value in item.items()}


def _pack(value: Value) -> dict[str, Any]:
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bytes):
        return {"B": value}
    return {"N": repr(value)}


def _unpacked(item: Mapping[str, Any]) -> dict[str, Value]:
    return {name: _unpack(value) for name, value in item.items()}


def _unpack(value: Mapping[str, Any]) -> Value:
    kind, content = next(iter(value.items()))
    if kind == "N":
        return float(content) if set(content) & set(".eE") else int(content)
    if kind == "B":
        return bytes(content)
    return str(content)
