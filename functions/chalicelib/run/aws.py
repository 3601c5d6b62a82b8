"""Step Functions, and credentials with which a worker's agent polls one activity.

The task's own role cannot have these permissions: every container of a task can use it, including
the user's.
"""

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from chalicelib.aws.clients import Clients, Tags, lower
from chalicelib.aws.errors import denying, ignoring, replacing, throttling
from chalicelib.errors import TaskGoneError, retry_throttled
from conducto_core.asl.rules.compiler import Machine
from conducto_core.asl.rules.naming import Site
from conducto_core.workers.model import Credentials

#: Lifetime of the credentials in seconds; the AWS maximum for role chaining.
LENT_SECONDS = 3600


class WorkerCredentials:
    """Lends the role of agents, narrowed to one activity."""

    def __init__(self, clients: Clients, role: str) -> None:
        self._clients = clients
        self._role = role

    def lend_credentials(self, activity: str, worker_id: str) -> Credentials:
        """Return credentials for an activity's ARN; CloudTrail shows them under the worker's id."""
        with throttling(), denying():
            response = self._clients.get("sts").assume_role(
                RoleArn=self._role,
                RoleSessionName=worker_id,
                DurationSeconds=LENT_SECONDS,
                Policy=json.dumps(_policy(activity)),
            )
        lent = response["Credentials"]
        return Credentials(
            access_key=lent["AccessKeyId"],
            secret_key=lent["SecretAccessKey"],
            session_token=lent["SessionToken"],
            expires=lent["Expiration"].timestamp(),
        )


def _policy(activity: str) -> dict[str, object]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "states:GetActivityTask", "Resource": activity},
            # No resource-level permissions; the task token authorizes.
            {"Effect": "Allow", "Action": "states:SendTaskHeartbeat", "Resource": "*"},
        ],
    }


#: AWS lets an account create one machine or activity per second, after a burst of a hundred; a
#: request retries for this many seconds. API Gateway's timeout is 29 s.
TIMEOUT = 15.0
_PAUSE = 1.0
#: AWS's maximum number of machines per response.
_PAGE = 1000
#: Maximum number of cached names of existing resources.
_MAX_KNOWN = 10_000
#: Step Functions' maximum characters of an error and of its cause.
_MAX_ERROR = 256
_MAX_CAUSE = 32_768
_GONE = frozenset({"InvalidToken", "TaskDoesNotExist", "TaskTimedOut"})


class StepFunctions:
    """A `chalicelib.run.port.StateMachines` for the machines of one installation."""

    def __init__(
        self,
        clients: Clients,
        site: Site,
        role: str,
        sleep: Callable[[float], None] = time.sleep,
        *,
        tracing: bool = False,
    ) -> None:
        self._clients = clients
        self._site = site
        self._role = role
        self._sleep = sleep
        self._tags = Tags(site.stage)
        self._options = {"tracingConfiguration": {"enabled": True}} if tracing else {}
        self._known: dict[str, None] = {}

    def ensure_activity(self, name: str) -> None:
        def make() -> None:
            with ignoring("ActivityAlreadyExists"):  # e.g. with other encryption
                self._client.create_activity(name=name)

        self._once(name, make)

    def create(self, machine: Machine, org: str, pipeline_id: str) -> None:
        """Create a machine unless it exists; its name is a function of its definition."""

        def make() -> None:
            with ignoring("StateMachineAlreadyExists"):  # e.g. with another role
                self._client.create_state_machine(
                    name=machine.name,
                    definition=machine.definition,
                    roleArn=self._role,
                    type="STANDARD",
                    tags=lower(self._tags.pairs(org, pipeline_id)),
                    **self._options,
                )

        self._once(machine.arn, make)

    def forget_activity(self, activity_arn: str) -> None:
        """Delete an activity; its name is never reused."""
        with throttling(), ignoring("ActivityDoesNotExist"):
            self._client.delete_activity(activityArn=activity_arn)

    def forget(self, machine_arn: str) -> None:
        """Delete a machine, which ends its executions."""
        with throttling(), ignoring("StateMachineDoesNotExist"):
            self._client.delete_state_machine(stateMachineArn=machine_arn)
        self._known.pop(machine_arn, None)

    def machine_of(self, execution_arn: str) -> str:
        head, _, _ = execution_arn.rpartition(":")
        return head.replace(":execution:", ":stateMachine:", 1)

    def runs(self) -> Iterator[tuple[str, str]]:
        """Yield ``(run, machine ARN)`` of machines that were created for a run."""
        pages = self._client.get_paginator("list_state_machines").paginate(
            PaginationConfig={"PageSize": _PAGE}
        )
        with throttling():
            for page in pages:
                for machine in page["stateMachines"]:
                    run = self._site.run_of(machine["name"])
                    if run is not None:
                        yield run, str(machine["stateMachineArn"])

    def _once(self, name: str, make: Callable[[], object]) -> None:
        if name in self._known:
            return
        retry_throttled(throttling()(make), _pauses(), self._sleep)
        while len(self._known) >= _MAX_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[name] = None

    def start(self, machine_arn: str, run: str, data: Mapping[str, object]) -> str:
        with throttling(), ignoring("ExecutionAlreadyExists"):
            self._client.start_execution(
                stateMachineArn=machine_arn, name=run, input=json.dumps(data)
            )
        return execution_arn(machine_arn, run)

    def stop(self, execution_arn: str, reason: str) -> None:
        """Abort an execution; Step Functions aborts its child executions.

        A child that escapes does no harm: its tasks belong to an old run and fail when they are
        claimed.
        """
        with throttling(), ignoring("ExecutionDoesNotExist"):
            self._client.stop_execution(
                executionArn=execution_arn,
                error="Conducto.Stopped",
                cause=reason[:_MAX_CAUSE],
            )

    def status(self, execution_arn: str) -> str:
        with throttling():
            return str(self._client.describe_execution(executionArn=execution_arn)["status"])

    def succeed(self, token: str, output: Mapping[str, object]) -> None:
        """Complete a task."""
        self._reply("send_task_success", taskToken=token, output=json.dumps(output))

    def fail(self, token: str, error: str, cause: str = "") -> None:
        """Fail a task."""
        self._reply(
            "send_task_failure",
            taskToken=token,
            error=error[:_MAX_ERROR],
            cause=cause[:_MAX_CAUSE],
        )

    def _reply(self, operation: str, **arguments: str) -> None:
        with throttling(), replacing(_GONE, TaskGoneError("its execution has ended")):
            getattr(self._client, operation)(**arguments)

    @property
    def _client(self) -> Any:
        return self._clients.get("stepfunctions")


def execution_arn(machine_arn: str, name: str) -> str:
    head, _, machine = machine_arn.rpartition(":")
    return f"{head.removesuffix(':stateMachine')}:execution:{machine}:{name}"


def _pauses() -> Iterator[float]:
    left = TIMEOUT
    while True:
        pause = _PAUSE * random.uniform(0.5, 1.5)  # noqa: S311  only jitter
        left -= pause
        if left < 0:
            return
        yield pause
