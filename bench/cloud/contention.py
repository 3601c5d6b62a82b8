"""Many workers at the same time: threads, over the functions' code and an AWS with latencies.

Each request is served by a processor of its own, like by Lambda. `bench.cloud.latent_aws` has the
virtual time, the latencies, the quotas, and the bill.
"""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.cloud import FakeFleet
from tests.fakes.cloud.workers import first_start

import conducto as co
from bench.cloud.deciding import Place
from bench.cloud.lab import CloudLab
from bench.cloud.latent_aws import (
    GATEWAY,
    INVOKE,
    LARGE_REGION,
    POLL,
    SEED,
    LatentAws,
    latent_aws,
)
from bench.registry import BenchError
from chalicelib.dependencies import Dependencies
from chalicelib.people.port import Identity
from chalicelib.people.tokens import digest_of
from chalicelib.run.group_commit import BusyError
from chalicelib.run.rules.deferred import BackgroundEvent
from chalicelib.services import Services
from chalicelib.workers.port import WorkerTask
from conducto_core.installation.names import FUNCTION_SECONDS
from conducto_core.workers.model import (
    Claim,
    ClaimDecision,
    ClaimResponse,
    Report,
)
from conducto_worker.agent.worker import EARLY_POLL_SECONDS, EarlyPolls

logger = logging.getLogger(__name__)

Found = dict[str, float]
#: Number of workers that start per second, and the time until all must have been launched.
_STARTS = 100.0
_START_SECONDS = 60.0
#: Seconds between the start of the last worker and the measurement.
_WARM_UP = 1.0
#: Seconds of a poll without a task.
_POLL_SECONDS = 60.0
#: Number of Execs for which costs are shown.
_PRICED = 100_000


@dataclass(frozen=True, slots=True)
class Load:
    """Workers with Execs of equal duration.

    Attributes:
        workers: Number of workers of each pipeline.
        seconds: Duration of each Exec.
        measured: Measured seconds.
        quota: Calls a second of Step Functions' operations on tasks.
    """

    workers: int
    seconds: float
    measured: float
    pipelines: int = 1
    quota: int = LARGE_REGION

    @property
    def execs(self) -> int:
        """Number of Execs of each pipeline: more than can end."""
        starting = self.workers * self.pipelines / _STARTS + self.seconds + _WARM_UP
        return int(self.workers * ((self.measured + starting) / self.seconds + 2))


@dataclass
class _Counts:
    """What happened.

    Attributes:
        claims: ``(begin, seconds)`` of each claim that started a command, with its report or alone.
        runs: ``(begin, end)`` of each command.
        errors: Number of requests with the error "busy".
        problems: Why workers ended early.
    """

    claims: list[tuple[float, float]] = field(default_factory=list)
    runs: list[tuple[float, float]] = field(default_factory=list)
    reports: int = 0
    errors: int = 0
    problems: list[str] = field(default_factory=list)


class _Fleet(FakeFleet):
    """ECS that launches one task at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def start(self, task: WorkerTask) -> str:
        """Launch a worker."""
        with self._lock:
            return super().start(task)


class _Lambdas:
    """The processes of the functions: each serves one request at a time."""

    def __init__(self, cloud: Dependencies, aws: LatentAws) -> None:
        self._cloud, self._aws = cloud, aws
        self._idle: list[Services] = []
        self.number = 0

    @contextmanager
    def one(self) -> Iterator[Services]:
        """Yield a process: of the idle ones, that with the latest request."""
        try:
            services = self._idle.pop()
        except IndexError:
            services = Services(self._cloud)
            self.number += 1
        yield services
        self._idle.append(services)

    @contextmanager
    def charged(self, charge: Callable[[float], None]) -> Iterator[Services]:
        """Yield a process, and charge the seconds, with its CPU time."""
        began, cpu = self._aws.clock.now(), time.thread_time()
        try:
            with self.one() as services:
                yield services
        finally:
            charge(time.thread_time() - cpu + self._aws.clock.now() - began)


class _Crowd:
    """Pipelines and their workers, a thread each."""

    def __init__(self, load: Load, aws: LatentAws) -> None:
        self._load, self._aws, self._clock = load, aws, aws.clock
        self.counts = _Counts()
        self._fleet = _Fleet()
        place = Place(
            _tree(load),
            load.workers * load.pipelines,
            fleet=self._fleet,
            invoke_background=self._invoke,
            threads=1,  # each actor is one thread
            **aws.ports,
        )
        for _ in range(load.pipelines - 1):
            place.launch(_tree(load))
        self._tokens = place.tokens
        self.lambdas = _Lambdas(place.cloud, aws)
        self._random = random.Random(SEED)
        self._over = False
        self._threads: dict[str, threading.Thread] = {}

    def start(self) -> None:
        """Start the workers; the first ones prove that the image works."""
        self._aws.slow = True
        everyone = self._load.workers * self._load.pipelines
        pause = max(1 / _STARTS, self._load.seconds / everyone)  # not all in the same phase
        deadline = self._clock.now() + _START_SECONDS + everyone * pause
        while len(self._threads) < everyone:
            for arn, task in list(self._fleet.tasks.items()):
                if arn not in self._threads:
                    self._threads[arn] = self._clock.spawn(self._live, arn, task)
                    self._clock.sleep(pause)
            if self._clock.now() > deadline or self.counts.problems:
                problems = self.counts.problems[:1]
                raise BenchError(f"only {len(self._threads)} workers were launched {problems}")
            self._clock.sleep(0.01)

    def stop(self) -> None:
        """Let the workers end."""
        self._over = True
        while any(thread.is_alive() for thread in self._threads.values()):
            self._clock.sleep(1.0)

    def _invoke(self, event: BackgroundEvent) -> None:
        """Start an asynchronous invocation."""
        self._clock.spawn(self._in_background, event)

    def _in_background(self, event: BackgroundEvent) -> None:
        if self._aws.slow:
            self._clock.wait(INVOKE)
        end = self._clock.now() + FUNCTION_SECONDS["background"]
        with self.lambdas.charged(self._aws.bill.invocation) as services:
            if event.effects is not None:
                services.engine.deferred.execute(event.effects, lambda: end - self._clock.now())

    def _live(self, arn: str, task: WorkerTask) -> None:
        try:
            self._work(arn, task)
        except Exception as error:
            logger.exception("a worker failed")
            self.counts.problems.append(f"{type(error).__name__}: {error}")

    def _work(self, arn: str, task: WorkerTask) -> None:
        who = self._tokens.find(digest_of(task.token))
        if who is None:
            raise AssertionError("the worker's token is unknown")
        start = first_start(arn)
        activity = self._call(who, "start", start).activity
        counts, clock = self.counts, self._clock
        response, begun, early = None, clock.now(), EarlyPolls()
        while not self._over:
            if response is None:
                response = self._claimed(who, activity, clock.latency(POLL))
                continue
            if response.decision is not ClaimDecision.RUN:
                raise AssertionError(f"a task was not allowed to run: {response}")
            ran = clock.now()
            clock.sleep(self._load.seconds)
            counts.runs.append((ran, clock.now()))
            report = Report(path=response.path, attempt=response.attempt, exit_code=0)
            response = self._reported(who, activity, report, early if response.backlog else None)
            self._aws.bill.task(clock.now() - begun)
            begun = clock.now()

    def _claimed(self, who: Identity, activity: str, latency: float) -> ClaimResponse | None:
        """Poll and claim a task; return the response, or None.

        ``latency``: seconds until the poll returns a task that waits; 0: the poll started before.
        """
        if latency:
            self._aws.begin_poll()
        offer = self._polled(activity, latency)
        if offer is None:
            return None
        asked = self._clock.now()
        response: ClaimResponse | None = self._call(who, "claim", _claim_of(offer))
        self.counts.claims.append((asked, self._clock.now() - asked))
        return response

    def _polled(self, activity: str, latency: float) -> Any:
        """Return the task of a poll, or None after a minute without one."""
        end = self._clock.now() + _POLL_SECONDS
        self._clock.sleep(latency)
        while (offer := self._aws.offered(activity)) is None:
            if self._over or self._clock.now() > end:
                return None
            self._clock.wait(POLL)
        return offer

    def _reported(
        self, who: Identity, activity: str, report: Report, early: EarlyPolls | None
    ) -> ClaimResponse | None:
        """Report a command, with the claim of the next one, as workers do; return its response."""
        clock, latency = self._clock, self._clock.latency(POLL)
        polled = EARLY_POLL_SECONDS if early is not None and early.is_due() else 0.0
        if polled:
            self._aws.begin_poll()
            clock.sleep(min(latency, polled))
        offer = self._aws.offered(activity) if latency <= polled else None
        claim = None if offer is None else _claim_of(offer)
        if early is not None and polled:
            early.count(found=claim is not None)
        asked = clock.now()
        answer = self._call(who, "report", report.model_copy(update={"next": claim}))
        took = clock.now() - asked
        self.counts.reports += answer is not None
        if answer is None:
            return None
        if claim is None:
            if not polled:
                return self._claimed(who, activity, latency)
            clock.sleep(max(0.0, latency - polled - took))  # the poll was open meanwhile
            return self._claimed(who, activity, 0.0)
        self.counts.claims.append((asked, took))
        response: ClaimResponse | None = answer.next
        return response

    def _call(self, who: Identity, name: str, body: Any) -> Any:
        """Send a request, again after an error as workers do; None: the measurement is over."""
        while not self._over:
            self._clock.wait(GATEWAY)
            try:
                with self.lambdas.charged(self._aws.bill.request) as services:
                    return asyncio.run(getattr(services.worker(who), f"worker_{name}")(body))
            except BusyError:
                self.counts.errors += 1
                self._clock.sleep(self._random.random())
        return None


def contention(load: Load) -> Callable[[CloudLab], Found]:
    """Return the measurement of a load."""

    def measure(_lab: CloudLab) -> Found:
        with latent_aws(load.quota) as aws:
            return _measure(load, aws)

    return measure


def _measure(load: Load, aws: LatentAws) -> Found:
    crowd = _Crowd(load, aws)
    crowd.start()
    clock, counts = aws.clock, crowd.counts
    clock.sleep(_WARM_UP)
    first, before = clock.now(), _Reading(aws, counts)
    cpu = time.process_time()
    clock.sleep(load.measured)
    last, after = clock.now(), _Reading(aws, counts)
    cpu = time.process_time() - cpu
    crowd.stop()
    if counts.problems:
        raise BenchError(f"{len(counts.problems)} workers failed: {counts.problems[0]}")
    span = last - first
    done, entries = after.reports - before.reports, after.entries - before.entries
    claims = sorted(1e3 * seconds for asked, seconds in counts.claims if first <= asked < last)
    busy = sum(max(0.0, min(end, last) - max(begin, first)) for begin, end in counts.runs)
    each = {name: (after.bill[name] - before.bill[name]) / done for name in after.bill}
    number = {name: (after.calls[name] - before.calls[name]) / done for name in after.calls}
    heat = {name: after.partitions[name] - before.partitions[name] for name in after.partitions}
    hottest = max(heat, key=lambda name: heat[name])
    logger.warning("the hottest partition is %s", hottest)
    # Step Functions enters the states of a Parallel at once, before the measurement.
    aws.bill.transitions(aws.transitions())
    each["step_functions"] = aws.bill.lines()["step_functions"] / (load.execs * load.pipelines)
    dollars = {f"dollars_{name}": _PRICED * value for name, value in each.items()}
    return {
        "ms_between_execs": 1e3 * span / done,
        "execs_per_second": done / span,
        "busy_percent": 100 * busy / (span * load.workers * load.pipelines),
        "waiting_percent": 100 - 100 * busy / (span * load.workers * load.pipelines),
        "writes_per_entry": (after.writes - before.writes) / entries,
        "entries_per_second": entries / span,
        "claim_mean_ms": sum(claims) / len(claims),
        "claim_p50_ms": claims[len(claims) // 2],
        "claim_p99_ms": claims[int(len(claims) * 0.99)],
        "requests_per_exec": number["requests"],
        "calls_per_exec": sum(each for name, each in number.items() if name not in _NO_CALLS),
        "write_units_per_exec": number["writes"],
        "read_units_per_exec": number["reads"],
        "partition_writes_per_second": heat[hottest] / span,
        "partition_throttles": after.partition_throttles - before.partition_throttles,
        "quota_throttles": after.throttled - before.throttled,
        "quota_losses": after.lost - before.lost,
        **dollars,
        "dollars_per_100000": sum(dollars.values()),
        "cpu_ms_per_exec": 1e3 * cpu / done,
        "errors": after.errors - before.errors,
        "transaction_conflicts": after.conflicts - before.conflicts,
        "processes": crowd.lambdas.number,
    }


#: Counts of a bill that do not count calls to AWS.
_NO_CALLS = ("requests", "invocations", "transitions", "writes", "reads")


def _claim_of(offer: Any) -> Claim:
    return Claim(token=offer.token, run=offer.data["r"], node=offer.data["n"])


class _Reading:
    """The counters at one time."""

    def __init__(self, aws: LatentAws, counts: _Counts) -> None:
        self.reports, self.errors = counts.reports, counts.errors
        self.writes, self.entries, self.conflicts = aws.writes, aws.entries, aws.conflicts
        self.bill = aws.bill.lines()
        self.calls = aws.bill.counts.copy()
        self.partitions = aws.bill.partitions.copy()
        self.partition_throttles = aws.partitions.throttled
        self.throttled, self.lost = aws.throttled, aws.lost


def _tree(load: Load) -> co.Parallel:
    """Return the tree of a pipeline, which cannot use the workers of the others."""
    root = co.Parallel(image="busybox")
    if load.pipelines > 1:
        root.max_concurrent = load.workers
    for n in range(load.execs):
        root[f"n{n:05}"] = co.Exec("true")
    return root
