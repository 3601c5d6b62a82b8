"""What deploying needs of an AWS account and of a machine; fakes: `fakes.deployment`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class AccountError(Exception):
    """AWS rejected a request; the message says why.

    Attributes:
        remedy: What to do about it.
        is_denied: Whether the caller lacks the permission.
    """

    def __init__(self, text: str, remedy: str, *, is_denied: bool = False) -> None:
        super().__init__(text)
        self.remedy = remedy
        self.is_denied = is_denied


@dataclass(frozen=True, slots=True)
class AwsCaller:
    """The owner of the credentials.

    Attributes:
        account: Number of the account, 12 digits.
        arn: The user or role.
    """

    account: str
    arn: str


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet of a network that exists.

    Attributes:
        id: Its id.
        vpc: Id of its network.
        zone: Name of its availability zone.
        way_out: Where its default route leads, such as ``igw-…`` or ``nat-…``; None: it has none.
    """

    id: str
    vpc: str
    zone: str
    way_out: str | None


@dataclass(frozen=True, slots=True)
class S3Bucket:
    """A bucket that exists.

    Attributes:
        region: Its region.
        versioned: Whether it keeps versions.
    """

    region: str
    versioned: bool


class AwsAccount(Protocol):
    """An AWS account in one region. Every method but `region` raises `AccountError`."""

    @property
    def region(self) -> str | None:
        """The region in use; None: none is configured."""

    def caller(self) -> AwsCaller:
        """Return whose credentials are used."""

    def quota(self, service: str, code: str) -> float:
        """Return a quota of a service, by the codes of Service Quotas."""

    def function_room(self, functions: Collection[str]) -> int:
        """Return how many functions may run at once, less what others than these reserve."""

    def create_service_role(self, service: str) -> None:
        """Create the role that a service of AWS itself uses, unless the account has it."""

    def zones(self) -> Mapping[str, str]:
        """Return ``{name: id}`` of the availability zones that this account can use."""

    def stack_zones(self, stack: str) -> Sequence[str]:
        """Return the zones of the subnets that a stack has created, in their order there."""

    def missing_dns(self, vpc: str) -> Sequence[str]:
        """Return the DNS attributes that are turned off in a network."""

    def subnets(self, ids: Sequence[str]) -> Sequence[Subnet]:
        """Return those of these subnets that exist."""

    def trusted_services(self, role: str) -> Sequence[str] | None:
        """Return which services of AWS may assume a role; None where there is no such role."""

    def bucket(self, name: str) -> S3Bucket | None:
        """Return a bucket of S3; None where there is none of that name."""

    def parameter(self, name: str) -> str | None:
        """Return a parameter of SSM; None where there is none."""

    def stack_status(self, name: str) -> str | None:
        """Return a CloudFormation stack's status; None where there is no such stack."""

    def first_failure(self, name: str) -> str | None:
        """Return the first failure of a stack's last change, as a sentence."""

    def delete_stack(self, name: str) -> None:
        """Delete a stack, protected or not, and wait until it is deleted."""

    def table_is_empty(self, name: str) -> bool | None:
        """Return whether a table of DynamoDB holds nothing; None where there is none."""

    def delete_table(self, name: str) -> None:
        """Delete a table, protected or not, and wait until it is deleted."""

    def delete_repositories(self, prefix: str) -> int:
        """Delete the repositories of ECR whose names begin so, with their images; say how many."""

    def delete_events(self, rules: str, queues: str, function: str) -> int:
        """Delete what delivers events to a function; return the number of deleted resources.

        Args:
            rules: Prefix of the names of rules of EventBridge.
            queues: Prefix of the names of queues of SQS, whose messages are lost.
            function: Name of the function, whose event source mappings are deleted.
        """

    def running_tasks(self, cluster: str) -> Sequence[str]:
        """Return the ARNs of tasks in a cluster; none where there is no such cluster."""

    def stop_task(self, cluster: str, task: str) -> None:
        """Stop a task."""

    def invoke(self, function: str, payload: bytes) -> bytes:
        """Call a function and return its response."""


@dataclass(frozen=True, slots=True)
class Cdk:
    """How CDK's command line is run.

    Attributes:
        words: The beginning of its command line.
        how: The same for people.
    """

    words: tuple[str, ...]
    how: str


class Machine(Protocol):
    """This machine: installed programs, and how they are run."""

    def node(self) -> str | None:
        """Return the version of Node, e.g. ``22.1.0``; None where it is not installed."""

    def cdk(self) -> Cdk | None:
        """Return how to run CDK; None if neither CDK nor npx is installed."""

    def docker(self) -> str | None:
        """Return the version of the container engine; None where none answers."""

    def missing_packages(self) -> Sequence[str]:
        """Return the Python packages that the stacks need and that are not installed."""

    def python(self) -> tuple[int, int]:
        """Return the version of this Python."""

    def run(self, words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> int:
        """Run a program that talks to the person at the terminal; return its exit code."""
