"""Requests to the function ``admin``, which only administrators of the AWS account may invoke."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field

from conducto_core.installation.names import PERMISSIONS, PermissionName
from conducto_core.people.model import Email, InvitationLink, Role
from conducto_core.record import Dollars, Name, Record
from conducto_core.run.model.requests import Problem


class MintToken(Record):
    """Create a token.

    Attributes:
        permissions: A subset of `PERMISSIONS`.
        days: Lifetime; None for no expiry.
    """

    kind: Literal["mint_token"] = "mint_token"
    org: Name
    user: Name
    permissions: tuple[PermissionName, ...] = PERMISSIONS
    days: float | None = Field(default=None, gt=0)


class ListTokens(Record):
    """List an organisation's tokens."""

    kind: Literal["list_tokens"] = "list_tokens"
    org: Name


class RevokeToken(Record):
    """Revoke a token; it stops working within 5 seconds."""

    kind: Literal["revoke_token"] = "revoke_token"
    org: Name
    token: str = Field(min_length=8)


class InviteMember(Record):
    """Invite somebody, such as the first owner of an organisation."""

    kind: Literal["invite"] = "invite"
    org: Name
    email: Email
    role: Role = Role.OWNER
    user: Name | None = None


class SetPlan(Record):
    """Set an organisation's allowances; None leaves a value unchanged."""

    kind: Literal["set_plan"] = "set_plan"
    org: Name
    name: str | None = None
    max_workers: int | None = Field(default=None, ge=0)
    max_pipelines: int | None = Field(default=None, ge=0)
    max_cpu: float | None = Field(default=None, gt=0)
    exec_minutes: float | None = Field(default=None, ge=0)
    unlimited_minutes: bool = False
    pipeline_budget: Dollars | None = None
    no_pipeline_budget: bool = False


class ShowPlan(Record):
    """Return an organisation's plan."""

    kind: Literal["show_plan"] = "show_plan"
    org: Name


class ShowVersion(Record):
    """Show the installed version of Conducto."""

    kind: Literal["show_version"] = "show_version"


AdminRequest = Annotated[
    MintToken | ListTokens | RevokeToken | InviteMember | SetPlan | ShowPlan | ShowVersion,
    Field(discriminator="kind"),
]


class TokenInfo(Record):
    """A token without its secret part.

    Attributes:
        id: First characters of its digest.
    """

    id: str
    user: str
    permissions: tuple[str, ...]
    created: float
    expires: float | None = None


class PlanInfo(Record):
    """A plan and its current usage."""

    org: str
    name: str
    max_workers: int
    max_pipelines: int
    max_cpu: float
    exec_minutes: float | None
    workers: int
    pipeline_budget: float | None = None


class AdminResponse(Record):
    """The result of an administrator's request.

    Attributes:
        token: The new token; it is shown only once.
        version: Version of Conducto that the functions run.
        layout: Layout of the table that they use; functions of the first layout do not say.
    """

    token: str | None = Field(default=None, repr=False)
    tokens: tuple[TokenInfo, ...] = ()
    plan: PlanInfo | None = None
    invitation: InvitationLink | None = None
    version: str | None = None
    layout: int | None = None
    error: str | None = None


# ----------------------------------------------------------------------------------------
# Responses that API Gateway sends before, or instead of, the functions: problem documents.
#
# The names are API Gateway's own. ``infra/`` configures these responses, and the emulator sends the
# same ones.


PROBLEM_TYPE = "application/problem+json"
_UNKNOWN = Problem(
    title="not found",
    status=404,
    detail="there is no such operation",
    remedy="see the reference of the API; a newer client may need a newer installation",
)
_LOG_IN = "log in again: conducto login --url URL"

GATEWAY_PROBLEMS: Mapping[str, Problem] = MappingProxyType(
    {
        "ACCESS_DENIED": Problem(
            title="wrong token",
            status=401,
            detail="the token is not valid here: it expired, was revoked, or never existed",
            remedy=_LOG_IN,
        ),
        "UNAUTHORIZED": Problem(
            title="no token",
            status=401,
            detail="the request carries no token, or something of another form",
            remedy=_LOG_IN,
        ),
        "AUTHORIZER_FAILURE": Problem(
            title="busy",
            status=503,
            detail="the token could not be checked, because the function that does it failed or "
            "the account's quota of concurrent functions is used up",
            remedy="try again in a few seconds",
        ),
        # API Gateway's name for an unknown path or method.
        "MISSING_AUTHENTICATION_TOKEN": _UNKNOWN,
        "INVALID_SIGNATURE": _UNKNOWN,
        "RESOURCE_NOT_FOUND": _UNKNOWN,
        "REQUEST_TOO_LARGE": Problem(
            title="too large",
            status=413,
            detail="API Gateway accepts 10 MB in a request",
            remedy="upload the body to the address that POST /api/v1/uploads returns",
        ),
        "THROTTLED": Problem(
            title="busy",
            status=429,
            detail="too many requests at the same time",
            remedy="try again in a few seconds",
        ),
        "INTEGRATION_TIMEOUT": Problem(
            title="too slow",
            status=504,
            detail="the response took longer than the 29 s that API Gateway waits",
            remedy="check whether the operation was done before you try again",
        ),
    }
)


# ----------------------------------------------------------------------------------------
# Garbage collection: deletion of resources that no live pipeline needs.


class GcRequest(Record):
    """A request for garbage collection.

    Attributes:
        dry_run: Only report the resources that would be deleted.
    """

    dry_run: bool = False


class GcItem(Record):
    """A resource that is no longer needed.

    Attributes:
        pipeline: Id of the pipeline that used it, if known.
        bytes: Its size, as far as is known.
    """

    kind: Literal["container", "network", "image", "snapshot", "files", "cache"]
    name: str
    pipeline: str | None = None
    bytes: int = 0
    freed: bool = False
    note: str | None = None


class GcReport(Record):
    """The result of a garbage collection.

    Attributes:
        bytes: Bytes that were freed or, with ``dry_run``, would be. Images share layers: the real
            number can differ.
        notes: Sentences about resources that were not checked.
    """

    dry_run: bool
    items: tuple[GcItem, ...] = ()
    bytes: int = 0
    notes: tuple[str, ...] = ()
