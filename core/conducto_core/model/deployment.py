"""Names of what is deployed, shared by the functions and the infrastructure. Pure."""

from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Literal, NamedTuple

#: How every name begins; what an installation makes while it runs, with `made_prefix`.
NAME_PREFIX = "conducto-"

#: Tag, with the stage as its value, of everything that is deployed, and of what gets no name of
#: ours while an installation runs.
STAGE_TAG = "conducto:stage"
#: Tags of what runs for an organisation and a pipeline, for AWS's cost reports.
ORG_TAG = "conducto:org"
PIPELINE_TAG = "conducto:pipeline"

#: Number of the schema of the records that functions of this version write
#: (`chalicelib.domain.schema_migrations`); those of an older number refuse them.
RECORD_SCHEMA = 2
PARTITION_KEY = "pk"
SORT_KEY = "sk"
#: Seconds since the epoch after which DynamoDB forgets an item.
TTL_ATTRIBUTE = "expires"


class Index(NamedTuple):
    """A secondary index of the table; an item without its keys is not in it.

    Attributes:
        projection: What of an item is in it. An index of keys alone costs nothing while the rest
            of its items changes.
    """

    name: str
    partition_key: str
    sort_key: str
    projection: Literal["ALL", "KEYS_ONLY"] = "ALL"


#: Pipelines, and tokens, of an org, the newest first.
BY_ORG = Index("by-org", "org_key", "created_key")
#: Pipelines that must be looked after, over all orgs.
OPEN = Index("open", "open_key", "open_sort", "KEYS_ONLY")
INDEXES = (BY_ORG, OPEN)

#: Beginnings of keys in the bucket.
TREE_PREFIX = "trees/"
LOG_PREFIX = "logs/"
#: What belongs into the table and is too large for it.
STATE_PREFIX = "state/"
CONTEXT_PREFIX = "contexts/"
#: Recipes of images, how their builds went, and what these printed.
BUILD_PREFIX = "builds/"
#: What is handed over once, deleted after two days.
UPLOAD_PREFIX = "uploads/"

#: How keys of tokens begin in the table.
TOKEN_KEY = "T#"  # noqa: S105  not a secret

#: Days after which the registry forgets an image that nobody has built anew.
IMAGE_DAYS = 90
#: Days after which the bucket forgets directories, recipes and results of images: later than the
#: registry forgets an image, of which it could not be told any more what it is like.
SOURCE_DAYS = 120
#: Days after which a launch brings a directory or a recipe anew, so that it is there for as long
#: as the registry has the image after each launch.
FRESH_DAYS = SOURCE_DAYS - IMAGE_DAYS
#: Seconds that API Gateway waits for a function.
GATEWAY_SECONDS = 29
#: Seconds after which Lambda ends a call of a function: one that looks after all pipelines may take
#: longer than a request, and one that copies a large file as long as there is.
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
        "every_day": 900,
        "admin": GATEWAY_SECONDS,
        "data": 900,
    }
)
#: Minutes a build of an image may take.
BUILD_MINUTES = 60
#: Variable of a build that says which pipeline started it.
BUILD_PIPELINE = "CONDUCTO_PIPELINE"


#: What ``conducto cloud-emulator`` is called where an installation is named.
EMULATOR_STAGE = "emulator"
PermissionName = Literal["read", "write_data", "launch", "change_state", "secrets", "debug"]
#: What a person's token may allow (`conducto_core.api.routes.Permission`).
PERMISSIONS: tuple[PermissionName, ...] = (
    "read",
    "write_data",
    "launch",
    "change_state",
    "secrets",
    "debug",
)


def table_name(stage: str) -> str:
    """Return the name of the table."""
    return f"{NAME_PREFIX}{stage}"


def made_prefix(stage: str) -> str:
    """Return how the names begin of what an installation makes at AWS while it runs.

    That is activities, state machines and task definitions: its functions may do something with
    such names and no others. A stage has no underscore, so that ``dev`` reaches nothing of
    ``dev-2``.
    """
    return f"{NAME_PREFIX}{stage}_"


#: The function that responds to requests.
API_FUNCTION = "api_handler"
#: Functions that move pipelines on: each may start workers and builds.
DRIVERS = (
    API_FUNCTION,
    "task_stopped",
    "execution_ended",
    "build_ended",
    "every_minute",
    "every_day",
)


def driver_role_name(stage: str, region: str, function: str) -> str:
    """Return the name of the role of one of `DRIVERS`.

    Roles that these functions assume trust them by name, since those are created first. The region
    is part of the name because roles belong to an account, not to a region.
    """
    return f"{NAME_PREFIX}{stage}-{region}-{function.replace('_', '-')}"


#: Roles that the functions pass on or lend: others name them by ARN, with no export between stacks.
RoleName = Literal["execution", "task", "debug", "push", "poll", "machine"]


def role_name(stage: str, region: str, name: RoleName) -> str:
    """Return the name at AWS of a role that the functions pass on or lend.

    Roles are of an account, not of a region.
    """
    return f"{NAME_PREFIX}{stage}-{region}-{name}"


def secret_prefix(stage: str) -> str:
    """Return how the names of an installation's secrets begin."""
    return f"conducto/{stage}/"


def addresses_name(stage: str) -> str:
    """Return the name of the SSM parameter with the addresses of the APIs."""
    return f"/conducto/{stage}/addresses"


def web_app_name(stage: str) -> str:
    """Return the name of the SSM parameter with the address of the web app."""
    return f"/conducto/{stage}/web-app"


#: Stacks of an installation, each after what it needs. The web app's is the last: AWS has to verify
#: an account before CloudFront serves it, and the others work without.
STACKS = ("network", "data", "compute", "api", "watch", "site")
#: Dollars a month above which the administrator is notified unless they choose another number.
MONTHLY_BUDGET = 50.0
#: What a deployment may choose besides its stage (`infra.settings`).
SETTINGS = (
    "alarm_email",
    "billing",
    "certificate",
    "domain",
    "email_from",
    "github_url",
    "log_days",
    "monthly_budget",
    "mount_policy",
    "public_ip",
    "pull_through",
    "remote_debug",
    "slack_url",
    "smtp_url",
    "spot_share",
    "task_roles",
    "tracing",
    "vpc_id",
    "vpc_subnets",
    "vpc_zones",
    "zone",
    "zones",
)
#: Those that hold for the life of an installation: with others its data would stay behind.
FIXED_SETTINGS = ("vpc_id", "vpc_subnets", "vpc_zones", "zone", "zones")


def stack_name(stage: str, name: str) -> str:
    """Return the name of a stack of `STACKS` at AWS."""
    return f"{NAME_PREFIX}{stage}-{name}"


def registry_prefix(stage: str) -> str:
    """Return how the names of all repositories begin: of organisations' images, and of caches."""
    return f"{NAME_PREFIX}{stage}/"


def repository_root(stage: str) -> str:
    """Return what stands before an organisation's part of the name of its repository."""
    return f"{registry_prefix(stage)}images"


def cluster_name(stage: str) -> str:
    """Return the name of the cluster that workers run in."""
    return f"{NAME_PREFIX}{stage}"


def settings_name(stage: str) -> str:
    """Return the name of the SSM parameter with the settings of the last deployment, as JSON."""
    return f"/conducto/{stage}/settings"


def function_name(stage: str, name: str) -> str:
    """Return the name at AWS of a function that the app calls ``name``."""
    return f"{NAME_PREFIX}{stage}-{name.replace('_', '-')}"


def pipeline_directory(pipeline_id: str) -> str:
    """Return the directory of the file system that holds a pipeline's data."""
    return f"/pipelines/{pipeline_id}"


def user_directory(org: str, user: str) -> str:
    """Return the directory of the file system that holds a user's data.

    A hash: names of people are no names of directories, and EFS takes 100 characters.
    """
    return f"/users/{sha256(f'{org}/{user}'.encode()).hexdigest()[:40]}"


class Variables:
    """Environment variables of the functions: infra sets, `chalicelib.bootstrap` reads them."""

    STAGE = "CONDUCTO_STAGE"
    TABLE = "CONDUCTO_TABLE"
    BUCKET = "CONDUCTO_BUCKET"
    CLUSTER = "CONDUCTO_CLUSTER"
    #: Comma-separated.
    SUBNETS = "CONDUCTO_SUBNETS"
    SECURITY_GROUP = "CONDUCTO_SECURITY_GROUP"
    #: "off" where workers get no public address; absent: they get one.
    PUBLIC_IP = "CONDUCTO_PUBLIC_IP"
    FILE_SYSTEM = "CONDUCTO_FILE_SYSTEM"
    EXECUTION_ROLE = "CONDUCTO_EXECUTION_ROLE"
    TASK_ROLE = "CONDUCTO_TASK_ROLE"
    #: Roles that commands get (`conducto_core.model.task_roles`); absent: they get none.
    TASK_ROLES = "CONDUCTO_TASK_ROLES"
    #: Role of debug shells; without it none opens on a worker.
    DEBUG_ROLE = "CONDUCTO_DEBUG_ROLE"
    POLL_ROLE = "CONDUCTO_POLL_ROLE"
    MACHINE_ROLE = "CONDUCTO_MACHINE_ROLE"
    #: Reference of the image of the workers' agent.
    AGENT_IMAGE = "CONDUCTO_AGENT_IMAGE"
    WORKER_LOG_GROUP = "CONDUCTO_WORKER_LOG_GROUP"
    #: Registry of pipelines' images, and how the names of their repositories begin.
    IMAGE_REPOSITORY = "CONDUCTO_IMAGE_REPOSITORY"
    BUILD_PROJECT = "CONDUCTO_BUILD_PROJECT"
    #: Caches of other registries (`conducto_core.images.registries.read_caches`); absent: there is
    #: none.
    PULL_THROUGH = "CONDUCTO_PULL_THROUGH"
    #: Role that is lent to who builds images on a machine of one's own.
    PUSH_ROLE = "CONDUCTO_PUSH_ROLE"
    #: Name of the SSM parameter with the addresses of the APIs, as JSON (`Addresses`): a function
    #: cannot have them in its environment, since its API is made after it.
    ADDRESSES = "CONDUCTO_ADDRESSES"
    #: The emulator's way of saying the same: the URL under which workers reach the API, and the
    #: endpoint to send frames of WebSockets to.
    API_URL = "CONDUCTO_API_URL"
    #: Name of the SSM parameter with the address of the web app, and the emulator's way.
    WEB_APP = "CONDUCTO_WEB_APP"
    WEB_APP_URL = "CONDUCTO_WEB_APP_URL"
    SOCKET_ENDPOINT = "CONDUCTO_SOCKET_ENDPOINT"
    #: Of ten workers, how many may be Spot.
    SPOT_SHARE = "CONDUCTO_SPOT_SHARE"
    BILLING = "CONDUCTO_BILLING"
    #: Set where state machines are to send traces to X-Ray.
    TRACING = "CONDUCTO_TRACING"
    #: Where notifications go; services of one's own take the place of Slack's and GitHub's. There
    #: is no mail without a server and an address that it comes from.
    SLACK_URL = "CONDUCTO_SLACK_URL"
    GITHUB_URL = "CONDUCTO_GITHUB_URL"
    SMTP_URL = "CONDUCTO_SMTP_URL"
    EMAIL_FROM = "CONDUCTO_EMAIL_FROM"
    #: Where the file system is mounted, in the function beside it and in the emulator.
    DATA_ROOT = "CONDUCTO_DATA_ROOT"
    #: Name of that function.
    DATA_FUNCTION = "CONDUCTO_DATA_FUNCTION"
    SECRET_PREFIX = "CONDUCTO_SECRET_PREFIX"  # noqa: S105  a name of names
