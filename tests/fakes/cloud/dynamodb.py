"""DynamoDB in memory, as a boto3 client: the operations and expressions that the functions use.

It takes a hundredth of moto's time. `tests/functions/aws/test_fake_dynamodb.py` compares it with
moto.
"""

import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from threading import RLock
from types import CodeType, SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from chalicelib.aws.table_keys import LAST
from conducto_core.installation.names import INDEXES, PARTITION_KEY, SORT_KEY, Index

_PARTITION, _SORT = PARTITION_KEY, SORT_KEY
_EXISTS = re.compile(r"attribute_(not_)?exists\(([#\w]+)\)")
_COMPARED = re.compile(r"([#:\w]+)\s*(<=|>=|<>|=|<|>)\s*([#:\w]+)")
_WORDS = re.compile(r"\b(AND|OR|NOT)\b")
_CLAUSE = re.compile(r"(SET|ADD|REMOVE) (.*?)(?= (?:SET|ADD|REMOVE) |$)")
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_NAMES = {
    "get_item": "GetItem",
    "put_item": "PutItem",
    "update_item": "UpdateItem",
    "delete_item": "DeleteItem",
    "query": "Query",
    "batch_write_item": "BatchWriteItem",
    "transact_write_items": "TransactWriteItems",
}

Packed = Mapping[str, Any]
Stored = dict[str, Any]
#: For each partition of an index its sort keys, with the keys of their items.
_IndexPlaces = dict[str, list[tuple[str, str, str]]]


class Events:
    """The events of a client: handlers by the first part of their name."""

    def __init__(self) -> None:
        self._handlers: dict[str, list[Callable[..., None]]] = {}

    def register(self, name: str, handler: Callable[..., None]) -> None:
        self._handlers.setdefault(name.partition(".")[0], []).append(handler)

    def emit(self, name: str, **given: Any) -> None:
        for handler in self._handlers.get(name, ()):
            handler(**given)


class FakeDynamoDB:
    """A boto3 client of one table. It is thread-safe, and each call is atomic."""

    def __init__(self) -> None:
        self.meta = SimpleNamespace(events=Events())
        self._items: dict[str, dict[str, Stored]] = {}
        self._sorts: dict[str, list[str]] = {}
        self._indexes: dict[str, _IndexPlaces] = {each.name: {} for each in INDEXES}
        self._lock = RLock()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in _NAMES:
            raise AttributeError(name)
        operation, events = getattr(self, f"_{name}"), self.meta.events
        model = SimpleNamespace(name=_NAMES[name])

        def call(**params: Any) -> Any:
            events.emit("provide-client-params", params=params, model=model)
            parsed: Any = {}
            events.emit("before-call", params=params, model=model)
            try:
                with self._lock:
                    parsed = operation(**params)
            finally:
                events.emit("after-call", parsed=parsed, model=model)
            return parsed

        return call

    def expire(self) -> None:
        """Delete all items that expire at some time."""
        with self._lock:
            for items in list(self._items.values()):
                for item in [item for item in items.values() if "expires" in item]:
                    self._remove(item)

    def delete(self, prefix: str) -> None:
        """Delete all items of the partitions whose keys begin with a prefix."""
        with self._lock:
            for name in [name for name in self._items if name.startswith(prefix)]:
                for item in list(self._items[name].values()):
                    self._remove(item)

    # ---- operations -----------------------------------------------------------------------------

    def _get_item(self, Key: Packed, **_: Any) -> Stored:  # noqa: N803  AWS's names
        item = self._found(Key)
        return {} if item is None else {"Item": item}

    def _put_item(self, Item: Packed, **params: Any) -> Stored:  # noqa: N803
        self._check(Item, params)
        self._write(Item)
        return {}

    def _update_item(self, Key: Packed, ReturnValues: str = "", **params: Any) -> Stored:  # noqa: N803
        self._check(Key, params)
        item, touched = self._updated(Key, params)
        self._write(item)
        return {"Attributes": {n: item[n] for n in touched}} if ReturnValues else {}

    def _delete_item(self, Key: Packed, ReturnValues: str = "", **params: Any) -> Stored:  # noqa: N803
        self._check(Key, params)
        before = self._found(Key)
        self._remove(Key)
        return {"Attributes": before} if ReturnValues and before else {}

    def _batch_write_item(self, RequestItems: Packed) -> Stored:  # noqa: N803
        for requests in RequestItems.values():
            for request in requests:
                if "PutRequest" in request:
                    self._write(request["PutRequest"]["Item"])
                else:
                    self._remove(request["DeleteRequest"]["Key"])
        return {"UnprocessedItems": {}}

    def _transact_write_items(self, TransactItems: Sequence[Packed]) -> Stored:  # noqa: N803
        parts = [next(iter(operation.items())) for operation in TransactItems]
        keys = [_place(part.get("Key") or part["Item"]) for _, part in parts]
        if len(set(keys)) < len(keys):
            raise _error("ValidationException", "TransactWriteItems")
        allowed = [self._allows(part.get("Key") or part["Item"], part) for _, part in parts]
        if not all(allowed):
            codes = ["None" if each else "ConditionalCheckFailed" for each in allowed]
            raise _error("TransactionCanceledException", "TransactWriteItems", codes)
        for kind, part in parts:
            if kind == "Put":
                self._write(part["Item"])
            elif kind == "Update":
                self._write(self._updated(part["Key"], part)[0])
            elif kind == "Delete":
                self._remove(part["Key"])
        return {}

    def _query(self, **params: Any) -> Stored:
        values = params["ExpressionAttributeValues"]
        partition = values[":p"]["S"]
        start = params.get("ExclusiveStartKey")
        if "IndexName" in params:
            index = next(each for each in INDEXES if each.name == params["IndexName"])
            sorts = self._indexes[index.name].get(partition, [])
            begin = values.get(":s", {"S": ""})["S"]
            chosen = sorts[
                bisect_left(sorts, (begin, "", "")) : bisect_left(sorts, (begin + LAST, "", ""))
            ]
            after = None if start is None else _index_place(index, start)
        else:
            ids = self._sorts.get(partition, [])
            low = bisect_left(ids, values[":low"]["S"])
            high = bisect_right(ids, values[":high"]["S"])
            chosen = [(sort, partition, sort) for sort in ids[low:high]]
            after = None if start is None else (_place(start)[1], *_place(start))
        forward = params.get("ScanIndexForward", True)
        if after is not None:
            chosen = [place for place in chosen if (place > after if forward else place < after)]
        if not forward:
            chosen.reverse()
        limit = params.get("Limit", len(chosen))
        items = [self._items[pk][sk] for _, pk, sk in chosen[:limit]]
        if "IndexName" in params and index.projection == "KEYS_ONLY":
            known = {_PARTITION, _SORT, index.partition_key, index.sort_key}
            items = [{name: item[name] for name in known} for item in items]
        more = {"LastEvaluatedKey": items[-1]} if limit < len(chosen) else {}
        return {"Items": items, **more}

    # ---- items ----------------------------------------------------------------------------------

    def _found(self, key: Packed) -> Stored | None:
        partition, sort = _place(key)
        return self._items.get(partition, {}).get(sort)

    def _write(self, item: Packed) -> None:
        partition, sort = _place(item)
        items = self._items.setdefault(partition, {})
        if sort not in items:
            insort(self._sorts.setdefault(partition, []), sort)
        else:
            self._unlist(items[sort])
        items[sort] = dict(item)
        for index in INDEXES:
            if index.partition_key in item and index.sort_key in item:
                places = self._indexes[index.name].setdefault(item[index.partition_key]["S"], [])
                insort(places, _index_place(index, item))

    def _unlist(self, item: Packed) -> None:
        for index in INDEXES:
            if index.partition_key in item and index.sort_key in item:
                self._indexes[index.name][item[index.partition_key]["S"]].remove(
                    _index_place(index, item)
                )

    def _remove(self, key: Packed) -> None:
        partition, sort = _place(key)
        before = self._items.get(partition, {}).pop(sort, None)
        if before is not None:
            self._unlist(before)
            sorts = self._sorts[partition]
            del sorts[bisect_left(sorts, sort)]
            if not sorts:
                del self._items[partition], self._sorts[partition]

    def _updated(self, key: Packed, params: Packed) -> tuple[Stored, list[str]]:
        item = dict(self._found(key) or key)
        names, values = params["ExpressionAttributeNames"], params["ExpressionAttributeValues"]
        touched = []
        for clause, rest in _CLAUSE.findall(params["UpdateExpression"]):
            for part in rest.split(", "):
                place, *more = part.split()
                name = names[place]
                if clause == "REMOVE":
                    item.pop(name, None)
                    continue
                touched.append(name)
                value = values[more[-1]]
                if clause == "ADD":
                    before = item.get(name, {"N": "0"})["N"]
                    value = {"N": repr(_number(before) + _number(value["N"]))}
                item[name] = value
        return item, touched

    def _check(self, key: Packed, params: Packed) -> None:
        if not self._allows(key, params):
            raise _error("ConditionalCheckFailedException", "PutItem")

    def _allows(self, key: Packed, params: Packed) -> bool:
        condition = params.get("ConditionExpression")
        if not condition:
            return True
        item = self._found(key) or {}
        names = params.get("ExpressionAttributeNames", {})
        values = params.get("ExpressionAttributeValues", {})

        def operand(text: str) -> Any:
            packed = values[text] if text[0] == ":" else item.get(names.get(text, text))
            if packed is None:
                return None
            ((kind, value),) = packed.items()
            return _number(value) if kind == "N" else value

        def compared(left: str, operator: str, right: str) -> bool:
            a, b = operand(left), operand(right)
            return a is not None and b is not None and _OPERATORS[operator](a, b)

        def has(name: str) -> bool:
            return names.get(name, name) in item

        scope = {"compared": compared, "has": has}
        return bool(eval(_compiled(condition), {"__builtins__": {}}, scope))


@cache
def _compiled(condition: str) -> CodeType:
    """Return a condition as Python; DynamoDB's words and comparisons are the functions above."""
    text = _EXISTS.sub(lambda m: f"({'not ' if m[1] else ''}has('{m[2]}'))", condition)
    text = _COMPARED.sub(lambda m: f"compared('{m[1]}', '{m[2]}', '{m[3]}')", text)
    return compile(_WORDS.sub(lambda m: m[0].lower(), text), condition, "eval")


def _place(key: Packed) -> tuple[str, str]:
    return key[_PARTITION]["S"], key[_SORT]["S"]


def _index_place(index: Index, item: Packed) -> tuple[str, str, str]:
    return (item[index.sort_key]["S"], *_place(item))


def _number(text: str) -> float:
    return float(text) if "." in text or "e" in text else int(text)


def _error(code: str, operation: str, codes: Sequence[str] = ()) -> Exception:
    response = {"Error": {"Code": code, "Message": code}}
    reasons = {"CancellationReasons": [{"Code": each} for each in codes]} if codes else {}
    error: Exception = ClientError({**response, **reasons}, operation)
    return error
