"""Capacity units of DynamoDB's calls by partition, and AWS's limits of one partition. No I/O.

Requests and responses are those of the wire or of boto3: binary values are base64 or bytes.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from math import ceil
from typing import Any, NamedTuple

from conducto_core.installation.names import BY_ORG, OPEN, PARTITION_KEY, SORT_KEY

#: "a maximum of 3,000 read units per second and 1,000 write units per second" of a partition (AWS:
#: Best practices for designing and using partition keys effectively in DynamoDB).
WRITES, READS = 1000.0, 3000.0
_ONE_ITEM = frozenset({"PutItem", "UpdateItem", "DeleteItem"})
_TRANSACTION = "TransactWriteItems"
_WRITE_BYTES, _READ_BYTES = 1024, 4096

Units = list[tuple[str, float]]


class _Known(NamedTuple):
    """The size and the place in the index of keys of an item, as it was last written."""

    units: int = 1
    place: tuple[str, str] | None = None


class CapacityUnits:
    """Computes the units of calls; it is thread-safe."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], _Known] = {}
        self._lock = threading.Lock()

    def written(self, operation: str, request: Mapping[str, Any]) -> Units:
        """Return ``(partition, write units)`` of a call; an index has partitions of its own."""
        found: Units = []
        for part, factor in _writes(operation, request):
            with self._lock:
                found += self._of_item(part, factor)
        return found

    def read(
        self, operation: str, request: Mapping[str, Any], response: Mapping[str, Any]
    ) -> Units:
        half = 1.0 if request.get("ConsistentRead") else 0.5
        if operation == "GetItem":
            item = response.get("Item", {})
            return [(_text(request["Key"][PARTITION_KEY]), half * _units(item, _READ_BYTES))]
        if operation == "Query":
            partition = _text(request["ExpressionAttributeValues"][":p"])
            index = request.get("IndexName")
            name = partition if index is None else f"{index}: {partition}"
            return [(name, half * _units(response.get("Items", ()), _READ_BYTES))]
        if operation == "BatchGetItem":
            tables: Mapping[str, Any] = response.get("Responses", {})
            items = [item for found in tables.values() for item in found]
            return [(_text(item[PARTITION_KEY]), _units(item, _READ_BYTES)) for item in items]
        return []

    def _of_item(self, part: Mapping[str, Any], factor: int) -> Units:
        key = part.get("Key") or {name: part["Item"][name] for name in (PARTITION_KEY, SORT_KEY)}
        place = _text(key[PARTITION_KEY]), _text(key[SORT_KEY])
        known = self._known.get(place, _Known())
        if "Item" not in part and "UpdateExpression" not in part:
            return [(place[0], factor * known.units)]
        values, removed = _attributes(part)
        names = part.get("ExpressionAttributeNames", {}).values()
        units = _units(values, _WRITE_BYTES, sum(map(len, names)))
        found: Units = [(place[0], factor * units)]
        if BY_ORG.partition_key in values:  # the index has the whole item
            found.append((f"{BY_ORG.name}: {_text(values[BY_ORG.partition_key])}", units))
        listed = known.place
        if OPEN.partition_key in values:
            listed = _text(values[OPEN.partition_key]), _text(values[OPEN.sort_key])
        elif OPEN.partition_key in removed or "Item" in part:
            listed = None
        if listed != known.place:
            moved = [each for each in (known.place, listed) if each is not None]
            found += [(f"{OPEN.name}: {partition}", 1) for partition, _ in moved]
        self._known[place] = _Known(units, listed)
        return found


class NetworkPartitions:
    """The limits of a table's partitions.

    Attributes:
        writes: Write units by partition, of calls that were allowed.
        throttled: Number of calls that were refused.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.units = CapacityUnits()
        self.writes: Counter[str] = Counter()
        self.throttled = 0
        self._clock = clock
        self._left: dict[tuple[str, float], tuple[float, float]] = {}
        self._lock = threading.Lock()

    def allow(self, operation: str, request: Mapping[str, Any]) -> bool:
        """Return whether a call is allowed now, and count its write units if so.

        A partition that has served more than its limit allows refuses further calls; reads are
        counted afterwards, with `count_reads`.
        """
        written = self.units.written(operation, request)
        read = operation in {"GetItem", "Query"}
        with self._lock:
            wanted = self.units.read(operation, request, {}) if read else written
            rate = READS if read else WRITES
            if any(self._remaining(partition, rate) <= 0 for partition, _ in wanted):
                self.throttled += 1
                return False
            for partition, units in written:
                self.writes[partition] += units  # type: ignore[assignment]  # whole numbers
            self._spend(written, WRITES)
            return True

    def count_reads(
        self, operation: str, request: Mapping[str, Any], response: Mapping[str, Any]
    ) -> Units:
        found = self.units.read(operation, request, response)
        with self._lock:
            self._spend(found, READS)
        return found

    def _spend(self, units: Iterable[tuple[str, float]], rate: float) -> None:
        for partition, number in units:
            left = self._remaining(partition, rate) - number
            self._left[partition, rate] = (left, self._clock())

    def _remaining(self, partition: str, rate: float) -> float:
        left, at = self._left.get((partition, rate), (rate, self._clock()))
        return min(rate, left + rate * max(0.0, self._clock() - at))


def _writes(operation: str, request: Mapping[str, Any]) -> Iterable[tuple[Mapping[str, Any], int]]:
    """Yield the item of each write of a call, and its factor: a transaction writes twice."""
    if operation in _ONE_ITEM:
        yield request, 1
    elif operation == _TRANSACTION:
        for each in request["TransactItems"]:
            yield from ((part, 2) for part in each.values())
    elif operation == "BatchWriteItem":
        for requests in request["RequestItems"].values():
            for each in requests:
                yield from ((part, 1) for part in each.values())


def _attributes(part: Mapping[str, Any]) -> tuple[Mapping[str, Any], set[str]]:
    """Return the attributes that a write sets, and the names of those that it removes."""
    if "Item" in part:
        return part["Item"], set()
    names: Mapping[str, str] = part.get("ExpressionAttributeNames", {})
    values = part.get("ExpressionAttributeValues", {})
    _, _, removed = part["UpdateExpression"].partition("REMOVE ")
    given = {name.removeprefix(":"): value for name, value in values.items()}
    return given, {names.get(each, each) for each in removed.split(", ") if removed}


def _text(value: Mapping[str, Any]) -> str:
    return str(value["S"])


def _units(value: Any, size: int, more: int = 0) -> int:
    return max(1, ceil((_bytes(value) + more) / size))


def _bytes(value: Any) -> int:
    if isinstance(value, Mapping):
        if set(value) == {"B"}:
            data = value["B"]
            return 1 + (len(data) * 3 // 4 if isinstance(data, str) else len(data))
        return sum(len(name) + _bytes(part) for name, part in value.items())
    if isinstance(value, str | bytes):
        return len(value)
    return sum(map(_bytes, value))
