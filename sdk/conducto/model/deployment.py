"""Names of what is deployed, shared by the functions and the infrastructure. Pure."""

from typing import NamedTuple

#: Every activity and state machine begins with it: policies allow ``conducto-*`` and nothing else.
NAME_PREFIX = "conducto-"

PARTITION_KEY = "pk"
SORT_KEY = "sk"
#: Seconds since the epoch after which DynamoDB forgets an item.
TTL_ATTRIBUTE = "expires"


class Index(NamedTuple):
    """A secondary index of the table; an item without its keys is not in it."""

    name: str
    partition_key: str
    sort_key: str


#: Pipelines of an org, the newest first; pipelines that are not settled, over all orgs.
BY_ORG = Index("by-org", "org_key", "created_key")
OPEN = Index("open", "open_key", "open_sort")
INDEXES = (BY_ORG, OPEN)

#: Beginnings of keys in the bucket.
TREE_PREFIX = "trees/"
LOG_PREFIX = "logs/"
CONTEXT_PREFIX = "contexts/"
#: What is handed over once, deleted after two days.
UPLOAD_PREFIX = "uploads/"

#: Minutes a build of an image may take.
BUILD_MINUTES = 60


def table_name(stage: str) -> str:
    """Return the name of the table."""
    return f"{NAME_PREFIX}{stage}"


class Variables:
    """Environment variables of the functions; `chalicelib.bootstrap` reads them, infra sets them."""

    STAGE = "CONDUCTO_STAGE"
    TABLE = "CONDUCTO_TABLE"
    BUCKET = "CONDUCTO_BUCKET"
    CLUSTER = "CONDUCTO_CLUSTER"
    #: Comma-separated.
    SUBNETS = "CONDUCTO_SUBNETS"
    SECURITY_GROUP = "CONDUCTO_SECURITY_GROUP"
    FILE_SYSTEM = "CONDUCTO_FILE_SYSTEM"
    EXECUTION_ROLE = "CONDUCTO_EXECUTION_ROLE"
    TASK_ROLE = "CONDUCTO_TASK_ROLE"
    POLL_ROLE = "CONDUCTO_POLL_ROLE"
    MACHINE_ROLE = "CONDUCTO_MACHINE_ROLE"
    #: Reference of the image of the workers' agent.
    AGENT_IMAGE = "CONDUCTO_AGENT_IMAGE"
    WORKER_LOG_GROUP = "CONDUCTO_WORKER_LOG_GROUP"
    #: Registry and repository of pipelines' images.
    IMAGE_REPOSITORY = "CONDUCTO_IMAGE_REPOSITORY"
    BUILD_PROJECT = "CONDUCTO_BUILD_PROJECT"
    #: URL under which workers reach the API.
    API_URL = "CONDUCTO_API_URL"
    #: Endpoint to send frames of WebSockets to.
    SOCKET_ENDPOINT = "CONDUCTO_SOCKET_ENDPOINT"
    #: Of ten workers, how many may be Spot.
    SPOT_SHARE = "CONDUCTO_SPOT_SHARE"
    BILLING = "CONDUCTO_BILLING"
    DATA_FUNCTION = "CONDUCTO_DATA_FUNCTION"
    SECRET_PREFIX = "CONDUCTO_SECRET_PREFIX"  # noqa: S105  a name of names
