"""Limits, faults and delays of AWS in front of moto, for ``--strict`` and ``--latency``.

Every call passes through here, including those of this process
(`conducto_emulator.moto.server`).
"""

import io
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from conducto_emulator.faults import eventual
from conducto_emulator.faults.latency import AwsCall, Dice, Latency, TokenBuckets, call_of
from conducto_emulator.faults.partitions import NetworkPartitions

StartResponse = Callable[..., Any]

_BAD_REQUEST = "400 Bad Request"
#: DynamoDB's operations that write one item.
_WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem"})
_TRANSACTION = "TransactWriteItems"
#: Its operations that read items of one partition, and all that are limited by partition.
_READS = frozenset({"GetItem", "Query"})
_OF_ITEMS = _WRITES | _READS | {_TRANSACTION, "BatchWriteItem"}
#: Services whose request bodies are parsed.
_JSON = frozenset({"dynamodb", "ecs", "states"})


@dataclass(slots=True)
class Strictness:
    """The limits and faults of an emulator, which may be changed while it runs.

    Attributes:
        seed: Makes random effects reproducible.
        conflicts: Fraction of DynamoDB's writes that conflict with a transaction.
        duplicates: Fraction of events that are delivered twice.
        late: Fraction of events that are delivered late and therefore out of order.
        late_seconds: Maximum delay of late events.
        lag: Maximum seconds until lists show created resources.
        slowness: Factor of the time limits of functions and API Gateway, for busy machines.
        buckets: Rates of AWS's calls.
        partitions: Limits of the table's partitions.
    """

    seed: int
    conflicts: float = 0.02
    duplicates: float = 0.1
    late: float = 0.1
    late_seconds: float = 1.5
    lag: float = 0.5
    slowness: float = 1.0
    buckets: TokenBuckets = field(default_factory=lambda: TokenBuckets(time.monotonic))
    partitions: NetworkPartitions = field(default_factory=lambda: NetworkPartitions(time.monotonic))


class StrictAws:
    """WSGI middleware in front of moto."""

    def __init__(self, inner: Any, strictness: Strictness | None, latency: Latency | None) -> None:
        self._inner = inner
        self._strictness = strictness
        self._latency = latency
        self._dice = Dice(strictness.seed if strictness else 0)
        self._recent = eventual.Recent(time.monotonic, self._dice)

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        call = call_of(environ)
        if self._latency is not None:
            time.sleep(self._latency.of_call(call.service, call.operation))
        if self._strictness is not None:
            error = self._error(self._strictness, call, environ)
            if error is not None:
                return _respond(start, error)
            if call.service in _JSON:
                return self._eventual(self._strictness, call, environ, start)
        body: Iterable[bytes] = self._inner(environ, start)
        return body

    def _eventual(
        self, strictness: Strictness, call: AwsCall, environ: dict[str, Any], start: StartResponse
    ) -> Iterable[bytes]:
        request = _peek(environ)
        creates, lists = eventual.creates(call), eventual.lists(call, request)
        reads = call.service == "dynamodb" and call.operation in _READS
        if not (creates or lists or reads):
            passed_on: Iterable[bytes] = self._inner(environ, start)
            return passed_on
        response = _Response()
        body = b"".join(self._inner(environ, response.start))
        if response.ok and creates:
            self._recent.created(call, request, body, strictness.lag)
        if response.ok and lists:
            body = self._recent.filtered(call, body)
        if response.ok and reads:
            strictness.partitions.count_reads(call.operation, json.loads(request), json.loads(body))
        response.pass_on(start, body)
        return [body]

    def _error(
        self, strictness: Strictness, call: AwsCall, environ: dict[str, Any]
    ) -> Mapping[str, Any] | None:
        if not strictness.buckets.allow(call.service, call.operation):
            return {"__type": "ThrottlingException", "message": "Rate exceeded"}
        if call.service != "dynamodb":
            return None
        if call.operation in _OF_ITEMS:
            request = json.loads(_peek(environ))
            if not strictness.partitions.allow(call.operation, request):
                return _too_hot(call.operation, request)
        if call.operation in _WRITES and self._dice.happens("write", strictness.conflicts):
            message = "Transaction is ongoing for the item"
            return {"__type": _dynamodb("TransactionConflictException"), "message": message}
        if call.operation == _TRANSACTION and self._dice.happens(
            "transaction", strictness.conflicts
        ):
            return self._cancelled(environ)
        return None

    def _cancelled(self, environ: dict[str, Any]) -> Mapping[str, Any]:
        """Return the error of a transaction with one conflicting item."""
        items = json.loads(_peek(environ))["TransactItems"]
        place = self._dice.random("item").randrange(len(items))
        codes = ["TransactionConflict" if n == place else "None" for n in range(len(items))]
        reasons: list[dict[str, str]] = [{"Code": code} for code in codes]
        reasons[place]["Message"] = "Transaction is ongoing for the item"
        said = "Transaction cancelled, please refer cancellation reasons for specific reasons"
        return {
            "__type": _dynamodb("TransactionCanceledException"),
            "Message": f"{said} [{', '.join(codes)}]",
            "CancellationReasons": reasons,
        }


class _Response:
    """Collects status and headers of a response whose body may be replaced."""

    def __init__(self) -> None:
        self._status = ""
        self._headers: list[tuple[str, str]] = []

    @property
    def ok(self) -> bool:
        return self._status.startswith("200")

    def start(self, status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        self._status, self._headers = status, list(headers)

    def pass_on(self, start: StartResponse, body: bytes) -> None:
        dropped = {"content-length", "x-amz-crc32"}
        headers = [(name, value) for name, value in self._headers if name.lower() not in dropped]
        start(self._status, [*headers, ("Content-Length", str(len(body)))])


def _too_hot(operation: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the error of a call to a partition that serves no more units now."""
    if operation != _TRANSACTION:
        return {"__type": _dynamodb("ThrottlingException"), "message": "the partition is too hot"}
    return {
        "__type": _dynamodb("TransactionCanceledException"),
        "Message": "Transaction cancelled: the partition is too hot",
        "CancellationReasons": [{"Code": "ThrottlingError"}] * len(request["TransactItems"]),
    }


def _dynamodb(name: str) -> str:
    return f"com.amazonaws.dynamodb.v20120810#{name}"


def _peek(environ: dict[str, Any]) -> bytes:
    """Return the body of a request, which remains readable."""
    length = environ.get("CONTENT_LENGTH")
    body = bytes(environ["wsgi.input"].read(int(length) if length else -1))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _respond(start: StartResponse, error: Mapping[str, Any]) -> Iterable[bytes]:
    said = json.dumps(error).encode()
    kind = ("Content-Type", "application/x-amz-json-1.0")
    name = ("x-amzn-ErrorType", str(error["__type"]))
    start(_BAD_REQUEST, [kind, name, ("Content-Length", str(len(said)))])
    return [said]
