"""Tasks of ECS, from PROVISIONING to STOPPED. Containers are behind a port."""

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from conducto_emulator.faults.capacity import INTERRUPTED, Scarcity

_STOPPED = "STOPPED"
_TIMES = ("createdAt", "startedAt", "stoppedAt")
#: Seconds between two checks whether a task is to be stopped.
_TICK = 0.2
#: Seconds after which ECS gives up a task for which it finds no machine.
PROVISIONING_SECONDS = 1800.0
_UNPLACED = "Timeout waiting for capacity"
_INTERRUPTION = "SpotInterruption"
_FARGATE, _MANAGED = "FARGATE", "MANAGED_INSTANCES"
#: ECS CPU units per vCPU.
_UNITS = 1024
_NO_VCPUS = (
    "You've reached the limit on the number of vCPUs you can run concurrently. For more "
    "information, see the Troubleshooting section of the Amazon ECS Developer Guide."
)


@dataclass(slots=True)
class ContainerState:
    """A container of a task, as in DescribeTasks."""

    name: str
    image: str
    essential: bool
    stop_timeout: int
    status: str = "PENDING"
    exit_code: int | None = None
    reason: str | None = None


@dataclass(slots=True)
class Task:
    """A task.

    Attributes:
        definition: The registered task definition.
        parameters: Those of RunTask.
        wanted_stop: Reason of the requested stop, or None.
    """

    arn: str
    definition: Mapping[str, Any]
    parameters: Mapping[str, Any]
    containers: list[ContainerState]
    status: str = "PROVISIONING"
    created: float = field(default_factory=time.time)
    started: float | None = None
    ended: float | None = None
    stop_code: str | None = None
    stopped_reason: str | None = None
    wanted_stop: str | None = None
    version: int = 0

    @property
    def id(self) -> str:
        """The last part of its ARN."""
        return self.arn.rpartition("/")[2]

    def describe(self) -> dict[str, Any]:
        """Return the task in the format of DescribeTasks."""
        return {
            "taskArn": self.arn,
            "taskDefinitionArn": self.definition["taskDefinitionArn"],
            "clusterArn": self.parameters["clusterArn"],
            "lastStatus": self.status,
            "desiredStatus": _STOPPED if self.wanted_stop or self.ended else "RUNNING",
            "startedBy": self.parameters.get("startedBy"),
            "group": self.parameters.get("group"),
            "cpu": self.definition.get("cpu"),
            "memory": self.definition.get("memory"),
            "capacityProviderName": provider_of(self.parameters),
            "overrides": self.parameters.get("overrides") or {},
            "createdAt": self.created,
            "startedAt": self.started,
            "stoppedAt": self.ended,
            "stopCode": self.stop_code,
            "stoppedReason": self.stopped_reason,
            "version": self.version,
            "containers": [self._container(each) for each in self.containers],
        }

    def event(self) -> dict[str, Any]:
        """Return the task in the format of events, with times as text."""
        described = self.describe()
        times = {name: described[name] for name in _TIMES if described[name] is not None}
        said = {name: _text_of(time) for name, time in times.items()}
        return {**{k: v for k, v in described.items() if k not in _TIMES}, **said}

    def _container(self, state: ContainerState) -> dict[str, Any]:
        told: dict[str, Any] = {
            "name": state.name,
            "image": state.image,
            "lastStatus": state.status,
            "runtimeId": f"{self.id}-{state.name}",
        }
        if self.parameters.get("enableExecuteCommand"):
            entrance = {"name": "ExecuteCommandAgent", "lastStatus": state.status}
            told["managedAgents"] = [entrance]
        if state.exit_code is not None:
            told["exitCode"] = state.exit_code
        if state.reason is not None:
            told["reason"] = state.reason
        return {**told, "taskArn": self.arn}


class Containers(Protocol):
    """Runs the containers of a task."""

    def start(self, task: Task) -> None:
        """Start all containers; the exception has the reason if one cannot start."""

    def ended(self, task: Task, name: str) -> tuple[int, str | None] | None:
        """Return a container's exit code and ECS's reason; None while it runs."""

    def signal(self, task: Task, name: str, signal: str) -> None:
        """Send a signal to a container's first process."""

    def remove(self, task: Task) -> None:
        """Remove all containers and the volumes of the task."""


@dataclass(slots=True)
class Knobs:
    """Faults that tests inject.

    Attributes:
        delay: Seconds until a task's containers start.
        refusal: Reason with which RunTask fails, for example ``Capacity is unavailable``.
        hangs: Returns whether AWS finds no machine for a task.
        fails: Returns whether a task fails to start, after it has set why.
    """

    delay: float = 0.0
    refusal: str | None = None
    hangs: Callable[[Task], bool] = lambda _task: False
    fails: Callable[[Task], bool] = lambda _task: False


class TaskBoard:
    """All tasks of one cluster.

    Args:
        containers: Runs the containers.
        changed: Called after each change of a task's status, in the task's thread.
        start_delay: Returns AWS's start time of a task in seconds.

    Attributes:
        max_vcpus: Quota of the account; None for no limit.
        scarcity: Random lack of capacity; None: there is enough.
        providers: Capacity providers of machine classes.
    """

    def __init__(
        self,
        containers: Containers,
        changed: Callable[[dict[str, Any]], None],
        start_delay: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.knobs = Knobs()
        self.max_vcpus: float | None = None
        self.scarcity: Scarcity | None = None
        self.providers: frozenset[str] = frozenset()
        self._start_delay = start_delay
        self._containers = containers
        self._changed = changed
        self._tasks: dict[str, Task] = {}
        self._by_client_token: dict[str, Task] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.RLock()
        self._wake = threading.Condition(self._lock)

    def run(
        self, arn_prefix: str, definition: Mapping[str, Any], parameters: Mapping[str, Any]
    ) -> tuple[list[Task], list[dict[str, str]]]:
        """Start a task, unless one was started with the same client token.

        Returns:
            The task, and failures as in RunTask; one of them is empty.
        """
        with self._lock:
            token = parameters.get("clientToken")
            known = self._by_client_token.get(token) if token else None
            if known is not None:
                return [known], []
            refusal = self._refusal(definition, parameters)
            if refusal is not None:
                return [], [{"arn": arn_prefix, "reason": refusal}]
            task = Task(
                f"{arn_prefix}/{uuid.uuid4().hex}",
                definition,
                parameters,
                _containers_of(definition),
            )
            self._tasks[task.arn] = task
            if token:
                self._by_client_token[token] = task
        thread = threading.Thread(target=self._live, args=(task,), daemon=True, name=task.id)
        self._threads.append(thread)
        thread.start()
        return [task], []

    def _refusal(self, definition: Mapping[str, Any], parameters: Mapping[str, Any]) -> str | None:
        """Return why a task does not start, or None."""
        scarce = None if self.scarcity is None else self.scarcity.refusal()
        wrong = self._unsuitable(definition, provider_of(parameters))
        return wrong or self.knobs.refusal or self._over_quota(definition) or scarce

    def _unsuitable(self, definition: Mapping[str, Any], provider: str) -> str | None:
        """Return why a capacity provider cannot run a task, or None."""
        kinds = definition.get("requiresCompatibilities") or [_FARGATE]
        gpus = [each for each in definition["containerDefinitions"] if _has_gpus(each)]
        if provider.startswith(_FARGATE):
            return "ATTRIBUTE: Fargate has no GPUs" if gpus or kinds != [_FARGATE] else None
        if provider not in self.providers:
            return f"The specified capacity provider '{provider}' was not found."
        return None if kinds == [_MANAGED] else f"ATTRIBUTE: {kinds} does not run on {provider}"

    def interrupt(self, arn: str) -> None:
        """Interrupt a Spot task."""
        with self._wake:
            task = self.find(arn)
            if task is not None and task.wanted_stop is None:
                task.wanted_stop, task.stop_code = INTERRUPTED, _INTERRUPTION
                self._wake.notify_all()

    def _over_quota(self, definition: Mapping[str, Any]) -> str | None:
        """Return the reason why the account's quota does not allow a task, or None."""
        if self.max_vcpus is None:
            return None
        running = [each.definition for each in self._tasks.values() if each.ended is None]
        units = sum(int(each.get("cpu") or 0) for each in (*running, definition))
        return _NO_VCPUS if units > self.max_vcpus * _UNITS else None

    def stop(self, arn: str, reason: str) -> Task | None:
        """Stop a task; return None if it does not exist."""
        with self._wake:
            task = self.find(arn)
            if task is not None and task.wanted_stop is None:
                task.wanted_stop = reason or "Task stopped by user"
                self._wake.notify_all()
            return task

    def find(self, arn: str) -> Task | None:
        """Return a task by its ARN or id."""
        with self._lock:
            end = arn.rpartition("/")[2]
            return next((each for each in self._tasks.values() if each.id == end), None)

    def list(self, *, started_by: str | None, stopped: bool) -> Sequence[Task]:
        """Return the tasks whose desired status is STOPPED, or those whose is not."""
        with self._lock:
            return [
                each
                for each in self._tasks.values()
                if (started_by is None or each.parameters.get("startedBy") == started_by)
                and (each.wanted_stop is not None or each.ended is not None) == stopped
            ]

    def stop_all(self, reason: str, *, seconds: float) -> None:
        """Stop all tasks and wait for them, at most ``seconds``."""
        for each in list(self._tasks.values()):
            self.stop(each.arn, reason)
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        self._threads = [each for each in self._threads if each.is_alive()]

    def _live(self, task: Task) -> None:
        self._changed(task.event())
        try:
            scarcity = self.scarcity
            if self.knobs.hangs(task) or (scarcity is not None and scarcity.hangs()):
                self._wait(PROVISIONING_SECONDS, task)
                task.wanted_stop = task.wanted_stop or _UNPLACED
            self._wait(self.knobs.delay + self._start_delay(), task)
            self._run(task)
        except Exception as error:  # noqa: BLE001  (any error is a failed start)
            task.stop_code = "TaskFailedToStart"
            task.stopped_reason = str(error)[:1024]
        finally:
            self._containers.remove(task)
        task.ended = time.time()
        for each in task.containers:
            each.status = _STOPPED
        self._become(task, _STOPPED)

    def _run(self, task: Task) -> None:
        if task.wanted_stop is None:
            self._become(task, "PENDING")
            failure = None if self.scarcity is None else self.scarcity.failed_start()
            if failure is not None:
                task.stop_code, task.stopped_reason = "TaskFailedToStart", failure
            if failure is not None or self.knobs.fails(task):
                return
            self._start(task)
            self._follow(task)
        self._end(task)

    def _start(self, task: Task) -> None:
        self._containers.start(task)
        for each in task.containers:
            each.status = "RUNNING"
        task.started = time.time()
        self._become(task, "RUNNING")

    def _follow(self, task: Task) -> None:
        """Wait until an essential container ends, a stop is requested, or AWS interrupts it."""
        spot = provider_of(task.parameters).lower().endswith("spot")
        notice = self.scarcity.notice() if spot and self.scarcity is not None else None
        end = None if notice is None else time.monotonic() + notice
        while task.wanted_stop is None:
            self._refresh(task)
            if any(each.essential and each.status == _STOPPED for each in task.containers):
                return
            self._wait(_TICK, task)
            if end is not None and time.monotonic() > end:
                self.interrupt(task.arn)

    def _end(self, task: Task) -> None:
        """Stop the containers: TERM to all, KILL after their timeouts."""
        if task.wanted_stop is not None:
            task.stop_code = task.stop_code or "UserInitiated"
            task.stopped_reason = task.wanted_stop
        else:
            task.stop_code = "EssentialContainerExited"
            task.stopped_reason = "Essential container in task exited"
        if task.started is None:
            return
        self._become(task, "DEACTIVATING")
        self._signal(task, "SIGTERM")
        began = time.monotonic()
        while any(each.status != _STOPPED for each in task.containers):
            self._refresh(task)
            for each in task.containers:
                if each.status != _STOPPED and time.monotonic() - began > each.stop_timeout:
                    self._containers.signal(task, each.name, "SIGKILL")
            time.sleep(_TICK / 4)

    def _signal(self, task: Task, signal: str) -> None:
        for each in task.containers:
            if each.status != _STOPPED:
                self._containers.signal(task, each.name, signal)

    def _refresh(self, task: Task) -> None:
        for each in task.containers:
            if each.status == _STOPPED:
                continue
            found = self._containers.ended(task, each.name)
            if found is not None:
                each.exit_code, each.reason = found
                each.status = _STOPPED

    def _wait(self, seconds: float, task: Task) -> None:
        with self._wake:
            self._wake.wait_for(lambda: task.wanted_stop is not None, seconds)

    def _become(self, task: Task, status: str) -> None:
        task.status = status
        task.version += 1
        self._changed(task.event())


def provider_of(parameters: Mapping[str, Any]) -> str:
    """Return the capacity provider of RunTask."""
    strategy = parameters.get("capacityProviderStrategy") or [{"capacityProvider": _FARGATE}]
    return str(strategy[0]["capacityProvider"])


def _has_gpus(container: Mapping[str, Any]) -> bool:
    return any(each["type"] == "GPU" for each in container.get("resourceRequirements") or ())


def _text_of(time: float) -> str:
    text = datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _containers_of(definition: Mapping[str, Any]) -> list[ContainerState]:
    return [
        ContainerState(
            each["name"], each["image"], each.get("essential", True), each.get("stopTimeout", 30)
        )
        for each in definition["containerDefinitions"]
    ]
