"""Many pipelines at once while processes are killed, requests repeated, and events lost.

A simulation in one thread. The seed determines the faults, but not the random ids. Before a call to
AWS, other requests may act: they overtake this one. An invocation may be killed before or after any
of its calls, without the rest of its code; a worker may end; a response or an event may be lost,
late, or delivered twice. The journal's store is the real one, over a DynamoDB in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import tracemalloc
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from tests.fakes.cloud.workers import first_start

from chalicelib.errors import ConflictError, ThrottledError
from chalicelib.people.tokens import digest_of
from chalicelib.run.deletion import DeletionRunningError
from chalicelib.run.group_commit import BusyError
from chalicelib.run.handlers import CloudPipelines
from chalicelib.run.model import JournalEntry
from chalicelib.run.rules import snapshots
from chalicelib.run.rules.deferred import BackgroundEvent
from chalicelib.run.rules.pipeline import replay
from chalicelib.services import Services
from chalicelib.workers.output_handlers import WorkerGoneError
from chalicelib.workers.port import TaskEnd
from conducto_core.billing.rules import BillingPlan
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.requests import Action, ControlRequest, LaunchRequest
from conducto_core.run.model.states import NodeType, State
from conducto_core.workers.model import ClaimDecision, Heartbeat, Report
from support.asl.port import Offer, TaskGoneError
from support.cloud.world import ME, World, claim_of
from support.trees import form, leaf, parallel, serial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.workers.port import WorkerTask
    from conducto_core.workers.model import ClaimResponse, ReportResponse, WorkerInstructions

R = TypeVar("R")
#: Errors of requests that clients do not repeat.
_REFUSALS = (BusyError, ThrottledError, RefusedError, NotFoundError)
_ENDED = frozenset({State.DONE, State.ERROR})
_WORKERS = 12
#: Seconds of a call to AWS.
_CALL = 0.006
_HEARTBEAT, _IDLE = 10.0, 60.0
_MAX_DEPTH = 3
#: Memory of a process for pipelines: about eight of them, so that it has to read others again.
_CACHE = 500_000


class Killed(BaseException):
    """The process of an invocation was killed."""


class LostError(Exception):
    """A request has no response."""


@dataclass
class _Invocation:
    """An invocation: it is killed when ``left`` calls were made; None: never."""

    left: int | None
    after: bool
    dead: bool = False


@dataclass
class _Worker:
    """A worker."""

    arn: str
    task: WorkerTask
    instructions: WorkerInstructions | None = None
    offer: Offer | None = None
    following: Offer | None = None
    job: ClaimResponse | None = None
    ends: float = 0.0
    idle_since: float = 0.0
    alive: bool = True


@dataclass
class Findings:
    """What a soak has found.

    Attributes:
        faults: Number of faults by kind.
        execs: Number of attempts that ended.
        claimed: Number of attempts that started with the report of another one.
        problems: Violations of the guarantees.
        logged: Number of errors that the functions logged.
        memory: Bytes that Python has allocated after each third, without deleted pipelines.
    """

    faults: Counter[str] = field(default_factory=Counter)
    execs: int = 0
    claimed: int = 0
    problems: list[str] = field(default_factory=list)
    logged: Counter[str] = field(default_factory=Counter)
    memory: list[int] = field(default_factory=list)


class _Log(logging.Handler):
    """Counts the errors that the functions log."""

    def __init__(self, found: Findings) -> None:
        super().__init__(logging.ERROR)
        self._found = found

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._found.logged[f"{record.getMessage()}: {type(error).__name__}"] += 1


class _Cut:
    """A port before and after whose calls an invocation may be killed or overtaken."""

    def __init__(self, port: Any, soak: Soak) -> None:
        self._port, self._soak = port, soak

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            invocation = self._soak.before()
            response = found(*args, **kwargs)
            self._soak.after(invocation)
            return response

        return call


class Soak:
    """The simulation.

    Args:
        seed: Source of all decisions.
        faults: Factor of the number of faults; 0: none.
    """

    def __init__(self, seed: int, *, faults: float = 1.0) -> None:
        self.rng = Random(seed)
        self.found = Findings()
        self._faults = faults
        self.world = world = World(BillingPlan("scale", _WORKERS, 1000, 16, None))
        self._database, self._store = world.clients.dynamodb, world.store
        cloud = world.cloud
        cut: dict[str, Any] = {
            "store": world.store,
            "orgs": world.orgs,
            "fleet": cloud.compute.fleet,
            "machines": cloud.compute.machines,
            "tokens": cloud.records.tokens,
            "vault": cloud.secrets.vault,
            "logs": cloud.storage.logs,
            "limits": cloud.records.limits,
            "connections": cloud.connections,
        }
        self._ports = {name: _Cut(port, self) for name, port in cut.items()}
        self._idle: list[Services] = []
        self._running: list[_Invocation] = []
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._workers: dict[str, _Worker] = {}
        self._ran: dict[tuple[str, str, int], set[str]] = defaultdict(set)
        self._succeeded: set[tuple[str, str, int]] = set()
        self._offers: list[Offer] = []
        self._ended_executions: set[str] = set()
        self._launching = True
        self._end = 0.0

    # ---- processes -----------------------------------------------------------------------------

    def _chance(self, share: float) -> bool:
        return self.rng.random() < share * self._faults

    def _fault(self, kind: str, share: float) -> bool:
        happens = self._chance(share)
        self.found.faults[kind] += happens
        return happens

    def before(self) -> _Invocation | None:
        """Let a call begin: time passes, others may overtake it, and it may never happen."""
        self.world.now += _CALL
        if not self._running:
            return None
        invocation = self._running[-1]
        if invocation.dead:
            raise Killed
        if invocation.left is not None:
            invocation.left -= 1
            if invocation.left < 0 and not invocation.after:
                self._kill(invocation)
        if len(self._running) < _MAX_DEPTH and self._chance(0.08):
            self._next(late=False)
        return invocation

    def after(self, invocation: _Invocation | None) -> None:
        """Let a call end: the invocation may not see its response."""
        if invocation is not None and invocation.left is not None and invocation.left < 0:
            self._kill(invocation)

    def _kill(self, invocation: _Invocation) -> None:
        invocation.dead = True
        self.found.faults["killed invocations"] += 1
        raise Killed

    def invoke(self, work: Callable[[Services], R]) -> R:
        """Execute work in a process; raises `LostError` if it is killed."""
        services = self._idle.pop() if self._idle else self._process()
        left = self.rng.randrange(20) if self._chance(0.06) else None
        self._running.append(_Invocation(left, self.rng.random() < 0.5))
        try:
            found = work(services)
        except Killed:
            services = self._process()  # the next request gets a new process
            raise LostError("killed") from None
        finally:
            self._running.pop()
            self._idle.insert(self.rng.randrange(len(self._idle) + 1), services)
            del self._idle[6:]
        if self._fault("lost responses", 0.03):
            raise LostError("response")
        return found

    def _process(self) -> Services:
        cloud = self.world.over(
            **self._ports,
            sleep=self._sleep,
            invoke_background=self._in_background,
            cache_bytes=_CACHE,
        )
        return Services(cloud, snapshot_every=20)

    def _sleep(self, seconds: float) -> None:
        self.world.now += seconds
        if len(self._running) < _MAX_DEPTH:
            self._next(late=True)

    # ---- time ----------------------------------------------------------------------------------

    def _at(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something after some seconds."""
        heappush(self._events, (self.world.now + seconds, next(self._numbers), act))

    def _next(self, *, late: bool) -> None:
        """Execute the next event if it is due, or, unless ``late``, due within a second."""
        if self._events and self._events[0][0] <= self.world.now + (0.0 if late else 1.0):
            heappop(self._events)[2]()

    def _run_until(self, end: float) -> None:
        while self._events and self._events[0][0] <= end:
            due, _, act = heappop(self._events)
            self.world.now = max(self.world.now, due)
            act()
            self._look_at_aws()
        self.world.now = max(self.world.now, end)

    def _look_at_aws(self) -> None:
        """Start workers whose tasks were launched, and deliver events of AWS."""
        world = self.world
        for arn, task in list(world.fleet.tasks.items()):
            if arn not in self._workers:
                worker = self._workers[arn] = _Worker(arn, task)
                self._at(self.rng.uniform(1, 15), partial(self._start, worker))
            elif arn in world.fleet.stopped and self._workers[arn].alive:
                self._gone(self._workers[arn])
        for run, arn in list(world.machines.executions.items()):
            status = world.machines.status(arn)
            if status != "RUNNING" and run not in self._ended_executions:
                self._ended_executions.add(run)
                self._event(partial(_execution_ended, run, status))

    def _event(self, handle: Callable[[Services], object], retries: int = 2) -> None:
        """Deliver an event, late, twice or not at all; a failed invocation is repeated."""

        def deliver() -> None:
            try:
                self.invoke(handle)
            except (LostError, BusyError, ThrottledError, ConflictError):
                if retries:
                    self._at(60, partial(self._event, handle, retries - 1))

        if self._fault("lost events", 0.05):
            return
        self._at(self.rng.expovariate(1), deliver)
        if self._fault("repeated events", 0.1):
            self._at(self.rng.uniform(0, 90), deliver)

    def _in_background(self, event: BackgroundEvent) -> None:
        sent = BackgroundEvent.model_validate_json(event.model_dump_json(exclude_defaults=True))

        def handle(services: Services) -> None:
            end = self.world.now + 900
            if sent.effects is not None:
                services.engine.deferred.execute(sent.effects, lambda: end - self.world.now)
            if sent.checks is not None:
                services.reconciler.check(sent.checks, lambda: end - self.world.now)

        self._event(handle)

    def _minute(self) -> None:
        self._at(60, self._minute)
        self._event(lambda services: services.reconciler.run(), retries=0)

    # ---- workers -------------------------------------------------------------------------------

    def _request(
        self,
        worker: _Worker,
        name: str,
        body: Any,
        then: Callable[[Any], None] = lambda _: None,
    ) -> None:
        """Send a request until there is a response; a copy may arrive later."""
        if not worker.alive:
            return
        who = self.world.tokens.find(digest_of(worker.task.token))
        assert who is not None

        def work(services: Services) -> Any:
            return _returned(getattr(services.worker(who), f"worker_{name}")(body))

        if self._fault("repeated requests", 0.03):
            self._at(self.rng.uniform(0, 60), partial(self._again, work))
        try:
            response = self.invoke(work)
        except (LostError, BusyError, ThrottledError):
            again = partial(self._request, worker, name, body, then)
            self._at(self.rng.uniform(0.5, 2), again)
        except WorkerGoneError:
            self._gone(worker)
        else:
            then(response)

    def _again(self, work: Callable[[Services], object]) -> None:
        with contextlib.suppress(*_REFUSALS, LostError, WorkerGoneError):
            self.invoke(work)

    def _start(self, worker: _Worker) -> None:
        def started(instructions: WorkerInstructions) -> None:
            worker.instructions, worker.idle_since = instructions, self.world.now
            self._poll(worker)

        start = first_start(worker.arn)
        self._request(worker, "start", start, started)
        if self._fault("killed workers", 0.15):
            self._at(self.rng.uniform(0, 120), partial(self._gone, worker))

    def _poll(self, worker: _Worker) -> None:
        if not worker.alive or worker.instructions is None:
            return
        worker.offer = self._offered(worker.instructions)
        if worker.offer is not None:
            self._claim(worker)
        elif self.world.now - worker.idle_since > _IDLE:
            self._gone(worker)
        else:
            self._at(self.rng.uniform(0.5, 2), partial(self._poll, worker))

    def _offered(self, instructions: WorkerInstructions) -> Offer | None:
        self._offers += self.world.interpreter.offers()
        for offer in self._offers:
            if offer.activity == instructions.activity:
                self._offers.remove(offer)
                return offer
        return None

    def _claim(self, worker: _Worker) -> None:
        assert worker.offer is not None
        self._request(worker, "claim", claim_of(worker.offer), partial(self._claimed, worker))

    def _claimed(self, worker: _Worker, response: ClaimResponse) -> None:
        if response.decision is ClaimDecision.HOLD:
            self._at(self.rng.uniform(1, 3), partial(self._claim, worker))
            return
        if response.decision is ClaimDecision.DROP or not worker.alive:
            worker.offer = None if worker.alive else worker.offer
            self._poll(worker)
            return
        seconds = self.rng.expovariate(1 / 4)
        worker.job, worker.ends = response, self.world.now + seconds
        self._ran[worker.task.pipeline_id, response.path or "", response.attempt].add(worker.arn)
        self._at(seconds, partial(self._finish, worker, response))
        self._at(_HEARTBEAT, partial(self._beat, worker, response))

    def _beat(self, worker: _Worker, job: ClaimResponse) -> None:
        if worker.job is job and worker.alive:
            beat = Heartbeat(path=job.path or "", attempt=job.attempt)
            self._request(worker, "heartbeat", beat)
            self._at(_HEARTBEAT, partial(self._beat, worker, job))

    def _finish(self, worker: _Worker, job: ClaimResponse) -> None:
        if worker.job is not job or not worker.alive:
            return
        failed = self.rng.random() < 0.05
        if not failed:
            self._succeeded.add((worker.task.pipeline_id, job.path or "", job.attempt))
        if self.rng.random() < 0.7 and worker.instructions is not None:
            worker.following = self._offered(worker.instructions)
        claim = None if worker.following is None else claim_of(worker.following)
        report = Report(path=job.path or "", attempt=job.attempt, exit_code=int(failed), next=claim)

        def reported(response: ReportResponse) -> None:
            if not worker.alive:
                return
            worker.job, worker.offer, worker.idle_since = None, worker.following, self.world.now
            worker.following = None
            if worker.offer is None:
                self._poll(worker)
            elif response.next is None:
                self._claim(worker)
            else:
                self.found.claimed += response.next.decision is ClaimDecision.RUN
                self._claimed(worker, response.next)

        self._request(worker, "report", report, reported)

    def _gone(self, worker: _Worker) -> None:
        """End a worker without a report; Step Functions notices its missing heartbeats."""
        if not worker.alive:
            return
        worker.alive, world = False, self.world
        if worker.arn not in world.fleet.stopped:
            world.fleet.stopped.append(worker.arn)
        for offer in (worker.offer, worker.following):
            if offer is not None:
                self._at(60, partial(self._time_out, offer.token))
        task, end = worker.task, TaskEnd("Host EC2 terminated")
        self._event(
            lambda services: services.reconciler.task_stopped(task.pipeline_id, task.worker_id, end)
        )

    def _time_out(self, token: str) -> None:
        with contextlib.suppress(TaskGoneError):
            self.world.interpreter.fail(token, "States.HeartbeatTimeout")

    # ---- people --------------------------------------------------------------------------------

    def _ask(self, work: Callable[[CloudPipelines], Any]) -> Any:
        """Send a request of a person, who does not repeat it; return None if it fails."""
        try:
            return self.invoke(lambda services: asyncio.run(work(services.pipelines(ME))))
        except (*_REFUSALS, LostError, DeletionRunningError):
            return None

    def _launch(self) -> None:
        if not self._launching:
            return
        self._at(self.rng.expovariate(1 / 12), self._launch)
        rng = self.rng
        groups = []
        for number in range(rng.randint(1, 3)):
            wide = parallel if rng.random() < 0.6 else serial
            leaves = [leaf(f"e{each}", retry_lost=3) for each in range(rng.randint(1, 6))]
            groups.append(wide(*leaves, name=f"g{number}"))
        tree = (serial if rng.random() < 0.5 else parallel)(*groups)
        request = LaunchRequest(tree=form(tree), run=True)
        self._ask(lambda api: api.launch(request))

    def _act(self) -> None:
        if not self._launching:
            return
        self._at(self.rng.expovariate(1 / 8), self._act)
        open_ones = sorted(self._store.open_pipelines())
        if not open_ones:
            return
        _, pipeline = self.rng.choice(open_ones)
        kind = self.rng.choice(["reset", "kill", "skip", "unskip", "pause", "run", "run"])
        node = self.rng.choice(["/", "/g0", "/g0/e0", "/g1"])
        paths = () if kind in ("pause", "run") else (node,)
        self._control(pipeline, kind, *paths)

    def _control(self, pipeline: str, kind: str, *paths: str) -> None:
        request = ControlRequest(action=Action(kind), paths=paths)
        params = PipelineParams(id=pipeline)
        self._ask(lambda api: api.control(params, request))

    # ---- the whole -----------------------------------------------------------------------------

    def run(self, seconds: float, *, traced: bool = False) -> Findings:
        """Let time pass with faults, then let everything end without; check the guarantees."""
        logger, log = logging.getLogger("chalicelib"), _Log(self.found)
        before, logger.propagate = logger.propagate, False
        logger.addHandler(log)
        self._minute()
        try:
            for third in range(3):
                self._launching = True
                self._launch()
                self._act()
                self._run_until(self.world.now + seconds / 3)
                self._launching = False
                self._come_to_an_end()
                self._check()
                self._clear()
                if traced:
                    gc.collect()
                    self.found.memory.append(tracemalloc.get_traced_memory()[0])
                if self.found.problems:
                    self.found.problems.insert(0, f"in the third number {third + 1}")
                    break
        finally:
            logger.removeHandler(log)
            logger.propagate = before
        return self.found

    def _come_to_an_end(self) -> None:
        """Let everything that was launched end, without further faults."""
        faults, self._faults = self._faults, 0.0
        for _ in range(60):
            for _, pipeline in sorted(self._store.open_pipelines()):
                self._control(pipeline, "run")
            self._run_until(self.world.now + 60)
            if not list(self._store.open_pipelines()):
                break
        else:
            left = [name for _, name in self._store.open_pipelines()]
            self.found.problems.append(f"these pipelines do not end: {left}")
        self._faults = faults

    def _pipelines(self) -> list[str]:
        return [record.id for record in self._store.records(ME.org, limit=10_000)[0]]

    def _check(self) -> None:
        problems = self.found.problems
        for name in self._pipelines():
            whole, cached = self._whole(name), self._from_snapshot(name)
            if snapshots.snapshot_of(whole).state != snapshots.snapshot_of(cached).state:
                problems.append(f"{name}: two readers of the journal differ")
            problems += self._check_attempts(name)
            problems += self._check_ends(name)
            waiting = self._store.waiting(name, 10)
            problems += [f"{name}: an input waits: {each}" for each in waiting]
        workers = self.world.cloud.records.orgs.in_use(ME.org).workers
        if workers:
            problems.append(f"{workers} workers are counted, and none is left")

    def _check_attempts(self, name: str) -> Iterator[str]:
        for attempt in self._store.attempts(name):
            key = (name, attempt.path, attempt.number)
            self.found.execs += 1
            if attempt.ended is None:
                yield f"{key} has not ended: {attempt.state}"
            if len(self._ran.get(key, ())) > 1:
                yield f"{key} ran on {len(self._ran[key])} workers"
            if attempt.state is State.DONE and key not in self._succeeded:
                yield f"{key} is done, but no worker has finished it"

    def _check_ends(self, name: str) -> Iterator[str]:
        """Yield the attempts that ended more than once, by the changes that followers get."""
        ends: Counter[tuple[str, int]] = Counter()
        latest: dict[tuple[str, int], State] = {}
        for change in self._store.changes(name, 0, 1_000_000):
            key = change.path, change.attempt
            ended = change.state in _ENDED and change.attempt and change.type is NodeType.EXEC
            ends[key] += bool(ended and latest.get(key) not in _ENDED)
            latest[key] = change.state
        yield from (f"{name}: {key} ended {n} times" for key, n in ends.items() if n > 1)

    def _whole(self, name: str) -> Any:
        """Return a pipeline as its whole journal implies it."""
        tree_of = partial(self._store.tree, name)
        live = snapshots.restore(ME.org, self._store.definition(name), None, tree_of)
        for entry in self._store.news(name, 0).entries:
            replay(live, JournalEntry.model_validate(entry.input))
        return live

    def _from_snapshot(self, name: str) -> Any:
        """Return a pipeline as a new process reads it."""
        with Services(self.world.cloud).engine.reading(ME.org, name) as live:
            return live

    def _clear(self) -> None:
        """Delete all pipelines, and what this simulation has noted of them."""
        for name in self._pipelines():
            params = PipelineParams(id=name)
            self._faults, faults = 0.0, self._faults
            self._ask(partial(_delete, params))
            self._faults = faults
        left = self._pipelines()
        if left:
            self.found.problems.append(f"these pipelines cannot be deleted: {left}")
        self._database.expire()
        for prefix in ("U#", "T#"):  # the sums of deleted pipelines, and tokens, which remain
            self._database.delete(prefix)
        world = self.world
        for owner in (world.interpreter, world.machines, world.fleet):
            for kept in vars(owner).values():
                if isinstance(kept, dict | list | set):
                    kept.clear()
        for noted in (self._workers, self._ran, self._succeeded, self._ended_executions):
            noted.clear()
        self._offers.clear()
        self._events = [event for event in self._events if event[2] == self._minute]


def _execution_ended(run: str, status: str, services: Services) -> None:
    services.reconciler.execution_ended(run, status)


def _delete(params: PipelineParams, api: CloudPipelines) -> Any:
    return api.delete_pipeline(params)


def _returned(coroutine: Any) -> Any:
    """Return the result of a coroutine that waits for nothing: there may be a running loop."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits for something")
