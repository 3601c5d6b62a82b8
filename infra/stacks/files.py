"""The file system of ``/conducto/data``: of EFS, or of S3 Files over a bucket of its own."""

from typing import Literal

from aws_cdk import CfnResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_efs as efs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3files as s3files

from infra.settings import Settings
from infra.stacks.network import NetworkStack
from infra.stacks.private_bucket import private_bucket
from infra.stacks.s3files import mount_targets, synchronising_role

#: The services' prefixes of actions and ARNs: the actions of clients have the same names.
Service = Literal["elasticfilesystem", "s3files"]


class DataFiles:
    """A file system.

    Attributes:
        service: Prefix of the actions and ARNs of its service.
        id: Its id.
        arn: Its ARN.
        points: ARN of its access points, as a pattern: AWS chooses their ids.
        efs: The file system of EFS; None: it is one of S3 Files.
    """

    def __init__(
        self,
        stack: Stack,
        service: Service,
        identity: str,
        arn: str,
        efs_system: efs.FileSystem | None = None,
    ) -> None:
        self.service = service
        self.id = identity
        self.arn = arn
        self.efs = efs_system
        self.points = (
            f"{arn}/access-point/*"
            if service == "s3files"
            else stack.format_arn(service=service, resource="access-point", resource_name="*")
        )

    def actions(self, *names: str) -> list[str]:
        """Return actions of the service."""
        return [f"{self.service}:{name}" for name in names]

    def mounting(self, points: str | None = None) -> iam.PolicyStatement:
        """Return the statement for mounting by access points: by default by any one.

        ClientRootAccess because access points map every user to uid 0, who is squashed otherwise.
        """
        return iam.PolicyStatement(
            sid="MountByAccessPoint" if points is None else "MountFiles",
            actions=self.actions("ClientMount", "ClientWrite", "ClientRootAccess"),
            resources=[self.arn],
            conditions={
                "StringLike" if points is None else "StringEquals": {
                    f"{self.service}:AccessPointArn": points or self.points
                }
            },
        )


def efs_files(stack: Stack, settings: Settings, network: NetworkStack) -> DataFiles:
    """Create a file system of EFS."""
    one_zone = len(network.subnets) == 1
    files = efs.FileSystem(
        stack,
        "Files",
        file_system_name=settings.prefix,
        vpc=network.vpc,
        vpc_subnets=None if one_zone else ec2.SubnetSelection(subnets=network.subnets),
        security_group=network.files,
        encrypted=True,
        one_zone=one_zone,
        throughput_mode=efs.ThroughputMode.ELASTIC,
        lifecycle_policy=efs.LifecyclePolicy.AFTER_30_DAYS,
        enable_automatic_backups=True,
        removal_policy=RemovalPolicy.RETAIN,
    )
    files.add_to_resource_policy(
        iam.PolicyStatement(
            sid="OnlyEncrypted",
            effect=iam.Effect.DENY,
            principals=[iam.AnyPrincipal()],
            actions=["*"],
            conditions={"Bool": {"aws:SecureTransport": "false"}},
        )
    )
    arn = files.file_system_arn
    return DataFiles(stack, "elasticfilesystem", files.file_system_id, arn, files)


def s3_files(stack: Stack, network: NetworkStack) -> DataFiles:
    """Create a file system of S3 Files over a bucket of its own."""
    bucket = private_bucket(
        stack,
        "FilesBucket",
        removal_policy=RemovalPolicy.RETAIN,
        versioned=True,  # S3 Files requires it
        lifecycle_rules=[
            s3.LifecycleRule(
                id="deleted versions",
                noncurrent_version_expiration=Duration.days(14),
                expired_object_delete_marker=True,
                abort_incomplete_multipart_upload_after=Duration.days(2),
            )
        ],
    )
    role = synchronising_role(stack, "FilesRole", bucket.bucket_arn, "", write=True)
    files = s3files.CfnFileSystem(stack, "Files", bucket=bucket.bucket_arn, role_arn=role.role_arn)
    policy = role.node.find_child("DefaultPolicy")
    files.node.add_dependency(policy)
    # The role stays with the file system, which may have files that the bucket does not have yet.
    for kept in (files, role.node.default_child, policy.node.default_child):
        if isinstance(kept, CfnResource):
            kept.apply_removal_policy(RemovalPolicy.RETAIN)
    mount_targets(stack, files, network)
    return DataFiles(stack, "s3files", files.attr_file_system_id, files.attr_file_system_arn)
