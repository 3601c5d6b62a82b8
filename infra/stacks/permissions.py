"""What each function may do, as statements of IAM policies, one function here per concern.

A resource is ``*`` only where AWS has no narrower one; a test holds the whole list of those with a
reason for each (`tests/infra/test_policies.py`).
"""

from collections.abc import Sequence

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam

from conducto_core.model import deployment
from conducto_core.runtime.task_layout import USER
from infra.settings import Settings
from infra.stacks.compute import ComputeStack
from infra.stacks.data import DataStack

_ITEMS_READ = ("dynamodb:GetItem", "dynamodb:Query")
_ITEMS_WRITTEN = (
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:BatchWriteItem",
)
#: An upload in parts that fails is taken back.
_OBJECTS = ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload")
#: Root's too: access points make root of everybody, and EFS believes it of whoever may be root.
FILE_ACCESS = (
    "elasticfilesystem:ClientMount",
    "elasticfilesystem:ClientWrite",
    "elasticfilesystem:ClientRootAccess",
)
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
        """Read items whose key is that of a token, no others."""
        statement = _allow("LookUpTokens", ["dynamodb:GetItem"], [self._data.table.table_arn])
        statement.add_condition(
            "ForAllValues:StringLike", {"dynamodb:LeadingKeys": [f"{deployment.TOKEN_KEY}*"]}
        )
        return [statement]

    def keep_records(self) -> list[iam.PolicyStatement]:
        """Read and write the table."""
        table = self._data.table.table_arn
        return [
            _allow("ReadRecords", _ITEMS_READ, [table, f"{table}/index/*"]),
            _allow("WriteRecords", _ITEMS_WRITTEN, [table]),
        ]

    def keep_blobs(self) -> list[iam.PolicyStatement]:
        """Read and write trees, output, contexts and what is handed over; list nothing else."""
        prefixes = (
            deployment.TREE_PREFIX,
            deployment.LOG_PREFIX,
            deployment.STATE_PREFIX,
            deployment.CONTEXT_PREFIX,
            deployment.BUILD_PREFIX,
            deployment.UPLOAD_PREFIX,
        )
        bucket = self._data.bucket.bucket_arn
        objects = [f"{bucket}/{prefix}*" for prefix in prefixes]
        return [
            _allow("KeepBlobs", [*_OBJECTS, "s3:DeleteObject"], objects),
            _allow("KnowWhatIsMissing", ["s3:ListBucket"], [bucket]),
        ]

    def drive_machines(self) -> list[iam.PolicyStatement]:
        """Create state machines and activities of ours, run and stop them, answer their tasks."""
        prefix = f"{deployment.made_prefix(self._settings.stage)}*"
        return [
            _allow(
                "MakeMachines",
                ["states:CreateStateMachine", "states:CreateActivity", "states:StartExecution"],
                [self._states("stateMachine", prefix), self._states("activity", prefix)],
            ),
            # It has no resource level; machines of a run are found by how their names begin.
            _allow("FindMachines", ["states:ListStateMachines"], ["*"]),
            _allow("TagMachines", ["states:TagResource"], [self._states("stateMachine", prefix)]),
            _allow(
                "ForgetMachines",
                ["states:DeleteStateMachine", "states:DeleteActivity"],
                [self._states("stateMachine", prefix), self._states("activity", prefix)],
            ),
            _allow(
                "StopExecutions",
                ["states:StopExecution", "states:DescribeExecution"],
                [self._states("execution", f"{prefix}:*")],
            ),
            # These have no resource level; the token of the task is the key.
            _allow(
                "AnswerTasks",
                ["states:SendTaskSuccess", "states:SendTaskFailure"],
                ["*"],
            ),
            self._pass_role("PassMachineRole", ["machine"], "states"),
        ]

    def run_workers(self) -> list[iam.PolicyStatement]:
        """Start and stop workers in our cluster, and make what they mount."""
        stack = self._stack
        cluster = self._compute.cluster.attr_arn
        tasks = stack.format_arn(
            service="ecs", resource="task", resource_name=f"{self._settings.prefix}/*"
        )
        in_cluster = {"ArnEquals": {"ecs:cluster": cluster}}
        run = _allow("RunWorkers", ["ecs:RunTask"], [self._definitions])
        run.add_condition("ArnEquals", in_cluster["ArnEquals"])
        watch = _allow("WatchWorkers", ["ecs:StopTask", "ecs:DescribeTasks"], [tasks])
        tag = _allow("TagWorkers", ["ecs:TagResource"], [tasks])
        tag.add_condition("StringEquals", {"ecs:CreateAction": "RunTask"})
        listing = _allow("ListWorkers", ["ecs:ListTasks"], ["*"])
        listing.add_condition("ArnEquals", in_cluster["ArnEquals"])
        return [
            run,
            tag,
            watch,
            listing,
            _allow("DefineWorkers", ["ecs:RegisterTaskDefinition"], [self._definitions]),
            # It has no resource level.
            _allow("KnowDefinitions", ["ecs:DescribeTaskDefinition"], ["*"]),
            *self._access_points(),
            self._pass_role(
                "PassWorkerRoles", ["execution", "task"], "ecs-tasks", self._named_roles
            ),
        ]

    @property
    def _named_roles(self) -> list[str]:
        """Roles that the administrator named for commands: none but these can be passed."""
        return sorted({role.arn for role in self._settings.named_roles})

    def _access_points(self) -> list[iam.PolicyStatement]:
        """Make access points of our file system, and delete such as are tagged as ours.

        AWS chooses their ids, and a tag can be given only while one is made.
        """
        points = self._stack.format_arn(
            service="elasticfilesystem", resource="access-point", resource_name="*"
        )
        files = self._data.files.file_system_arn
        make = _allow("MakeAccessPoints", ["elasticfilesystem:CreateAccessPoint"], [files])
        tag = _allow("TagAccessPoints", ["elasticfilesystem:TagResource"], [files, points])
        tag.add_condition(
            "StringEquals",
            {
                "elasticfilesystem:CreateAction": "CreateAccessPoint",
                f"aws:RequestTag/{deployment.STAGE_TAG}": self._settings.stage,
            },
        )
        forget = _allow("ForgetAccessPoints", ["elasticfilesystem:DeleteAccessPoint"], [points])
        forget.add_condition(
            "StringEquals", {f"aws:ResourceTag/{deployment.STAGE_TAG}": self._settings.stage}
        )
        return [make, tag, forget]

    @property
    def _definitions(self) -> str:
        """Our task definitions; one that is registered has no number yet."""
        return self._stack.format_arn(
            service="ecs",
            resource="task-definition",
            resource_name=f"{deployment.made_prefix(self._settings.stage)}*",
        )

    def sweep(self) -> list[iam.PolicyStatement]:
        """Find what AWS keeps of what is over, and delete task definitions of ours."""
        return [
            # These have no resource level; what is found is asked for by how its name begins.
            _allow(
                "FindLeftovers",
                [
                    "ecs:ListTaskDefinitionFamilies",
                    "ecs:ListTaskDefinitions",
                    "ecs:DeregisterTaskDefinition",
                ],
                ["*"],
            ),
            _allow("ForgetDefinitions", ["ecs:DeleteTaskDefinitions"], [self._definitions]),
        ]

    def open_shells(self) -> list[iam.PolicyStatement]:
        """Start workers for debug shells, and let people into their user's container alone."""
        if not self._settings.remote_debug:
            return []
        cluster = self._compute.cluster.attr_arn
        tasks = self._stack.format_arn(
            service="ecs", resource="task", resource_name=f"{self._settings.prefix}/*"
        )
        enter = _allow("EnterShells", ["ecs:ExecuteCommand"], [cluster, tasks])
        enter.add_condition("StringEquals", {"ecs:container-name": USER})
        return [enter, self._pass_role("PassDebugRole", ["debug"], "ecs-tasks")]

    def lend_credentials(self) -> list[iam.PolicyStatement]:
        """Lend a worker's agent the right to poll its own activity."""
        return [_allow("LendPolling", ["sts:AssumeRole"], [self._compute.role_arn("poll")])]

    def lend_pushing(self) -> list[iam.PolicyStatement]:
        """Lend builds the right to push to the repository of their organisation."""
        return [_allow("LendPushing", ["sts:AssumeRole"], [self._compute.role_arn("push")])]

    def keep_secrets(self) -> list[iam.PolicyStatement]:
        """Read and write the secrets of this installation."""
        actions = [
            "GetSecretValue",
            "PutSecretValue",
            "UpdateSecretVersionStage",
            "CreateSecret",
            "TagResource",
        ]
        return [
            _allow("KeepSecrets", [f"secretsmanager:{action}" for action in actions], self._secrets)
        ]

    def read_secrets(self) -> list[iam.PolicyStatement]:
        """Read them: what is told to people is written down with them hidden, and sent by them."""
        return [_allow("ReadSecrets", ["secretsmanager:GetSecretValue"], self._secrets)]

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
        """Start builds, and see how they and the images in the registry are."""
        project = self._compute.builder.project_arn
        return [
            _allow("BuildImages", ["codebuild:StartBuild", "codebuild:BatchGetBuilds"], [project]),
            _allow("KnowImages", ["ecr:DescribeImages"], [self._compute.images]),
            _allow(
                "MakeRepositories",
                ["ecr:CreateRepository", "ecr:PutLifecyclePolicy", "ecr:TagResource"],
                [self._compute.images],
            ),
        ]

    def ask_data_function(self) -> list[iam.PolicyStatement]:
        """Invoke the function that has the file system, and no other one."""
        function = self._stack.format_arn(
            service="lambda",
            resource="function",
            resource_name=deployment.function_name(self._settings.stage, "data"),
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        return [_allow("AskDataFunction", ["lambda:InvokeFunction"], [function])]

    def keep_data(self, access_point: str) -> list[iam.PolicyStatement]:
        """Mount the whole file system, hand files over, and have an address in the network."""
        mount = _allow("MountFiles", FILE_ACCESS, [self._data.files.file_system_arn])
        mount.add_condition("StringEquals", {"elasticfilesystem:AccessPointArn": access_point})
        bucket = self._data.bucket.bucket_arn
        listing = _allow("KnowWhatIsMissing", ["s3:ListBucket"], [bucket])
        listing.add_condition("StringLike", {"s3:prefix": [f"{deployment.UPLOAD_PREFIX}*"]})
        return [
            mount,
            _allow("HandOver", _OBJECTS, [f"{bucket}/{deployment.UPLOAD_PREFIX}*"]),
            listing,
            # Lambda wants these on everything before it takes the function; it uses them itself.
            _allow("BeInTheNetwork", _NETWORK_INTERFACES, ["*"]),
        ]

    def read_addresses(self) -> list[iam.PolicyStatement]:
        """Read where the APIs are."""
        name = deployment.addresses_name(self._settings.stage)
        return [_allow("ReadAddresses", ["ssm:GetParameter"], [self._parameter(name)])]

    def read_web_app(self) -> list[iam.PolicyStatement]:
        """Read where the web app is."""
        name = deployment.web_app_name(self._settings.stage)
        return [_allow("ReadWebApp", ["ssm:GetParameter"], [self._parameter(name)])]

    def _parameter(self, name: str) -> str:
        return self._stack.format_arn(
            service="ssm", resource="parameter", resource_name=name.lstrip("/")
        )

    def log(self, *names: str) -> list[iam.PolicyStatement]:
        """Write logs of functions with these names."""
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
