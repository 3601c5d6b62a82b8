"""AWS in this process with latencies, quotas, conflicts of transactions, and a bill.

Time is virtual: it does not include the CPU time of the functions, and other programs do not change
it.
"""

import logging
import math
import os
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from tests.fakes.cloud import FakeMachines
from tests.fakes.cloud.dynamodb import FakeDynamoDB

from bench.cloud.deciding import SITE
from bench.cloud.lab import ROOT
from chalicelib.api.store import TableConnections
from chalicelib.aws.clients import Tags
from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.aws.s3 import S3Bucket
from chalicelib.errors import ThrottledError
from chalicelib.logs.aws.logs import ChunkedLogs
from chalicelib.people.store.organisations import TableOrgs
from chalicelib.run.store import JournalStore
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
SEED = 1
#: Calls a second of one operation on tasks and activities: in us-east-1, us-west-2 and eu-west-1,
#: and in other regions ("Step Functions service quotas").
LARGE_REGION, OTHER_REGION = 500, 300
_POLLED, _COMPLETED = "GetActivityTask", "SendTaskSuccess"
#: Attempts of boto3 for a throttled call.
_ATTEMPTS = 3


class Clock:
    """Virtual time, which passes only while every actor sleeps.

    An actor is a thread that `spawn` starts, or the first thread. One of them runs at a time, so
    that results do not depend on the load of the machine.
    """

    def __init__(self) -> None:
        self._random = random.Random(SEED)
        self._now = time.time()
        self._sleepers: list[tuple[float, int, threading.Event]] = []
        self._number, self._running = 0, 1
        self._lock = threading.Lock()

    def now(self) -> float:
        """Return the seconds since the epoch."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        with self._lock:
            awake = self._sleeper(max(0.0, seconds))
            self._pass_on()
        awake.wait()

    def spawn(self, run: Callable[..., None], *args: Any) -> threading.Thread:
        """Start an actor, which runs once this one sleeps."""
        with self._lock:
            awake = self._sleeper(0.0)

        def act() -> None:
            awake.wait()
            try:
                run(*args)
            finally:
                with self._lock:
                    self._pass_on()

        thread = threading.Thread(target=act, daemon=True)
        thread.start()
        return thread

    def _sleeper(self, seconds: float) -> threading.Event:
        awake = threading.Event()
        self._number += 1
        heappush(self._sleepers, (self._now + seconds, self._number, awake))
        return awake

    def _pass_on(self) -> None:
        """Wake the next sleeper, if no other actor runs."""
        self._running -= 1
        if not self._running and self._sleepers:
            self._now, _, awake = heappop(self._sleepers)
            self._running += 1
            awake.set()

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
        partitions: The limits of the table's partitions.
        throttled: Number of calls beyond a quota of Step Functions, each of which was repeated.
        lost: Number of such calls that were not repeated any more.
    """

    def __init__(self, clients: Any, clock: Clock, quota: int) -> None:
        from conducto_emulator.faults.latency import Rate, TokenBuckets  # noqa: PLC0415  as in `lab`
        from conducto_emulator.faults.partitions import NetworkPartitions  # noqa: PLC0415
        from support.asl.interpreter import Interpreter  # noqa: PLC0415
        from support.asl.port import TaskGoneError  # noqa: PLC0415
        from support.cloud.aws import BUCKET, TABLE  # noqa: PLC0415
        from support.cloud.bill import Bill  # noqa: PLC0415

        self.clock = clock
        self.slow = False
        self.bill = Bill(clients)
        self.partitions = NetworkPartitions(clock.now)
        # Without a burst, whose end a measurement of seconds does not show.
        rate = Rate(quota // 10, quota, "Step Functions service quotas")
        self._quotas = TokenBuckets(
            clock.now, {("states", name): rate for name in (_POLLED, _COMPLETED)}
        )
        self.writes = self.entries = self.conflicts = self.throttled = self.lost = 0
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
            "jitter": random.Random(SEED).random,
        }

    def begin_poll(self) -> None:
        """Wait until the quota allows another GetActivityTask."""
        while not self._quotas.allow("states", _POLLED):
            self.add(throttled=1)
            self.clock.sleep(random_pause(self.clock))

    def complete(self) -> None:
        """Let the time of SendTaskSuccess pass; raises `ThrottledError` like boto3."""
        for attempt in range(_ATTEMPTS):
            self.clock.wait(_COMPLETE)
            if self._quotas.allow("states", _COMPLETED):
                return
            self.add(throttled=1)
            self.clock.sleep(random_pause(self.clock) * 2**attempt)
        self.add(lost=1)
        raise ThrottledError(_COMPLETED)

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
        self._mine.params = params
        if model.name != "TransactWriteItems":
            self._wait(model)
            self._check_partitions(params, model)
            return
        items = params["TransactItems"]
        keys = [_key_of(operation) for operation in items]
        with self._lock:
            clashes = [key in self._busy for key in keys]
            self._mine.keys = () if any(clashes) else keys
            for key in self._mine.keys:
                self._busy[key] = 1
        self._wait(model)
        self._check_partitions(params, model)  # AWS charges a cancelled transaction, too
        if any(clashes):
            self.add(conflicts=1)
            raise _cancelled(clashes)

    def _check_partitions(self, params: Any, model: Any) -> None:
        if not self.partitions.allow(model.name, params):
            self._release()
            raise _throttled(model.name)

    def _after(self, parsed: Any, model: Any, **_: Any) -> None:
        if self.slow:
            self.partitions.count_reads(model.name, self._mine.params, parsed)
        if model.name == "TransactWriteItems":
            self._release()

    def _release(self) -> None:
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
            if self._aws.slow and name == "succeed":
                self._aws.complete()
            elif self._aws.slow:
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
def latent_aws(quota: int = LARGE_REGION) -> Iterator[LatentAws]:
    """Yield an AWS, whose calls take no time until it is ``slow``."""
    # The tests' modules import each other from their directory.
    sys.path.append(str(ROOT / "tests"))
    from support.cloud.aws import aws  # noqa: PLC0415

    before = dict(os.environ)
    try:
        with aws() as clients:
            made = LatentAws(_Clients(clients), Clock(), quota)
            handler = LogSize(made)
            logging.getLogger("chalicelib").addHandler(handler)
            try:
                yield made
            finally:
                logging.getLogger("chalicelib").removeHandler(handler)
    finally:
        os.environ.clear()
        os.environ.update(before)


def random_pause(clock: Clock) -> float:
    """Return the seconds until a client repeats a throttled call."""
    return clock.latency(100.0)


def _throttled(operation: str) -> Exception:
    from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # noqa: PLC0415

    error = {"Code": "ThrottlingException", "Message": "the partition is too hot"}
    made: Exception = ClientError({"Error": error}, operation)
    return made


def _key_of(operation: dict[str, Any]) -> tuple[str, ...]:
    (part,) = operation.values()
    key = part.get("Key") or part["Item"]
    return (key["pk"]["S"], key["sk"]["S"])


def _cancelled(clashes: list[bool]) -> Exception:
    from botocore.exceptions import ClientError  # noqa: PLC0415

    reasons = [{"Code": "TransactionConflict" if each else "None"} for each in clashes]
    error = {"Code": "TransactionCanceledException", "Message": "Transaction cancelled"}
    made: Exception = ClientError(
        {"Error": error, "CancellationReasons": reasons}, "TransactWriteItems"
    )
    return made
