"""Many workers of one pipeline at the same time: threads, with the latencies of AWS in the store.

Each request is served by a processor of its own, like by Lambda. Latencies and durations are
multiplied by a factor, and the results divided by it, so that the CPU of the machine that runs all
the functions is not the limit.
"""

import asyncio
import itertools
import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import conducto as co
from bench.cloud.deciding import ME, Place
from bench.cloud.lab import CloudLab
from chalicelib.api.workers import WorkerApi
from chalicelib.domain.tokens import digest_of
from chalicelib.ports.errors import ThrottledError
from chalicelib.ports.identity import Identity
from chalicelib.ports.workers import WorkerTask
from chalicelib.services.dependencies import Dependencies
from chalicelib.services.group_commit import BusyError
from chalicelib.services.processor import CommandProcessor
from conducto_core.model.worker import PROTOCOL, Claim, ClaimDecision, Report, WorkerStart
from conducto_core.semantics.naming import node_id

Found = dict[str, float]
#: Median latencies in milliseconds; the 99th percentile is three times as long.
_READ, _PUT, _TRANSACTION, _SECRET, _GATEWAY, _POLL = 6.0, 7.6, 18.0, 10.0, 14.0, 40.0
_SIGMA = math.log(3) / 2.33
_STORE = {
    "news": _READ,
    "record": _READ,
    "snapshot": _READ,
    "waiting": _READ,
    "workers_seen": _READ,
    "put_waiting": _PUT,
    "pass_turn": _PUT,
    "drop_waiting": _PUT,
    "withdraw": _PUT,
    "note_worker": _PUT,
    "put_snapshot": 30.0,
    "definition": 30.0,
    "commit": _TRANSACTION,
}
_ORGS = {"in_use": _READ, "shares": _READ, "usage": _READ}
_VAULT = {"read": _SECRET, "look": _SECRET}
_MACHINES = {"succeed": 20.0}
#: Number of workers that start per second, and the time until all must have been launched.
_STARTS = 100.0
_START_SECONDS = 60.0


@dataclass
class _Counts:
    """What happened in the measured time.

    Attributes:
        claims: Seconds of each claim that started a command.
        writes: Number of attempts to write an entry.
        calls: Number of calls to AWS.
        errors: Number of requests with the error "busy".
        unmetered: Number of conflicts at the organisation's usage.
    """

    claims: list[float] = field(default_factory=list)
    reports: int = 0
    entries: int = 0
    writes: int = 0
    calls: int = 0
    errors: int = 0
    unmetered: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, **numbers: int) -> None:
        """Increment counters."""
        with self.lock:
            for name, number in numbers.items():
                setattr(self, name, getattr(self, name) + number)


class _Clock:
    """Sleeps for latencies, which are multiplied by a factor."""

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self._random = random.Random(1)

    def sleep(self, seconds: float) -> None:
        """Sleep as long as ``seconds`` are in the model."""
        time.sleep(seconds * self.factor)

    def wait(self, milliseconds: float) -> None:
        """Wait for a call with this median latency."""
        self.sleep(milliseconds / 1e3 * math.exp(self._random.gauss(0.0, _SIGMA)))


class _Slow:
    """A port whose calls take time."""

    def __init__(self, port: Any, clock: _Clock, calls: dict[str, float], seen: _Counts) -> None:
        self._port, self._clock, self._latencies, self._seen = port, clock, calls, seen

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)
        if name not in self._latencies:
            return call

        def slow(*args: Any, **kwargs: Any) -> Any:
            self._clock.wait(self._latencies[name])
            self._seen.add(calls=1)
            return call(*args, **kwargs)

        return slow


class _SlowStore(_Slow):
    """A store that counts entries and attempts to write them."""

    def commit(self, *args: Any) -> None:
        """Write an entry."""
        self._clock.wait(_STORE["commit"])
        self._seen.add(calls=1, writes=1)
        self._port.commit(*args)
        self._seen.add(entries=1)


class _SlowOrgs(_Slow):
    """Organisations whose usage is one item: concurrent transactions on it conflict."""

    _busy = threading.Lock()

    def add_usage(self, *args: Any, **kwargs: Any) -> None:
        """Meter the seconds of an Exec."""
        mine = self._busy.acquire(blocking=False)
        try:
            self._clock.wait(_TRANSACTION)
            self._seen.add(calls=1)
            if not mine:
                self._seen.add(unmetered=1)
                raise ThrottledError("TransactionConflict")
            self._port.add_usage(*args, **kwargs)
        finally:
            if mine:
                self._busy.release()


class _Lambdas:
    """The processes of the API: each serves one request at a time."""

    def __init__(self, cloud: Dependencies) -> None:
        self._cloud = cloud
        self._idle: list[CommandProcessor] = []
        self.number = 0

    @contextmanager
    def one(self) -> Iterator[CommandProcessor]:
        """Yield a process: of the idle ones, that with the latest request."""
        try:
            engine = self._idle.pop()
        except IndexError:
            engine = CommandProcessor(self._cloud)
            self.number += 1
        yield engine
        self._idle.append(engine)


class _Pipeline:
    """One pipeline and its workers, a thread each."""

    def __init__(self, workers: int, seconds: float, clock: _Clock, execs: int) -> None:
        root = co.Parallel(image="busybox")
        for n in range(execs):
            root[_name(n)] = co.Exec("true")
        self._place = place = Place(root, workers=workers)
        self._workers, self._seconds, self._clock, self._execs = workers, seconds, clock, execs
        self.counts = counts = _Counts()
        ports = place.engine.cloud
        self.lambdas = _Lambdas(
            replace(
                ports,
                store=_SlowStore(place.store, clock, _STORE, counts),
                orgs=_SlowOrgs(ports.orgs, clock, _ORGS, counts),
                vault=_Slow(ports.vault, clock, _VAULT, counts),
                machines=_Slow(ports.machines, clock, _MACHINES, counts),
                sleep=clock.sleep,
            )
        )
        with place.engine.reading(ME.org, place.pipeline) as live:
            self._run = live.cloud_machine.run
        self._tasks, self._over = itertools.count(), threading.Event()
        self._threads: dict[str, threading.Thread] = {}

    def start(self) -> None:
        """Start the workers; the first ones prove that the image works."""
        deadline = time.monotonic() + _START_SECONDS * self._clock.factor
        while len(self._threads) < self._workers:
            for arn, task in list(self._place.fleet.tasks.items()):
                if arn not in self._threads:
                    thread = threading.Thread(target=self._work, args=(arn, task), daemon=True)
                    self._threads[arn] = thread
                    thread.start()
                    self._clock.sleep(1 / _STARTS)
            if time.monotonic() > deadline:
                raise AssertionError(f"only {len(self._threads)} workers were launched")
            time.sleep(0.01)

    def stop(self) -> None:
        """Let the workers end."""
        self._over.set()
        for thread in self._threads.values():
            thread.join(timeout=60)

    def _work(self, arn: str, task: WorkerTask) -> None:
        who = self._place.tokens.find(digest_of(task.token))
        if who is None:
            raise AssertionError("the worker's token is unknown")
        self._call(who, "start", WorkerStart(task=arn, protocol=PROTOCOL))
        while not self._over.is_set() and (n := next(self._tasks)) < self._execs:
            self._clock.wait(_POLL)
            begun = time.perf_counter()
            path = f"/{_name(n)}"
            claim = Claim(token=f"t{n}", run=self._run, node=node_id(path))
            response = self._call(who, "claim", claim)
            if response is None:
                return
            if response.decision is not ClaimDecision.RUN:
                raise AssertionError(f"{path} was not allowed to run: {response}")
            self.counts.claims.append(time.perf_counter() - begun)
            self._clock.sleep(self._seconds)
            self._call(who, "report", Report(path=path, attempt=response.attempt, exit_code=0))
            self.counts.add(reports=1)

    def _call(self, who: Identity, name: str, body: Any) -> Any:
        """Send a request, again after an error as workers do; None: the measurement is over."""
        while not self._over.is_set():
            self._clock.wait(_GATEWAY)
            try:
                with self.lambdas.one() as engine:
                    return asyncio.run(getattr(WorkerApi(engine, who), f"worker_{name}")(body))
            except BusyError:
                self.counts.add(errors=1)
                self._clock.sleep(random.random())
        return None


def contention(
    workers: int, seconds: float, *, factor: float, measured: float = 5.0
) -> Callable[[CloudLab], Found]:
    """Return a measurement.

    Args:
        workers: Number of workers.
        seconds: Duration of their Execs.
        factor: Factor of all durations.
        measured: Measured seconds of the model.
    """

    def measure(_lab: CloudLab) -> Found:
        clock = _Clock(factor)
        pipeline = _Pipeline(workers, seconds, clock, int(workers * (1.2 * measured / seconds + 2)))
        pipeline.start()
        clock.sleep(1.0)
        counts = pipeline.counts
        with counts.lock:
            before = replace(counts)
        first = len(counts.claims)
        cpu, wall = time.process_time(), time.perf_counter()
        clock.sleep(measured)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        after = replace(counts)
        pipeline.stop()
        done, entries = after.reports - before.reports, after.entries - before.entries
        claims = sorted(each / factor * 1e3 for each in counts.claims[first:])
        return {
            "ms_between_execs": 1e3 * wall / factor / done,
            "execs_per_second": done / wall * factor,
            "writes_per_entry": (after.writes - before.writes) / entries,
            "entries_per_second": entries / wall * factor,
            "claim_p50_ms": claims[len(claims) // 2],
            "claim_p99_ms": claims[int(len(claims) * 0.99)],
            "calls_per_exec": (after.calls - before.calls) / done,
            "cpu_ms_per_exec": 1e3 * cpu / done,
            "cpu_share": cpu / wall,
            "errors": after.errors - before.errors,
            "usage_conflicts": after.unmetered - before.unmetered,
            "processes": pipeline.lambdas.number,
        }

    return measure


def _name(n: int) -> str:
    return f"n{n:05}"
