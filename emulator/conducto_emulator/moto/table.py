"""Fixes for DynamoDB in moto 5.2.5, for frequent writes by many threads.

As in `conducto_emulator.moto.shim`, each ``_patch_…`` fixes one defect and has its own test in
``tests/conformance/test_moto_table.py``.
"""

import copy
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table

from conducto_emulator.moto import expressions as moto_expressions

#: The methods that read or write items.
_CALLS = ("put_item", "update_item", "delete_item", "get_item", "query", "scan")
#: Position of the index's name among the further arguments of a query.
_INDEX_NAME = 4
_lock = threading.RLock()
_MISSING = object()
_SWITCH = "_conducto_mended"


def install() -> None:
    """Apply all fixes in this process, once."""
    if getattr(DynamoDBBackend, _SWITCH, False):
        return
    setattr(DynamoDBBackend, _SWITCH, True)
    _patch_races()
    _patch_transactions()
    _patch_queries()
    _patch_texts()
    moto_expressions.install()


def _patch_races() -> None:
    """Defect: other threads write between a condition and the write that it allows."""
    for name in _CALLS:
        setattr(DynamoDBBackend, name, _alone(getattr(DynamoDBBackend, name)))


def _alone(call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def alone(*given: Any, **named: Any) -> Any:
        with _lock:
            return call(*given, **named)

    return alone


def _patch_transactions() -> None:
    """Defect: a table is copied for each item of a transaction.

    That becomes slower with its size, and a rollback to the copy undoes writes of other threads.
    """
    transact = DynamoDBBackend.transact_write_items

    def transact_write_items(self: Any, transact_items: Sequence[Mapping[str, Any]]) -> None:
        with _lock:
            before = _as_they_are(self, transact_items)
            try:
                transact(self, transact_items)
            except Exception:
                for (table, partition, sort), item in before.items():
                    _put_back(self.tables[table], partition, sort, item)
                raise

    DynamoDBBackend.transact_write_items = transact_write_items
    Table.__deepcopy__ = lambda self, _memo: self


def _as_they_are(
    backend: Any, operations: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, Any, Any], Any]:
    found: dict[tuple[str, Any, Any], Any] = {}
    for operation in operations:
        (given,) = operation.values()
        name = given["TableName"]
        if name not in backend.tables:
            continue
        table = backend.tables[name]
        partition, sort = backend.get_keys_value(table, given.get("Key") or given["Item"])
        item = table.items.get(partition, {}).get(sort, _MISSING)
        # An update changes the item in place.
        found[name, partition, sort] = copy.deepcopy(item) if item is not _MISSING else item
    return found


def _put_back(table: Any, partition: Any, sort: Any, item: Any) -> None:
    if item is _MISSING:
        table.items.get(partition, {}).pop(sort, None)
    else:
        table.items[partition][sort] = item


def _patch_texts() -> None:
    """Defect: each comparison of two texts, as all keys are, asks for six other types first."""
    cast = DynamoType.cast_value.fget

    def cast_value(self: Any) -> Any:
        return self.value if self.type == "S" else cast(self)

    DynamoType.cast_value = property(cast_value)


def _patch_queries() -> None:
    """Defect: a query sorts every item of the table."""
    query = Table.query

    @wraps(query)
    def narrowed(
        self: Any,
        partition: Any,
        comparison: str | None,
        bounds: Sequence[Any],
        *more: Any,
        **named: Any,
    ) -> Any:
        index = named.get("index_name") or next(iter(more[_INDEX_NAME:]), None)
        table = self
        if self.has_range_key:
            table = copy.copy(self)
            if index is None:
                table.items = {partition: _between(self, partition, comparison, bounds)}
            else:
                table.items = _in_index(self, index, partition)
        return query(table, partition, comparison, bounds, *more, **named)

    Table.query = narrowed


def _in_index(table: Any, name: str, partition: Any) -> Any:
    """Return the items with this value of the index's partition key, which is one attribute."""
    keys = [
        key["AttributeName"]
        for index in table.all_indexes()
        if index.name == name
        for key in index.schema
        if key["KeyType"] == "HASH"
    ]
    if len(keys) != 1:
        return table.items
    (key,), value = keys, partition.value
    found: dict[Any, Any] = {}
    for first, items in table.items.items():
        here = {
            sort: item
            for sort, item in items.items()
            if (held := item.attrs.get(key)) is not None and held.value == value
        }
        if here:
            found[first] = here
    return found


def _between(table: Any, partition: Any, comparison: str | None, bounds: Sequence[Any]) -> Any:
    items = table.items.get(partition, {})
    if comparison != "BETWEEN":
        return items
    low, high = (bound.value for bound in bounds)
    return {sort: item for sort, item in items.items() if low <= sort.value <= high}
