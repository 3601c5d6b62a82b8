"""Task definitions of workers: two containers, their shared volume, and a pipeline's data.

RunTask cannot override the image, volumes or sizes of a Fargate task, so there is one definition
for each combination. Its family is named after its pipeline and its content: existing ones are
reused, so that AWS's limit of one registration per second is rarely reached, and those of finished
pipelines can be found and deleted.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from chalicelib.aws.clients import Clients
from chalicelib.aws.errors import client_error, code_of, message_of, throttling
from chalicelib.data.aws import EfsAccessPoints
from chalicelib.workers.aws.buckets import BucketMounts
from chalicelib.workers.port import DataMounts, WorkerTask
from conducto.wire.fields import ARM
from conducto.wire.services import Service, of_form, size_of
from conducto_core.asl.rules.naming import Site
from conducto_core.buckets.rules import buckets_from_wire
from conducto_core.cache.views import INPUTS_OF_PIPELINE
from conducto_core.command.task_layout import (
    AGENT,
    CTL,
    DATA_MOUNTS,
    DATA_OF_AGENT,
    SERVICE_NAMES,
    STOP_TIMEOUT,
    USER,
    VIEW,
    VIEW_VOLUME,
    VOLUME,
    AgentVariables,
    user_entry,
)
from conducto_core.images.references import cached
from conducto_core.people.task_roles import TaskRole, role_for
from conducto_core.services.rules import CONTAINER, to_agent
from conducto_core.workers.rules.fargate import AGENT_MEM

_MIB = _UNITS = 1024
_READ_ONLY = {"readOnly": True}
_ON_ARM = {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"}
#: Separates the pipeline's id from the digest in a family's name.
_OWNER_END = "_"
#: ECS's maximum number of revisions per delete request.
_MAX_DELETED = 10
#: Maximum number of cached definitions.
_MAX_KNOWN = 10_000


@dataclass(frozen=True, slots=True)
class Roles:
    """The roles and common settings of tasks.

    Attributes:
        execution: ARN of the role with which ECS pulls images and writes logs.
        task: ARN of the role of both containers, unless a role is configured for the pipeline.
        named: Roles that the administrator configured for commands.
        agent_image: Reference of the agent's image.
        arm_agent_image: That for ARM; "": the installation has no workers on ARM.
        buckets: Registered buckets, and the roles of tasks that mount some.
        log_group: Log group of both containers' diagnostics; the output of commands is not in it.
        region: AWS region.
        caches: ``{registry: address of its cache}``.
        debug: ARN of the role of both containers of a debug shell; None: shells are disabled.
    """

    execution: str
    task: str
    agent_image: str
    log_group: str
    region: str
    debug: str | None = None
    named: tuple[TaskRole, ...] = ()
    caches: Mapping[str, str] = field(default_factory=dict)
    arm_agent_image: str = ""
    buckets: BucketMounts = field(default_factory=lambda: BucketMounts(Site("", "")))

    def of_tasks(self) -> tuple[str, ...]:
        """Return the ARNs of all roles that a task may have."""
        named = (each.arn for each in self.named)
        own = (self.task, *((self.debug,) if self.debug else ()), *self.buckets.all_roles())
        return (*own, *named)


class TaskDefinitions:
    """The task definitions of one installation.

    Args:
        clients: boto3 clients.
        files: Access points for the tasks' data.
        roles: Roles and common settings of tasks.
        prefix: Prefix of the families' names, which is unique to the installation.
    """

    def __init__(self, clients: Clients, files: EfsAccessPoints, roles: Roles, prefix: str) -> None:
        self._clients = clients
        self._files = files
        self._roles = roles
        self._prefix = prefix
        self._known: dict[str, str] = {}

    @property
    def roles(self) -> Roles:
        return self._roles

    def ensure(self, task: WorkerTask) -> str:
        """Return the ARN of the definition for a worker."""
        definition = self._definition(task)
        text = json.dumps(definition, sort_keys=True)
        digest = sha256(text.encode()).hexdigest()[:40]
        family = f"{self._prefix}{task.pipeline_id}{_OWNER_END}{digest}"
        found = self._known.get(family)
        if found is None:
            with throttling():
                found = self._find(family) or self._register(family, definition)
            if len(self._known) >= _MAX_KNOWN:
                self._known = {}
            self._known[family] = found
        return found

    def doubt(self, definition: str) -> None:
        """Remove a definition from the cache: it is looked up, or registered, again."""
        self._known = {name: arn for name, arn in self._known.items() if arn != definition}

    def families(self) -> Iterator[tuple[str, str]]:
        """Yield ``(pipeline id, family)`` of this installation, including deregistered ones."""
        pages = self._client.get_paginator("list_task_definition_families").paginate(
            familyPrefix=self._prefix, status="ALL"
        )
        with throttling():
            for page in pages:
                for family in page["families"]:
                    owner, end, _ = family.removeprefix(self._prefix).rpartition(_OWNER_END)
                    if end and owner:
                        yield owner, str(family)

    def forget(self, family: str) -> bool:
        """Delete a family; return whether any part of it existed.

        Running tasks continue. Only deregistered revisions can be deleted; this includes those that
        an interrupted call left deregistered.

        Raises:
            RuntimeError: ECS did not delete some.
        """
        with throttling():
            active = self._revisions(family, "ACTIVE")
            for arn in active:
                self._client.deregister_task_definition(taskDefinition=arn)
            # Revisions that were just deregistered may not be listed yet.
            found = list(dict.fromkeys([*active, *self._revisions(family, "INACTIVE")]))
            for first in range(0, len(found), _MAX_DELETED):
                self._delete(found[first : first + _MAX_DELETED])
        return bool(found)

    def _delete(self, arns: list[str]) -> None:
        response = self._client.delete_task_definitions(taskDefinitions=arns)
        kept = [f"{each.get('arn')}: {each.get('reason')}" for each in response["failures"]]
        if kept:
            raise RuntimeError(f"DeleteTaskDefinitions: {'; '.join(kept)}")

    def _revisions(self, family: str, status: str) -> list[str]:
        pages = self._client.get_paginator("list_task_definitions").paginate(
            familyPrefix=family, status=status
        )
        return [str(arn) for page in pages for arn in page["taskDefinitionArns"]]

    def release(self, pipeline_id: str) -> None:
        """Delete the access point of a pipeline's data."""
        self._files.forget_pipeline(pipeline_id)

    def _find(self, family: str) -> str | None:
        try:
            response = self._client.describe_task_definition(taskDefinition=family)
        except client_error() as error:
            if code_of(error) == "ClientException" and "describe" in message_of(error):
                return None  # "Unable to describe task definition"
            raise
        found = response["taskDefinition"]
        return str(found["taskDefinitionArn"]) if found["status"] == "ACTIVE" else None

    def _register(self, family: str, definition: Mapping[str, Any]) -> str:
        response = self._client.register_task_definition(family=family, **definition)
        return str(response["taskDefinition"]["taskDefinitionArn"])

    def _definition(self, task: WorkerTask) -> dict[str, Any]:
        services, buckets = of_form(task.services), buckets_from_wire(task.buckets)
        beside = size_of(services)[1]
        agent_env = [_pair(AgentVariables.SERVICES, to_agent(services))]
        names = " ".join(task.services)
        size = task.size
        is_arm = size.arch == ARM
        shared = {"sourceVolume": VOLUME, "containerPath": CTL}
        mounts, agent_mounts = _mounts(task.data)
        mounts += [
            _mount(_bucket(number), each.path, **(_READ_ONLY if each.mode == "ro" else {}))
            for number, each in enumerate(buckets)
        ]
        return {
            "requiresCompatibilities": ["MANAGED_INSTANCES" if size.machine else "FARGATE"],
            "networkMode": "awsvpc",
            **({"runtimePlatform": _ON_ARM} if is_arm else {}),
            "cpu": size.cpu_units,
            "memory": size.mem_mib,
            "executionRoleArn": self._roles.execution,
            "taskRoleArn": self._role(task),
            "containerDefinitions": [
                self._container(
                    AGENT,
                    self._roles.arm_agent_image if is_arm else self._roles.agent_image,
                    mountPoints=[shared, *agent_mounts],
                    memoryReservation=int(AGENT_MEM * _MIB),
                    **({"environment": agent_env} if names else {}),
                ),
                self._container(
                    USER,
                    cached(task.image, self._roles.caches),
                    entryPoint=user_entry(credentials=self._named(task) is not None),
                    command=[],
                    mountPoints=[shared, *mounts],
                    # A hard limit: otherwise the kernel may kill the agent instead of the command.
                    memory=round((task.mem - beside) * _MIB),
                    **({"environment": [_pair(SERVICE_NAMES, names)]} if names else {}),
                    **({"resourceRequirements": [_gpus(size.gpu)]} if size.gpu else {}),
                ),
                *map(self._service, services),
            ],
            "volumes": [
                {"name": VOLUME},
                *self._volumes(task),
                *(
                    self._roles.buckets.volume(
                        task.org, _bucket(number), each, trusted=task.named_role
                    )
                    for number, each in enumerate(buckets)
                ),
            ],
        }

    def _service(self, service: Service) -> dict[str, Any]:
        """Return the container of a service; the agent reports its end, so it is not essential."""
        return self._container(
            f"{CONTAINER}{service.name}",
            cached(service.image, self._roles.caches),
            essential=False,
            cpu=round(service.cpu * _UNITS),
            memory=round(service.mem * _MIB),
            environment=[_pair(name, value) for name, value in service.env.items()],
            **({"command": list(service.command)} if service.command else {}),
            **({} if service.ready is None else {"healthCheck": _health(service)}),
        )

    def _volumes(self, task: WorkerTask) -> tuple[dict[str, Any], ...]:
        empty_user = {"name": "user"}
        if task.data == "none":
            return ({"name": "pipeline"}, empty_user)
        pipeline = self._files.volume("pipeline", self._files.of_pipeline(task.pipeline_id))
        if task.data == "view":
            return (pipeline, empty_user, {"name": VIEW_VOLUME})
        return (pipeline, self._files.volume("user", self._user_files(task)))

    def _user_files(self, task: WorkerTask) -> str:
        if task.user_data:
            return self._files.of_user(task.org, task.user)
        return self._files.of_pipeline(task.pipeline_id)

    def _role(self, task: WorkerTask) -> str:
        buckets = self._roles.buckets
        if not task.shell:
            own = buckets.role(task.org, for_shells=False) if task.buckets else self._roles.task
            return self._named(task) or own
        if self._roles.debug is None:
            raise RuntimeError(f"{task.pipeline_id}: no role for debug shells; deploy again")
        return buckets.role(task.org, for_shells=True) if task.buckets else self._roles.debug

    def _named(self, task: WorkerTask) -> str | None:
        """Return the role configured for a pipeline's commands; debug shells have their own."""
        if task.shell or not task.named_role:
            return None
        return role_for(self._roles.named, task.org, task.program)

    def _container(self, name: str, image: str, **more: object) -> dict[str, Any]:
        return {
            "name": name,
            "image": image,
            "essential": True,
            "stopTimeout": STOP_TIMEOUT,
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": self._roles.log_group,
                    "awslogs-region": self._roles.region,
                    "awslogs-stream-prefix": "worker",
                },
            },
            **more,
        }

    @property
    def _client(self) -> Any:
        return self._clients.get("ecs")


def _mounts(data: DataMounts) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the mounts of data in the container of the user, and in that of the agent."""
    if data != "view":
        only = {} if data == "all" else _READ_ONLY
        return [_mount(name, place, **only) for name, place in DATA_MOUNTS.items()], []
    user = [
        _mount(VIEW_VOLUME, DATA_MOUNTS["pipeline"]),
        _mount("pipeline", INPUTS_OF_PIPELINE, **_READ_ONLY),
        _mount("user", DATA_MOUNTS["user"], **_READ_ONLY),
    ]
    return user, [_mount("pipeline", DATA_OF_AGENT), _mount(VIEW_VOLUME, VIEW)]


def _mount(volume: str, place: str, **more: bool) -> dict[str, Any]:
    return {"sourceVolume": volume, "containerPath": place, **more}


#: ECS's limits of a health check: its interval, and the time in which failures do not count.
_HEALTH_SECONDS, _HEALTH_GRACE = 5, 300


def _health(service: Service) -> dict[str, Any]:
    ready = service.ready
    command = ["CMD-SHELL", ready] if isinstance(ready, str) else ["CMD", *(ready or ())]
    grace = min(_HEALTH_GRACE, round(service.ready_timeout))
    return {
        "command": command,
        "interval": _HEALTH_SECONDS,
        "timeout": _HEALTH_SECONDS,
        "retries": 10,
        "startPeriod": grace,
    }


def _bucket(number: int) -> str:
    """Return the name of the volume of a bucket."""
    return f"bucket{number}"


def _gpus(number: int) -> dict[str, str]:
    return {"type": "GPU", "value": str(number)}


def _pair(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": value}
