"""The description of one operation of the API, and the limits that all operations share."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from conducto_core.record import Record

API_ROOT = "/api/v1"
#: Method of an operation that is a stream of JSON frames.
WEBSOCKET = "WEBSOCKET"
#: The subprotocol that a WebSocket client offers, and the prefix of the second one, with its token.
SUBPROTOCOL = "conducto.v1"
TOKEN_SUBPROTOCOL = "conducto.token."  # noqa: S105  a prefix, not a token
MAX_BODY = 1 << 20
#: Maximum of a body with a tree.
MAX_LAUNCH_BODY = 256 << 20
#: Maximum levels of arrays and objects in a JSON body; pydantic's own limit, which cannot be set.
MAX_JSON_DEPTH = 200
#: Header that identifies a mutation, and its maximum length; each key is executed once.
IDEMPOTENCY_KEY = "Idempotency-Key"
MAX_IDEMPOTENCY_KEY = 200
#: Seconds for which a response is remembered, and the maximum number of remembered responses.
REMEMBERED_SECONDS = 24 * 3600.0
REMEMBERED_RESPONSES = 1000

P = TypeVar("P", bound=Record)
B = TypeVar("B")
R = TypeVar("R", bound=Record)


class Permission(StrEnum):
    """Permissions of a caller; ``debug`` also needs ``change_state`` and ``secrets``."""

    READ = "read"
    WRITE_DATA = "write_data"
    LAUNCH = "launch"
    CHANGE_STATE = "change_state"
    AGENT = "agent"
    #: To read the values of instruments, and nothing else.
    METRICS = "metrics"
    SECRETS = "secrets"
    DEBUG = "debug"
    #: For the organisation's secrets, members, other members' tokens, and the audit log.
    MANAGE_ORGANISATION = "manage_organisation"
    #: For billing, owners, and the deletion of the organisation.
    MANAGE_BILLING = "manage_billing"
    #: The only permission of an invitation's code.
    ACCEPT_INVITATION = "accept_invitation"
    #: The only permission of the code with which a browser logs in to the cloud's web app.
    SIGN_IN = "sign_in"
    #: The only permission of the token in the definition of a worker's task.
    START_WORKER = "start_worker"
    #: The only permission of a started worker's key.
    WORKER = "worker"
    #: The only permission of the token of a command with ``launch=True``.
    CHILDREN = "children"


class LinkClass(StrEnum):
    """What a machine's policy has to allow before a cloud may request an operation through a link.

    `conducto_core.remote.rules` decides; a machine refuses everything that it does not
    allow. An operation that defines new work, or removes anything, is of the class `AUTHOR`.
    """

    READ = "read"
    #: Repeats, stops or skips work that was defined on the machine.
    CONTROL = "control"
    #: Defines new work, or changes or removes data.
    AUTHOR = "author"
    DEBUG = "debug"
    #: Refused by every policy: secrets are managed on the machine.
    SECRETS = "secrets"
    #: Refused by every policy: it concerns the process, the machine or the cloud itself.
    NEVER = "never"


class Bytes(Record):
    """Placeholder for bytes instead of JSON in an `Operation`."""


@dataclass(frozen=True)
class Operation(Generic[P, B, R]):
    """One operation: the only description of it.

    The routes of both servers, the client, the OpenAPI document and the web app's types are derived
    from it. Its handlers are the methods that `conducto_core.api.serve.serves` marks with it.

    Attributes:
        name: The ``operationId``.
        method: The HTTP method, or `WEBSOCKET`.
        path: Path template below `API_ROOT`; it has fields of ``params`` in braces, the other
            fields go in the query string.
        body: Model of the JSON body, `Bytes`, or None.
        response: Model of the JSON response or of one frame, or `Bytes`.
        permission: The permission that the caller needs.
        summary: One sentence for the documentation.
        link_class: What a machine has to allow before its cloud may request the operation.
        max_body: Maximum bytes of a body.
        private: The body is never quoted in error messages or stored in a file.
        kept: The response may be remembered under the caller's idempotency key.
        resumable: An interrupted request can be executed again under its key.
        elsewhere: Returns the refusal of a server without a handler, from parameters and body.
            None: every server has one.
    """

    name: str
    method: str
    path: str
    params: type[P]
    body: type[B] | None
    response: type[R]
    permission: Permission
    summary: str
    link_class: LinkClass
    max_body: int = MAX_BODY
    private: bool = False
    kept: bool = True
    resumable: bool = False
    elsewhere: Callable[[P, Any], str] | None = None

    @property
    def safe(self) -> bool:
        return self.method in ("GET", WEBSOCKET)

    @property
    def is_stream(self) -> bool:
        """Whether the response is an endless stream of records, and possibly bytes."""
        return self.method == WEBSOCKET

    @property
    def is_download(self) -> bool:
        """Whether the response is bytes, which a server streams or redirects to."""
        return self.response is Bytes

    @property
    def remembered(self) -> bool:
        """Whether the operation is executed once for each idempotency key.

        Repeating any other operation has no further effect.
        """
        return not self.safe and self.kept and self.body is not Bytes


AnyOperation = Operation[Any, Any, Any]


def read(
    name: str,
    path: str,
    params: type[P],
    response: type[R],
    summary: str,
    *,
    link_class: LinkClass,
    method: str = "GET",
    permission: Permission = Permission.READ,
    elsewhere: Callable[[Any, Any], str] | None = None,
) -> Operation[P, None, R]:
    return Operation(
        name,
        method,
        path,
        params,
        None,
        response,
        permission,
        summary,
        link_class,
        elsewhere=elsewhere,
    )


def act(  # noqa: PLR0917  a row of a table
    name: str,
    route: str,
    params: type[P],
    response: type[R],
    permission: Permission,
    summary: str,
    *,
    link_class: LinkClass,
    **options: Any,
) -> Operation[P, None, R]:
    """Return an operation without a body; ``route`` is method and path, with a space between."""
    method, _, path = route.partition(" ")
    return Operation(
        name, method, path, params, None, response, permission, summary, link_class, **options
    )


def send(  # noqa: PLR0917  a row of a table
    name: str,
    route: str,
    params: type[P],
    body: type[B],
    response: type[R],
    permission: Permission,
    summary: str,
    *,
    link_class: LinkClass,
    **options: Any,
) -> Operation[P, B, R]:
    """Return an operation with a body; ``route`` is method and path, with a space between."""
    method, _, path = route.partition(" ")
    return Operation(
        name, method, path, params, body, response, permission, summary, link_class, **options
    )
