"""Sign-in with an identity provider: sessions, tokens of the command line and of CI runs."""

from typing import Annotated

from pydantic import Field, model_validator

from conducto_core.model.base import Name, Record
from conducto_core.model.deployment import PermissionName

#: Permissions of CI runs unless others are named: to launch and control pipelines.
CI_PERMISSIONS: tuple[PermissionName, ...] = ("read", "write_data", "launch", "change_state")


class SessionParams(Record):
    """Parameters of a new session.

    Attributes:
        org: The organisation, for a person in several; None: the first by name.
    """

    org: Name | None = None


class SessionToken(Record):
    """The token of a browser's session, and its user.

    Attributes:
        seconds: Maximum lifetime.
        orgs: The organisations of a person who signed in with an identity provider, by name.
    """

    token: str = Field(repr=False)
    seconds: int
    org: str
    user: str
    orgs: tuple[str, ...] = ()


class SessionEnd(Record):
    """The result of ending a session.

    Attributes:
        ended: False if the caller used a token of their own.
    """

    ended: bool


class CliLogin(Record):
    """A request of the page that ``conducto login`` opened.

    Attributes:
        challenge: SHA-256 of the command line's verifier, in hexadecimal.
        org: As in `SessionParams`.
    """

    challenge: str = Field(pattern=r"^[0-9a-f]{64}$")
    org: Name | None = None


class CliCode(Record):
    """A code that the command line exchanges for a token.

    Attributes:
        seconds: Its lifetime.
    """

    code: str = Field(repr=False)
    seconds: int
    org: str
    user: str


class CliExchange(Record):
    """The verifier of a code."""

    verifier: str = Field(min_length=43, max_length=128, repr=False)


class CiExchange(Record):
    """The organisation that a CI run wants to use."""

    org: Name


class IssuedToken(Record):
    """A new token.

    Attributes:
        expires: In seconds since the epoch.
    """

    token: str = Field(repr=False)
    org: str
    user: str
    expires: float


class TrustParams(Record):
    """The name of a trust."""

    name: Name


class TrustRequest(Record):
    """CI runs that may get a token of an organisation.

    Attributes:
        repository: The numeric id of the repository: names can change hands.
        ref: Only runs of this git ref, such as ``refs/heads/main``.
        environment: Only runs of this deployment environment.
    """

    repository: str = Field(pattern=r"^[0-9]{1,20}$")
    ref: Annotated[str, Field(pattern=r"^refs/[!-~]{1,250}$")] | None = None
    environment: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    permissions: tuple[PermissionName, ...] = CI_PERMISSIONS

    @model_validator(mode="after")
    def _named_runs(self) -> "TrustRequest":
        if self.ref is None and self.environment is None:
            raise ValueError(
                "name a ref or an environment: without one, every user that can push a branch to "
                "the repository gets a token"
            )
        return self

    @model_validator(mode="after")
    def _no_managers(self) -> "TrustRequest":
        managing = [name for name in self.permissions if name.startswith("manage_")]
        if managing:
            raise ValueError(f"CI runs cannot have {', '.join(managing)}; only members manage")
        return self


class Trust(TrustRequest):
    """A stored trust.

    Attributes:
        created: In seconds since the epoch.
        created_by: User id of its author.
        suspended: Its author may not store it any more, so it gives no tokens; not stored.
    """

    name: Name
    created: float
    created_by: str
    suspended: bool = False

    @property
    def owner(self) -> str:
        """User id of its author."""
        return self.created_by


class TrustList(Record):
    """The trusts of an organisation, by name."""

    trusts: tuple[Trust, ...]
