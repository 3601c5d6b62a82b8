"""Names of deployed resources, shared by the functions and the infrastructure. Pure."""

from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Literal, NamedTuple

#: Prefix of every name. Resources that an installation creates while it runs use `made_prefix`.
NAME_PREFIX = "conducto-"

#: Tag, with the stage as its value, of all deployed resources, and of resources created at run time
#: that have no such name.
STAGE_TAG = "conducto:stage"
#: Tags with the organisation and the pipeline of a running resource, for AWS cost reports.
ORG_TAG = "conducto:org"
PIPELINE_TAG = "conducto:pipeline"

#: Number of the layout of the table's keys, which a stage keeps: records are not rewritten. It is
#: that of the first schema (`chalicelib.run.rules.snapshots`) of the layout.
LAYOUT = 2
PARTITION_KEY = "pk"
SORT_KEY = "sk"
#: Seconds since the epoch after which DynamoDB deletes an item.
TTL_ATTRIBUTE = "expires"


class Index(NamedTuple):
    """A secondary index of the table; items without its keys are not in it.

    Attributes:
        projection: The attributes of an item in it. An index of keys alone costs nothing while
            other attributes change.
    """

    name: str
    partition_key: str
    sort_key: str
    projection: Literal["ALL", "KEYS_ONLY"] = "ALL"


#: Pipelines, and tokens, of an organisation, the newest first.
BY_ORG = Index("by-org", "org_key", "created_key")
#: Pipelines that need regular processing, in all organisations.
OPEN = Index("open", "open_key", "open_sort", "KEYS_ONLY")
INDEXES = (BY_ORG, OPEN)

#: Prefixes of keys in the bucket.
TREE_PREFIX = "trees/"
LOG_PREFIX = "logs/"
#: Items that are too large for the table.
STATE_PREFIX = "state/"
CONTEXT_PREFIX = "contexts/"
#: Build plans of images, with the results and output of their builds.
BUILD_PREFIX = "builds/"
#: Temporary uploads, deleted after two days.
UPLOAD_PREFIX = "uploads/"
#: Histories of tests, which expire some days after their last update.
TESTS_PREFIX = "tests/"
TESTS_DAYS = 90

#: States of partitions, which expire some days after their last update.
PARTITIONS_PREFIX = "partitions/"
PARTITIONS_DAYS = 400

#: Prefix of the keys of tokens in the table.
TOKEN_KEY = "T#"  # noqa: S105  not a secret

#: Days after which the registry deletes an image that was not built again.
IMAGE_DAYS = 90
#: Days for which launches use the same build of an image: the registry keeps it for at least the
#: difference after each launch, for workers that start later.
BUILD_DAYS = 60
#: Days after which the bucket deletes directories, build plans and results of images. This is later
#: than the registry deletes an image, whose contents could otherwise not be looked up.
SOURCE_DAYS = 120
#: Days after which a launch uploads a directory or a build plan again, so that it exists for as
#: long as the registry has the image after each launch.
FRESH_DAYS = SOURCE_DAYS - IMAGE_DAYS
#: Timeout of API Gateway for a function, in seconds.
GATEWAY_SECONDS = 29
#: Timeout of each function in Lambda, in seconds: one that processes all pipelines may take longer
#: than a request, and one that copies a large file the maximum.
FUNCTION_SECONDS: Mapping[str, int] = MappingProxyType(
    {
        "api_handler": GATEWAY_SECONDS,
        "authorize": GATEWAY_SECONDS,
        "socket_connect": GATEWAY_SECONDS,
        "socket_message": GATEWAY_SECONDS,
        "socket_disconnect": GATEWAY_SECONDS,
        "task_stopped": 300,
        "execution_ended": 300,
        "build_ended": 300,
        "every_minute": 300,
        "background": 900,
        "hook_event": 300,
        "every_day": 900,
        "admin": GATEWAY_SECONDS,
        "data": 900,
    }
)
#: Timeout of an image build, in minutes.
BUILD_MINUTES = 60
#: Environment variable of a build with the id of the pipeline that started it.
BUILD_PIPELINE = "CONDUCTO_PIPELINE"


#: Stage name of ``conducto cloud-emulator``.
EMULATOR_STAGE = "emulator"
PermissionName = Literal[
    "read",
    "write_data",
    "launch",
    "change_state",
    "secrets",
    "debug",
    "agent",
    "metrics",
    "manage_organisation",
    "manage_billing",
]
#: Permissions that a user's token can have (`conducto_core.api.operation.Permission`).
PERMISSIONS: tuple[PermissionName, ...] = (
    "read",
    "write_data",
    "launch",
    "change_state",
    "secrets",
    "debug",
    "agent",
    "metrics",
    "manage_organisation",
    "manage_billing",
)
#: ``read``: look; ``control``: repeat, stop or skip work; ``author``: define new work;
#: ``use_secrets``: run commands with the values of secrets.
Scope = Literal["read", "control", "author", "use_secrets"]
#: Scopes that the token of an assistant can have (`conducto_core.assistants.rules.authority`).
SCOPES: tuple[Scope, ...] = ("read", "control", "author", "use_secrets")


def table_name(stage: str) -> str:
    return f"{NAME_PREFIX}{stage}"


def made_prefix(stage: str) -> str:
    """Return the name prefix of AWS resources that an installation creates while it runs.

    These are activities, state machines, task definitions and event rules: the functions may use
    only resources with such names. A stage has no underscore, so ``dev`` cannot reach resources of
    ``dev-2``.
    """
    return f"{NAME_PREFIX}{stage}_"


#: The function that executes effects outside of requests.
BACKGROUND_FUNCTION = "background"
#: The function that Cognito asks before it creates an account; only with ``identity=cognito``.
SIGN_UP_FUNCTION = "sign_up"
#: The function that responds to requests.
API_FUNCTION = "api_handler"
#: Functions that advance pipelines: each may start builds and stop workers.
DRIVERS = (
    API_FUNCTION,
    "task_stopped",
    "execution_ended",
    "build_ended",
    "every_minute",
    "every_day",
    "hook_event",
    "background",
)


def driver_role_name(stage: str, region: str, function: str) -> str:
    """Return the name of the role of one of `DRIVERS`.

    Roles that these functions assume trust them by name, since those roles are created first. The
    region is part of the name because roles belong to an account, not to a region.
    """
    return f"{NAME_PREFIX}{stage}-{region}-{function.replace('_', '-')}"


#: Roles that the functions pass on or lend; other stacks use their ARNs without an export.
RoleName = Literal[
    "execution", "task", "debug", "push", "poll", "machine", "instance", "infrastructure"
]


def role_name(stage: str, region: str, name: RoleName) -> str:
    """Return the name of a role that the functions pass on or lend.

    Roles belong to an account, not to a region.
    """
    return f"{NAME_PREFIX}{stage}-{region}-{name}"


def bucket_role_name(stage: str, region: str, digest: str, *, for_shells: bool) -> str:
    """Return the name of the role of workers, or shells, that mount an organisation's buckets."""
    return f"{NAME_PREFIX}{stage}-{region}-{'bucket-shell' if for_shells else 'buckets'}-{digest}"


def secret_prefix(stage: str) -> str:
    return f"conducto/{stage}/"


def billing_secret(stage: str) -> str:
    return f"{NAME_PREFIX}{stage}-billing"


def addresses_name(stage: str) -> str:
    """Return the name of the SSM parameter with the addresses of the APIs."""
    return f"/conducto/{stage}/addresses"


def identity_pool_name(stage: str) -> str:
    """Return the name of the SSM parameter with the id of the user pool."""
    return f"/conducto/{stage}/identity-pool"


def identity_client_name(stage: str) -> str:
    """Return the name of the SSM parameter with the id of the web app's client at Cognito."""
    return f"/conducto/{stage}/identity-client"


def web_app_name(stage: str) -> str:
    """Return the name of the SSM parameter with the address of the web app."""
    return f"/conducto/{stage}/web-app"


#: Stacks of an installation, each after those that it depends on. The web app's is the last: AWS
#: has to verify an account before it can use CloudFront, and the others work without it.
STACKS = ("network", "data", "compute", "api", "watch", "site")
#: Default monthly budget in dollars; the administrator is notified when it is exceeded.
MONTHLY_BUDGET = 50.0
#: Settings of a deployment besides its stage (`infra.settings`).
SETTINGS = (
    "agent_build",
    "alarm_email",
    "arm",
    "billing",
    "buckets",
    "certificate",
    "ci_issuer",
    "data",
    "domain",
    "email_from",
    "events",
    "github_url",
    "identity",
    "identity_providers",
    "log_bucket",
    "log_days",
    "machines",
    "monthly_budget",
    "mount_policy",
    "otlp_endpoint",
    "otlp_headers_secret",
    "public_ip",
    "pull_through",
    "queues",
    "remote_debug",
    "secret_stores",
    "ses_identity",
    "slack_url",
    "smtp_url",
    "soci",
    "spot_share",
    "task_roles",
    "tracing",
    "vpc_id",
    "vpc_subnets",
    "vpc_zones",
    "warm_minutes",
    "warm_workers",
    "zone",
    "zones",
)
#: Settings that cannot change later: the data of the installation would be left behind.
FIXED_SETTINGS = ("data", "vpc_id", "vpc_subnets", "vpc_zones", "zone", "zones")


def log_prefix(stage: str) -> str:
    """Return the prefix of the keys of copies of output and of the audit log."""
    return f"conducto/{stage}/"


def stack_name(stage: str, name: str) -> str:
    return f"{NAME_PREFIX}{stage}-{name}"


def registry_prefix(stage: str) -> str:
    """Return the name prefix of all repositories: those of organisations' images, and caches."""
    return f"{NAME_PREFIX}{stage}/"


def repository_root(stage: str) -> str:
    """Return the prefix of the name of an organisation's repository."""
    return f"{registry_prefix(stage)}images"


def agent_repository(stage: str) -> str:
    """Return the name of the repository of the agent's image, if CodeBuild builds it."""
    return f"{registry_prefix(stage)}agent"


def cluster_name(stage: str) -> str:
    return f"{NAME_PREFIX}{stage}"


#: Path of the web app's file with the settings of the identity provider, if there is one.
IDENTITY_FILE = "/identity.json"


def provider_name(stage: str, machine: str, rung: str) -> str:
    """Return the name of the capacity provider of a machine class and a way to buy machines."""
    return f"{NAME_PREFIX}{stage}_{machine}_{rung}"


def settings_name(stage: str) -> str:
    """Return the name of the SSM parameter with the settings of the last deployment, as JSON."""
    return f"/conducto/{stage}/settings"


def event_rule_prefix(stage: str) -> str:
    """Return the prefix of the names of the EventBridge rules of triggers."""
    return f"{made_prefix(stage)}event-"


def event_queue_prefix(stage: str) -> str:
    """Return the prefix of the names of the SQS queues of triggers."""
    return f"{made_prefix(stage)}queue-"


def function_name(stage: str, name: str) -> str:
    return f"{NAME_PREFIX}{stage}-{name.replace('_', '-')}"


def pipeline_directory(pipeline_id: str) -> str:
    """Return the directory of the file system that holds a pipeline's data."""
    return f"/pipelines/{pipeline_id}"


def user_directory(org: str, user: str) -> str:
    """Return the directory of the file system that holds a user's data.

    A hash, because user names may not be valid directory names, and EFS allows 100 characters.
    """
    return f"/users/{sha256(f'{org}/{user}'.encode()).hexdigest()[:40]}"


def contents_directory(org: str) -> str:
    """Return the directory of the file system with the files of an organisation's cache."""
    return f"/contents/{sha256(org.encode()).hexdigest()[:40]}"


class Variables:
    """Environment variables of the functions; infra sets, `chalicelib.bootstrap` reads them."""

    STAGE = "CONDUCTO_STAGE"
    TABLE = "CONDUCTO_TABLE"
    BUCKET = "CONDUCTO_BUCKET"
    #: Buckets that commands may mount (`conducto_core.buckets.rules`); absent without any.
    BUCKETS = "CONDUCTO_BUCKETS"
    #: Ids of the file systems of these and of their access points, ``FS/POINT,FS/POINT``.
    BUCKET_FILES = "CONDUCTO_BUCKET_FILES"
    CLUSTER = "CONDUCTO_CLUSTER"
    #: Comma-separated.
    SUBNETS = "CONDUCTO_SUBNETS"
    SECURITY_GROUP = "CONDUCTO_SECURITY_GROUP"
    #: "off" if workers get no public address; otherwise absent.
    PUBLIC_IP = "CONDUCTO_PUBLIC_IP"
    FILE_SYSTEM = "CONDUCTO_FILE_SYSTEM"
    #: "s3" if it is one of S3 Files; absent for EFS.
    FILES = "CONDUCTO_FILES"
    EXECUTION_ROLE = "CONDUCTO_EXECUTION_ROLE"
    TASK_ROLE = "CONDUCTO_TASK_ROLE"
    #: Roles for commands (`conducto_core.people.task_roles`); absent if there are none.
    TASK_ROLES = "CONDUCTO_TASK_ROLES"
    #: Role of debug shells; without it, no shell opens on a worker.
    DEBUG_ROLE = "CONDUCTO_DEBUG_ROLE"
    POLL_ROLE = "CONDUCTO_POLL_ROLE"
    MACHINE_ROLE = "CONDUCTO_MACHINE_ROLE"
    #: Reference of the image of the workers' agent.
    AGENT_IMAGE = "CONDUCTO_AGENT_IMAGE"
    #: That for ARM; absent without workers on ARM.
    ARM_AGENT_IMAGE = "CONDUCTO_ARM_AGENT_IMAGE"
    WORKER_LOG_GROUP = "CONDUCTO_WORKER_LOG_GROUP"
    #: Registry of pipelines' images, and the prefix of the names of their repositories.
    IMAGE_REPOSITORY = "CONDUCTO_IMAGE_REPOSITORY"
    #: Absent in regions without CodeBuild.
    BUILD_PROJECT = "CONDUCTO_BUILD_PROJECT"
    #: Caches of other registries (`conducto_core.images.references.read_caches`); absent if there
    #: are none.
    PULL_THROUGH = "CONDUCTO_PULL_THROUGH"
    #: Role lent to clients that build images on their own machine.
    PUSH_ROLE = "CONDUCTO_PUSH_ROLE"
    #: Name of the SSM parameter with the addresses of the APIs, as JSON (`Addresses`): a function
    #: cannot have them in its environment, since its API is created after it.
    ADDRESSES = "CONDUCTO_ADDRESSES"
    #: The same for the emulator: the URL under which workers reach the API, and the endpoint for
    #: WebSocket frames.
    API_URL = "CONDUCTO_API_URL"
    #: Name of the SSM parameter with the address of the web app, and the address for the emulator.
    WEB_APP = "CONDUCTO_WEB_APP"
    WEB_APP_URL = "CONDUCTO_WEB_APP_URL"
    SOCKET_ENDPOINT = "CONDUCTO_SOCKET_ENDPOINT"
    #: Number of workers in ten that may run on Spot.
    SPOT_SHARE = "CONDUCTO_SPOT_SHARE"
    #: Declaration of machine classes (`conducto_core.machines.rules`); absent without any.
    MACHINES = "CONDUCTO_MACHINES"
    #: Prefixes of references to secrets of the account (`conducto_core.secrets.rules`).
    SECRET_STORES = "CONDUCTO_SECRET_STORES"  # noqa: S105  a name
    #: The warm pool (`conducto_core.workers.model`); absent without one.
    WARM_WORKERS = "CONDUCTO_WARM_WORKERS"
    WARM_MINUTES = "CONDUCTO_WARM_MINUTES"
    BILLING = "CONDUCTO_BILLING"
    #: Name of the secret with the settings of billing (`chalicelib.billing.stripe`), and
    #: the address of Stripe's double in the emulator.
    BILLING_SECRET = "CONDUCTO_BILLING_SECRET"  # noqa: S105  a name
    STRIPE_URL = "CONDUCTO_STRIPE_URL"
    #: Name of the function that processes webhook events.
    HOOK_FUNCTION = "CONDUCTO_HOOK_FUNCTION"
    #: ARN of that function, to which rules of EventBridge route events; absent if they are off.
    EVENT_FUNCTION = "CONDUCTO_EVENT_FUNCTION"
    #: Queues that triggers may read (`conducto_core.events.rules.queues`); absent without any.
    QUEUES = "CONDUCTO_QUEUES"
    #: Name of the function that executes effects outside of requests.
    BACKGROUND_FUNCTION = "CONDUCTO_BACKGROUND_FUNCTION"
    #: Set if state machines send traces to X-Ray.
    TRACING = "CONDUCTO_TRACING"
    #: Address of an OpenTelemetry collector, and the name of the secret with its headers; absent
    #: without one.
    OTLP_ENDPOINT = "CONDUCTO_OTLP_ENDPOINT"
    OTLP_HEADERS_SECRET = "CONDUCTO_OTLP_HEADERS_SECRET"  # noqa: S105  a name
    #: Name of the bucket for copies of output and the audit log; absent without one.
    LOG_BUCKET = "CONDUCTO_LOG_BUCKET"
    #: Addresses of notification services; own services can replace Slack and GitHub. Email needs a
    #: server and a sender address.
    SLACK_URL = "CONDUCTO_SLACK_URL"
    GITHUB_URL = "CONDUCTO_GITHUB_URL"
    SMTP_URL = "CONDUCTO_SMTP_URL"
    EMAIL_FROM = "CONDUCTO_EMAIL_FROM"
    #: The OpenID provider with which people sign in; absent without one.
    IDENTITY_ISSUER = "CONDUCTO_IDENTITY_ISSUER"
    #: Name of the SSM parameter with the id of the web app's client there, and the id for the
    #: emulator.
    IDENTITY_CLIENT = "CONDUCTO_IDENTITY_CLIENT"
    IDENTITY_CLIENT_ID = "CONDUCTO_IDENTITY_CLIENT_ID"
    #: Issuer of the ID tokens of CI runs; absent for GitHub's.
    CI_ISSUER = "CONDUCTO_CI_ISSUER"
    #: Mount point of the file system, in the data function and in the emulator.
    DATA_ROOT = "CONDUCTO_DATA_ROOT"
    #: Name of the data function.
    DATA_FUNCTION = "CONDUCTO_DATA_FUNCTION"
    SECRET_PREFIX = "CONDUCTO_SECRET_PREFIX"  # noqa: S105  a name of names
