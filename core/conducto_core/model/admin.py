"""Requests to the function ``admin``, which only administrators of the AWS account may invoke."""

from typing import Annotated, Literal

from pydantic import Field

from conducto_core.model.base import Name, Record
from conducto_core.model.deployment import PERMISSIONS, PermissionName
from conducto_core.model.people import Email, InvitationLink, Role


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


class AdminResponse(Record):
    """The result of an administrator's request.

    Attributes:
        token: The new token; it is shown only once.
        version: Version of Conducto that the functions run.
    """

    token: str | None = Field(default=None, repr=False)
    tokens: tuple[TokenInfo, ...] = ()
    plan: PlanInfo | None = None
    invitation: InvitationLink | None = None
    version: str | None = None
    error: str | None = None
