"""The functions of `functions/`, their APIs, schedules and event rules, and their permissions.

Chalice packages the app and writes its template, which is included here. Each function has its own
role, so that the authorizer cannot launch workers, and the event handlers cannot create tokens.
"""

from collections.abc import Mapping
from typing import Any

from aws_cdk import CfnOutput, CfnResource, Fn, RemovalPolicy, Stack
from aws_cdk import aws_efs as efs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3files as s3files
from aws_cdk import aws_ssm as ssm
from chalice.cdk import Chalice
from constructs import Construct

from conducto_core.api.operation import API_ROOT
from conducto_core.assistants.handlers import METADATA_PATH
from conducto_core.installation import names as deployment
from conducto_core.installation.model import GATEWAY_PROBLEMS, PROBLEM_TYPE
from conducto_core.installation.names import Variables
from conducto_core.installation.rules import reserved_concurrency
from infra.lambda_package import stage_package
from infra.settings import Settings, allow_tracing, collector_variables
from infra.stacks.agent import BUILD, alone
from infra.stacks.buckets import Buckets
from infra.stacks.compute import ComputeStack
from infra.stacks.data import DataStack
from infra.stacks.files import DataFiles
from infra.stacks.network import NetworkStack
from infra.stacks.people import issuer
from infra.stacks.permissions import Permissions

#: The place of gateway responses in an API's definition. As separate resources they would be
#: created after the API's deployment, which would not include them.
PROPERTY = "DefinitionBody.x-amazon-apigateway-gateway-responses"


#: The place of the pattern that API Gateway compares with the ``Authorization`` header.
AUTHORIZER_PATTERN = (
    "DefinitionBody.securityDefinitions.authorize.x-amazon-apigateway-authorizer"
    ".identityValidationExpression"
)
#: Tokens of Conducto, and ID tokens, which are JSON in base64.
TOKEN_PATTERN = "^[Bb]earer (cdo_|eyJ)[A-Za-z0-9._-]+$"  # noqa: S105  no token


def gateway_answers() -> dict[str, Any]:
    """Return the value of `PROPERTY`."""
    return {
        name: {
            "statusCode": problem.status,
            "responseParameters": {"gatewayresponse.header.Content-Type": f"'{PROBLEM_TYPE}'"},
            "responseTemplates": {"application/json": problem.model_dump_json(exclude_none=True)},
        }
        for name, problem in GATEWAY_PROBLEMS.items()
    }


MEMORY_MB = 1024
#: Memory of the function that handles requests. Lambda gives one CPU from 1,769 MB: requests about
#: 100,000 commands need about 20 s of it (`bench/cloud/deciding.py`), and API Gateway waits for
#: 29 s.
REQUEST_MEMORY_MB = 1769
#: Maximum requests per second of a stage, and maximum burst. 200 workers with commands of one
#: second make about 800; API Gateway's limits for an account are 10,000 and 5,000.
MAX_RATE = 1000
MAX_BURST = 2000
#: The same for webhooks, whose senders do not sign in: half of the stage's, which leaves the rest
#: to others. Each hook has a limit after its signature (`chalicelib.triggers.triggers`).
HOOK_RATE = 500
HOOK_BURST = 1000
#: The same for the metadata of the MCP server, which clients read once, without a token.
METADATA_RATE = 20
METADATA_BURST = 40
#: Mount point of the file system in the function ``data``.
DATA_ROOT = "/mnt/data"

#: ``{name in Chalice: its resource in the template}``.
_FUNCTIONS = {
    "api_handler": "APIHandler",
    "authorize": "Authorize",
    "socket_connect": "WebsocketConnect",
    "socket_message": "WebsocketMessage",
    "socket_disconnect": "WebsocketDisconnect",
    "task_stopped": "TaskStopped",
    "execution_ended": "ExecutionEnded",
    "build_ended": "BuildEnded",
    "every_minute": "EveryMinute",
    "every_day": "EveryDay",
    "hook_event": "HookEvent",
    "background": "Background",
    "admin": "Admin",
    "data": "Data",
}
#: Functions that call the payment provider.
_BILLING = (deployment.API_FUNCTION, "every_minute", "hook_event")
#: Functions that process the trees of large pipelines.
_BUSY = (deployment.API_FUNCTION, deployment.BACKGROUND_FUNCTION)
_SOCKETS = ("socket_connect", "socket_message", "socket_disconnect")


class ApiStack(Stack):
    """The functions and their APIs.

    Attributes:
        roles: ``{function: its role}``.
        app: The app as Chalice describes it.
    """

    def __init__(
        self,
        scope: Construct,
        name: str,
        settings: Settings,
        *,
        network: NetworkStack,
        data: DataStack,
        compute: ComputeStack,
        **options: object,
    ) -> None:
        super().__init__(scope, name, **options)  # type: ignore[arg-type]
        self._settings = settings
        self._network = network
        self._permissions = Permissions(self, settings, data, compute)
        self._data_root = self._root_of(data.files)
        self._buckets = Buckets(self, settings, network, data)
        self.roles = self._roles()
        variables = self._variables(network, data, compute)
        with alone():  # concurrent CDK runs share the staged files
            self.app = Chalice(
                self,
                "App",
                source_dir=str(stage_package(BUILD.resolve() / "functions")),
                stage_config=self._stage_config(variables),
            )
        self._shape_functions()
        self._narrow_events(compute)
        if settings.events:
            self._receive_events()
        self._mount_data()
        self.app.get_resource("RestAPI").add_property_override(PROPERTY, gateway_answers())
        # Without a token of a valid form, no function is invoked.
        self.app.get_resource("RestAPI").add_property_override(AUTHORIZER_PATTERN, TOKEN_PATTERN)
        self._throttle()
        self._addresses()

    def _root_of(self, files: DataFiles) -> str:
        """Create the access point of the whole file system; return its ARN."""
        if files.efs is not None:
            return efs.AccessPoint(
                self,
                "DataRoot",
                file_system=files.efs,
                path="/",
                posix_user=efs.PosixUser(uid="0", gid="0"),
            ).access_point_arn
        return s3files.CfnAccessPoint(
            self,
            "DataRoot",
            file_system_id=files.id,
            posix_user=s3files.CfnAccessPoint.PosixUserProperty(uid="0", gid="0"),
            root_directory=s3files.CfnAccessPoint.RootDirectoryProperty(path="/"),
        ).attr_access_point_arn

    # ---- roles --------------------------------------------------------------------------------

    def _roles(self) -> dict[str, iam.Role]:
        """Return a role for each function; the WebSocket functions share one."""
        socket = self._role("Sockets", "handles WebSocket clients")
        grants = self._permissions
        self._grant(socket, grants.keep_records(), grants.keep_blobs(), grants.read_addresses())
        authorizer = self._role("Authorizer", "checks tokens")
        # The audiences of ID tokens: the addresses of the installation, and its client at Cognito.
        self._grant(authorizer, grants.look_up_tokens(), grants.read_addresses())
        self._grant(authorizer, grants.read_web_app(), grants.read_identity_client())
        admin = self._role("Administrator", "creates tokens and sets plans")
        self._grant(admin, grants.keep_records(), grants.read_addresses())
        # The link of an invitation, the password of the mail server, and whether a name is free.
        self._grant(admin, grants.read_web_app(), grants.read_secrets())
        files = self._role("Data", "reads and writes data files")
        self._grant(files, grants.keep_data(self._data_root))
        roles = dict.fromkeys(_SOCKETS, socket)
        roles.update(authorize=authorizer, admin=admin, data=files)
        for name in deployment.DRIVERS:
            roles[name] = self._driver(name)
        return roles

    def _driver(self, name: str) -> iam.Role:
        grants = self._permissions
        title = "".join(word.capitalize() for word in name.split("_"))
        role = self._role(
            title,
            "drives pipelines",
            # The trust policies of the roles that it assumes refer to this name.
            called=deployment.driver_role_name(self._settings.stage, self.region, name),
        )
        self._grant(
            role,
            grants.keep_records(),
            grants.keep_blobs(),
            grants.drive_runs(),
            grants.stop_workers(),
            grants.build_images(),
            grants.lend_pushing(),
            grants.read_addresses(),
            grants.read_web_app(),  # notifications link to pages
            grants.start_background_function(),
            grants.ask_data_function(),  # files of cached commands, and of users
        )
        if name == deployment.BACKGROUND_FUNCTION:  # no other function starts runs and workers
            self._grant(role, grants.start_runs(), grants.start_workers())
        if name in {deployment.BACKGROUND_FUNCTION, "every_minute"}:
            self._grant(role, grants.read_collector_headers(), grants.copy_output())
        if name == deployment.API_FUNCTION:
            # Commands receive secrets, and their workers receive credentials.
            self._grant(role, grants.keep_secrets(), grants.lend_credentials())
            self._grant(role, grants.read_stores())
            self._grant(role, grants.open_shells())
            self._grant(role, grants.read_identity_client())
            self._grant(role, grants.start_hook_function())
            self._grant(role, grants.route_events() if self._settings.events else [])
            self._grant(role, grants.keep_queues() if self._settings.events else [])
        elif name != "every_day":  # it sends no notifications
            self._grant(role, grants.read_secrets())
        if name == "hook_event" and self._settings.events:
            self._grant(role, grants.read_queues())
        if name == "every_day":
            self._grant(role, grants.sweep())
        if self._settings.billing:
            self._grant(role, grants.read_billing() if name in _BILLING else [])
        return role

    def _role(self, name: str, what: str, *, called: str | None = None) -> iam.Role:
        return iam.Role(
            self,
            f"{name}Role",
            role_name=called,
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"Conducto: {what}",
        )

    def _grant(self, role: iam.Role, *statements: list[iam.PolicyStatement]) -> None:
        for group in statements:
            for statement in group:
                role.add_to_policy(statement)

    # ---- functions ----------------------------------------------------------------------------

    def _variables(
        self, network: NetworkStack, data: DataStack, compute: ComputeStack
    ) -> dict[str, str]:
        settings = self._settings
        return {
            Variables.STAGE: settings.stage,
            Variables.TABLE: data.table.table_name,
            Variables.BUCKET: data.bucket.bucket_name,
            Variables.CLUSTER: compute.cluster.ref,
            Variables.SUBNETS: Fn.join(",", [s.subnet_id for s in network.subnets]),
            Variables.SECURITY_GROUP: network.workers.security_group_id,
            Variables.FILE_SYSTEM: data.files.id,
            **({Variables.FILES: settings.data} if settings.data else {}),
            Variables.EXECUTION_ROLE: compute.role_arn("execution"),
            Variables.TASK_ROLE: compute.role_arn("task"),
            Variables.POLL_ROLE: compute.role_arn("poll"),
            Variables.PUSH_ROLE: compute.role_arn("push"),
            Variables.MACHINE_ROLE: compute.role_arn("machine"),
            Variables.AGENT_IMAGE: compute.agent.uri,
            **({Variables.ARM_AGENT_IMAGE: compute.agent.arm} if compute.agent.arm else {}),
            Variables.WORKER_LOG_GROUP: compute.worker_logs.log_group_name,
            Variables.IMAGE_REPOSITORY: compute.registry,
            **({Variables.BUILD_PROJECT: compute.project} if compute.builder else {}),
            Variables.DATA_FUNCTION: deployment.function_name(settings.stage, "data"),
            Variables.ADDRESSES: deployment.addresses_name(settings.stage),
            Variables.WEB_APP: deployment.web_app_name(settings.stage),
            Variables.SECRET_PREFIX: deployment.secret_prefix(settings.stage),
            Variables.SPOT_SHARE: str(settings.spot_share),
            **({Variables.MACHINES: settings.machines} if settings.machines else {}),
            **_secret_stores(settings),
            **self._buckets.variables(),
            Variables.BILLING: "on" if settings.billing else "off",
            Variables.HOOK_FUNCTION: deployment.function_name(settings.stage, "hook_event"),
            Variables.BACKGROUND_FUNCTION: deployment.function_name(
                settings.stage, deployment.BACKGROUND_FUNCTION
            ),
            **_billing(settings),
            **_warm_pool(settings),
            **({Variables.CI_ISSUER: settings.ci_issuer} if settings.ci_issuer else {}),
            **self._event_function(),
            **({Variables.TRACING: "on"} if settings.tracing else {}),
            **collector_variables(settings),
            **({Variables.TASK_ROLES: settings.task_roles} if settings.task_roles else {}),
            **({} if settings.public_ip else {Variables.PUBLIC_IP: "off"}),
            **({Variables.DEBUG_ROLE: compute.role_arn("debug")} if settings.opens_shells else {}),
            **({Variables.PULL_THROUGH: compute.caches} if compute.caches else {}),
            **self._identity(),
            **_services(settings),
        }

    def _event_function(self) -> dict[str, str]:
        if not self._settings.events:
            return {}
        queues = self._settings.queues
        return {
            Variables.EVENT_FUNCTION: self._permissions.event_function,
            **({Variables.QUEUES: queues} if queues else {}),
        }

    def _identity(self) -> dict[str, str]:
        if self._settings.identity is None:
            return {}
        return {
            Variables.IDENTITY_ISSUER: issuer(self, self._settings),
            Variables.IDENTITY_CLIENT: deployment.identity_client_name(self._settings.stage),
        }

    def _stage_config(self, variables: Mapping[str, str]) -> dict[str, Any]:
        """Return Chalice's stage configuration.

        Settings that differ between functions are set by `_shape_functions`, because Chalice reads
        them only from a file.
        """
        return {
            "api_gateway_endpoint_type": "REGIONAL",
            "api_gateway_stage": "api",
            "autogen_policy": False,
            "manage_iam_role": False,
            "iam_role_arn": self.roles["api_handler"].role_arn,
            "environment_variables": dict(variables),
            "lambda_memory_size": MEMORY_MB,
            "lambda_timeout": deployment.GATEWAY_SECONDS,
            "xray": self._settings.tracing,
        }

    def _shape_functions(self) -> None:
        """Set the name, role, limits and timeout of each function, and its logs' retention."""
        reserved = reserved_concurrency(self._settings.function_room)
        for name, resource in _FUNCTIONS.items():
            function = f"{self._settings.prefix}-{name.replace('_', '-')}"
            found = self.app.get_resource(resource)
            found.add_property_override("FunctionName", function)
            found.add_property_override("Role", self.roles[name].role_arn)
            # Lambda rejects a function in a network whose role may not create network interfaces
            # yet, and CloudFormation creates functions and policies concurrently.
            # The whole role: CDK divides a policy that is too large when it writes the template.
            found.node.add_dependency(self.roles[name])
            # It also depends on the role itself, to which the function refers anyway.
            found.add_metadata("cfn-lint", {"config": {"ignore_checks": ["W3005"]}})
            found.add_property_override("Timeout", deployment.FUNCTION_SECONDS[name])
            if name in reserved:
                found.add_property_override("ReservedConcurrentExecutions", reserved[name])
            if name in _BUSY:
                found.add_property_override("MemorySize", REQUEST_MEMORY_MB)
            if name == deployment.BACKGROUND_FUNCTION:
                # It invokes itself to continue its work, and bounds the chain itself
                # (`invocation_chain`): Lambda would stop it after 16, and tell only by mail.
                found.add_property_override("RecursiveLoop", "Allow")
            group = logs.CfnLogGroup(
                self,
                f"{resource}Logs",
                log_group_name=f"/aws/lambda/{function}",
                retention_in_days=self._settings.log_days,
            )
            group.apply_removal_policy(RemovalPolicy.DESTROY)
            found.add_resource_dependency(group)
        for role in dict.fromkeys(self.roles.values()):
            names = [
                f"{self._settings.prefix}-{name.replace('_', '-')}"
                for name, owner in self.roles.items()
                if owner is role
            ]
            self._grant(role, self._permissions.log(*names))
            allow_tracing(self._settings, role)

    def _narrow_events(self, compute: ComputeStack) -> None:
        """Invoke functions only for events of this installation, not of the whole account."""
        machines = deployment.made_prefix(self._settings.stage)
        arns = f"arn:{self.partition}:states:{self.region}:{self.account}:stateMachine:{machines}"
        for function, detail, wanted in (
            ("TaskStopped", "clusterArn", [compute.cluster.attr_arn]),
            ("ExecutionEnded", "stateMachineArn", [{"prefix": arns}]),
            ("BuildEnded", "project-name", [compute.project]),
        ):
            self.app.get_resource(function).add_property_override(
                f"Events.{function}Event.Properties.Pattern.detail.{detail}", wanted
            )

    def _receive_events(self) -> None:
        """Let the rules of triggers invoke the function that processes their events."""
        lambda_.CfnPermission(
            self,
            "EventRules",
            action="lambda:InvokeFunction",
            function_name=self.app.get_resource("HookEvent").ref,
            principal="events.amazonaws.com",
            source_arn=self._permissions.event_rules,
        )

    def _throttle(self) -> None:
        """Limit the cost of requests: each invalid token invokes the authorizer."""
        limits = {"ThrottlingRateLimit": MAX_RATE, "ThrottlingBurstLimit": MAX_BURST}
        hooks = {"ThrottlingRateLimit": HOOK_RATE, "ThrottlingBurstLimit": HOOK_BURST}
        path = f"{API_ROOT}/hooks/{{hook}}".replace("/", "~1")
        metadata = METADATA_PATH.replace("/", "~1")
        few = {"ThrottlingRateLimit": METADATA_RATE, "ThrottlingBurstLimit": METADATA_BURST}
        every = [
            {"HttpMethod": "*", "ResourcePath": "/*", **limits},
            {"HttpMethod": "POST", "ResourcePath": f"/{path}", **hooks},
            {"HttpMethod": "GET", "ResourcePath": f"/{metadata}", **few},
        ]
        self.app.get_resource("RestAPI").add_property_override("MethodSettings", every)
        self.app.get_resource("WebsocketAPIStage").add_property_override(
            "DefaultRouteSettings", limits
        )

    def _mount_data(self) -> None:
        """Mount the file system in the function ``data``.

        It has no internet access; it reaches the bucket through the network's gateway endpoint.
        """
        function = self.app.get_resource(_FUNCTIONS["data"])
        for name, value in (
            (
                "VpcConfig",
                {
                    "SubnetIds": [subnet.subnet_id for subnet in self._network.subnets],
                    "SecurityGroupIds": [self._network.files.security_group_id],
                },
            ),
            (
                "FileSystemConfigs",
                [{"Arn": self._data_root, "LocalMountPath": DATA_ROOT}],
            ),
            (f"Environment.Variables.{Variables.DATA_ROOT}", DATA_ROOT),
        ):
            function.add_property_override(name, value)

    # ---- addresses ----------------------------------------------------------------------------

    def _addresses(self) -> None:
        rest: CfnResource = self.app.get_resource("RestAPI")
        socket: CfnResource = self.app.get_resource("WebsocketAPI")
        api = self._url("https", rest)
        frames = self._url("https", socket)
        ssm.CfnParameter(
            self,
            "Addresses",
            type="String",
            name=deployment.addresses_name(self._settings.stage),
            description="The addresses of Conducto's APIs",
            value=Fn.join("", ['{"api":"', api, '","socket":"', frames, '"}']),
        )
        for name in (*deployment.DRIVERS, *_SOCKETS):
            self._manage_connections(name, socket, "POST", "DELETE")
        self._manage_connections("admin", socket, "DELETE")
        CfnOutput(self, "ApiUrl", value=api, description="conducto login --url")
        CfnOutput(self, "SocketUrl", value=self._url("wss", socket))

    def _manage_connections(self, function: str, socket: CfnResource, *methods: str) -> None:
        arns = [
            self.format_arn(
                service="execute-api",
                resource=socket.ref,
                resource_name=f"api/{method}/@connections/*",
            )
            for method in methods
        ]
        self.roles[function].add_to_policy(
            iam.PolicyStatement(
                sid="ManageConnections", actions=["execute-api:ManageConnections"], resources=arns
            )
        )

    def _url(self, scheme: str, api: CfnResource) -> str:
        return f"{scheme}://{api.ref}.execute-api.{self.region}.{self.url_suffix}/api"


def _secret_stores(settings: Settings) -> dict[str, str]:
    stores = settings.secret_stores
    return {Variables.SECRET_STORES: stores} if stores else {}


def _warm_pool(settings: Settings) -> dict[str, str]:
    if not settings.warm_workers:
        return {}
    return {
        Variables.WARM_WORKERS: str(settings.warm_workers),
        Variables.WARM_MINUTES: str(settings.warm_minutes),
    }


def _billing(settings: Settings) -> dict[str, str]:
    if not settings.billing:
        return {}
    return {Variables.BILLING_SECRET: deployment.billing_secret(settings.stage)}


def _services(settings: Settings) -> dict[str, str]:
    chosen = {
        Variables.SMTP_URL: settings.smtp_url,
        Variables.EMAIL_FROM: settings.email_from,
        Variables.SLACK_URL: settings.slack_url,
        Variables.GITHUB_URL: settings.github_url,
    }
    return {name: value for name, value in chosen.items() if value is not None}
