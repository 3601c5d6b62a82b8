"""The containers of tasks, in the local engine."""

import contextlib
import io
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import docker  # type: ignore[import-untyped]
from docker.errors import (  # type: ignore[import-untyped]
    APIError,
    BuildError,
    DockerException,
    ImageNotFound,
    NotFound,
)
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from conducto_core.command.task_layout import AGENT, USER
from conducto_core.workers.rules.start_failures import not_pulled
from conducto_emulator.tasks.s3files import BucketDirectories
from conducto_emulator.tasks.tasks import Task, TaskBoard
from conducto_worker import image

#: Labels of every container: its emulator and its task.
LABEL = "com.conducto.emulator"
TASK_LABEL = "com.conducto.emulator.task"
_OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
_UNITS = 1024
_LOG_LINES = 200
#: Statuses of ECS's health checks, by those of the engine.
_HEALTH = {"healthy": "HEALTHY", "unhealthy": "UNHEALTHY"}

logger = logging.getLogger(__name__)


class DockerContainers:
    """Starts the containers of tasks; implements `conducto_emulator.tasks.tasks.Containers`.

    Volumes of tasks and access points of EFS are directories. The containers of a task with
    services share one network address, as all of a real task do; others have one each.

    Args:
        folder: Parent of the directories.
        mark: Value of `LABEL`, which identifies the containers of one emulator.
        root_of: Returns the path of an access point, by its id.
        agent_env: Environment of the container ``agent`` to reach AWS; the app lends it a key.
        metadata: URL of the task metadata endpoint.
        lend: Returns the environment with the credentials of a role, for a session's name.
        keep: Stores lines in a log group and stream, like CloudWatch Logs.
        buckets: The directories of buckets.
    """

    def __init__(
        self,
        folder: Path,
        mark: str,
        *,
        root_of: Callable[[str], str],
        agent_env: Mapping[str, str],
        metadata: str,
        lend: Callable[[str, str], Mapping[str, str]],
        keep: Callable[[str, str, Sequence[str]], None],
        buckets: BucketDirectories,
    ) -> None:
        self._engine: Any = docker.from_env()
        self.folder = folder
        self._mark = mark
        self._root_of = root_of
        self._agent_env = agent_env
        self._metadata = metadata
        self._lend = lend
        self._keep = keep
        self._buckets = buckets
        self._ids: dict[tuple[str, str], str] = {}
        self._over: set[str] = set()

    def start(self, task: Task) -> None:
        volumes = {each["name"]: self._volume(task, each) for each in task.definition["volumes"]}
        for each, state in zip(
            task.definition["containerDefinitions"], task.containers, strict=True
        ):
            try:
                self._start(task, each, volumes)
            except Exception as error:
                state.reason = str(error)[:1024]
                raise

    def ended(self, task: Task, name: str) -> tuple[int, str | None] | None:
        identity = self._ids[task.arn, name]
        if identity not in self._over:
            return None
        try:
            found = self._engine.api.inspect_container(identity)["State"]
        except NotFound:  # removed: as if the host had failed
            return 137, "the container was removed"
        if found["Status"] in {"created", "running", "paused"}:
            return None
        return int(found["ExitCode"]), _OUT_OF_MEMORY if found.get("OOMKilled") else None

    def signal(self, task: Task, name: str, signal: str) -> None:
        with contextlib.suppress(DockerException):  # it has ended
            self._engine.api.kill(self._ids[task.arn, name], signal)

    def remove(self, task: Task) -> None:
        for key in [key for key in self._ids if key[0] == task.arn]:
            try:
                self._log(task, key[1])
            except Exception:
                # The log may be lost, but the container must be removed anyway.
                logger.exception("the log of %s in task %s was not stored", key[1], task.id)
            with contextlib.suppress(DockerException):
                self._engine.api.remove_container(self._ids[key], force=True, v=True)
            self._over.discard(self._ids.pop(key))
        self._buckets.unmount(task.id)
        shutil.rmtree(self._of_task(task), ignore_errors=True)

    def container_of(self, task_arn: str, name: str) -> str:
        """Return the engine's id of a container; tests use it to cause failures."""
        return self._ids[task_arn, name]

    def stats(self, task: Task) -> dict[str, Any]:
        """Return resource usage of a task's containers as ``{engine id: statistics}``."""
        found: dict[str, Any] = {}
        for arn, name in list(self._ids):
            if arn == task.arn:
                identity = self._ids[arn, name]
                with contextlib.suppress(DockerException):  # it has ended
                    found[identity] = self._engine.api.stats(identity, stream=False, one_shot=True)
        return found

    def ids(self, task: Task) -> dict[str, str]:
        """Return the engine's ids of a task's containers as ``{name: id}``."""
        return {name: one for (arn, name), one in list(self._ids.items()) if arn == task.arn}

    def file_system(self, name: str) -> Path:
        """Return the directory of a file system of EFS."""
        return self.folder / "efs" / name

    def remove_all(self) -> None:
        """Remove every container of this emulator."""
        for each in self._engine.containers.list(
            all=True, filters={"label": f"{LABEL}={self._mark}"}, ignore_removed=True
        ):
            with contextlib.suppress(DockerException):
                each.remove(force=True, v=True)

    def _log(self, task: Task, name: str) -> None:
        said = self._engine.api.logs(self._ids[task.arn, name], tail=_LOG_LINES)
        lines = said.decode(errors="replace").splitlines()
        for line in lines:
            logger.info("task %s, %s: %s", task.id[:8], name, line)
        definition = next(d for d in task.definition["containerDefinitions"] if d["name"] == name)
        given = (definition.get("logConfiguration") or {}).get("options") or {}
        if lines and "awslogs-group" in given:
            stream = f"{given['awslogs-stream-prefix']}/{name}/{task.id}"
            self._keep(given["awslogs-group"], stream, lines)

    def _start(
        self, task: Task, definition: Mapping[str, Any], volumes: Mapping[str, Path]
    ) -> None:
        name = definition["name"]
        binds = [
            f"{volumes[mount['sourceVolume']]}:{mount['containerPath']}"
            f"{':ro' if mount.get('readOnly') else ''}"
            for mount in definition.get("mountPoints", ())
        ]
        api = self._engine.api
        self._get_image(definition["image"])
        made = api.create_container(
            definition["image"],
            command=definition.get("command") or [],
            entrypoint=definition.get("entryPoint"),
            environment=self._env(task, definition),
            labels={LABEL: self._mark, TASK_LABEL: task.id},
            healthcheck=_health(definition.get("healthCheck")),
            host_config=api.create_host_config(
                binds=binds,
                network_mode=self._network(task, name),
                init=bool((definition.get("linuxParameters") or {}).get("initProcessEnabled")),
                **_limits(task, definition),
            ),
        )
        self._ids[task.arn, name] = made["Id"]
        with _named("CannotStartContainerError"):
            api.start(made["Id"])
        threading.Thread(target=self._wait, args=(made["Id"],), daemon=True).start()

    def _network(self, task: Task, name: str) -> str:
        shared = len(task.definition["containerDefinitions"]) > len((AGENT, USER))
        return f"container:{self._ids[task.arn, AGENT]}" if shared and name != AGENT else "default"

    def describe(self, task: Task) -> list[dict[str, Any]]:
        """Return a task's containers in the format of the task metadata endpoint."""
        found = []
        for name, identity in self.ids(task).items():
            container: dict[str, Any] = {"DockerId": identity, "Name": name}
            with contextlib.suppress(DockerException):
                state = self._engine.api.inspect_container(identity)["State"]
                is_over = state["Status"] in {"exited", "dead"}
                container["KnownStatus"] = "STOPPED" if is_over else "RUNNING"
                if is_over:
                    container["ExitCode"] = int(state["ExitCode"])
                health = state.get("Health")
                if health is not None:
                    last = (health.get("Log") or [{}])[-1]
                    container["Health"] = {
                        "status": _HEALTH.get(health["Status"], "UNKNOWN"),
                        "output": last.get("Output", ""),
                    }
            found.append(container)
        return found

    def _get_image(self, reference: str) -> None:
        """Pull an image that is not on this machine, as the local agent does."""
        try:
            self._engine.images.get(reference)
        except ImageNotFound:
            try:
                self._engine.images.pull(reference)
            except APIError as error:
                reported = error.explanation or str(error)
                raise RuntimeError(not_pulled(reference, reported)) from error

    def _wait(self, identity: str) -> None:
        """Wait for the end of a container: to ask for it at each tick takes a tenth of the CPU."""
        # After an error it is asked for at each tick.
        with contextlib.suppress(Exception):
            self._engine.api.wait(identity, timeout=None)
        self._over.add(identity)

    def _env(self, task: Task, definition: Mapping[str, Any]) -> dict[str, str]:
        name = definition["name"]
        overrides = (task.parameters.get("overrides") or {}).get("containerOverrides", ())
        given = [each for each in overrides if each["name"] == name]
        pairs = [
            pair for source in (definition, *given) for pair in source.get("environment") or ()
        ]
        return {
            "AWS_REGION": task.arn.split(":")[3],
            "ECS_CONTAINER_METADATA_URI_V4": f"{self._metadata}/{task.id}",
            # Nothing listens there; commands must not see it (`conducto_core.command.task_layout`).
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": f"/v2/credentials/{task.id}",
            **(self._of_agent(task) if name == "agent" else {}),
            **{pair["name"]: pair["value"] for pair in pairs},
        }

    def _of_agent(self, task: Task) -> dict[str, str]:
        """Return the environment of the agent; botocore would not accept another address."""
        role = task.definition.get("taskRoleArn")
        return {**self._agent_env, **(self._lend(role, task.id) if role else {})}

    def _volume(self, task: Task, volume: Mapping[str, Any]) -> Path:
        bucket = volume.get("s3filesVolumeConfiguration")
        if bucket is not None:
            return self._buckets.mount(task.id, bucket)
        efs = volume.get("efsVolumeConfiguration")
        if efs is None:
            path = self._of_task(task) / str(volume["name"])
        else:
            point = (efs.get("authorizationConfig") or {}).get("accessPointId")
            inside = self._root_of(point) if point else str(efs.get("rootDirectory", "/"))
            path = self.file_system(efs["fileSystemId"]) / inside.lstrip("/")
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o777)  # an access point squashes every user to its owner
        return path

    def _of_task(self, task: Task) -> Path:
        return self.folder / "tasks" / task.id


@contextlib.contextmanager
def _named(name: str) -> Iterator[None]:
    try:
        yield
    except DockerException as error:
        raise RuntimeError(f"{name}: {error}") from error


def _health(check: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the health check of a container for the engine, which counts in nanoseconds."""
    if check is None:
        return {"test": ["NONE"]}
    times = {"interval": "interval", "timeout": "timeout", "startPeriod": "start_period"}
    return {
        "test": check["command"],
        "retries": check.get("retries", 3),
        **{theirs: int(check[ours]) * 10**9 for ours, theirs in times.items() if ours in check},
    }


def _limits(task: Task, container: Mapping[str, Any]) -> dict[str, Any]:
    """Return the limits of a container: its own, or those of its task.

    On Fargate containers share the limits of their task; here they apply to the user's container
    only.
    """
    if container["name"] == "agent":
        return {}
    limits: dict[str, Any] = {}
    mib = container.get("memory") or task.definition.get("memory")
    if mib:
        memory = int(mib) << 20
        limits |= {"mem_limit": memory, "memswap_limit": memory}
    if task.definition.get("cpu"):
        # The engine refuses more CPUs than the machine has.
        units = min(int(task.definition["cpu"]), (os.cpu_count() or 1) * _UNITS)
        limits["nano_cpus"] = units * 10**9 // _UNITS
    return limits


# ----------------------------------------------------------------------------------------
# Emulates the ECS task metadata endpoint, version 4.


METADATA_PATH = "/metadata"


class Metadata:
    """Serves the metadata of the tasks of a board."""

    def __init__(self, board: TaskBoard, containers: DockerContainers) -> None:
        self._board = board
        self._containers = containers

    def routes(self) -> list[Route]:
        """Return the routes of the endpoint."""
        return [
            Route(f"{METADATA_PATH}/{{task}}/task", self._task),
            Route(f"{METADATA_PATH}/{{task}}/task/stats", self._stats),
        ]

    def _find(self, request: Request) -> Task | None:
        return self._board.find(request.path_params["task"])

    async def _task(self, request: Request) -> Response:
        task = self._find(request)
        if task is None:
            return Response(status_code=404)
        containers = await run_in_threadpool(self._containers.describe, task)
        return JSONResponse(
            {"TaskARN": task.arn, "KnownStatus": task.status, "Containers": containers}
        )

    async def _stats(self, request: Request) -> Response:
        task = self._find(request)
        if task is None:
            return Response(status_code=404)
        return JSONResponse(await run_in_threadpool(self._containers.stats, task))


# ----------------------------------------------------------------------------------------
# The agent's image in the local engine, built unless it exists with this content.


REPOSITORY = "conducto-agent"
_LOG_LINES_AGENT_IMAGE = 20


class AgentImageError(Exception):
    """The agent's image cannot be built."""


def ensure(base: str | None = None) -> str:
    """Return the reference of the agent's image; build it if it is missing.

    Args:
        base: Base image; None for the default of the Dockerfile.

    Raises:
        AgentImageError: The build failed.
    """
    reference = f"{REPOSITORY}:{image.digest()}"
    engine: Any = docker.from_env()
    try:
        engine.images.get(reference)
    except ImageNotFound:
        _build(engine, reference, {} if base is None else {"BASE": base})
    return reference


def _build(engine: Any, reference: str, arguments: dict[str, str]) -> None:
    try:
        engine.images.build(
            fileobj=io.BytesIO(image.context()),
            custom_context=True,
            tag=reference,
            buildargs=arguments,
            labels={"com.conducto.emulator": "image"},
            rm=True,
        )
    except BuildError as error:
        lines = [str(line.get("stream", line.get("error", ""))) for line in error.build_log]
        log = "".join(lines).splitlines()[-_LOG_LINES_AGENT_IMAGE:]
        raise AgentImageError("the agent's image cannot be built:\n" + "\n".join(log)) from error
