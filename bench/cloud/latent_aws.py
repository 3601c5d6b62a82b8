"""AWS in this process with latencies, conflicts of transactions, and a bill.

Latencies and durations are multiplied by a factor, and the results divided by it, so that the CPU
of the machine that runs all the functions is not the limit.
"""

import logging
import math
import os
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.fakes.cloud import FakeMachines
from tests.fakes.cloud.dynamodb import FakeDynamoDB

from bench.cloud.deciding import SITE
from bench.cloud.lab import ROOT
from chalicelib.api.aws import TableConnections
from chalicelib.aws.clients import Tags
from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.aws.s3 import S3Bucket
from chalicelib.logs.aws.logs import ChunkedLogs
from chalicelib.people.aws.organisations import TableOrgs
from chalicelib.run.aws.journal import JournalStore
from chalicelib.secrets.aws import SecretsManager

if TYPE_CHECKING:
    from chalicelib.aws.clients import Clients

#: Median latencies in milliseconds; the 99th percentile is three times as long.
GATEWAY, POLL, INVOKE = 14.0, 40.0, 50.0
_COMPLETE, _S3 = 20.0, 30.0
_CALLS = {
    "Query": 6.0,
    "GetItem": 6.0,
    "PutItem": 7.6,
    "UpdateItem": 7.6,
    "DeleteItem": 7.6,
    "BatchWriteItem": 7.6,
    "TransactWriteItems": 18.0,
    "GetSecretValue": 10.0,
}
_SIGMA = math.log(3) / 2.33


class Clock:
    """A clock on which ``factor`` seconds are one."""

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self._random = random.Random(1)
        self._epoch, self._began = time.time(), time.monotonic()

    def now(self) -> float:
        """Return the seconds since the epoch."""
        return self._epoch + (time.monotonic() - self._began) / self.factor

    def sleep(self, seconds: float) -> None:
        """Sleep as long as ``seconds`` are in the model."""
        time.sleep(seconds * self.factor)

    def latency(self, milliseconds: float) -> float:
        """Return the seconds of a call with this median latency."""
        return milliseconds / 1e3 * math.exp(self._random.gauss(0.0, _SIGMA))

    def wait(self, milliseconds: float) -> None:
        """Wait for a call with this median latency."""
        self.sleep(self.latency(milliseconds))


class LatentAws:
    """AWS with latencies, and the ports of the functions over it.

    Attributes:
        slow: Whether calls take time.
        writes: Number of attempts to write an entry.
        entries: Number of entries that were written.
        conflicts: Number of transactions that were cancelled because of others.
        bill: What AWS charges.
    """

    def __init__(self, clients: Any, clock: Clock) -> None:
        from support.asl.interpreter import Interpreter  # noqa: PLC0415  as in `lab`
        from support.asl.port import TaskGoneError  # noqa: PLC0415
        from support.cloud.aws import BUCKET, TABLE  # noqa: PLC0415
        from support.cloud.bill import Bill  # noqa: PLC0415

        self.clock = clock
        self.slow = False
        self.bill = Bill(clients)
        self.writes = self.entries = self.conflicts = 0
        self._busy: dict[tuple[str, ...], int] = {}
        self._lock, self._mine = threading.Lock(), threading.local()
        self._machines_lock = threading.RLock()
        self._interpreter = Interpreter()
        self._offers: dict[str, deque[Any]] = {}
        events = clients.get("dynamodb").meta.events
        events.register("provide-client-params.dynamodb", self._before)
        events.register("after-call.dynamodb", self._after)
        for service in ("s3", "secretsmanager"):
            clients.get(service).meta.events.register("before-call", self._wait)
        table, bucket = DynamoTable(clients, TABLE), S3Bucket(clients, BUCKET)
        orgs = TableOrgs(table, clock.now)
        fake = FakeMachines(self._interpreter, TaskGoneError, SITE)
        self.ports: dict[str, Any] = {
            "store": _Store(self, JournalStore(table, bucket, orgs)),
            "orgs": orgs,
            "logs": ChunkedLogs(table, bucket),
            "vault": SecretsManager(clients, table, "conducto/bench/", Tags("bench")),
            "connections": TableConnections(table, clients, lambda: "", clock.now),
            "machines": _Alone(fake, self, self._machines_lock),
            "clock": clock.now,
            "sleep": clock.sleep,
        }

    def offered(self, activity: str) -> Any:
        """Return a task of an activity, like GetActivityTask after its latency, or None."""
        with self._machines_lock:
            for offer in self._interpreter.offers():
                self._offers.setdefault(offer.activity, deque()).append(offer)
            waiting = self._offers.get(activity)
            return waiting.popleft() if waiting else None

    def transitions(self) -> int:
        """Return the number of state transitions so far."""
        with self._machines_lock:
            return sum(each.transitions for each in self._interpreter.executions.values())

    def add(self, **numbers: int) -> None:
        """Increment counters."""
        with self._lock:
            for name, number in numbers.items():
                setattr(self, name, getattr(self, name) + number)

    # ---- calls ------------------------------------------------------------------------------

    def _wait(self, model: Any, **_: Any) -> None:
        if self.slow:
            self.clock.wait(_CALLS.get(model.name, _S3))

    def _before(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        """Let the time of a call pass; of two simultaneous transactions, cancel the second one."""
        if not self.slow:
            return
        if model.name != "TransactWriteItems":
            self._wait(model)
            return
        items = params["TransactItems"]
        keys = [_key_of(operation) for operation in items]
        with self._lock:
            clashes = [key in self._busy for key in keys]
            self._mine.keys = () if any(clashes) else keys
            for key in self._mine.keys:
                self._busy[key] = 1
        self._wait(model)
        if any(clashes):
            self.add(conflicts=1)
            raise _cancelled(clashes)

    def _after(self, model: Any, **_: Any) -> None:
        if model.name == "TransactWriteItems":
            with self._lock:
                for key in getattr(self._mine, "keys", ()):
                    self._busy.pop(key, None)
            self._mine.keys = ()


class _Clients:
    """The clients of moto, but DynamoDB is in memory: moto's takes most of the CPU time."""

    def __init__(self, clients: "Clients") -> None:
        self._clients, self._table = clients, FakeDynamoDB()

    def get(self, service: str, *more: Any) -> Any:
        """Return the client of a service."""
        return self._table if service == "dynamodb" else self._clients.get(service, *more)


class _Store:
    """A store that counts entries and attempts to write them."""

    def __init__(self, aws: LatentAws, store: JournalStore) -> None:
        self._aws, self._store = aws, store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, *args: Any) -> None:
        """Write an entry."""
        self._aws.add(writes=1)
        self._store.commit(*args)
        self._aws.add(entries=1)


class _Alone:
    """State machines of which one thread uses one at a time."""

    def __init__(self, port: FakeMachines, aws: LatentAws, lock: Any) -> None:
        self._port, self._aws, self._lock = port, aws, lock

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)

        def alone(*args: Any) -> Any:
            if self._aws.slow:
                self._aws.clock.wait(_COMPLETE)
            with self._lock:
                return call(*args)

        return alone


class LogSize(logging.Handler):
    """Counts the bytes of the functions' log records."""

    def __init__(self, aws: LatentAws) -> None:
        super().__init__(logging.INFO)
        self._aws = aws

    def emit(self, record: logging.LogRecord) -> None:
        """Count a record, with the fields that all records have."""
        self._aws.bill.logged(len(record.getMessage()) + 250)


@contextmanager
def latent_aws(factor: float) -> Iterator[LatentAws]:
    """Yield an AWS, whose calls take no time until it is ``slow``."""
    # The tests' modules import each other from their directory.
    sys.path.append(str(ROOT / "tests"))
    from support.cloud.aws import aws  # noqa: PLC0415

    before = dict(os.environ)
    try:
        with aws() as clients:
            made = LatentAws(_Clients(clients), Clock(factor))
            handler = LogSize(made)
            logging.getLogger("chalicelib").addHandler(handler)
            try:
                yield made
            finally:
                logging.getLogger("chalicelib").removeHandler(handler)
    finally:
        os.environ.clear()
        os.environ.update(before)


def _key_of(operation: dict[str, Any]) -> tuple[str, ...]:
    (part,) = operation.values()
    key = part.get("Key") or part["Item"]
    return (key["pk"]["S"], key["sk"]["S"])


def _cancelled(clashes: list[bool]) -> Exception:
    from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # noqa: PLC0415

    reasons = [{"Code": "TransactionConflict" if each else "None"} for each in clashes]
    error = {"Code": "TransactionCanceledException", "Message": "Transaction cancelled"}
    made: Exception = ClientError(
        {"Error": error, "CancellationReasons": reasons}, "TransactWriteItems"
    )
    return made
