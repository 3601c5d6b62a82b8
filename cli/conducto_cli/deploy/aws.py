"""An AWS account as boto3 knows it."""

import importlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from conducto.version import install_command
from conducto_cli.deploy.port import AccountError, AwsCaller, S3Bucket, Subnet

_NO_CREDENTIALS = frozenset(
    {
        "NoCredentialsError",
        "PartialCredentialsError",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "SSOTokenLoadError",
        "TokenRetrievalError",
        "UnauthorizedSSOTokenError",
        "ProfileNotFound",
    }
)
_REFUSED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_ANYWHERE = "0.0.0.0/0"
#: Prefix of the tags that CloudFormation sets.
_FORMATION = "aws:cloudformation"
#: State of a route whose target was deleted.
_LOST = "blackhole"
#: Where routes lead, in the words of EC2.
_TARGETS = (
    "GatewayId",
    "NatGatewayId",
    "TransitGatewayId",
    "NetworkInterfaceId",
    "VpcPeeringConnectionId",
    "InstanceId",
)
_LOG_IN = "log in, e.g.: aws sso login, or aws configure; AWS_PROFILE chooses a profile"


class BotoAccount:
    """An `Account`.

    Args:
        region: None takes that of the AWS configuration.
        session: boto3's, for tests.

    Raises:
        AccountError: boto3 is not installed, or the AWS configuration is wrong.
    """

    def __init__(self, region: str | None = None, session: Any = None) -> None:
        if session is None:
            try:
                boto3 = importlib.import_module("boto3")
            except ImportError as error:
                raise AccountError("boto3 is not installed", install_command("deploy")) from error
            with _sentences("the AWS configuration"):
                # botocore itself reads AWS_DEFAULT_REGION only; AWS's other tools read this too.
                session = boto3.Session(region_name=region or os.environ.get("AWS_REGION"))
        self._session = session
        self._clients: dict[str, Any] = {}

    @property
    def region(self) -> str | None:
        found: str | None = self._session.region_name
        return found

    def caller(self) -> AwsCaller:
        with _sentences("sts:GetCallerIdentity"):
            answer = self._client("sts").get_caller_identity()
        return AwsCaller(answer["Account"], answer["Arn"])

    def quota(self, service: str, code: str) -> float:
        with _sentences("servicequotas:GetServiceQuota"):
            found = self._client("service-quotas").get_service_quota(
                ServiceCode=service, QuotaCode=code
            )
        return float(found["Quota"]["Value"])

    def function_room(self, functions: Collection[str]) -> int:
        client = self._client("lambda")
        with _sentences("lambda:GetAccountSettings"):
            limits = client.get_account_settings()["AccountLimit"]
        own = 0
        for name in functions:
            with _sentences("lambda:GetFunctionConcurrency", none="ResourceNotFoundException"):
                found = client.get_function_concurrency(FunctionName=name)
                own += found.get("ReservedConcurrentExecutions", 0)
        return int(limits["UnreservedConcurrentExecutions"]) + own

    def create_service_role(self, service: str) -> None:
        with _sentences("iam:CreateServiceLinkedRole", none="InvalidInput"):
            self._client("iam").create_service_linked_role(AWSServiceName=service)

    def zones(self) -> Mapping[str, str]:
        filters = [
            {"Name": "zone-type", "Values": ["availability-zone"]},
            {"Name": "state", "Values": ["available"]},
        ]
        with _sentences("ec2:DescribeAvailabilityZones"):
            response = self._client("ec2").describe_availability_zones(Filters=filters)
        return {zone["ZoneName"]: zone["ZoneId"] for zone in response["AvailabilityZones"]}

    def stack_zones(self, stack: str) -> Sequence[str]:
        filters = _filter(f"tag:{_FORMATION}:stack-name", [stack])
        with _sentences("ec2:DescribeSubnets"):
            found = self._client("ec2").describe_subnets(Filters=filters)["Subnets"]
        return [str(each["AvailabilityZone"]) for each in sorted(found, key=_logical_id)]

    def missing_dns(self, vpc: str) -> Sequence[str]:
        client, missing = self._client("ec2"), list[str]()
        with _sentences("ec2:DescribeVpcAttribute"):
            for name in ("enableDnsSupport", "enableDnsHostnames"):
                found = client.describe_vpc_attribute(VpcId=vpc, Attribute=name)
                if not found[name[0].upper() + name[1:]]["Value"]:
                    missing.append(name)
        return missing

    def subnets(self, ids: Sequence[str]) -> Sequence[Subnet]:
        client = self._client("ec2")
        with _sentences("ec2:DescribeSubnets"):
            found = client.describe_subnets(Filters=_filter("subnet-id", ids))["Subnets"]
        vpcs = [subnet["VpcId"] for subnet in found]
        with _sentences("ec2:DescribeRouteTables"):
            tables = client.describe_route_tables(Filters=_filter("vpc-id", vpcs))["RouteTables"]
        return [
            Subnet(
                each["SubnetId"], each["VpcId"], each["AvailabilityZone"], _way_out(each, tables)
            )
            for each in found
        ]

    def trusted_services(self, role: str) -> Sequence[str] | None:
        with _sentences("iam:GetRole", none="NoSuchEntity"):
            found = self._client("iam").get_role(RoleName=role)["Role"]
            trust = found["AssumeRolePolicyDocument"]["Statement"]
            allowed = [each for each in _listed(trust) if each["Effect"] == "Allow"]
            principals = [each["Principal"] for each in allowed if "Principal" in each]
            return [
                str(service)
                for principal in principals
                if isinstance(principal, dict)
                for service in _listed(principal.get("Service", []))
            ]
        return None

    def bucket(self, name: str) -> S3Bucket | None:
        client = self._client("s3")
        with _sentences("s3:GetBucketVersioning", none="NoSuchBucket"):
            place = client.get_bucket_location(Bucket=name)["LocationConstraint"] or "us-east-1"
            status = client.get_bucket_versioning(Bucket=name).get("Status")
            return S3Bucket(place, status == "Enabled")
        return None

    def parameter(self, name: str) -> str | None:
        with _sentences("ssm:GetParameter", none="ParameterNotFound"):
            return str(self._client("ssm").get_parameter(Name=name)["Parameter"]["Value"])
        return None

    def stack_status(self, name: str) -> str | None:
        with _sentences("cloudformation:DescribeStacks", none="ValidationError"):
            stacks = self._formation.describe_stacks(StackName=name)["Stacks"]
            return str(stacks[0]["StackStatus"])
        return None

    def first_failure(self, name: str) -> str | None:
        failed = None
        with _sentences("cloudformation:DescribeStackEvents", none="ValidationError"):
            for event in self._events(name):
                if _begins(event):
                    break
                reason = str(event.get("ResourceStatusReason", ""))
                if event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in reason:
                    kind, resource = event["ResourceType"], event["LogicalResourceId"]
                    failed = f"{name}: {resource} ({kind}): {reason}"
        return failed

    def delete_stack(self, name: str) -> None:
        with _sentences("cloudformation:DeleteStack"):
            self._formation.update_termination_protection(
                StackName=name, EnableTerminationProtection=False
            )
            self._formation.delete_stack(StackName=name)
            self._formation.get_waiter("stack_delete_complete").wait(StackName=name)

    def table_is_empty(self, name: str) -> bool | None:
        with _sentences("dynamodb:Scan", none="ResourceNotFoundException"):
            answer = self._client("dynamodb").scan(TableName=name, Limit=1, ConsistentRead=True)
            return not answer["Items"]
        return None

    def delete_table(self, name: str) -> None:
        client = self._client("dynamodb")
        with _sentences("dynamodb:DeleteTable"):
            client.update_table(TableName=name, DeletionProtectionEnabled=False)
            client.get_waiter("table_exists").wait(TableName=name)
            client.delete_table(TableName=name)
            client.get_waiter("table_not_exists").wait(TableName=name)

    def delete_repositories(self, prefix: str) -> int:
        client, found = self._client("ecr"), list[str]()
        with _sentences("ecr:DescribeRepositories"):
            for page in client.get_paginator("describe_repositories").paginate():
                names = (str(each["repositoryName"]) for each in page["repositories"])
                found += [name for name in names if name.startswith(prefix)]
        with _sentences("ecr:DeleteRepository"):
            for name in found:
                client.delete_repository(repositoryName=name, force=True)
        return len(found)

    def delete_events(self, rules: str, queues: str, function: str) -> int:
        bus, sqs, lambda_ = (self._client(name) for name in ("events", "sqs", "lambda"))
        count = 0
        with _sentences("lambda:DeleteEventSourceMapping", none="ResourceNotFoundException"):
            pages = lambda_.get_paginator("list_event_source_mappings")
            for page in pages.paginate(FunctionName=function):
                for each in page["EventSourceMappings"]:
                    lambda_.delete_event_source_mapping(UUID=each["UUID"])
                    count += 1
        with _sentences("sqs:DeleteQueue"):
            for page in sqs.get_paginator("list_queues").paginate(QueueNamePrefix=queues):
                for url in page.get("QueueUrls", ()):
                    sqs.delete_queue(QueueUrl=url)
                    count += 1
        with _sentences("events:DeleteRule"):
            for page in bus.get_paginator("list_rules").paginate(NamePrefix=rules):
                for name in (each["Name"] for each in page["Rules"]):
                    targets = bus.list_targets_by_rule(Rule=name)["Targets"]
                    if targets:
                        bus.remove_targets(Rule=name, Ids=[each["Id"] for each in targets])
                    bus.delete_rule(Name=name)
                    count += 1
        return count

    def running_tasks(self, cluster: str) -> Sequence[str]:
        found: list[str] = []
        with _sentences("ecs:ListTasks", none="ClusterNotFoundException"):
            for page in self._client("ecs").get_paginator("list_tasks").paginate(cluster=cluster):
                found += page["taskArns"]
        return found

    def stop_task(self, cluster: str, task: str) -> None:
        with _sentences("ecs:StopTask"):
            self._client("ecs").stop_task(cluster=cluster, task=task, reason="conducto destroy")

    def invoke(self, function: str, payload: bytes) -> bytes:
        with _sentences("lambda:InvokeFunction"):
            answer = self._client("lambda").invoke(FunctionName=function, Payload=payload)
        if "FunctionError" in answer:
            raise AccountError(f"{function} failed", f"its log says why: /aws/lambda/{function}")
        return bytes(answer["Payload"].read())

    @cached_property
    def _formation(self) -> Any:
        return self._client("cloudformation")

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self._session.client(service)
        return self._clients[service]

    def _events(self, stack: str) -> Iterator[dict[str, Any]]:
        """Yield a stack's events, the newest first."""
        pages = self._formation.get_paginator("describe_stack_events").paginate(StackName=stack)
        for page in pages:
            yield from page["StackEvents"]


def _filter(name: str, values: Sequence[str]) -> list[dict[str, Any]]:
    return [{"Name": name, "Values": list(dict.fromkeys(values))}]


def _logical_id(subnet: Mapping[str, Any]) -> str:
    tags = {tag["Key"]: str(tag["Value"]) for tag in subnet.get("Tags", ())}
    return tags.get(f"{_FORMATION}:logical-id", "")


def _listed(value: Any) -> list[Any]:
    """Return a value of a policy as a list; AWS writes one item without brackets."""
    return value if isinstance(value, list) else [value]


def _way_out(subnet: Mapping[str, Any], tables: Sequence[Mapping[str, Any]]) -> str | None:
    """Return where a subnet's default route leads: by its own table, else by its network's."""
    here = [table for table in tables if table["VpcId"] == subnet["VpcId"]]
    own = [t for t in here if any(_is(a, subnet["SubnetId"]) for a in t["Associations"])]
    main = [t for t in here if any(a.get("Main") for a in t["Associations"])]
    for table in (own or main)[:1]:
        for route in table["Routes"]:
            if route.get("DestinationCidrBlock") == _ANYWHERE and route.get("State") != _LOST:
                return next((str(v) for k, v in route.items() if k in _TARGETS), "another way")
    return None


def _is(association: Mapping[str, Any], subnet: str) -> bool:
    return association.get("SubnetId") == subnet


def _begins(event: dict[str, Any]) -> bool:
    """Return whether an event is the beginning of the stack's last change."""
    return event["ResourceType"] == "AWS::CloudFormation::Stack" and event["ResourceStatus"] in {
        "CREATE_IN_PROGRESS",
        "UPDATE_IN_PROGRESS",
        "REVIEW_IN_PROGRESS",
    }


@contextmanager
def _sentences(action: str, none: str | None = None) -> Iterator[None]:
    """Turn botocore's errors into `AccountError`; pass over the one with the code ``none``."""
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith("botocore"):
            raise
        response: dict[str, Any] = getattr(error, "response", {})
        code = str(response.get("Error", {}).get("Code", type(error).__name__))
        if none is None or code != none:
            raise _account_error(action, code, error) from error


def _account_error(action: str, code: str, error: Exception) -> AccountError:
    if code in _NO_CREDENTIALS:
        return AccountError(f"no AWS credentials that hold: {error}", _LOG_IN)
    if code in _REFUSED:
        return AccountError(
            f"{action} is not allowed: {error}",
            "use a role that may, such as an administrator's",
            is_denied=True,
        )
    if code in {"EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError"}:
        return AccountError(f"{action}: AWS cannot be reached: {error}", "is the network up?")
    return AccountError(f"{action}: {error}", "see the message of AWS")
