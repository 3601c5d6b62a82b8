"""Start failures of ECS tasks on Fargate, with AWS's messages.

Pages of the Amazon ECS Developer Guide: "Resolve Amazon ECS stopped task errors",
"CannotPullContainer task errors" and "ResourceInitializationError task errors".
"""

from collections.abc import Callable
from dataclasses import dataclass

from conducto_emulator.tasks.tasks import Task


@dataclass(frozen=True, slots=True)
class TaskStartFailure:
    """A failure of a task at its start.

    Attributes:
        stop_code: ECS's code, such as ``TaskFailedToStart``.
        stopped_reason: ECS's message.
        exit_code: Exit code of the container; None if no container was created.
        reason: ECS's reason for the container.
        container: Name of the container.
    """

    stop_code: str
    stopped_reason: str
    exit_code: int | None = None
    reason: str | None = None
    container: str = "user"

    def end(self, task: Task) -> bool:
        """End a task with this failure, as `Knobs.fails`."""
        task.stop_code, task.stopped_reason = self.stop_code, self.stopped_reason
        for each in task.containers:
            if each.name == self.container:
                each.exit_code, each.reason = self.exit_code, self.reason
        return True


def next_task(failure: TaskStartFailure, image: str) -> Callable[[Task], bool]:
    """Return a `Knobs.fails` for the next task with a container of an image."""
    left = iter([failure])

    def fails(task: Task) -> bool:
        if image not in [each.image for each in task.containers]:
            return False
        planned = next(left, None)
        return planned is not None and planned.end(task)

    return fails


_NOT_STARTED, _EXITED = "TaskFailedToStart", "EssentialContainerExited"
_ESSENTIAL = "Essential container in task exited"


def image_not_found(image: str) -> TaskStartFailure:
    """Return the failure for an image that is not in the registry."""
    reason = (
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to "
        f"resolve ref {image}: {image}: not found"
    )
    return TaskStartFailure(_NOT_STARTED, reason)


def pull_denied(image: str) -> TaskStartFailure:
    """Return the failure for missing permissions or a missing repository."""
    reason = (
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to "
        f"resolve ref {image}: pull access denied, repository does not exist or may require "
        "authorization: server message: insufficient_scope: authorization failed"
    )
    return TaskStartFailure(_NOT_STARTED, reason)


def pull_throttled(image: str) -> TaskStartFailure:
    """Return the failure for a throttled pull, which may succeed later."""
    reason = (
        "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to copy: "
        f"httpReadSeeker: failed open: unexpected status code https://{image}: 429 Too Many "
        "Requests - Server message: toomanyrequests: You have reached your pull rate limit"
    )
    return TaskStartFailure(_NOT_STARTED, reason)


def wrong_architecture() -> TaskStartFailure:
    """Return the failure for a multi-platform image without the task's platform."""
    reason = (
        "CannotPullContainerError: pull image manifest has been retried 5 time(s): image Manifest "
        "does not contain descriptor matching platform 'linux/amd64'"
    )
    return TaskStartFailure(_NOT_STARTED, reason)


def cannot_execute() -> TaskStartFailure:
    """Return the failure for an image of another platform, whose program ends at once."""
    return TaskStartFailure(_EXITED, _ESSENTIAL, exit_code=255, reason="exec format error")


def essential_exited(exit_code: int = 1, container: str = "user") -> TaskStartFailure:
    """Return the failure for a container that exits."""
    return TaskStartFailure(_EXITED, _ESSENTIAL, exit_code=exit_code, container=container)


def mount_failed() -> TaskStartFailure:
    """Return the failure for a file system that cannot be mounted."""
    reason = (
        "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: "
        "stderr: Failed to resolve the file system's mount target: unsuccessful EFS utils command "
        "execution; code: 1"
    )
    return TaskStartFailure(_NOT_STARTED, reason)


def no_route() -> TaskStartFailure:
    """Return the failure for a network without a route to the registry."""
    reason = (
        "ResourceInitializationError: unable to pull secrets or registry auth: execution resource "
        "retrieval failed: unable to retrieve ecr registry auth: service call has been retried 3 "
        "time(s): RequestError: send request failed: dial tcp: i/o timeout"
    )
    return TaskStartFailure(_NOT_STARTED, reason)


def out_of_addresses(subnet: str = "subnet-1") -> TaskStartFailure:
    """Return the failure for a subnet without a free address."""
    reason = (
        "Unexpected EC2 error while attempting to Create Network Interface in subnet "
        f"'{subnet}': InsufficientFreeAddressesInSubnet"
    )
    return TaskStartFailure(_NOT_STARTED, reason)
