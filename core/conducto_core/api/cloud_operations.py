"""Operations that only the cloud's API has: large bodies, directories of images, sessions."""

from dataclasses import replace

from pydantic import Field

from conducto_core.api.common_operations import OPERATIONS
from conducto_core.api.operation import (
    MAX_LAUNCH_BODY,
    AnyOperation,
    LinkClass,
    Permission,
    act,
    read,
    send,
)
from conducto_core.events.operations import EVENT_OPERATIONS
from conducto_core.images.model import ContextHash
from conducto_core.programs.git_launch import GitLaunch
from conducto_core.record import Record
from conducto_core.remote.operations import LOGIN
from conducto_core.run.model.params import NoParams
from conducto_core.run.model.requests import LaunchRequest, PipelineSummary
from conducto_core.schedules.operations import SCHEDULE_OPERATIONS
from conducto_core.workers.model import UploadResponse, WarmPool

#: Header with the key of an uploaded body; the body of the request itself is empty.
BODY_KEY = "Conducto-Body"
#: Maximum bytes of a body or response that goes through the API; Lambda accepts 6 MB.
MAX_DIRECT = 4 << 20
#: Status of a response that is not ready, with a `Problem` that describes the progress, and the
#: seconds to wait before the next request.
PREPARING = 202
ASK_AGAIN_SECONDS = 2.0
#: Maximum bytes of a packed directory: the limit of one PUT to S3.
MAX_CONTEXT = 5 << 30
#: Maximum number of directories in one request.
MAX_CONTEXTS = 200


class ContextsWanted(Record):
    """Content hashes of directories that images need."""

    contexts: tuple[ContextHash, ...] = Field(max_length=MAX_CONTEXTS)


class ContextsMissing(Record):
    """The directories that are not uploaded yet.

    Attributes:
        missing: ``{content hash: URL for a PUT of it}``.
    """

    missing: dict[str, str] = Field(repr=False)


class RegistryLogin(Record):
    """The login of a docker client to the registry.

    Attributes:
        registry: Its host.
        expires: In seconds since the epoch.
    """

    registry: str
    user: str
    password: str = Field(repr=False)
    expires: float


class OwnBuild(Record):
    """An image that the launching machine has to build.

    Attributes:
        reference: Its reference in the registry.
        contexts: Content hashes of its directories.
        recipe_url: URL of its build plan.
        log_url: URL for a PUT of the output of the build.
        result_url: URL for a PUT of the result, once the image is in the registry.
    """

    image: str
    reference: str
    contexts: tuple[ContextHash, ...]
    recipe_url: str = Field(repr=False)
    log_url: str = Field(repr=False)
    result_url: str = Field(repr=False)


class OwnBuilds(Record):
    """The images that are still to be built before a launch.

    Attributes:
        login: None if the building engine is the registry.
    """

    builds: tuple[OwnBuild, ...]
    login: RegistryLogin | None


class WhoAmI(Record):
    """The owner of a token.

    Attributes:
        max_workers: Maximum number of workers of the plan.
        max_cpu: Maximum vCPUs of one worker of the plan.
        warm: Workers that stay for the next run of their pipeline; None: they leave at once.
        budget: Default budget in dollars of pipelines that the token launches; None: none.
        machines: Declarations of the installation's machine classes
            (`conducto_core.machines.rules`).
        billing: Whether the installation has billing.
        vcpu_hour: What the organisation pays for a vCPU for an hour; None: nothing is billed.
        gb_hour: The same for a GB of memory.
    """

    org: str
    user: str
    permissions: tuple[str, ...]
    plan: str
    version: str
    max_workers: int = 2
    max_cpu: float = 4.0
    warm: WarmPool | None = None
    budget: float | None = None
    machines: tuple[str, ...] = ()
    billing: bool = False
    vcpu_hour: float | None = None
    gb_hour: float | None = None


UPLOAD_BODY = act(
    "upload_body",
    "POST /uploads",
    NoParams,
    UploadResponse,
    Permission.LAUNCH,
    "Return a URL for the upload of a body that is too large for a request.",
    link_class=LinkClass.NEVER,
    kept=False,
)
CONTEXTS = send(
    "upload_contexts",
    "POST /contexts",
    NoParams,
    ContextsWanted,
    ContextsMissing,
    Permission.LAUNCH,
    "Return URLs for the upload of the directories that are not stored yet.",
    link_class=LinkClass.NEVER,
    kept=False,
)
OWN_BUILDS = send(
    "own_builds",
    "POST /builds",
    NoParams,
    LaunchRequest,
    OwnBuilds,
    Permission.LAUNCH,
    "Return the images of a launch that the launching machine has to build.",
    link_class=LinkClass.NEVER,
    max_body=MAX_LAUNCH_BODY,
    kept=False,
)
LAUNCH_FROM_GIT = send(
    "launch_from_git",
    "POST /git-launches",
    NoParams,
    GitLaunch,
    PipelineSummary,
    Permission.LAUNCH,
    "Clone a Git repository, and launch the pipeline of a script in it.",
    link_class=LinkClass.NEVER,
    resumable=True,
)
WHO_AM_I = read(
    "who_am_i",
    "/whoami",
    NoParams,
    WhoAmI,
    "Return the owner, the rights and the plan of a token.",
    link_class=LinkClass.NEVER,
)
#: Any user may open the web app of the cloud; the agent's belongs to the owner of the machine.
CLOUD_LOGIN = replace(LOGIN, permission=Permission.READ)

#: Operations that clients of the cloud call over HTTP; streams have a WebSocket API of their own.
CLOUD_OPERATIONS: tuple[AnyOperation, ...] = (
    *(operation for operation in OPERATIONS if not operation.is_stream),
    *SCHEDULE_OPERATIONS,
    *EVENT_OPERATIONS,
    UPLOAD_BODY,
    CONTEXTS,
    OWN_BUILDS,
    LAUNCH_FROM_GIT,
    WHO_AM_I,
    CLOUD_LOGIN,
)
