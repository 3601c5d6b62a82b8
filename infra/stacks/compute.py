"""The cluster, the registry, CodeBuild, and their roles."""

from collections.abc import Sequence
from typing import Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from conducto_core.installation import names as deployment
from conducto_core.installation.rules import WITHOUT_BUILDS
from conducto_core.machines.model import MachineClass, Rung
from infra.aws.pull_through import IMPORT, add_caches
from infra.settings import Settings, allow_tracing, log_group
from infra.stacks.agent import AgentImage
from infra.stacks.data import DataStack
from infra.stacks.network import NetworkStack

#: Permissions for pulling images from a repository, and for pushing them.
PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
PUSH = ("ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart")
#: Each build brings its own buildspec; this one reports a missing one.
_NO_BUILD = {
    "version": "0.2",
    "phases": {"build": {"commands": ["echo 'started without a buildspec' >&2; exit 1"]}},
}


class ComputeStack(Stack):
    """The cluster and the roles.

    Attributes:
        cluster: The cluster of workers.
        images: ARN of the repositories of organisations' images, which are tagged by their content.
            The API creates one for each organisation (`chalicelib.images.aws`).
        registry: Registry host and name prefix of these repositories.
        builder: Builds images from contexts in the bucket; None in regions without CodeBuild.
        project: The name of the builder.
        build_logs: Output of image builds.
        worker_logs: Diagnostics of workers; the output of commands is in the bucket.
        agent: The image of the workers' agent.
        caches: Caches of other registries, in the format that functions and builds read.
    """

    def __init__(
        self,
        scope: Construct,
        name: str,
        settings: Settings,
        network: NetworkStack,
        data: DataStack,
        **options: object,
    ) -> None:
        super().__init__(scope, name, **options)  # type: ignore[arg-type]
        self._settings = settings
        self.cluster = ecs.CfnCluster(
            self,
            "Cluster",
            cluster_name=settings.prefix,
            capacity_providers=["FARGATE", "FARGATE_SPOT"],
            # Do not log the contents of debug shells: they may be secret.
            configuration=ecs.CfnCluster.ClusterConfigurationProperty(
                execute_command_configuration=(
                    ecs.CfnCluster.ExecuteCommandConfigurationProperty(logging="NONE")
                )
            ),
            cluster_settings=[
                ecs.CfnCluster.ClusterSettingsProperty(name="containerInsights", value="disabled")
            ],
        )
        root = deployment.repository_root(settings.stage)
        self.images = self.format_arn(
            service="ecr", resource="repository", resource_name=f"{root}/*"
        )
        self.registry = f"{self.account}.dkr.ecr.{self.region}.{self.url_suffix}/{root}"
        self.caches, self._cached = add_caches(self, settings)
        self.worker_logs = self._log_group("WorkerLogs", "workers")
        self.build_logs = self._log_group("BuildLogs", "builds")
        role = self._role("execution", "ecs-tasks.amazonaws.com", "starts Conducto's workers")
        self._grant_images(role, "PullImages", PULL)
        self._grant_caches(role)
        self.worker_logs.grant_write(role)
        self.agent = AgentImage(self, settings, role)
        self._task_role(data)
        self._let_named_roles_mount(data)
        if settings.opens_shells:
            self._debug_role(data)
        self._push_role()
        self._poll_role()
        self._machine_role()
        if settings.machines:
            self._machine_providers(network)
        self.project = f"{settings.prefix}-images"
        self.builder = None if settings.region in WITHOUT_BUILDS else self._builder()

    def _machine_providers(self, network: NetworkStack) -> None:
        """Create a capacity provider for each machine class and way to buy machines.

        A provider belongs to the cluster that it names: unlike those of Fargate, it is not listed
        there. AWS does not change the way to buy of a provider, so it is in the name.
        """
        infrastructure = self._infrastructure_role()
        profile = self._instance_profile()
        for machine in self._settings.machine_classes:
            for rung in machine.rungs:
                name = deployment.provider_name(self._settings.stage, machine.name, rung)
                launch = ecs.CfnCapacityProvider.InstanceLaunchTemplateProperty(
                    ec2_instance_profile_arn=profile.attr_arn,
                    capacity_option_type="SPOT" if rung is Rung.SPOT else "ON_DEMAND",
                    network_configuration=(
                        ecs.CfnCapacityProvider.ManagedInstancesNetworkConfigurationProperty(
                            subnets=[each.subnet_id for each in network.subnets],
                            security_groups=[network.workers.security_group_id],
                        )
                    ),
                    instance_requirements=_requirements(machine),
                )
                provider = ecs.CfnCapacityProvider(
                    self,
                    f"Machines{machine.name.replace('-', 'X')}{rung.name.title()}",
                    name=name,
                    cluster_name=self.cluster.ref,
                    managed_instances_provider=(
                        ecs.CfnCapacityProvider.ManagedInstancesProviderProperty(
                            infrastructure_role_arn=infrastructure.role_arn,
                            instance_launch_template=launch,
                            propagate_tags="CAPACITY_PROVIDER",
                        )
                    ),
                )
                provider.node.add_dependency(infrastructure.node.find_child("DefaultPolicy"))

    def _infrastructure_role(self) -> iam.Role:
        """Create the role with which ECS starts and stops the machines of classes."""
        role = self._role("infrastructure", "ecs.amazonaws.com", "starts machines of classes")
        role.add_managed_policy(
            iam.ManagedPolicy.from_aws_managed_policy_name(
                "AmazonECSInfrastructureRolePolicyForManagedInstances"
            )
        )
        # AWS's policy allows this for another name only.
        pass_role = iam.PolicyStatement(
            sid="PassInstanceRole",
            actions=["iam:PassRole"],
            resources=[self.role_arn("instance")],
            conditions={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
        )
        role.add_to_policy(pass_role)
        return role

    def _instance_profile(self) -> iam.CfnInstanceProfile:
        """Create the profile of machines: their agent of ECS registers them in the cluster."""
        role = iam.Role(
            self,
            "InstanceRole",
            role_name=self._role_name("instance"),
            assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"),
            description="Conducto: registers a machine of a class in the cluster",
            managed_policies=[
                iam.ManagedPolicy.from_aws_managed_policy_name(
                    "AmazonECSInstanceRolePolicyForManagedInstances"
                )
            ],
        )
        return iam.CfnInstanceProfile(self, "InstanceProfile", roles=[role.role_name])

    def role_arn(self, name: deployment.RoleName) -> str:
        """Return the ARN of a role of this stack.

        It is a string, not an export: CloudFormation does not delete an export that another stack
        imports, so that a role could never be removed by a setting.
        """
        return self.format_arn(
            service="iam", region="", resource="role", resource_name=self._role_name(name)
        )

    def _role_name(self, name: deployment.RoleName) -> str:
        return deployment.role_name(self._settings.stage, self.region, name)

    def _log_group(self, name: str, suffix: str) -> logs.LogGroup:
        return log_group(self, name, self._settings, f"/{self._settings.prefix}/{suffix}")

    def _task_role(self, data: DataStack) -> None:
        """Create the role of a worker's containers, including the user's: it mounts data."""
        role = self._role("task", "ecs-tasks.amazonaws.com", "mounts a pipeline's data")
        role.add_to_policy(data.files.mounting())

    def _let_named_roles_mount(self, data: DataStack) -> None:
        """Add the statement for mounting files to the roles that the administrator configured.

        ECS mounts files with the role of the task, and a task has one role.
        """
        names = sorted({role.name for role in self._settings.named_roles})
        if not names or not self._settings.mount_policy:
            return
        iam.CfnPolicy(
            self,
            "MountPolicy",
            policy_name=f"{self._settings.prefix}-{self.region}-mount",
            policy_document=iam.PolicyDocument(statements=[data.files.mounting()]),
            roles=names,
        )

    def _debug_role(self, data: DataStack) -> None:
        """Create the role of debug shell workers: the SSM agent in them needs message channels."""
        role = self._role("debug", "ecs-tasks.amazonaws.com", "runs a worker with a debug shell")
        role.add_to_policy(data.files.mounting())
        role.add_to_policy(open_channels())

    def _push_role(self) -> None:
        """Create the role for builds, which each session narrows to one repository.

        A build logs in to the registry with this role, never with its own.
        """
        role = iam.Role(
            self,
            "PushRole",
            role_name=self._role_name("push"),
            assumed_by=self._functions(*deployment.DRIVERS),
            description="For image builds: pushes to one organisation's repository",
        )
        self._grant_images(role, "PushImages", (*PULL, *PUSH))
        self._grant_caches(role)

    def _grant_images(self, role: iam.IGrantable, sid: str, actions: Sequence[str]) -> None:
        for statement in (
            iam.PolicyStatement(sid=sid, actions=list(actions), resources=[self.images]),
            iam.PolicyStatement(
                sid="LogInToRegistry", actions=["ecr:GetAuthorizationToken"], resources=["*"]
            ),
        ):
            role.grant_principal.add_to_principal_policy(statement)

    def _grant_caches(self, role: iam.IGrantable) -> None:
        if self._cached:
            role.grant_principal.add_to_principal_policy(
                iam.PolicyStatement(
                    sid="PullThroughCaches", actions=[*PULL, *IMPORT], resources=self._cached
                )
            )

    def _poll_role(self) -> None:
        """Create the role that the API lends to a worker's agent, narrowed to one activity."""
        role = iam.Role(
            self,
            "PollRole",
            role_name=self._role_name("poll"),
            assumed_by=self._functions(deployment.API_FUNCTION),
            description="For Conducto workers: polls one activity and sends heartbeats",
            max_session_duration=Duration.hours(12),
        )
        role.add_to_policy(
            iam.PolicyStatement(
                sid="Poll",
                actions=["states:GetActivityTask"],
                resources=[
                    self._states("activity", f"{deployment.made_prefix(self._settings.stage)}*")
                ],
            )
        )
        role.add_to_policy(
            iam.PolicyStatement(
                sid="Heartbeat",  # no resource-level permissions; the task token authorizes
                actions=["states:SendTaskHeartbeat"],
                resources=["*"],
            )
        )

    def _functions(self, *functions: str) -> iam.IPrincipal:
        """Return the principal for the roles of functions, which are created after this stack.

        AWS rejects a principal that does not exist yet, but accepts its ARN in a condition on the
        account principal.
        """
        stage, region = self._settings.stage, self.region
        roles = [
            f"arn:{self.partition}:iam::{self.account}:role/"
            + deployment.driver_role_name(stage, region, function)
            for function in functions
        ]
        return iam.AccountPrincipal(self.account).with_conditions(
            {"ArnEquals": {"aws:PrincipalArn": roles}}
        )

    def _machine_role(self) -> None:
        prefix = deployment.made_prefix(self._settings.stage)
        machines = self._states("stateMachine", f"{prefix}*")
        executions = self._states("execution", f"{prefix}*:*")
        role = iam.Role(
            self,
            "MachineRole",
            role_name=self._role_name("machine"),
            assumed_by=iam.ServicePrincipal(
                "states.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": self.account},
                    "ArnLike": {"aws:SourceArn": machines},
                },
            ),
            description="Conducto's state machines: start and await child executions",
        )
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
                sid="ManageExecutionEvents",
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
        allow_tracing(self._settings, role)

    def _builder(self) -> codebuild.Project:
        return codebuild.Project(
            self,
            "Builder",
            project_name=self.project,
            description="Builds images of Conducto pipelines",
            environment=codebuild.BuildEnvironment(
                build_image=codebuild.LinuxBuildImage.STANDARD_7_0,
                compute_type=codebuild.ComputeType.SMALL,
                privileged=True,  # required for building images
            ),
            environment_variables={
                name: codebuild.BuildEnvironmentVariable(value=value)
                for name, value in (
                    ("PULL_THROUGH", self.caches),
                    ("SOCI", "yes" if self._settings.soci else ""),
                )
                if value
            },
            build_spec=codebuild.BuildSpec.from_object(_NO_BUILD),
            timeout=Duration.minutes(deployment.BUILD_MINUTES),
            queued_timeout=Duration.minutes(deployment.BUILD_MINUTES),
            logging=codebuild.LoggingOptions(
                cloud_watch=codebuild.CloudWatchLoggingOptions(log_group=self.build_logs)
            ),
            grant_report_group_permissions=False,
        )

    def _role(self, name: deployment.RoleName, service: str, what: str) -> iam.Role:
        return iam.Role(
            self,
            f"{name.capitalize()}Role",
            role_name=self._role_name(name),
            assumed_by=iam.ServicePrincipal(
                service, conditions={"StringEquals": {"aws:SourceAccount": self.account}}
            ),
            description=f"Conducto: {what}",
        )

    def _states(self, kind: str, name: str) -> str:
        return f"arn:{self.partition}:states:{self.region}:{self.account}:{kind}:{name}"


def _requirements(
    machine: MachineClass,
) -> ecs.CfnCapacityProvider.InstanceRequirementsRequestProperty:
    """Return the instance types of a class; AWS requires ranges of vCPUs and memory, too."""
    provider = ecs.CfnCapacityProvider
    gpus = [each.gpu for each in machine.types]
    accelerators: dict[str, Any] = {}
    if any(gpus):
        accelerators = {
            "accelerator_types": ["gpu"],
            "accelerator_manufacturers": ["nvidia"],
            "accelerator_count": provider.AcceleratorCountRequestProperty(
                min=min(gpus), max=max(gpus)
            ),
        }
    cpus = [each.cpu for each in machine.types]
    mebibytes = [round(each.mem * 1024) for each in machine.types]
    return provider.InstanceRequirementsRequestProperty(
        allowed_instance_types=[each.name for each in machine.types],
        v_cpu_count=provider.VCpuCountRangeRequestProperty(min=min(cpus), max=max(cpus)),
        memory_mib=provider.MemoryMiBRequestProperty(min=min(mebibytes), max=max(mebibytes)),
        **accelerators,
    )


def open_channels() -> iam.PolicyStatement:
    """Return the statement for the SSM agent of debug shells."""
    return iam.PolicyStatement(
        sid="OpenExecChannels",
        actions=[
            "ssmmessages:CreateControlChannel",
            "ssmmessages:CreateDataChannel",
            "ssmmessages:OpenControlChannel",
            "ssmmessages:OpenDataChannel",
        ],
        resources=["*"],  # no resource-level permissions
    )
