"""What the cloud's API has over the local one: large bodies, directories of images, who calls."""

from pydantic import Field

from conducto.model.base import Record
from conducto.model.calls import Operation
from conducto.model.image_sources import ContextHash
from conducto.model.params import NoParams
from conducto.model.worker import UploadAnswer

#: Header with the key under which the body of a request was put; the request's own is empty.
BODY_KEY = "Conducto-Body"
#: Bytes of a body, or of an answer, that go through the API; a Lambda takes 6 MB.
MAX_DIRECT = 4 << 20
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


class WhoAmI(Record):
    """Whose a token is.

    Attributes:
        plan: Name of the organisation's plan.
    """

    org: str
    user: str
    permissions: tuple[str, ...]
    plan: str
    version: str


UPLOAD_BODY = Operation[NoParams, None, UploadAnswer](
    "upload_body", "POST", "/uploads", NoParams, None, UploadAnswer, kept=False
)
CONTEXTS = Operation[NoParams, ContextsWanted, ContextsMissing](
    "upload_contexts", "POST", "/contexts", NoParams, ContextsWanted, ContextsMissing, kept=False
)
WHO_AM_I = Operation[NoParams, None, WhoAmI]("who_am_i", "GET", "/whoami", NoParams, None, WhoAmI)
