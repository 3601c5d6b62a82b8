"""What file systems of S3 Files need: roles, permissions and mount targets."""

from collections.abc import Iterable

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3files as s3files
from constructs import Construct

from infra.stacks.network import NetworkStack

_WRITE = ("s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")
_READ = ("s3:GetObject", "s3:GetObjectVersion")
#: Prefix of the names of rules with which S3 Files follows the changes of a bucket.
_RULES = "DO-NOT-DELETE-S3-Files*"


def synchronising_role(
    scope: Construct, name: str, arn: str, prefix: str, *, write: bool
) -> iam.Role:
    """Create the role with which S3 Files copies objects from a prefix, and changed files to it."""
    stack = Stack.of(scope)
    role = iam.Role(
        scope,
        name,
        assumed_by=iam.ServicePrincipal(
            "elasticfilesystem.amazonaws.com",
            conditions={
                "StringEquals": {"aws:SourceAccount": stack.account},
                "ArnLike": {
                    "aws:SourceArn": stack.format_arn(
                        service="s3files", resource="file-system", resource_name="*"
                    )
                },
            },
        ),
        description="Conducto: lets S3 Files copy objects of a bucket, and changed files to it",
    )
    for statement in (
        *reading("Objects", arn, prefix, (*_READ, *(_WRITE if write else ()))),
        iam.PolicyStatement(
            sid="FollowChanges",
            actions=[
                *("events:PutRule", "events:DeleteRule", "events:EnableRule"),
                *("events:DisableRule", "events:PutTargets", "events:RemoveTargets"),
            ],
            resources=[_rule(stack)],
            conditions={"StringEquals": {"events:ManagedBy": "elasticfilesystem.amazonaws.com"}},
        ),
        iam.PolicyStatement(
            sid="ReadRules",
            actions=["events:DescribeRule", "events:ListTargetsByRule"],
            resources=[_rule(stack)],
        ),
    ):
        role.add_to_policy(statement)
    return role


def _rule(stack: Stack) -> str:
    return stack.format_arn(service="events", resource="rule", resource_name=_RULES)


def reading(
    sid: str, arn: str, prefix: str, actions: Iterable[str] = _READ
) -> list[iam.PolicyStatement]:
    """Return the statements for the objects of a prefix: reading, or other actions.

    Args:
        sid: Name of the statement; the one for listing has ``List`` before it.
        arn: ARN of the bucket.
        prefix: The prefix, without slashes around it; "" for all objects.
        actions: The allowed actions.
    """
    below = f"{prefix}/*" if prefix else "*"
    listing = iam.PolicyStatement(
        sid=f"List{sid}", actions=["s3:ListBucket", "s3:ListBucketVersions"], resources=[arn]
    )
    if prefix:
        listing.add_condition("StringLike", {"s3:prefix": [prefix, below]})
    objects = iam.PolicyStatement(sid=sid, actions=list(actions), resources=[f"{arn}/{below}"])
    return [objects, listing]


def mount_targets(
    scope: Construct, files: s3files.CfnFileSystem, network: NetworkStack
) -> list[s3files.CfnMountTarget]:
    """Create the mount targets of a file system: one for each subnet of workers."""
    return [
        s3files.CfnMountTarget(
            scope,
            f"Target{number}",
            file_system_id=files.attr_file_system_id,
            subnet_id=subnet.subnet_id,
            security_groups=[network.files.security_group_id],
        )
        for number, subnet in enumerate(network.subnets)
    ]
