"""Workers as ECS tasks on Fargate.

Every response and event of ECS identifies a task's owner: ``startedBy`` is its pipeline and
``group`` its organisation and worker id (see `task_owner`).
"""

import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from pydantic import SecretStr

from chalicelib.aws import table_keys
from chalicelib.aws.clients import Clients, Tags, lower
from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.aws.errors import client_error, code_of, denying, ignoring, message_of, throttling
from chalicelib.errors import CapacityError, ConflictError, ThrottledError, retry_throttled
from chalicelib.workers.aws.task_definitions import TaskDefinitions
from chalicelib.workers.port import Owner, TaskEnd, TaskId, TaskStatus, WorkerTask
from conducto_core.command.task_layout import AGENT, USER, AgentVariables
from conducto_core.debug.model import ShellSession
from conducto_core.installation.names import provider_name
from conducto_core.services.rules import CONTAINER
from conducto_core.workers.model import TaskProof
from conducto_core.workers.rules import task_proof
from conducto_core.workers.rules.start_failures import OF_RUNG, failure_of, not_started

if TYPE_CHECKING:
    from botocore.exceptions import ClientError  # type: ignore[import-untyped]

logger = logging.getLogger(__name__)

#: Timeout of a request to STS in seconds, and the maximum bytes of its response.
_STS_SECONDS, _MAX_STS = 5.0, 16_384
#: Maximum number of tasks per describe request.
_PAGE = 100
_GROUP = "conducto"
#: The managed agent in a container with ECS Exec, and ECS's message while it is not running.
_ENTRANCE = "ExecuteCommandAgent"
_NOT_UP = "isn't running"
_OUT_OF_MEMORY = "outofmemory"
#: Stop codes of tasks whose machine AWS takes; the reasons of machines of classes vary.
_INTERRUPTIONS = ("SpotInterruption", "TerminationNotice")
#: In RunTask's message for a deleted task definition.
_INACTIVE = "inactive"
#: RunTask's error for a client token that started a task with another token for the agent.
_REPEATED = "ConflictException"


@dataclass(frozen=True, slots=True)
class Place:
    """The location of workers.

    Attributes:
        cluster: The ECS cluster.
        subnets: Ids of the subnets.
        security_group: Security group of the workers.
        public_ip: Whether workers get a public address; otherwise the subnets need another route to
            the internet.
        sts: URL of STS.
        stage: Name of the installation, which is in the names of capacity providers.
    """

    cluster: str
    subnets: Sequence[str]
    security_group: str
    public_ip: bool = True
    sts: str = ""
    stage: str = ""


class Ecs:
    """A `chalicelib.workers.port.WorkerFleet`; ``api_url`` returns the API's URL for workers."""

    def __init__(
        self,
        clients: Clients,
        definitions: TaskDefinitions,
        place: Place,
        api_url: Callable[[], str],
        tags: Tags,
    ) -> None:
        self._clients = clients
        self._definitions = definitions
        self._place = place
        self._api_url = api_url
        self._tags = tags

    def start(self, task: WorkerTask) -> str:
        """Start a worker and return its task's ARN."""
        with throttling(), denying():
            return self._start(task)

    def _start(self, task: WorkerTask) -> str:
        definition = self._definitions.ensure(task)
        try:
            return self._run(task, definition)
        except client_error() as error:
            if _INACTIVE not in message_of(error).lower():
                raise
        self._definitions.doubt(definition)  # it was deleted meanwhile
        return self._run(task, self._definitions.ensure(task))

    def _run(self, task: WorkerTask, definition: str) -> str:
        try:
            response = self._client.run_task(**self._order(task, definition))
        except client_error() as error:
            if code_of(error) == _REPEATED and error.response.get("resourceIds"):
                return str(error.response["resourceIds"][0])
            if failure_of(message_of(error)) in OF_RUNG:
                raise CapacityError(message_of(error)) from error
            raise
        if not response["tasks"]:
            raise _failure(response["failures"])
        return str(response["tasks"][0]["taskArn"])

    def _order(self, task: WorkerTask, definition: str) -> dict[str, Any]:
        variables = {
            AgentVariables.API_URL: self._api_url(),
            AgentVariables.TOKEN: task.token,
            AgentVariables.PIPELINE: task.pipeline_id,
            AgentVariables.WORKER: task.worker_id,
        }
        environment = [{"name": name, "value": value} for name, value in variables.items()]
        provider, addresses = "FARGATE_SPOT" if task.spot else "FARGATE", {}
        if task.machine is not None:
            provider = provider_name(self._place.stage, task.machine.name, task.rung)
        else:  # a task on a Managed Instance cannot have a public address
            addresses["assignPublicIp"] = "ENABLED" if self._place.public_ip else "DISABLED"
        return {
            "cluster": self._place.cluster,
            "taskDefinition": definition,
            "count": 1,
            "clientToken": task.worker_id,
            "startedBy": task.pipeline_id,
            "group": f"{_GROUP}:{task.org}:{task.worker_id}",
            "enableExecuteCommand": task.shell,
            "tags": lower(self._tags.pairs(task.org, task.pipeline_id)),
            "capacityProviderStrategy": [{"capacityProvider": provider, "weight": 1}],
            "overrides": {"containerOverrides": [{"name": AGENT, "environment": environment}]},
            "networkConfiguration": {
                "awsvpcConfiguration": {
                    "subnets": list(self._place.subnets),
                    "securityGroups": [self._place.security_group],
                    **addresses,
                }
            },
        }

    def proves(self, task: TaskId, key: str, proof: TaskProof) -> bool:
        """Return whether a worker's task made a proof for the digest of a key."""
        if not task_proof.is_bound(proof.authorization):
            return False
        signer = self._signer(key, proof)
        if not task_proof.is_session_of(signer, task.arn, self._definitions.roles.of_tasks()):
            logger.error("a proof for %s is by %r", task.arn, signer)
            return False
        with throttling():
            found = self._client.describe_tasks(cluster=self._place.cluster, tasks=[task.arn])
        if not found["tasks"]:  # the session exists, so ECS will list the task in a moment
            raise ThrottledError(f"ECS does not list {task.arn} yet")
        return [task_owner(each) for each in found["tasks"]] == [task.owner]

    def _signer(self, key: str, proof: TaskProof) -> str:
        """Return the ARN that AWS knows for a proof; "" if AWS rejects the signature."""
        headers = {
            "Authorization": proof.authorization,
            "Content-Type": task_proof.CONTENT_TYPE,
            "X-Amz-Date": proof.date,
            "X-Amz-Security-Token": proof.security_token,
            task_proof.KEY_HEADER: key,
        }
        request = Request(f"{self._place.sts}/", task_proof.BODY, headers)  # noqa: S310  AWS's
        try:
            with urlopen(request, timeout=_STS_SECONDS) as response:  # noqa: S310  the same
                return task_proof.signer_in(response.read(_MAX_STS))
        except HTTPError as error:
            if error.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise ThrottledError(f"STS: {error}") from error
            reason = error.read(_MAX_STS).decode(errors="replace")
            logger.error("STS rejected a proof: %s", reason)  # noqa: TRY400  (no traceback needed)
            return ""
        except OSError as error:
            raise ThrottledError(f"STS is unreachable: {error}") from error

    def stop(self, task_arn: str, reason: str) -> None:
        with throttling(), ignoring("InvalidParameterException"):  # "task was not found"
            self._client.stop_task(cluster=self._place.cluster, task=task_arn, reason=reason)

    def running(self, pipeline_id: str) -> Mapping[str, str]:
        return self._running(startedBy=pipeline_id).get(pipeline_id, {})

    def all_running(self) -> Mapping[str, Mapping[str, str]]:
        return self._running()

    def _running(self, **wanted: str) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for task in self._tasks(**wanted):
            owner = task_owner(task)
            if owner is not None and task["lastStatus"] != "STOPPED":
                found.setdefault(owner.pipeline_id, {})[owner.worker_id] = str(task["taskArn"])
        return found

    def task_status(self, task_arn: str) -> TaskStatus | None:
        with throttling():
            tasks = self._client.describe_tasks(cluster=self._place.cluster, tasks=[task_arn])
        for task in tasks["tasks"]:
            return TaskStatus(
                status=str(task["lastStatus"]),
                reason=_reason(task),
                connected=any(
                    agent.get("name") == _ENTRANCE and agent.get("lastStatus") == "RUNNING"
                    for agent in _container(task, USER).get("managedAgents", ())
                ),
                began=_began(task),
                ended=_seconds(task.get("stoppedAt")),
            )
        return None

    def enter(self, task_arn: str, command: str) -> ShellSession | None:
        """Run a command on a terminal in a shell's user container; None if it is not ready yet."""
        cluster = self._place.cluster
        with throttling():
            try:
                response = self._client.execute_command(
                    cluster=cluster,
                    task=task_arn,
                    container=USER,
                    interactive=True,
                    command=command,
                )
            except client_error() as error:
                if _is_not_yet(error):
                    return None
                raise
            tasks = self._client.describe_tasks(cluster=cluster, tasks=[task_arn])["tasks"]
        runtime = _container(tasks[0], USER).get("runtimeId", "") if tasks else ""
        session = response["session"]
        return ShellSession(
            session_id=session["sessionId"],
            stream_url=session["streamUrl"],
            token=SecretStr(session["tokenValue"]),
            target=f"ecs:{cluster}_{task_arn.rpartition('/')[2]}_{runtime}",
            region=str(self._client.meta.region_name),
            endpoint=str(self._client.meta.endpoint_url),
        )

    def release(self, pipeline_id: str) -> None:
        """Delete the access point of a pipeline's data; its files stay."""
        self._definitions.release(pipeline_id)

    def definitions(self) -> Iterator[tuple[str, str]]:
        """Yield ``(pipeline id, name)`` of the task definitions of this installation."""
        return self._definitions.families()

    def forget_definition(self, name: str) -> bool:
        """Delete a task definition; return whether any part of it existed."""
        return self._definitions.forget(name)

    def _tasks(self, **wanted: str) -> Iterator[Mapping[str, Any]]:
        pages = self._client.get_paginator("list_tasks").paginate(
            cluster=self._place.cluster,
            **wanted,
            PaginationConfig={"PageSize": _PAGE},
        )
        with throttling():
            for page in pages:
                if page["taskArns"]:
                    response = self._client.describe_tasks(
                        cluster=self._place.cluster, tasks=page["taskArns"]
                    )
                    yield from response["tasks"]

    @property
    def _client(self) -> Any:
        return self._clients.get("ecs")


def _container(task: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = (each for each in task.get("containers", ()) if each.get("name") == name)
    return next(found, {})


def _reason(task: Mapping[str, Any]) -> str:
    code = task.get("stopCode")
    for each in task.get("containers", ()):
        name, reason = str(each.get("name", "")), str(each.get("reason", ""))
        if name.startswith(CONTAINER) and reason.startswith("Cannot"):
            return not_started(name.removeprefix(CONTAINER), reason)
    said = [task.get("stoppedReason"), *(c.get("reason") for c in task.get("containers", ()))]
    said += [code] if code in _INTERRUPTIONS else []
    return "; ".join(dict.fromkeys(str(each) for each in said if each))


def task_end(task: Mapping[str, Any]) -> TaskEnd:
    """Return the end of a task, given its description or event."""
    user = _container(task, USER)
    return TaskEnd(
        reason=_reason(task) or "its task stopped",
        exit_code=user.get("exitCode"),
        oom=_OUT_OF_MEMORY in str(user.get("reason", "")).lower(),
        began=_began(task),
        ended=_seconds(task.get("stoppedAt")),
    )


def _began(task: Mapping[str, Any]) -> float | None:
    """Return when AWS began to charge for a task: at the start of its image pull."""
    return _seconds(task.get("pullStartedAt") or task.get("startedAt"))


def _seconds(time: datetime | str | float | None) -> float | None:
    """Return a time of ECS in seconds since the epoch: text in events, numbers in the emulator."""
    if time is None or isinstance(time, (int, float)):
        return time
    found = datetime.fromisoformat(time) if isinstance(time, str) else time
    return found.timestamp()


def task_owner(task: Mapping[str, Any]) -> Owner | None:
    """Return the owner of a task, given its description or event; None: not Conducto's."""
    kind, _, rest = str(task.get("group", "")).partition(":")
    org, _, worker_id = rest.rpartition(":")
    pipeline_id = str(task.get("startedBy", ""))
    if kind != _GROUP or not (org and worker_id and pipeline_id):
        return None
    return Owner(org, pipeline_id, worker_id)


def _failure(failures: Sequence[Mapping[str, Any]]) -> Exception:
    reason = "; ".join(str(f.get("reason", f)) for f in failures) or "ECS started nothing"
    said = f"RunTask: {reason}"
    return CapacityError(said) if failure_of(said) in OF_RUNG else RuntimeError(said)


def _is_not_yet(error: "ClientError") -> bool:
    """Return whether ECS Exec fails only because its agent in the container is not running yet."""
    if code_of(error) == "TargetNotConnectedException":
        return True
    return code_of(error) == "InvalidParameterException" and _NOT_UP in message_of(error)


# ----------------------------------------------------------------------------------------
# The rate at which all functions together launch workers.


#: RunTask on Fargate allows 20 calls per second in an account, and as many at once.
PER_SECOND = 20.0
BURST = 20
#: Pauses in seconds before a contended reservation is repeated, without their jitter.
_PAUSES = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32)


class LaunchPace:
    """A token bucket in one item of the table: ``full`` is the time at which it is full again."""

    def __init__(self, table: DynamoTable, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def reserve(self, number: int) -> float:
        """Reserve a number of launches, and return the seconds until they are allowed.

        If the item stays contended, the launches are not counted: AWS rejects those that are too
        many, and they are repeated later.
        """
        pauses = (pause * (0.5 + random.random()) for pause in _PAUSES)  # noqa: S311  only jitter
        try:
            return retry_throttled(lambda: self._reserve(number), pauses, time.sleep)
        except ThrottledError:
            return 0.0

    def _reserve(self, number: int) -> float:
        key = table_keys.launch_pace()
        found = self._table.get(key)
        now = self._clock()
        known = 0.0 if found is None else float(found["full"])
        full = max(known, now) + number / PER_SECOND
        try:
            if found is None:
                self._table.put_where(key, {"full": full})
            else:
                before = {":before": found["full"]}
                self._table.put_where(key, {"full": full}, "#full = :before", before)
        except ConflictError as error:
            raise ThrottledError(str(error)) from error
        return max(0.0, full - now - BURST / PER_SECOND)
