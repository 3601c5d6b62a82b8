"""The permissions of each function as statements of IAM policies, one method per concern.

A resource is ``*`` only if AWS has no resource-level permissions; `tests/infra/test_policies.py`
lists all such actions with the reasons.
"""

from collections.abc import Sequence

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam

from conducto_core.buckets.rules import role_digest
from conducto_core.command.task_layout import USER
from conducto_core.events.rules.queues import read_queues
from conducto_core.installation import names as deployment
from conducto_core.secrets.rules import ORG_PART, read_prefixes
from infra.settings import Settings
from infra.stacks.compute import ComputeStack
from infra.stacks.data import DataStack

_ITEMS_READ = ("dynamodb:GetItem", "dynamodb:Query")
_ITEMS_WRITTEN = (
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:ConditionCheckItem",
)
#: Failed multipart uploads are aborted.
_OBJECTS = ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload")
_NETWORK_INTERFACES = (
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
)


class Permissions:
    """Statements for the functions of one installation."""

    def __init__(
        self, stack: Stack, settings: Settings, data: DataStack, compute: ComputeStack
    ) -> None:
        self._stack = stack
        self._settings = settings
        self._data = data
        self._compute = compute

    def look_up_tokens(self) -> list[iam.PolicyStatement]:
        """Read only items whose keys are those of tokens."""
        statement = _allow("LookUpTokens", ["dynamodb:GetItem"], [self._data.table.table_arn])
        statement.add_condition(
            "ForAllValues:StringLike", {"dynamodb:LeadingKeys": [f"{deployment.TOKEN_KEY}*"]}
        )
        return [statement]

    def keep_records(self) -> list[iam.PolicyStatement]:
        table = self._data.table.table_arn
        return [
            _allow("ReadRecords", _ITEMS_READ, [table, f"{table}/index/*"]),
            _allow("WriteRecords", _ITEMS_WRITTEN, [table]),
        ]

    def keep_blobs(self) -> list[iam.PolicyStatement]:
        """Read and write trees, output, contexts and transfers."""
        prefixes = (
            deployment.TREE_PREFIX,
            deployment.LOG_PREFIX,
            deployment.STATE_PREFIX,
            deployment.CONTEXT_PREFIX,
            deployment.BUILD_PREFIX,
            deployment.UPLOAD_PREFIX,
            deployment.TESTS_PREFIX,
            deployment.PARTITIONS_PREFIX,
        )
        bucket = self._data.bucket.bucket_arn
        objects = [f"{bucket}/{prefix}*" for prefix in prefixes]
        return [
            _allow("ReadWriteObjects", [*_OBJECTS, "s3:DeleteObject"], objects),
            _allow("DetectMissingObjects", ["s3:ListBucket"], [bucket]),
        ]

    def start_runs(self) -> list[iam.PolicyStatement]:
        """Create and run the installation's machines."""
        prefix = f"{deployment.made_prefix(self._settings.stage)}*"
        return [
            _allow(
                "CreateMachines",
                ["states:CreateStateMachine", "states:CreateActivity", "states:StartExecution"],
                [self._states("stateMachine", prefix), self._states("activity", prefix)],
            ),
            _allow("TagMachines", ["states:TagResource"], [self._states("stateMachine", prefix)]),
            self._pass_role("PassMachineRole", ["machine"], "states"),
        ]

    def drive_runs(self) -> list[iam.PolicyStatement]:
        """Complete tasks, stop runs, and delete the installation's machines."""
        prefix = f"{deployment.made_prefix(self._settings.stage)}*"
        return [
            # No resource-level permissions; machines are recognised by the prefixes of their
            # names.
            _allow("FindMachines", ["states:ListStateMachines"], ["*"]),
            _allow(
                "DeleteMachines",
                ["states:DeleteStateMachine", "states:DeleteActivity"],
                [self._states("stateMachine", prefix), self._states("activity", prefix)],
            ),
            _allow(
                "StopExecutions",
                ["states:StopExecution", "states:DescribeExecution"],
                [self._states("execution", f"{prefix}:*")],
            ),
            # No resource-level permissions; the task token authorizes.
            _allow("CompleteTasks", ["states:SendTaskSuccess", "states:SendTaskFailure"], ["*"]),
        ]

    def start_workers(self) -> list[iam.PolicyStatement]:
        """Start workers in the cluster, and create the access points that they mount."""
        run = _allow("RunWorkers", ["ecs:RunTask"], [self._definitions])
        run.add_condition("ArnEquals", self._in_cluster)
        tag = _allow("TagWorkers", ["ecs:TagResource"], [self._tasks])
        tag.add_condition("StringEquals", {"ecs:CreateAction": "RunTask"})
        return [
            run,
            tag,
            _allow("DefineWorkers", ["ecs:RegisterTaskDefinition"], [self._definitions]),
            # No resource-level permissions.
            _allow("DescribeDefinitions", ["ecs:DescribeTaskDefinition"], ["*"]),
            *self._new_access_points(),
            self._pass_role(
                "PassWorkerRoles", ["execution", "task"], "ecs-tasks", self._named_roles
            ),
        ]

    def stop_workers(self) -> list[iam.PolicyStatement]:
        """Find and stop workers, and delete the access points that they mounted."""
        listing = _allow("ListWorkers", ["ecs:ListTasks"], ["*"])
        listing.add_condition("ArnEquals", self._in_cluster)
        files = self._data.files
        forget = _allow("DeleteAccessPoints", files.actions("DeleteAccessPoint"), [files.points])
        forget.add_condition(
            "StringEquals", {f"aws:ResourceTag/{deployment.STAGE_TAG}": self._settings.stage}
        )
        watch = _allow("WatchWorkers", ["ecs:StopTask", "ecs:DescribeTasks"], [self._tasks])
        return [watch, listing, forget]

    @property
    def _in_cluster(self) -> dict[str, str]:
        return {"ecs:cluster": self._compute.cluster.attr_arn}

    @property
    def _tasks(self) -> str:
        return self._stack.format_arn(
            service="ecs", resource="task", resource_name=f"{self._settings.prefix}/*"
        )

    @property
    def _named_roles(self) -> list[str]:
        """The roles that the administrator configured for commands; no others can be passed."""
        named = {role.arn for role in self._settings.named_roles}
        return sorted({*named, *self._bucket_roles(for_shells=False)})

    def _bucket_roles(self, *, for_shells: bool) -> list[str]:
        """The roles of workers, or of shells, that mount the buckets of an organisation."""
        settings, stack = self._settings, self._stack
        digests = {role_digest(each.org) for each in settings.registered_buckets}
        return [
            stack.format_arn(
                service="iam",
                region="",
                resource="role",
                resource_name=deployment.bucket_role_name(
                    settings.stage, settings.region, digest, for_shells=for_shells
                ),
            )
            for digest in sorted(digests)
        ]

    def _new_access_points(self) -> list[iam.PolicyStatement]:
        """Create access points of the file system; tagging is allowed only at creation."""
        files = self._data.files
        make = _allow("CreateAccessPoints", files.actions("CreateAccessPoint"), [files.arn])
        tag = _allow("TagAccessPoints", files.actions("TagResource"), [files.arn, files.points])
        tag.add_condition(
            "StringEquals",
            {
                f"{files.service}:CreateAction": "CreateAccessPoint",
                f"aws:RequestTag/{deployment.STAGE_TAG}": self._settings.stage,
            },
        )
        return [make, tag]

    @property
    def _definitions(self) -> str:
        """The installation's task definitions, in any revision."""
        return self._stack.format_arn(
            service="ecs",
            resource="task-definition",
            resource_name=f"{deployment.made_prefix(self._settings.stage)}*",
        )

    def sweep(self) -> list[iam.PolicyStatement]:
        """Find orphaned resources, and delete the installation's task definitions."""
        return [
            # No resource-level permissions; results are filtered by the prefixes of their names.
            _allow(
                "FindOrphans",
                [
                    "ecs:ListTaskDefinitionFamilies",
                    "ecs:ListTaskDefinitions",
                    "ecs:DeregisterTaskDefinition",
                ],
                ["*"],
            ),
            _allow("DeleteDefinitions", ["ecs:DeleteTaskDefinitions"], [self._definitions]),
        ]

    def open_shells(self) -> list[iam.PolicyStatement]:
        """Start the workers of debug shells, and run commands in their user containers."""
        if not self._settings.opens_shells:
            return []
        cluster = self._compute.cluster.attr_arn
        enter = _allow("EnterShells", ["ecs:ExecuteCommand"], [cluster, self._tasks])
        enter.add_condition("StringEquals", {"ecs:container-name": USER})
        return [
            *self.start_workers(),
            enter,
            self._pass_role(
                "PassDebugRole", ["debug"], "ecs-tasks", self._bucket_roles(for_shells=True)
            ),
        ]

    def lend_credentials(self) -> list[iam.PolicyStatement]:
        """Assume the role with which a worker's agent polls its activity."""
        return [_allow("AssumePollRole", ["sts:AssumeRole"], [self._compute.role_arn("poll")])]

    def lend_pushing(self) -> list[iam.PolicyStatement]:
        """Assume the role with which builds push to their organisation's repository."""
        return [_allow("AssumePushRole", ["sts:AssumeRole"], [self._compute.role_arn("push")])]

    def keep_secrets(self) -> list[iam.PolicyStatement]:
        actions = [
            "GetSecretValue",
            "CreateSecret",
            "TagResource",
            "DeleteSecret",
        ]
        return [
            _allow(
                "ReadWriteSecrets",
                [f"secretsmanager:{action}" for action in actions],
                self._secrets,
            )
        ]

    def read_secrets(self) -> list[iam.PolicyStatement]:
        """Read secrets, to mask them in notifications and to authenticate with services."""
        return [_allow("ReadSecrets", ["secretsmanager:GetSecretValue"], self._secrets)]

    def read_stores(self) -> list[iam.PolicyStatement]:
        """Read the secrets and parameters that commands may get by reference."""
        names: dict[str, list[str]] = {}
        for prefix in read_prefixes(self._settings.secret_stores or ""):
            store, _, name = prefix.partition(":")
            names.setdefault(store, []).append(f"{name.replace(ORG_PART, '*')}*")
        kinds = {
            "aws-sm": ("secretsmanager:GetSecretValue", "secretsmanager", "secret", "COLON"),
            "ssm": ("ssm:GetParameter", "ssm", "parameter", "SLASH"),
        }
        return [
            _allow(
                f"ReadStore{service.capitalize()}",
                [action],
                [
                    self._stack.format_arn(
                        service=service,
                        resource=resource,
                        resource_name=name.removeprefix("/"),
                        arn_format=ArnFormat[f"{mark}_RESOURCE_NAME"],
                    )
                    for name in names[store]
                ],
            )
            for store, (action, service, resource, mark) in kinds.items()
            if store in names
        ]

    @property
    def _secrets(self) -> list[str]:
        return [
            self._stack.format_arn(
                service="secretsmanager",
                resource="secret",
                resource_name=f"{deployment.secret_prefix(self._settings.stage)}*",
                arn_format=ArnFormat.COLON_RESOURCE_NAME,
            )
        ]

    def build_images(self) -> list[iam.PolicyStatement]:
        builder = self._compute.builder
        actions = ["codebuild:StartBuild", "codebuild:BatchGetBuilds"]
        return [
            *([] if builder is None else [_allow("BuildImages", actions, [builder.project_arn])]),
            _allow("DescribeImages", ["ecr:DescribeImages"], [self._compute.images]),
            _allow(
                "CreateRepositories",
                ["ecr:CreateRepository", "ecr:PutLifecyclePolicy", "ecr:TagResource"],
                [self._compute.images],
            ),
        ]

    def ask_data_function(self) -> list[iam.PolicyStatement]:
        """Invoke the function that mounts the file system, and no other function."""
        function = self._stack.format_arn(
            service="lambda",
            resource="function",
            resource_name=deployment.function_name(self._settings.stage, "data"),
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        return [_allow("InvokeDataFunction", ["lambda:InvokeFunction"], [function])]

    def start_hook_function(self) -> list[iam.PolicyStatement]:
        """Start the function that processes webhook events."""
        return [self._start("StartHookFunction", "hook_event")]

    @property
    def event_function(self) -> str:
        """ARN of the function that processes events."""
        return self._function("hook_event")

    @property
    def event_rules(self) -> str:
        """ARN of the rules of EventBridge that triggers create, as a pattern."""
        return self._stack.format_arn(
            service="events",
            resource="rule",
            resource_name=f"{deployment.event_rule_prefix(self._settings.stage)}*",
        )

    def route_events(self) -> list[iam.PolicyStatement]:
        """Create and delete rules whose only target is the function that processes events."""
        target = _allow("RouteEvents", ["events:PutTargets"], [self.event_rules])
        target.add_condition("ArnEquals", {"events:TargetArn": self.event_function})
        actions = ["events:PutRule", "events:RemoveTargets", "events:DeleteRule"]
        return [target, _allow("KeepEventRules", actions, [self.event_rules])]

    @property
    def _event_queues(self) -> str:
        """ARN of the queues of SQS that are created for triggers, as a pattern."""
        return self._stack.format_arn(
            service="sqs",
            resource=f"{deployment.event_queue_prefix(self._settings.stage)}*",
        )

    def keep_queues(self) -> list[iam.PolicyStatement]:
        """Create and delete queues, and let Lambda deliver messages to one function only."""
        actions = [
            "sqs:CreateQueue",
            "sqs:SetQueueAttributes",
            "sqs:GetQueueUrl",
            "sqs:DeleteQueue",
        ]
        mappings = self._stack.format_arn(
            service="lambda",
            resource="event-source-mapping",
            resource_name="*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        create = _allow("CreateMappings", ["lambda:CreateEventSourceMapping"], ["*"])
        changes = ["lambda:UpdateEventSourceMapping", "lambda:DeleteEventSourceMapping"]
        change = _allow("ChangeMappings", changes, [mappings])
        for statement in (create, change):
            statement.add_condition("ArnEquals", {"lambda:FunctionArn": self.event_function})
        return [
            _allow("KeepEventQueues", actions, [self._event_queues]),
            create,
            change,
            _allow("FindMappings", ["lambda:ListEventSourceMappings"], ["*"]),
        ]

    def read_queues(self) -> list[iam.PolicyStatement]:
        """Receive and delete messages; Lambda does it with the role of the function."""
        named = sorted({arn for _, arn in read_queues(self._settings.queues or "")})
        actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
        return [_allow("ReadEventQueues", actions, [self._event_queues, *named])]

    def start_background_function(self) -> list[iam.PolicyStatement]:
        """Start the function that executes effects outside of requests."""
        return [self._start("StartBackground", deployment.BACKGROUND_FUNCTION)]

    def _start(self, sid: str, name: str) -> iam.PolicyStatement:
        return _allow(sid, ["lambda:InvokeFunction"], [self._function(name)])

    def _function(self, name: str) -> str:
        return self._stack.format_arn(
            service="lambda",
            resource="function",
            resource_name=deployment.function_name(self._settings.stage, name),
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )

    def read_billing(self) -> list[iam.PolicyStatement]:
        """Read the settings of billing; Secrets Manager adds six characters to a secret's name."""
        secret = self._stack.format_arn(
            service="secretsmanager",
            resource="secret",
            resource_name=f"{deployment.billing_secret(self._settings.stage)}-??????",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        return [_allow("ReadBillingSettings", ["secretsmanager:GetSecretValue"], [secret])]

    def read_collector_headers(self) -> list[iam.PolicyStatement]:
        """Read the headers for the collector of traces, if there are some."""
        name = self._settings.otlp_headers_secret
        if name is None:
            return []
        secret = self._stack.format_arn(
            service="secretsmanager",
            resource="secret",
            resource_name=f"{name}-??????",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        return [_allow("ReadCollectorHeaders", ["secretsmanager:GetSecretValue"], [secret])]

    def copy_output(self) -> list[iam.PolicyStatement]:
        """Write copies of output and the audit log to the administrator's bucket; read nothing."""
        name = self._settings.log_bucket
        if name is None:
            return []
        prefix = deployment.log_prefix(self._settings.stage)
        objects = f"arn:{self._stack.partition}:s3:::{name}/{prefix}*"
        return [_allow("CopyOutput", ["s3:PutObject", "s3:AbortMultipartUpload"], [objects])]

    def keep_data(self, access_point: str) -> list[iam.PolicyStatement]:
        """Mount the whole file system, transfer files, and attach to the network."""
        mount = self._data.files.mounting(access_point)
        bucket = self._data.bucket.bucket_arn
        listing = _allow("DetectMissingObjects", ["s3:ListBucket"], [bucket])
        listing.add_condition("StringLike", {"s3:prefix": [f"{deployment.UPLOAD_PREFIX}*"]})
        return [
            mount,
            _allow("TransferFiles", _OBJECTS, [f"{bucket}/{deployment.UPLOAD_PREFIX}*"]),
            listing,
            # Lambda requires these on all resources before it creates the function, and uses them
            # itself.
            _allow("AttachToNetwork", _NETWORK_INTERFACES, ["*"]),
        ]

    def read_addresses(self) -> list[iam.PolicyStatement]:
        name = deployment.addresses_name(self._settings.stage)
        return [_allow("ReadAddresses", ["ssm:GetParameter"], [self._parameter(name)])]

    def read_web_app(self) -> list[iam.PolicyStatement]:
        name = deployment.web_app_name(self._settings.stage)
        return [_allow("ReadWebApp", ["ssm:GetParameter"], [self._parameter(name)])]

    def read_identity_client(self) -> list[iam.PolicyStatement]:
        """Read the id of the web app's client at Cognito, where people sign in with it."""
        if self._settings.identity is None:
            return []
        name = deployment.identity_client_name(self._settings.stage)
        return [_allow("ReadIdentityClient", ["ssm:GetParameter"], [self._parameter(name)])]

    def _parameter(self, name: str) -> str:
        return self._stack.format_arn(
            service="ssm", resource="parameter", resource_name=name.lstrip("/")
        )

    def log(self, *names: str) -> list[iam.PolicyStatement]:
        groups = [
            self._stack.format_arn(
                service="logs",
                resource="log-group",
                resource_name=f"/aws/lambda/{name}:*",
                arn_format=ArnFormat.COLON_RESOURCE_NAME,
            )
            for name in names
        ]
        return [_allow("Log", ["logs:CreateLogStream", "logs:PutLogEvents"], groups)]

    def _pass_role(
        self,
        sid: str,
        roles: Sequence[deployment.RoleName],
        service: str,
        others: Sequence[str] = (),
    ) -> iam.PolicyStatement:
        arns = [*(self._compute.role_arn(name) for name in roles), *others]
        statement = _allow(sid, ["iam:PassRole"], arns)
        statement.add_condition("StringEquals", {"iam:PassedToService": f"{service}.amazonaws.com"})
        return statement

    def _states(self, kind: str, name: str) -> str:
        stack = self._stack
        return f"arn:{stack.partition}:states:{stack.region}:{stack.account}:{kind}:{name}"


def _allow(sid: str, actions: Sequence[str], resources: Sequence[str]) -> iam.PolicyStatement:
    return iam.PolicyStatement(sid=sid, actions=list(actions), resources=list(resources))
