"""The time of a launch in the latency model: the functions' code over moto, and modelled latencies.

Time is the CPU time of this process plus the latencies of the calls to AWS, so that other programs
on the machine do not change the results. Calls of several threads count as one after another.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.fakes.cloud import FakeFleet, FakeMachines

import conducto as co
from bench.cloud.lab import ROOT, CloudLab
from bench.registry import BenchError
from chalicelib.bootstrap import AWS_THREADS, App
from chalicelib.errors import ThrottledError
from chalicelib.people.port import Identity
from chalicelib.run.rules.deferred import BackgroundEvent
from chalicelib.services import Services
from conducto.tree.launch_form import to_launch_form
from conducto_core.asl.rules.compiler import Machine
from conducto_core.asl.rules.naming import Site
from conducto_core.billing.rules import BillingPlan
from conducto_core.installation.names import FUNCTION_SECONDS, Variables
from conducto_core.run.model.requests import LaunchRequest
from support.cloud.world import with_ports

if TYPE_CHECKING:
    from conducto_emulator.faults.latency import Latency

Found = dict[str, float]
ME = Identity("acme", "ann", frozenset({"read", "launch", "change_state"}))
#: Seed of the latencies.
SEED = 1
_GROUP = 1000
_PLAN = BillingPlan("scale", 200, 2000, 16, None)
_SITE = Site("us-east-1", "123456789012", stage="bench")
#: Asynchronous invocation of a function, from the call to its start, in seconds.
ASYNCHRONOUS = 0.1


@dataclass
class ModelClock:
    """Seconds of CPU time and of modelled latencies.

    Attributes:
        waited: Seconds of latencies so far.
    """

    waited: float = 0.0
    _started: float = field(default_factory=time.process_time)

    def now(self) -> float:
        """Return the seconds since the start."""
        return time.process_time() - self._started + self.waited

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.waited += seconds


class NoInterpreter:
    """State machines that offer no tasks."""

    def create(self, machine: Machine) -> None:
        """Accept a machine."""

    def start(self, arn: str, _data: Mapping[str, Any]) -> str:
        """Return the id of an execution that never ends."""
        return arn

    def stop(self, execution: str) -> None:
        """Accept a stop."""

    def status(self, _execution: str) -> str:
        """Return the status of an execution."""
        return "RUNNING"

    def succeed(self, token: str, output: Mapping[str, Any]) -> None:
        """Accept a result."""

    def fail(self, token: str, error: str) -> None:
        """Accept a failure."""


class Slow:
    """A port over services with latencies and rates.

    Args:
        port: The port.
        calls: ``{method: operations of its calls}``, e.g. ``ecs.RunTask``.
        model: The cloud that has them.
        at_once: Number of simultaneous calls.
    """

    def __init__(
        self, port: Any, calls: Mapping[str, tuple[str, ...]], model: "CloudModel", at_once: int = 1
    ) -> None:
        self._port, self._calls, self._model, self._at_once = port, calls, model, at_once

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)
        if name not in self._calls:
            return call

        def slow(*given: Any) -> Any:
            for operation in self._calls[name]:
                service, _, called = operation.partition(".")
                self._model.call(service, called, self._at_once)
            return call(*given)

        return slow


class CloudModel:
    """The functions over moto, with the latencies of AWS.

    Attributes:
        clock: The time.
        events: Events of the function ``background`` that were not executed yet.
        launched: Time of the first launch of a worker.
    """

    def __init__(self, app: App, latency: "Latency") -> None:
        from conducto_emulator.faults.latency import TokenBuckets  # noqa: PLC0415  as in `lab`

        self.clock = ModelClock()
        self.latency = latency
        self.events: list[BackgroundEvent] = []
        self.launched: float | None = None
        self._buckets = TokenBuckets(self.clock.now)
        self.fleet = FakeFleet()
        calls = {"start": ("ecs.RunTask",), "stop": ("ecs.StopTask",)}
        fleet = Slow(self.fleet, calls, self)
        machines = Slow(
            FakeMachines(NoInterpreter(), LookupError, _SITE),
            {
                "create": ("states.CreateStateMachine",),
                "ensure_activity": ("states.CreateActivity",),
                "start": ("states.StartExecution",),
            },
            self,
            AWS_THREADS,
        )
        self.cloud = with_ports(
            app.cloud,
            fleet=fleet,
            machines=machines,
            sleep=self.clock.wait,
            invoke_background=self._invoke,
            threads=1,
        )

    def call(self, service: str, operation: str, at_once: int = 1) -> None:
        """Let the time of a call pass; raises `ThrottledError` beyond AWS's rate."""
        if operation == "RunTask" and self.launched is None:
            self.launched = self.clock.now()
        self.clock.wait(self.latency.of_call(service, operation) / at_once)
        if not self._buckets.allow(service, operation):
            raise ThrottledError(operation)

    def _invoke(self, event: BackgroundEvent) -> None:
        self.call("lambda", "Invoke")
        self.events.append(event)

    def process(self) -> Services:
        """Return the services of a new process."""
        return Services(self.cloud)

    def run_background(self) -> None:
        """Execute the events of the function ``background``, each in a new process."""
        while self.events:
            event = self.events.pop(0)
            self.clock.wait(ASYNCHRONOUS)
            if event.effects is not None:
                self.process().engine.deferred.execute(event.effects, self._time_left())

    def _time_left(self) -> Callable[[], float]:
        end = self.clock.now() + FUNCTION_SECONDS["background"]
        return lambda: end - self.clock.now()


def _wait(cloud: CloudModel, service: str, model: Any, **_more: Any) -> None:
    cloud.call(service, str(model.name))


@contextmanager
def cloud_model() -> Iterator[CloudModel]:
    """Yield the model of an installation."""
    from conducto_emulator.faults.latency import Latency  # noqa: PLC0415  as in `lab`

    # The tests' modules import each other from their directory.
    sys.path.append(str(ROOT / "tests"))
    from support.cloud.aws import aws, environment  # noqa: PLC0415

    before = dict(os.environ)
    try:
        with aws() as clients:
            app = App(environment(**{Variables.DATA_ROOT: "/dev/null/data"}), clients)
            app.cloud.records.orgs.set_plan(ME.org, _PLAN)
            model = CloudModel(app, Latency(SEED))
            for service in ("dynamodb", "s3"):
                events = clients.get(service).meta.events
                events.register("before-call", partial(_wait, model, service))
            yield model
    finally:
        os.environ.clear()
        os.environ.update(before)


def launch(size: int) -> Callable[[CloudLab], Found]:
    """Return the measurement of the launch of a number of commands."""

    def measure(_lab: CloudLab) -> Found:
        form = to_launch_form(tree_of(size))
        with cloud_model() as model:
            api = model.process().pipelines(ME)
            request = LaunchRequest(tree=form, run=True, program="/home/ann/pipeline.py")
            clock = model.clock
            start = clock.now()
            clock.wait(model.latency.of_request())
            asyncio.run(api.launch(request))
            response = clock.now() - start
            model.run_background()
            ended = clock.now() - start
            if model.launched is None:
                raise BenchError("no worker was launched")
            return {
                "response_seconds": response,
                "first_worker_seconds": model.launched - start,
                "run_started_seconds": ended,
            }

    return measure


def tree_of(size: int) -> co.Parallel:
    """Return a tree of commands in groups of a thousand."""
    root = co.Parallel(image="busybox")
    for first in range(0, size, _GROUP):
        group = root[f"g{first:06}"] = co.Parallel()
        for number in range(min(_GROUP, size - first)):
            group[f"n{number:03}"] = co.Exec("true")
    return root
