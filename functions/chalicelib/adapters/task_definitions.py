"""Task definitions of workers: two containers, the volume they share, and a pipeline's data.

RunTask cannot override an image's name, volumes or sizes of a Fargate task, so there is one
definition for each combination. Its family is named after its content: one that is there already
is used, and AWS's limit of one registration a second is met rarely.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from chalicelib.adapters.clients import Clients
from chalicelib.adapters.failures import code_of, message_of, throttling
from chalicelib.adapters.files import AccessPoints
from chalicelib.ports import WorkerTask
from conducto.model.deployment import NAME_PREFIX
from conducto.semantics.fargate import AGENT_MEM, size_for
from conducto_worker.layout import AGENT, CTL, DATA_MOUNTS, STOP_TIMEOUT, USER, VOLUME, user_entry

_MIB = 1024


@dataclass(frozen=True, slots=True)
class Roles:
    """What a task runs with.

    Attributes:
        execution: ARN of the role with which ECS pulls images and writes logs.
        task: ARN of the role that both containers have.
        agent_image: Reference of the agent's image.
        log_group: Where both containers' own output goes; that of commands does not.
        region: AWS region.
    """

    execution: str
    task: str
    agent_image: str
    log_group: str
    region: str


class TaskDefinitions:
    """Definitions of one installation."""

    def __init__(self, clients: Clients, files: AccessPoints, roles: Roles) -> None:
        self._clients = clients
        self._files = files
        self._roles = roles
        self._known: dict[str, str] = {}

    def ensure(self, task: WorkerTask) -> str:
        """Return the ARN of the definition for a worker."""
        definition = self._definition(task)
        text = json.dumps(definition, sort_keys=True)
        family = f"{NAME_PREFIX}{sha256(text.encode()).hexdigest()[:40]}"
        if family not in self._known:
            with throttling():
                self._known[family] = self._find(family) or self._register(family, definition)
        return self._known[family]

    def release(self, pipeline_id: str) -> None:
        """Give back the access point of a pipeline's data."""
        self._files.forget_pipeline(pipeline_id)

    def _find(self, family: str) -> str | None:
        try:
            answer = self._client.describe_task_definition(taskDefinition=family)
        except Exception as error:
            if code_of(error) == "ClientException" and "describe" in message_of(error):
                return None  # "Unable to describe task definition"
            raise
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    def _register(self, family: str, definition: Mapping[str, Any]) -> str:
        answer = self._client.register_task_definition(family=family, **definition)
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    def _definition(self, task: WorkerTask) -> dict[str, Any]:
        size = size_for(f"pool {task.pool}", task.cpu, task.mem)
        shared = {"sourceVolume": VOLUME, "containerPath": CTL}
        data = [{"sourceVolume": name, "containerPath": DATA_MOUNTS[name]} for name in DATA_MOUNTS]
        return {
            "requiresCompatibilities": ["FARGATE"],
            "networkMode": "awsvpc",
            "cpu": size.cpu_units,
            "memory": size.mem_mib,
            "executionRoleArn": self._roles.execution,
            "taskRoleArn": self._roles.task,
            "containerDefinitions": [
                self._container(
                    AGENT,
                    self._roles.agent_image,
                    mountPoints=[shared],
                    memoryReservation=int(AGENT_MEM * _MIB),
                ),
                self._container(
                    USER,
                    task.image,
                    entryPoint=user_entry(),
                    command=[],
                    mountPoints=[shared, *data],
                    memoryReservation=int(task.mem * _MIB),
                ),
            ],
            "volumes": [
                {"name": VOLUME},
                self._volume("pipeline", self._files.of_pipeline(task.pipeline_id)),
                self._volume("user", self._files.of_user(task.org, task.user)),
            ],
        }

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

    def _volume(self, name: str, access_point: str) -> dict[str, Any]:
        return {
            "name": name,
            "efsVolumeConfiguration": {
                "fileSystemId": self._files.file_system,
                "transitEncryption": "ENABLED",
                "authorizationConfig": {"accessPointId": access_point, "iam": "ENABLED"},
            },
        }

    @property
    def _client(self) -> Any:
        return self._clients.get("ecs")
