"""Fakes of an AWS account and of a machine to deploy from."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from conducto_cli.deploy.port import AccountError, AwsCaller, Cdk, S3Bucket, Subnet
from conducto_core.installation.model import AdminResponse, TokenInfo
from conducto_core.installation.names import LAYOUT
from conducto_core.people.model import Invitation, InvitationLink, Role


class FakeAccount:
    """A `conducto_cli.deploy.port.Account` with a scripted state.

    Attributes:
        region: None: no region is configured.
        refusals: ``{method: error it raises}``.
        cpus: Fargate quota in vCPUs, on demand and Spot.
        ec2_cpus: ``{code: vCPUs}`` of EC2's quotas; others are as those of Fargate.
        builds: Quota of concurrent image builds.
        network_zones: Zones of the subnets of the network stack.
        dns_off: DNS attributes that networks lack.
        functions: Concurrent Lambda functions that no others have reserved.
        zone_ids: ``{zone: its id}``.
        networks: Subnets that exist.
        roles: ``{role: services that may assume it}``.
        parameters: ``{name: value}`` of SSM.
        stacks: ``{name: status}``.
        failures: ``{stack: first failure}``.
        tables: ``{name: whether it is empty}``.
        repositories: Names of image repositories.
        tasks: ARNs of running tasks.
        tokens: Tokens that the function ``admin`` returns.
        done: Changes, in order.
        service_roles: Services whose roles were created.
        requests: Requests to ``admin``.
        version: Version of Conducto in the responses of ``admin``; None: it returns an error.
        layout: Layout of the table in these responses.
    """

    def __init__(self, *, region: str | None = "eu-west-1", quota: float = 64.0) -> None:
        self.region = region
        self.cpus = quota
        self.ec2_cpus: dict[str, float] = {}
        self.functions = 1000
        self.builds = 10.0
        self.network_zones: list[str] = []
        self.dns_off: list[str] = []
        self.zone_ids = {f"{region}a": "euw1-az1", f"{region}b": "euw1-az2"}
        self.networks: list[Subnet] = []
        self.roles: dict[str, list[str]] = {}
        self.refusals: dict[str, AccountError] = {}
        self.parameters: dict[str, str] = {"/cdk-bootstrap/hnb659fds/version": "30"}
        self.stacks: dict[str, str] = {}
        self.failures: dict[str, str] = {}
        self.tables: dict[str, bool] = {}
        self.repositories: list[str] = []
        self.events: list[str] = []
        self.buckets: dict[str, S3Bucket] = {}
        self.tasks: list[str] = []
        self.tokens: list[TokenInfo] = []
        self.done: list[str] = []
        self.service_roles: list[str] = []
        self.requests: list[dict[str, object]] = []
        self.version: str | None = None
        self.layout: int | None = LAYOUT

    def caller(self) -> AwsCaller:
        self._refuse("caller")
        return AwsCaller("123456789012", "arn:aws:iam::123456789012:user/me")

    def quota(self, service: str, code: str) -> float:
        self._refuse(f"{service} quota")
        return self.builds if service == "codebuild" else self.ec2_cpus.get(code, self.cpus)

    def function_room(self, functions: Collection[str]) -> int:
        del functions
        self._refuse("function_room")
        return self.functions

    def create_service_role(self, service: str) -> None:
        self._refuse("create_service_role")
        self.service_roles.append(service)

    def zones(self) -> Mapping[str, str]:
        self._refuse("zones")
        return self.zone_ids

    def stack_zones(self, stack: str) -> Sequence[str]:
        self._refuse("stack_zones")
        return self.network_zones if stack.endswith("-network") else []

    def missing_dns(self, vpc: str) -> Sequence[str]:
        del vpc
        self._refuse("missing_dns")
        return self.dns_off

    def subnets(self, ids: Sequence[str]) -> Sequence[Subnet]:
        self._refuse("subnets")
        return [subnet for subnet in self.networks if subnet.id in ids]

    def trusted_services(self, role: str) -> Sequence[str] | None:
        self._refuse("trusted_services")
        return self.roles.get(role)

    def bucket(self, name: str) -> S3Bucket | None:
        self._refuse("bucket")
        return self.buckets.get(name)

    def parameter(self, name: str) -> str | None:
        self._refuse("parameter")
        return self.parameters.get(name)

    def stack_status(self, name: str) -> str | None:
        return self.stacks.get(name)

    def first_failure(self, name: str) -> str | None:
        self._refuse("first_failure")
        return self.failures.get(name)

    def delete_stack(self, name: str) -> None:
        self.done.append(f"delete stack {name}")
        del self.stacks[name]

    def table_is_empty(self, name: str) -> bool | None:
        return self.tables.get(name)

    def delete_table(self, name: str) -> None:
        self.done.append(f"delete table {name}")
        del self.tables[name]

    def delete_repositories(self, prefix: str) -> int:
        going = [name for name in self.repositories if name.startswith(prefix)]
        self.done += [f"delete repository {name}" for name in going]
        self.repositories = [name for name in self.repositories if name not in going]
        return len(going)

    def delete_events(self, rules: str, queues: str, function: str) -> int:
        ours = (rules, queues, function)
        going = [name for name in self.events if name.startswith(ours)]
        self.done += [f"delete events {name}" for name in going]
        self.events = [name for name in self.events if name not in going]
        return len(going)

    def running_tasks(self, cluster: str) -> Sequence[str]:
        del cluster
        return list(self.tasks)

    def stop_task(self, cluster: str, task: str) -> None:
        self.done.append(f"stop {task} of {cluster}")
        self.tasks.remove(task)

    def invoke(self, function: str, payload: bytes) -> bytes:
        """Respond like the function ``admin``."""
        self._refuse("invoke")
        request = json.loads(payload)
        self.requests.append({"function": function, **request})
        if request["kind"] == "show_version":
            error = "unknown request" if self.version is None else None
            response = AdminResponse(version=self.version, layout=self.layout, error=error)
            return response.model_dump_json().encode()
        if request["kind"] == "list_tokens":
            return AdminResponse(tokens=tuple(self.tokens)).model_dump_json().encode()
        if request["kind"] == "invite":
            return AdminResponse(invitation=_invitation(request)).model_dump_json().encode()
        self.tokens.append(TokenInfo(id="0" * 16, user=request["user"], permissions=(), created=0))
        return json.dumps({"token": "cdo_first"}).encode()

    def _refuse(self, method: str) -> None:
        if method in self.refusals:
            raise self.refusals[method]


def _invitation(request: dict[str, Any]) -> InvitationLink:
    made = Invitation(
        id="0" * 16,
        email=request["email"],
        role=Role(request["role"]),
        user=request["user"],
        invited_by="administrator",
        created=0.0,
        expires=1.0,
    )
    return InvitationLink(invitation=made, code="cdo_code", url="", mailed=False)


class FakeMachine:
    """A `conducto_cli.deploy.port.Machine` with scripted programs.

    Args:
        on_run: Called with the arguments of each program instead of running it; returns the exit
            code.
    """

    def __init__(self, on_run: Callable[[Sequence[str]], int] = lambda _: 0) -> None:
        self._on_run = on_run
        self.node_version: str | None = "22.9.0"
        self.docker_version: str | None = "29.1.0"
        self.cdk_words: Cdk | None = Cdk(("cdk",), "2.1148.0, installed")
        self.missing: list[str] = []
        self.python_version = (3, 12)
        self.runs: list[list[str]] = []
        self.environments: list[Mapping[str, str]] = []
        self.projects: list[dict[str, object]] = []

    def node(self) -> str | None:
        return self.node_version

    def cdk(self) -> Cdk | None:
        return self.cdk_words

    def docker(self) -> str | None:
        return self.docker_version

    def missing_packages(self) -> Sequence[str]:
        return self.missing

    def python(self) -> tuple[int, int]:
        return self.python_version

    def run(self, words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> int:
        """Record the command and the files that CDK would read."""
        self.runs.append(list(words))
        self.environments.append(environment)
        self.projects.append(json.loads((folder / "cdk.json").read_text("utf-8")))
        return self._on_run(words)
