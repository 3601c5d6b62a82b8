"""The checks of 1,000 open pipelines, by the functions' own code, in a model of AWS's latencies.

Each invocation is a process of its own, whose time is its CPU time plus the latencies of its calls.
Processes keep their caches, but a share never meets the same process again: nearly each check
loads its pipeline, and the caches are full, which is the worst case.
"""

import asyncio
import gc
import gzip
import itertools
import json
import multiprocessing
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes.cloud.workers import first_start

import conducto as co
from bench.cloud.deciding import ME, Place
from bench.cloud.lab import CloudLab
from bench.cloud.launching import ASYNCHRONOUS, ModelClock, Slow, tree_of
from bench.registry import BenchError
from chalicelib.people.tokens import digest_of
from chalicelib.run.port import CloudRecord, Entry
from chalicelib.run.reconcile import Reconciler
from chalicelib.run.rules.deferred import EXECUTOR, BackgroundEvent
from chalicelib.services import Services
from conducto_core.asl.rules.naming import node_id, pool_name
from conducto_core.installation.names import FUNCTION_SECONDS
from conducto_core.workers.model import Claim, Report
from support.cloud.world import with_ports

Found = dict[str, float]
PIPELINES, LARGE = 1000, 10
NODES, _SMALL = 100_000, 20
#: Execs of a large pipeline that have ended since its latest snapshot: there is one for each 10,000
#: inputs, and an Exec has two.
_ENDED = 1000
_MINUTES = 4
#: Memory of a function, and the third of it that its cache of pipelines may take.
_MEMORY = 1769
_CACHE = (_MEMORY << 20) // 3
#: Tasks in a page of ListTasks and in a call of DescribeTasks.
_PAGE = 100
#: Bytes of a page of a query, and of an input in the journal.
_QUERY, _INPUT = 1 << 20, 300
_SEED = 1
_SEEN = 1e12


@dataclass
class _Invocation:
    """An invocation of the function ``background``.

    Attributes:
        start: When it starts, in seconds.
    """

    start: float
    event: BackgroundEvent


@dataclass
class _Result:
    """What one process did.

    Attributes:
        checked: ``(pipeline, time)`` of each check, when it ended.
        sent: Invocations that it started.
        megabytes: Growth of its memory at its peak.
        seconds: Duration of its longest invocation.
    """

    checked: list[tuple[str, float]] = field(default_factory=list)
    sent: list[_Invocation] = field(default_factory=list)
    megabytes: float = 0.0
    seconds: float = 0.0
    writes: int = 0


class _Store:
    """A store in memory with the latencies of DynamoDB and S3."""

    def __init__(self, store: Any, call: Callable[[str, str], None]) -> None:
        self._store, self._call = store, call
        self.writes = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)

        def read(*args: Any) -> Any:
            self._call("dynamodb", "Query")
            return found(*args)

        return read

    def definition(self, pipeline_id: str) -> bytes:
        """Return a definition, from the bucket."""
        self._call("dynamodb", "GetItem")
        self._call("s3", "GetObject")
        found: bytes = self._store.definition(pipeline_id)
        return found

    def snapshot(self, pipeline_id: str) -> Any:
        """Return a snapshot, from the bucket."""
        self._call("dynamodb", "GetItem")
        found = self._store.snapshot(pipeline_id)
        if found is not None:
            self._call("s3", "GetObject")
        return found

    def news(self, pipeline_id: str, after: int) -> Any:
        """Return entries; a query returns at most 1 MB at once."""
        found = self._store.news(pipeline_id, after)
        for _ in range(1 + len(found.entries) * _INPUT // _QUERY):
            self._call("dynamodb", "Query")
        return found

    def workers_seen(self, pipeline_id: str) -> Mapping[str, float]:
        """Return that all workers send heartbeats."""
        self._call("dynamodb", "Query")
        return dict.fromkeys(self._store.workers_seen(pipeline_id), _SEEN)

    def commit(self, *args: Any) -> None:
        """Write an entry."""
        self.writes += 1
        self._call("dynamodb", "TransactWriteItems")
        self._store.commit(*args)


class _Fleet:
    """ECS, with a task for each pipeline."""

    def __init__(self, tasks: Mapping[str, Mapping[str, str]], call: Callable[..., None]) -> None:
        self._tasks, self._call = tasks, call

    def all_running(self) -> Mapping[str, Mapping[str, str]]:
        """Return all tasks."""
        for _ in range(-(-len(self._tasks) // _PAGE)):
            self._call("ecs", "ListTasks")
            self._call("ecs", "DescribeTasks")
        return self._tasks


def _noted(reconciler: Reconciler, note: Callable[[str], None]) -> Reconciler:
    """Return a reconciler that notes the end of each check."""
    look_at = reconciler.look_at

    def noted(org: str, pipeline_id: str, *more: Any) -> None:
        look_at(org, pipeline_id, *more)
        note(pipeline_id)

    reconciler.look_at = noted  # type: ignore[method-assign,assignment]
    return reconciler


class _Function:
    """A process of a function, and its time."""

    def __init__(self, model: "_Model") -> None:
        from conducto_emulator.faults.latency import Latency  # noqa: PLC0415  as in `lab`

        self._latency: Latency = Latency(_SEED)
        self._clock, self._start = ModelClock(), 0.0
        self.result = _Result()
        self._store = _Store(model.store, self._call)
        read = {"in_use": ("dynamodb.GetItem",), "shares": ("dynamodb.Query",)}
        cloud = model.place.cloud
        self._parts = with_ports(
            cloud,
            store=self._store,
            fleet=_Fleet(model.tasks, self._call),
            limits=Slow(cloud.records.limits, {"read": ("dynamodb.GetItem",)}, self),  # type: ignore[arg-type]
            orgs=Slow(cloud.records.orgs, read, self),  # type: ignore[arg-type]
            clock=lambda: model.epoch + self.now(),
            sleep=self._clock.wait,
            invoke_background=self._invoke,
            cache_bytes=_CACHE,
        )
        self.services = Services(self._parts)

    def now(self) -> float:
        """Return the seconds since the first minute."""
        return self._start + self._clock.now()

    def begin(self, start: float) -> None:
        """Begin an invocation."""
        self._clock, self._start = ModelClock(), start

    def call(self, service: str, operation: str, _at_once: int = 1) -> None:
        """Let the time of a call pass."""
        self._call(service, operation)

    def _call(self, service: str, operation: str) -> None:
        self._clock.wait(self._latency.of_call(service, operation))

    def _invoke(self, event: BackgroundEvent) -> None:
        self._call("lambda", "Invoke")
        self.result.sent.append(_Invocation(self.now() + ASYNCHRONOUS, event))

    def distribute(self, minute: int) -> list[_Invocation]:
        """Run the rule of a minute; return the invocations that it starts."""
        self.begin(60.0 * minute)
        self.services.reconciler.run()
        sent, self.result.sent = self.result.sent, []
        return sent

    def check(self, invocation: _Invocation) -> None:
        """Run an invocation."""
        self.begin(invocation.start)
        end = invocation.start + FUNCTION_SECONDS["background"]
        reconciler = _noted(Services(self._parts).reconciler, self._note)
        if invocation.event.checks is not None:
            reconciler.check(invocation.event.checks, lambda: end - self.now())
        self.result.seconds = max(self.result.seconds, self.now() - invocation.start)
        self.result.writes = self._store.writes

    def _note(self, pipeline_id: str) -> None:
        self.result.checked.append((pipeline_id, self.now()))


class _Model:
    """1,000 open pipelines, each with a worker that runs a command."""

    def __init__(self, pipelines: int, large: int, nodes: int) -> None:
        self.place = Place(_small(), workers=2 * pipelines)
        self.store = self.place.store
        place, originals = self.place, [self.place.pipeline]
        _run(place, place.pipeline, ["/n0"], 0)
        big = place.launch(tree_of(nodes))
        ended = min(_ENDED, nodes // 2)
        paths = [f"/g{n // 1000 * 1000:06}/n{n % 1000:03}" for n in range(ended + 1)]
        _run(place, big, paths, ended)
        originals.append(big)
        for n in range(pipelines):
            self._copy(originals[n % (pipelines // large) == 0], n)
        for each in originals:
            self.store.forget(each)
        self.tasks = {
            name: {
                worker: f"arn of {worker}"
                for worker in self.store.workers_seen(name)
                if worker != EXECUTOR
            }
            for _, name in self.store.open_pipelines()
        }
        self.epoch = time.time() + 30.0
        gc.collect()
        gc.freeze()

    def _copy(self, original: str, number: int) -> None:
        """Copy a pipeline, with another id in all of its records."""
        # Ids are random; these are in the order of a shuffle.
        new = f"{number * 7919 % 9973:04d}-copy"
        store = self.store
        with self.place.services.engine.reading(ME.org, original) as live:
            (pool,) = live.pools
            spec = next(live.pipeline.execs())
        renamed = pool_name(spec, new)
        if pool_name(spec, original) != pool:
            raise AssertionError("pools have other names than expected")
        record = store.record(ME.org, original)
        if record is None:
            raise AssertionError(f"{original} has no record")
        text = re.sub(original, new, record.model_dump_json())
        copied = record.model_validate_json(text)
        definition = gzip.decompress(store.definition(original))
        definition = definition.replace(original.encode(), new.encode())
        compressed = gzip.compress(definition, compresslevel=1, mtime=0)
        store.create(CloudRecord(ME.org, copied), compressed)
        for entry in store.news(original, 0).entries:
            text = json.dumps(entry.input).replace(original, new).replace(pool, renamed)
            store.commit(ME.org, new, Entry(entry.number, json.loads(text), record=copied))
        for worker, seen in store.workers_seen(original).items():
            store.note_worker(new, worker, seen)


_model: _Model | None = None


def _process(invocations: Sequence[_Invocation]) -> _Result:
    """Run invocations in this process, one after another."""
    if _model is None:
        raise AssertionError("the model is created before the processes")
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    function = _Function(_model)
    for each in invocations:
        function.check(each)
    function.result.megabytes = (_resident("VmHWM") - before) / 1024
    return function.result


def _resident(name: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0])


def backstop(pipelines: int, large: int, nodes: int) -> Callable[[CloudLab], Found]:
    """Return the measurement with a number of pipelines, of which some are large."""

    def measure(_lab: CloudLab) -> Found:
        global _model  # noqa: PLW0603  forked processes inherit it
        _model = model = _Model(pipelines, large, nodes)
        try:
            return _measure(model)
        finally:
            _model = None
            gc.unfreeze()

    return measure


def _measure(model: _Model) -> Found:
    began = [_Function(model).distribute(minute) for minute in range(_MINUTES)]
    number = len(began[0])
    work = [
        [began[minute][(first + minute) % number] for minute in range(_MINUTES)]
        for first in range(number)
    ]
    results: list[_Result] = []
    with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
        while work:
            done = list(pool.imap_unordered(_process, work, chunksize=1))
            results += done
            work = [[sent] for result in done for sent in result.sent]
    times: dict[str, list[float]] = {}
    for result in results:
        for pipeline, at in result.checked:
            times.setdefault(pipeline, []).append(at)
    if len(times) < len(model.tasks) or any(len(each) < _MINUTES for each in times.values()):
        raise BenchError("not every pipeline was checked each minute")
    gaps = [gap for each in times.values() for gap in _gaps(sorted(each))]
    return {
        "longest_gap_s": max(gaps),
        "last_check_s": max(min(each) for each in times.values()),
        "invocations_per_minute": (number * _MINUTES + len(results) - number) / _MINUTES,
        "longest_invocation_s": max(result.seconds for result in results),
        "memory_growth_mb": max(result.megabytes for result in results),
        "writes": sum(result.writes for result in results),
    }


def _gaps(times: Sequence[float]) -> Iterator[float]:
    return (later - earlier for earlier, later in itertools.pairwise(times))


def _small() -> co.Parallel:
    root = co.Parallel(image="busybox")
    for n in range(_SMALL):
        root[f"n{n}"] = co.Exec("true")
    return root


def _run(place: Place, pipeline: str, paths: Sequence[str], ended: int) -> None:
    """Start the first worker of a pipeline, and run commands, of which the first ones end."""
    task, arn = next((t, a) for a, t in place.fleet.tasks.items() if t.pipeline_id == pipeline)
    who = place.tokens.find(digest_of(task.token))
    if who is None:
        raise AssertionError("the worker's token is unknown")
    desk = place.services.worker(who)
    asyncio.run(desk.worker_start(first_start(arn)))
    with place.services.engine.reading(ME.org, pipeline) as live:
        run = live.cloud_machine.run
    for n, path in enumerate(paths):
        claim = Claim(token=f"t{n}", run=run, node=node_id(path))
        response = asyncio.run(desk.worker_claim(claim))
        if n < ended:
            report = Report(path=path, attempt=response.attempt, exit_code=0)
            asyncio.run(desk.worker_report(report))
