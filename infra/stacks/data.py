"""Stateful resources that outlive all others: records, logs, files, settings. They are retained.

``cdk destroy`` leaves these resources in the account; `conducto destroy` lists them and explains
how to delete them.
"""

import json

from aws_cdk import CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from conducto_core.installation import names as deployment
from infra.settings import S3, Settings, as_context
from infra.stacks.files import efs_files, s3_files
from infra.stacks.network import NetworkStack
from infra.stacks.people import People
from infra.stacks.private_bucket import private_bucket


class DataStack(Stack):
    """The table, the bucket and the file system.

    Attributes:
        table: Every record (`functions/chalicelib/aws`).
        bucket: Trees, contexts and command output.
        files: ``/conducto/data`` of pipelines and users.
    """

    def __init__(
        self,
        scope: Construct,
        name: str,
        settings: Settings,
        network: NetworkStack,
        **options: object,
    ) -> None:
        super().__init__(scope, name, termination_protection=True, **options)  # type: ignore[arg-type]
        self.table = self._table(settings)
        self.bucket = self._bucket()
        self.files = (
            s3_files(self, network) if settings.data == S3 else efs_files(self, settings, network)
        )
        if settings.identity is not None:
            People(self, settings, self.table)
        if settings.task_roles is not None:
            policy = iam.PolicyDocument(statements=[self.files.mounting()])
            CfnOutput(
                self,
                "TaskRolePolicy",
                value=self.to_json_string(policy),
                description="The policy that each role of the setting task_roles needs",
            )
        ssm.CfnParameter(
            self,
            "Settings",
            type="String",
            name=deployment.settings_name(settings.stage),
            description="The settings of the last deployment of Conducto",
            value=json.dumps(as_context(settings)),
        )

    def _table(self, settings: Settings) -> dynamodb.TableV2:
        return dynamodb.TableV2(
            self,
            "Table",
            table_name=deployment.table_name(settings.stage),
            partition_key=_text(deployment.PARTITION_KEY),
            sort_key=_text(deployment.SORT_KEY),
            billing=dynamodb.Billing.on_demand(),
            encryption=dynamodb.TableEncryptionV2.aws_managed_key(),
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=True,
            removal_policy=RemovalPolicy.RETAIN,
            time_to_live_attribute=deployment.TTL_ATTRIBUTE,
            global_secondary_indexes=[
                dynamodb.GlobalSecondaryIndexPropsV2(
                    index_name=index.name,
                    partition_key=_text(index.partition_key),
                    sort_key=_text(index.sort_key),
                    projection_type=dynamodb.ProjectionType[index.projection],
                )
                for index in deployment.INDEXES
            ],
        )

    def _bucket(self) -> s3.Bucket:
        return private_bucket(
            self,
            "Bucket",
            removal_policy=RemovalPolicy.RETAIN,
            versioned=True,  # deleted and overwritten objects can be restored for a while
            # Pages download and upload files through presigned URLs, from any host name that the
            # web app has; the signature authorizes the request.
            cors=[
                s3.CorsRule(
                    allowed_methods=[s3.HttpMethods.GET, s3.HttpMethods.PUT],
                    allowed_origins=["*"],
                    allowed_headers=["*"],
                    max_age=3600,
                )
            ],
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="unfinished uploads",
                    abort_incomplete_multipart_upload_after=Duration.days(2),
                ),
                s3.LifecycleRule(
                    id="deleted versions",
                    noncurrent_version_expiration=Duration.days(14),
                    expired_object_delete_marker=True,
                ),
                s3.LifecycleRule(
                    id="transfers",
                    prefix=deployment.UPLOAD_PREFIX,
                    expiration=Duration.days(2),
                    noncurrent_version_expiration=Duration.days(1),  # a copy that can be repeated
                ),
                s3.LifecycleRule(
                    id="histories of tests",
                    prefix=deployment.TESTS_PREFIX,
                    expiration=Duration.days(deployment.TESTS_DAYS),
                ),
                s3.LifecycleRule(
                    id="states of partitions",
                    prefix=deployment.PARTITIONS_PREFIX,
                    expiration=Duration.days(deployment.PARTITIONS_DAYS),
                ),
                *(
                    s3.LifecycleRule(
                        id=f"image inputs: {prefix}",
                        prefix=prefix,
                        expiration=Duration.days(deployment.SOURCE_DAYS),
                    )
                    for prefix in (deployment.CONTEXT_PREFIX, deployment.BUILD_PREFIX)
                ),
            ],
        )


def _text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
