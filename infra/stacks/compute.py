"""What runs commands and builds images: cluster, registry, CodeBuild, and the roles of each."""

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from conducto.model import deployment
from infra.settings import Settings
from infra.stacks.data import DataStack

#: Each build brings its own; this one says that it was forgotten.
_NO_BUILD = {
    "version": "0.2",
    "phases": {"build": {"commands": ["echo 'started without a buildspec' >&2; exit 1"]}},
}


class ComputeStack(Stack):
    """Cluster and roles.

    Attributes:
        cluster: Where workers run.
        images: Images of pipelines, tagged by their content.
        builder: Builds them from contexts in the bucket.
        build_logs: Output of builds of images.
        worker_logs: Diagnostics of workers; the output of commands is in the bucket.
        execution_role: ECS's own, to start a worker.
        task_role: What both containers of a worker may do, the user's included: mount its data.
        poll_role: What the API lends to a worker's agent, narrowed to one activity each time.
        machine_role: What the generated state machines may do.
    """

    def __init__(
        self, scope: Construct, name: str, settings: Settings, data: DataStack, **options: object
    ) -> None:
        super().__init__(scope, name, **options)  # type: ignore[arg-type]
        self._settings = settings
        self.cluster = ecs.CfnCluster(
            self,
            "Cluster",
            cluster_name=settings.prefix,
            capacity_providers=["FARGATE", "FARGATE_SPOT"],
            cluster_settings=[
                ecs.CfnCluster.ClusterSettingsProperty(name="containerInsights", value="disabled")
            ],
        )
        self.images = self._registry()
        self.worker_logs = self._log_group("WorkerLogs", "workers")
        self.build_logs = self._log_group("BuildLogs", "builds")
        self.execution_role = self._execution_role()
        self.task_role = self._task_role(data)
        self.poll_role = self._poll_role()
        self.machine_role = self._machine_role()
        self.builder = self._builder()

    def _registry(self) -> ecr.Repository:
        return ecr.Repository(
            self,
            "Images",
            repository_name=f"{self._settings.prefix}/images",
            encryption=ecr.RepositoryEncryption.AES_256,
            image_scan_on_push=True,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,  # a tag is the hash of its content
            # Whatever is in it can be built again; kept, its name would hinder the next deployment.
            removal_policy=RemovalPolicy.DESTROY,
            empty_on_delete=True,
            lifecycle_rules=[
                ecr.LifecycleRule(
                    description="images that no launch has built anew for long",
                    max_image_age=Duration.days(90),
                )
            ],
        )

    def _log_group(self, name: str, suffix: str) -> logs.LogGroup:
        group = logs.LogGroup(
            self,
            name,
            log_group_name=f"/{self._settings.prefix}/{suffix}",
            removal_policy=RemovalPolicy.DESTROY,
        )
        plain = group.node.default_child
        if isinstance(plain, logs.CfnLogGroup):  # the construct knows names of numbers only
            plain.retention_in_days = self._settings.log_days
        return group

    def _execution_role(self) -> iam.Role:
        role = self._role("ExecutionRole", "ecs-tasks.amazonaws.com", "starts Conducto's workers")
        self.images.grant_pull(role)
        self.worker_logs.grant_write(role)
        return role

    def _task_role(self, data: DataStack) -> iam.Role:
        """The user's command has this role too: it may mount what its task names, no more."""
        role = self._role("TaskRole", "ecs-tasks.amazonaws.com", "mounts a pipeline's data")
        role.add_to_policy(
            iam.PolicyStatement(
                sid="MountByAccessPoint",
                # Root's access too: access points make root of everybody.
                actions=[
                    "elasticfilesystem:ClientMount",
                    "elasticfilesystem:ClientWrite",
                    "elasticfilesystem:ClientRootAccess",
                ],
                resources=[data.files.file_system_arn],
                conditions={
                    "StringLike": {
                        "elasticfilesystem:AccessPointArn": self.format_arn(
                            service="elasticfilesystem",
                            resource="access-point",
                            resource_name="*",
                        )
                    }
                },
            )
        )
        return role

    def _poll_role(self) -> iam.Role:
        role = iam.Role(
            self,
            "PollRole",
            assumed_by=iam.AccountPrincipal(self.account),
            description="Lent to a Conducto worker: polls its own activity and sends heartbeats",
            max_session_duration=Duration.hours(12),
        )
        role.add_to_policy(
            iam.PolicyStatement(
                sid="Poll",
                actions=["states:GetActivityTask"],
                resources=[self._states("activity", f"{deployment.NAME_PREFIX}*")],
            )
        )
        role.add_to_policy(
            iam.PolicyStatement(
                sid="Heartbeat",  # has no resource level; the task's token is the key
                actions=["states:SendTaskHeartbeat"],
                resources=["*"],
            )
        )
        return role

    def _machine_role(self) -> iam.Role:
        role = iam.Role(
            self,
            "MachineRole",
            assumed_by=iam.ServicePrincipal(
                "states.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": self.account}},
            ),
            description="Conducto's state machines: run one another, and wait",
        )
        machines = self._states("stateMachine", f"{deployment.NAME_PREFIX}*")
        executions = self._states("execution", f"{deployment.NAME_PREFIX}*:*")
        role.add_to_policy(
            iam.PolicyStatement(
                sid="Start", actions=["states:StartExecution"], resources=[machines]
            )
        )
        role.add_to_policy(
            iam.PolicyStatement(
                sid="Watch",
                actions=["states:DescribeExecution", "states:StopExecution"],
                resources=[executions],
            )
        )
        role.add_to_policy(
            iam.PolicyStatement(
                sid="HearOfTheEnd",
                actions=["events:PutTargets", "events:PutRule", "events:DescribeRule"],
                resources=[
                    self.format_arn(
                        service="events",
                        resource="rule",
                        resource_name="StepFunctionsGetEventsForStepFunctionsExecutionRule",
                    )
                ],
            )
        )
        return role

    def _builder(self) -> codebuild.Project:
        project = codebuild.Project(
            self,
            "Builder",
            project_name=f"{self._settings.prefix}-images",
            description="Builds images of Conducto pipelines",
            environment=codebuild.BuildEnvironment(
                build_image=codebuild.LinuxBuildImage.STANDARD_7_0,
                compute_type=codebuild.ComputeType.SMALL,
                privileged=True,  # an image cannot be built without
            ),
            environment_variables={
                "REPOSITORY": codebuild.BuildEnvironmentVariable(value=self.images.repository_uri)
            },
            build_spec=codebuild.BuildSpec.from_object(_NO_BUILD),
            timeout=Duration.minutes(deployment.BUILD_MINUTES),
            queued_timeout=Duration.minutes(deployment.BUILD_MINUTES),
            logging=codebuild.LoggingOptions(
                cloud_watch=codebuild.CloudWatchLoggingOptions(log_group=self.build_logs)
            ),
            grant_report_group_permissions=False,
        )
        self.images.grant_pull_push(project)
        return project

    def _role(self, name: str, service: str, what: str) -> iam.Role:
        return iam.Role(
            self,
            name,
            assumed_by=iam.ServicePrincipal(
                service, conditions={"StringEquals": {"aws:SourceAccount": self.account}}
            ),
            description=f"Conducto: {what}",
        )

    def _states(self, kind: str, name: str) -> str:
        return f"arn:{self.partition}:states:{self.region}:{self.account}:{kind}:{name}"
