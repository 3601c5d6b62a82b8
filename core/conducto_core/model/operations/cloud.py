"""What the cloud's API has over the local one: large bodies, directories of images, who calls."""

from pydantic import Field

from conducto_core.model.base import Record
from conducto_core.model.image_sources import ContextHash
from conducto_core.model.operations.pipelines import MAX_LAUNCH_BODY, Operation
from conducto_core.model.params import NoParams
from conducto_core.model.requests import LaunchRequest
from conducto_core.model.worker import UploadResponse

#: Header with the key under which the body of a request was put; the request's own is empty.
BODY_KEY = "Conducto-Body"
#: Bytes of a body, or of an answer, that go through the API; a Lambda takes 6 MB.
MAX_DIRECT = 4 << 20
#: Status of an answer that is not ready, with a `Problem` that says how far it is, and the seconds
#: after which to ask again.
PREPARING = 202
ASK_AGAIN_SECONDS = 2.0
#: What a client of the WebSocket offers as subprotocols, and its token behind the second.
SUBPROTOCOL = "conducto.v1"
TOKEN_SUBPROTOCOL = "conducto.token."  # noqa: S105  a prefix, not a token
#: Bytes of a directory as it is uploaded, packed: what one PUT to S3 takes.
MAX_CONTEXT = 5 << 30
#: Directories of one request.
MAX_CONTEXTS = 200


class ContextsWanted(Record):
    """Content hashes of directories that images need."""

    contexts: tuple[ContextHash, ...] = Field(max_length=MAX_CONTEXTS)


class ContextsMissing(Record):
    """What is not there yet.

    Attributes:
        missing: ``{content hash: URL that takes it by PUT}``.
    """

    missing: dict[str, str] = Field(repr=False)


class RegistryLogin(Record):
    """What a docker client logs in to the registry with.

    Attributes:
        registry: Its host.
        expires: In seconds since the epoch.
    """

    registry: str
    user: str
    password: str = Field(repr=False)
    expires: float


class OwnBuild(Record):
    """An image that is to be built by who launches.

    Attributes:
        image: Its name in the tree.
        reference: What the registry is to know it by.
        contexts: Content hashes of the directories that it is made of.
        recipe_url: Where its recipe is.
        log_url: Takes what the build prints, by PUT.
        result_url: Takes the result, by PUT, once the image is in the registry.
    """

    image: str
    reference: str
    contexts: tuple[ContextHash, ...]
    recipe_url: str = Field(repr=False)
    log_url: str = Field(repr=False)
    result_url: str = Field(repr=False)


class OwnBuilds(Record):
    """What is left to be built before a launch.

    Attributes:
        login: None: the engine that builds is the registry.
    """

    builds: tuple[OwnBuild, ...]
    login: RegistryLogin | None


class WhoAmI(Record):
    """Whose a token is.

    Attributes:
        plan: Name of the organisation's plan.
        max_workers: Workers at once that it allows.
        max_cpu: vCPUs of one worker that it allows.
    """

    org: str
    user: str
    permissions: tuple[str, ...]
    plan: str
    version: str
    max_workers: int = 2
    max_cpu: float = 4.0


class SessionToken(Record):
    """What a browser's session is known by, and whose it is.

    Attributes:
        seconds: For which it is good at most.
    """

    token: str = Field(repr=False)
    seconds: int
    org: str
    user: str


class SessionEnd(Record):
    """What became of a session.

    Attributes:
        ended: False where the caller came with a token of their own.
    """

    ended: bool


UPLOAD_BODY = Operation[NoParams, None, UploadResponse](
    "upload_body", "POST", "/uploads", NoParams, None, UploadResponse, kept=False
)
CONTEXTS = Operation[NoParams, ContextsWanted, ContextsMissing](
    "upload_contexts", "POST", "/contexts", NoParams, ContextsWanted, ContextsMissing, kept=False
)
OWN_BUILDS = Operation[NoParams, LaunchRequest, OwnBuilds](
    "own_builds", "POST", "/builds", NoParams, LaunchRequest, OwnBuilds, MAX_LAUNCH_BODY, kept=False
)
#: Of a browser: its code becomes the token of a session.
START_SESSION = Operation[NoParams, None, SessionToken](
    "start_session", "POST", "/sessions", NoParams, None, SessionToken, kept=False
)
END_SESSION = Operation[NoParams, None, SessionEnd](
    "end_session", "DELETE", "/sessions", NoParams, None, SessionEnd, kept=False
)
WHO_AM_I = Operation[NoParams, None, WhoAmI]("who_am_i", "GET", "/whoami", NoParams, None, WhoAmI)
