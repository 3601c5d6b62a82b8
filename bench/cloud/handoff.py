"""How soon a worker's slot of a full plan is used again, in a model of AWS's latencies.

The functions and the agents of the workers are the product's own; each agent is a thread. The model
has the calls to AWS, polls that stay open for a minute like those of Step Functions, and StopTask.
It leaves out the start of tasks, which takes 30 s on Fargate whatever Conducto does.
"""

import asyncio
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.cloud.workers import first_start

import conducto as co
from bench.cloud.deciding import ME, Place
from bench.cloud.lab import CloudLab
from chalicelib.people.tokens import digest_of
from chalicelib.run.rules.deferred import BackgroundEvent
from chalicelib.services import Services as CloudServices
from chalicelib.workers.output_handlers import WorkerGoneError
from chalicelib.workers.port import WorkerTask
from conducto.tree.launch_form import to_launch_form
from conducto_core.asl.rules.naming import node_id
from conducto_core.command.server import Finished
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.workers.model import WorkerInstructions
from conducto_emulator.faults.latency import Latency
from conducto_worker.agent import port as ports
from conducto_worker.agent.aws import ActivityPoller
from conducto_worker.agent.heartbeats import HeartbeatSender
from conducto_worker.agent.log_shipper import LogShipper
from conducto_worker.agent.services import Services
from conducto_worker.agent.usage import Sampler
from conducto_worker.agent.worker import Worker
from support.cloud.world import with_ports

Found = dict[str, float]
#: The free plan's number of workers.
_WORKERS = 2
#: Seconds of a poll without a task, and of a command.
_POLL, _COMMAND = 60.0, 1.0
#: Seconds from StopTask to SIGTERM in the container.
_SIGTERM = 1.0
#: Seconds until Step Functions offers a task again.
_RETRY = 1.0
#: Seconds after which a measurement has failed.
_TIMEOUT = 150.0
_SEED = 1
_STORE = {
    "news": "Query",
    "ends_with": "Query",
    "record": "GetItem",
    "snapshot": "GetItem",
    "waiting": "Query",
    "workers_seen": "Query",
    "put_waiting": "PutItem",
    "pass_turn": "PutItem",
    "drop_waiting": "DeleteItem",
    "withdraw": "DeleteItem",
    "note_worker": "PutItem",
    "commit": "TransactWriteItems",
}
_ORGS = {"in_use": "GetItem", "shares": "Query"}


class _Delays:
    """Sleeps for the latencies of the model."""

    def __init__(self) -> None:
        self._latency = Latency(_SEED)
        self._lock = threading.Lock()

    def call(self, service: str, operation: str) -> None:
        """Sleep for a call to AWS."""
        with self._lock:
            seconds = self._latency.of_call(service, operation)
        time.sleep(seconds)

    def request(self) -> None:
        """Sleep for a request through API Gateway."""
        with self._lock:
            seconds = self._latency.of_request()
        time.sleep(seconds)


class _Slow:
    """A port some of whose methods are calls to AWS."""

    def __init__(self, port: Any, delays: _Delays, service: str, calls: Mapping[str, str]) -> None:
        self._port, self._delays, self._service, self._calls = port, delays, service, calls

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if name not in self._calls:
            return method

        def slow(*args: Any, **kwargs: Any) -> Any:
            self._delays.call(self._service, self._calls[name])
            return method(*args, **kwargs)

        return slow


@dataclass
class _Queue:
    """An activity with its tasks and open polls."""

    tasks: deque[dict[str, str]] = field(default_factory=deque)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def put(self, task: dict[str, str]) -> None:
        """Schedule a task."""
        with self.changed:
            self.tasks.append(task)
            self.changed.notify()

    def get_activity_task(self, **_fields: str) -> dict[str, Any]:
        """Return a task, or none after a minute."""
        with self.changed:
            self.changed.wait_for(lambda: bool(self.tasks), _POLL)
            return self.tasks.popleft() if self.tasks else {}

    def send_task_heartbeat(self, **_fields: str) -> dict[str, Any]:
        """Accept a heartbeat."""
        return {}


class _Clock:
    """The time of an agent, and its signal; implements `conducto_worker.agent.port.Clock`."""

    def __init__(self) -> None:
        self._stopped_at: float | None = None
        self._signal = threading.Event()

    def stop(self) -> None:
        """Send SIGTERM."""
        self._stopped_at = self._stopped_at or self.now()
        self._signal.set()

    def now(self) -> float:
        """Return seconds since an arbitrary moment."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Return after ``seconds``, or at the signal."""
        self._signal.wait(seconds)

    @property
    def stopped_at(self) -> float | None:
        """Time of the signal, or None."""
        return self._stopped_at


class _Commands:
    """A container whose commands take a second; implements `conducto_worker.agent.port.Commands`.

    Args:
        ended: Called when a command ends.
    """

    def __init__(self, ended: Callable[[], None]) -> None:
        self._ended, self._until = ended, 0.0
        self.finished: Finished | None = None

    def wait_ready(self, _seconds: float, _stopping: Callable[[], bool]) -> None:
        """Return at once."""

    def begin(self, _script: str, _env: Mapping[str, str], _inputs: str = "") -> None:
        """Start a command."""
        self.finished, self._until = None, time.monotonic() + _COMMAND

    def read(self, seconds: float) -> list[ports.Chunk]:
        """Wait for the end of the command."""
        time.sleep(max(0.0, min(seconds, self._until - time.monotonic())))
        if time.monotonic() >= self._until and self.finished is None:
            self.finished = Finished(0, 0, None)
            self._ended()
        return []

    def signal(self, _name: str) -> None:
        """Ignore a signal."""

    def close(self) -> None:
        """Accept the end."""


class _Api:
    """The API as a worker sees it: each request goes to a process of the functions."""

    def __init__(self, cloud: "_Cloud", task: WorkerTask) -> None:
        self._cloud = cloud
        who = cloud.place.tokens.find(digest_of(task.token))
        if who is None:
            raise AssertionError("the worker's token is unknown")
        self._who = who

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def request(body: Any) -> Any:
            self._cloud.delays.request()
            with self._cloud.process() as services:
                try:
                    api = services.worker(self._who)
                    return asyncio.run(getattr(api, f"worker_{name}")(body))
                except WorkerGoneError as error:
                    raise ports.WorkerGoneError(str(error)) from error

        return request


class _Process:
    """A process of the functions, which serves one request at a time."""

    def __init__(self, idle: "deque[CloudServices]", services: CloudServices) -> None:
        self._idle, self._services = idle, services

    def __enter__(self) -> CloudServices:
        return self._services

    def __exit__(self, *_: object) -> None:
        self._idle.append(self._services)


class _Cloud:
    """The functions, ECS and Step Functions.

    Attributes:
        launched: ``{pool: time of its first RunTask}``.
        ended: ``{pool: time at which its last command ended so far}``.
        exits: ``{pool: times at which the tasks of its workers ended}``.
    """

    def __init__(self, root: co.Node) -> None:
        self.delays = _Delays()
        self.place = place = Place(root, workers=_WORKERS, run=False)
        self.queues: dict[str, _Queue] = {}
        self.launched: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self.exits: dict[str, list[float]] = {}
        self._clocks: dict[str, _Clock] = {}
        self._idle: deque[CloudServices] = deque()
        self._tokens = itertools.count()
        self._done: dict[str, threading.Event] = {}
        self._tasks: dict[str, tuple[_Queue, dict[str, str]]] = {}
        given = place.cloud
        self._ports = with_ports(
            given,
            store=_Slow(given.records.store, self.delays, "dynamodb", _STORE),
            orgs=_Slow(given.records.orgs, self.delays, "dynamodb", _ORGS),
            vault=_Slow(
                given.secrets.vault, self.delays, "secretsmanager", {"read": "", "look": ""}
            ),
            machines=_Machines(given.compute.machines, self),
            fleet=_Fleet(given.compute.fleet, self),
            invoke_background=self._invoke,
            threads=16,
        )

    def process(self) -> _Process:
        """Return a process of the functions."""
        try:
            return _Process(self._idle, self._idle.pop())
        except IndexError:
            return _Process(self._idle, CloudServices(self._ports))

    def launch(self, root: co.Node) -> str:
        """Launch a pipeline and return its id."""
        with self.process() as services:
            request = LaunchRequest(tree=to_launch_form(root), run=True)
            return asyncio.run(services.pipelines(ME).launch(request)).pipeline.id

    def _invoke(self, event: BackgroundEvent) -> None:
        """Start an invocation of the function ``background``."""
        self.delays.call("lambda", "Invoke")
        threading.Thread(target=self._in_background, args=(event,), daemon=True).start()

    def _in_background(self, event: BackgroundEvent) -> None:
        if event.effects is not None:
            with self.process() as services:
                services.engine.deferred.execute(event.effects, lambda: 900.0)

    # ---- ECS ----------------------------------------------------------------------------------

    def run_task(self, arn: str, task: WorkerTask) -> None:
        """Start a worker's agent."""
        self.launched.setdefault(task.pool, time.monotonic())
        if arn not in self._clocks:
            clock = self._clocks[arn] = _Clock()
            threading.Thread(target=self._work, args=(arn, task, clock), daemon=True).start()

    def stop_task(self, arn: str) -> None:
        """Send SIGTERM to a worker's agent a little later."""
        timer = threading.Timer(_SIGTERM, self._clocks[arn].stop)
        timer.daemon = True
        timer.start()

    def _work(self, arn: str, task: WorkerTask, clock: _Clock) -> None:
        api = _Api(self, task)
        try:
            instructions = api.start(first_start(arn))
            self._agent(api, task, clock, instructions).run()
        except ports.WorkerApiError:
            pass  # it is not needed any more
        self.exits.setdefault(task.pool, []).append(time.monotonic())

    def _agent(
        self, api: Any, task: WorkerTask, clock: _Clock, instructions: WorkerInstructions
    ) -> Worker:
        queue = self.queue(instructions.activity)

        def ended() -> None:
            self.ended[task.pool] = time.monotonic()

        tasks = ActivityPoller(
            instructions, lambda: instructions, connect=lambda _: queue, clock=clock, wall=time.time
        )
        shipper = LogShipper(api, clock)
        return Worker(
            api,
            tasks,
            _Commands(ended),
            keeper=HeartbeatSender(api, tasks, shipper),
            shipper=shipper,
            sampler=Sampler(lambda: None, shipper, clock),
            clock=clock,
            services=Services((), lambda _path: None, clock),
            instructions=instructions,
        )

    # ---- Step Functions -----------------------------------------------------------------------

    def queue(self, activity: str) -> _Queue:
        """Return an activity."""
        return self.queues.setdefault(activity, _Queue())

    def execute(self, pipeline: str, paths: Sequence[str]) -> None:
        """Schedule the tasks of Execs and wait until they are completed, like an execution."""
        with self.process() as services, services.engine.reading(ME.org, pipeline) as live:
            run = live.cloud_machine.run
            pools = [live.pool_at(live.tree.nodes[path]).name for path in paths]
        waiting = []
        for path, pool in zip(paths, pools, strict=True):
            token = f"t{next(self._tokens)}"
            done = self._done[token] = threading.Event()
            waiting.append(done)
            data = f'{{"r": "{run}", "n": "{node_id(path)}"}}'
            activity = self.place.cloud.installation.site.activity_of(pool)
            queue, task = self.queue(activity), {"taskToken": token, "input": data}
            self._tasks[token] = queue, task
            queue.put(task)
        for done in waiting:
            if not done.wait(_TIMEOUT):
                raise AssertionError(f"the tasks of {paths} are not completed")

    def complete(self, token: str) -> None:
        """Complete a task."""
        self._done[token].set()

    def offer_again(self, token: str) -> None:
        """Offer a task again that a leaving worker has returned."""
        queue, task = self._tasks[token]
        timer = threading.Timer(_RETRY, queue.put, (task,))
        timer.daemon = True
        timer.start()

    def pool_of(self, pipeline: str, path: str) -> str:
        """Return the name of the pool of an Exec."""
        with self.process() as services, services.engine.reading(ME.org, pipeline) as live:
            return live.pool_at(live.tree.nodes[path]).name


class _Fleet:
    """ECS, whose tasks are threads."""

    def __init__(self, fleet: Any, cloud: _Cloud) -> None:
        self._fleet, self._cloud = fleet, cloud

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fleet, name)

    def start(self, task: WorkerTask) -> str:
        """Start a worker's task."""
        self._cloud.delays.call("ecs", "RunTask")
        arn: str = self._fleet.start(task)
        self._cloud.run_task(arn, task)
        return arn

    def stop(self, arn: str, reason: str) -> None:
        """Stop a worker's task."""
        self._cloud.delays.call("ecs", "StopTask")
        self._fleet.stop(arn, reason)
        self._cloud.stop_task(arn)


class _Machines:
    """Step Functions, in which the measurement itself is the execution."""

    def __init__(self, machines: Any, cloud: _Cloud) -> None:
        self._machines, self._cloud = machines, cloud

    def __getattr__(self, name: str) -> Any:
        return getattr(self._machines, name)

    def succeed(self, token: str, output: Mapping[str, Any]) -> None:
        """Complete a task."""
        del output
        self._cloud.delays.call("states", "SendTaskSuccess")
        self._cloud.complete(token)

    def fail(self, token: str, error: str, cause: str = "") -> None:
        """Release a task to other workers."""
        del error, cause
        self._cloud.delays.call("states", "SendTaskFailure")
        self._cloud.offer_again(token)


def free_plan_gap(_lab: CloudLab) -> Found:
    """Let one pool follow another in a pipeline, in two pipelines, and return to the first pool."""
    own, other, lent = _consecutive(), _of_two_pipelines(), _lent()
    return {
        "gap_s": max(own.gap, other.gap, lent.gap),
        "pipeline_gap_s": own.gap,
        "other_pipeline_gap_s": other.gap,  # negative: the first pool needed one worker at its end
        "idle_s": max(own.idle, other.idle),
        "lent_idle_s": lent.idle,
    }


@dataclass(frozen=True)
class _Handover:
    """A measured handover.

    Attributes:
        gap: Seconds from the end of the last command of the first pool to RunTask for the second.
        idle: Seconds for which workers of the first pool are paid afterwards, at most.
    """

    gap: float
    idle: float


def _consecutive() -> _Handover:
    """Three commands on the two workers of a pool, then two of another image."""
    cloud = _Cloud(_tree("unused"))
    pipeline = cloud.launch(_tree("a", "b"))
    cloud.execute(pipeline, ["/a/n0", "/a/n1", "/a/n2"])
    pools = [cloud.pool_of(pipeline, path) for path in ("/a/n0", "/b/n0")]
    threading.Thread(
        target=cloud.execute, args=(pipeline, ["/b/n0", "/b/n1", "/b/n2"]), daemon=True
    ).start()
    return _handover(cloud, *pools)


def _of_two_pipelines() -> _Handover:
    """The same with the second image in another pipeline, which was launched meanwhile."""
    cloud = _Cloud(_tree("unused"))
    first = cloud.launch(_tree("a"))
    second = cloud.launch(_tree("b"))
    cloud.execute(first, ["/a/n0", "/a/n1", "/a/n2"])
    pools = [cloud.pool_of(first, "/a/n0"), cloud.pool_of(second, "/b/n0")]
    return _handover(cloud, *pools)


def _lent() -> _Handover:
    """The first image is needed again after the second one."""
    cloud = _Cloud(_tree("unused"))
    pipeline = cloud.launch(_tree("a", "b", "c"))
    cloud.execute(pipeline, ["/a/n0", "/a/n1", "/a/n2"])
    pools = [cloud.pool_of(pipeline, path) for path in ("/a/n0", "/b/n0")]
    return _handover(cloud, *pools)


def _handover(cloud: _Cloud, before: str, after: str) -> _Handover:
    """Wait for the second pool's launch, and for the end of the first pool's workers."""
    end = time.monotonic() + _TIMEOUT
    while after not in cloud.launched or len(cloud.exits.get(before, ())) < _WORKERS:
        if time.monotonic() > end:
            raise AssertionError("the second pool has no workers")
        time.sleep(0.01)
    done = cloud.ended[before]
    idle = [max(0.0, time - done) for time in cloud.exits[before]]
    return _Handover(cloud.launched[after] - done, max(idle))


def _tree(*groups: str) -> co.Serial:
    """Return groups of three commands each; ``c`` has the image of ``a``."""
    root = co.Serial()
    for name in groups:
        group = root[name] = co.Parallel(image="debian" if name == "b" else "busybox")
        for n in range(3):
            group[f"n{n}"] = co.Exec("true")
    return root
