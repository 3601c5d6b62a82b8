"""Emulates ECS's operations on tasks with a `TaskBoard`; moto has the task definitions."""

from typing import Any

from moto.core.exceptions import AWSError
from moto.core.responses import ActionResult
from moto.ecs.responses import EC2ContainerServiceResponse
from moto.efs.models import efs_backends

from conducto_emulator.tasks.exec import EcsExec
from conducto_emulator.tasks.tasks import Task, TaskBoard

_FIELDS = (
    "startedBy",
    "group",
    "clientToken",
    "overrides",
    "capacityProviderStrategy",
    "enableExecuteCommand",
)


def install(board: TaskBoard, sessions: EcsExec) -> None:
    """Replace the handlers of moto's server in this process."""

    def run_task(self: Any) -> ActionResult:
        cluster = self._get_param("cluster", "default").rpartition("/")[2]
        where = f"arn:aws:ecs:{self.region}:{self.current_account}"
        parameters = {name: self._get_param(name) for name in _FIELDS}
        parameters["clusterArn"] = f"{where}:cluster/{cluster}"
        found: Any = self.ecs_backend.describe_task_definition(self._get_param("taskDefinition"))
        tasks, failures = board.run(f"{where}:task/{cluster}", _definition(found), parameters)
        return ActionResult({"tasks": [each.describe() for each in tasks], "failures": failures})

    def stop_task(self: Any) -> ActionResult:
        found = board.stop(self._get_param("task"), self._get_param("reason"))
        return ActionResult({"task": _must_be(found).describe()})

    def describe_tasks(self: Any) -> ActionResult:
        wanted = self._get_param("tasks", [])
        found = [board.find(each) for each in wanted]
        missing = [
            {"arn": arn, "reason": "MISSING"}
            for arn, task in zip(wanted, found, strict=True)
            if task is None
        ]
        known = [each.describe() for each in found if each is not None]
        return ActionResult({"tasks": known, "failures": missing})

    def list_tasks(self: Any) -> ActionResult:
        stopped = self._get_param("desiredStatus") == "STOPPED"
        tasks = board.list(started_by=self._get_param("startedBy"), stopped=stopped)
        return ActionResult({"taskArns": [each.arn for each in tasks]})

    def execute_command(self: Any) -> ActionResult:
        task = _must_be(board.find(self._get_param("task")))
        if not task.parameters.get("enableExecuteCommand") or not self._get_param("interactive"):
            raise AWSError(
                "The execute command failed because execute command was not enabled when the task "
                "was run or the execute command agent isn't running.",
                "InvalidParameterException",
            )
        if task.status != "RUNNING":
            raise AWSError("The target is not connected yet.", "TargetNotConnectedException")
        name = self._get_param("container")
        session = sessions.open(task.arn, name, self._get_param("command"))
        response = {
            "clusterArn": task.parameters["clusterArn"],
            "containerName": name,
            "interactive": True,
            "session": session,
            "taskArn": task.arn,
        }
        return ActionResult(response)

    for route in (run_task, stop_task, describe_tasks, list_tasks, execute_command):
        setattr(EC2ContainerServiceResponse, route.__name__, route)


def root_of_access_point(point: str) -> str:
    """Return the path of an access point of EFS."""
    for account in efs_backends.values():
        for backend in account.values():
            if point in backend.access_points:
                return str(backend.access_points[point].root_directory["Path"])
    raise LookupError(f"unknown access point {point}")


def _must_be(task: Task | None) -> Task:
    if task is None:
        raise AWSError("The referenced task was not found.", "InvalidParameterException")
    return task


def _definition(found: Any) -> dict[str, Any]:
    return {
        "taskDefinitionArn": found.arn,
        "containerDefinitions": found.container_definitions,
        "runtimePlatform": found.runtime_platform,
        "requiresCompatibilities": found.requires_compatibilities,
        "volumes": found.volumes,
        "taskRoleArn": found.task_role_arn,
        "cpu": found.cpu,
        "memory": found.memory,
    }
