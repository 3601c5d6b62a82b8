"""Requests of an administrator of the AWS account: tokens and plans."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from chalicelib.people.port import Identity, TokenRecord
from chalicelib.people.store.members import TableTokens
from chalicelib.people.store.organisations import TableOrgs
from chalicelib.people.tokens import new_token
from conducto.version import __version__
from conducto_core.errors import RefusedError
from conducto_core.installation.model import (
    AdminRequest,
    AdminResponse,
    InviteMember,
    ListTokens,
    MintToken,
    PlanInfo,
    RevokeToken,
    SetPlan,
    ShowPlan,
    ShowVersion,
    TokenInfo,
)
from conducto_core.installation.names import LAYOUT
from conducto_core.people.model import ID_LENGTH, InvitationLink, NewInvitation

#: Creates an invitation to an organisation; raises `RefusedError`.
Invite = Callable[[str, NewInvitation], InvitationLink]
_REQUEST: TypeAdapter[AdminRequest] = TypeAdapter(AdminRequest)
_DAY = 86_400


class Administration:
    """Tokens, plans and invitations.

    Args:
        tokens: The tokens of all organisations.
        orgs: The organisations.
        clock: Seconds since the epoch.
        revoked: Called with the digest of a revoked token.
        invite: Creates an invitation to an organisation.
    """

    def __init__(
        self,
        tokens: TableTokens,
        orgs: TableOrgs,
        clock: Callable[[], float],
        revoked: Callable[[str], None] = lambda _digest: None,
        invite: Invite | None = None,
    ) -> None:
        self._tokens = tokens
        self._orgs = orgs
        self._clock = clock
        self._revoked = revoked
        self._invite = invite

    def respond(self, asked: object) -> dict[str, Any]:
        """Execute a request and return an `AdminResponse` as JSON."""
        try:
            request = _REQUEST.validate_python(asked)
        except ValidationError as error:
            fields = {".".join(map(str, e["loc"])): e["msg"] for e in error.errors()}
            text = "; ".join(f"{name}: {message}" for name, message in fields.items())
            return AdminResponse(error=text).model_dump(mode="json")
        return self._execute(request).model_dump(mode="json")

    def _execute(self, request: AdminRequest) -> AdminResponse:
        match request:
            case MintToken():
                return self._mint(request)
            case ListTokens():
                return AdminResponse(tokens=tuple(map(_info, self._existing_plan(request.org))))
            case RevokeToken():
                return self._revoke(request)
            case InviteMember():
                return self._invited(request)
            case SetPlan() | ShowPlan():
                return self._planned(request)
            case ShowVersion():
                return AdminResponse(version=__version__, layout=LAYOUT)

    def _existing_plan(self, org: str) -> list[TokenRecord]:
        return [
            token for token in self._tokens.list_by_org(org) if token.identity.kind != "session"
        ]

    def _mint(self, request: MintToken) -> AdminResponse:
        token, digest = new_token()
        identity = Identity(request.org, request.user, frozenset(request.permissions))
        expires = None if request.days is None else self._clock() + request.days * _DAY
        self._tokens.put(digest, identity, expires=expires)
        return AdminResponse(
            token=token, tokens=(_info(TokenRecord(digest, identity, self._clock(), expires)),)
        )

    def _revoke(self, request: RevokeToken) -> AdminResponse:
        known = self._existing_plan(request.org)
        found = [token for token in known if token.digest.startswith(request.token)]
        if len(found) != 1:
            return AdminResponse(
                error=f"{request.org} has {len(found) or 'no'} tokens {request.token!r}; "
                "list them with 'conducto admin token list'"
            )
        self._tokens.revoke_once(found[0].digest)
        self._revoked(found[0].digest)
        return AdminResponse(tokens=(_info(found[0]),))

    def _invited(self, request: InviteMember) -> AdminResponse:
        if self._invite is None:
            return AdminResponse(error="this installation has no invitations")
        wanted = NewInvitation(email=request.email, role=request.role, user=request.user)
        try:
            return AdminResponse(invitation=self._invite(request.org, wanted))
        except RefusedError as error:
            return AdminResponse(error=str(error))

    def _planned(self, request: SetPlan | ShowPlan) -> AdminResponse:
        if isinstance(request, SetPlan):
            self._set_plan(request)
        return AdminResponse(plan=self._plan(request.org))

    def _set_plan(self, request: SetPlan) -> None:
        fields = request.model_dump(exclude_none=True, exclude=_SWITCHES)
        if request.unlimited_minutes:
            fields["exec_minutes"] = None
        if request.no_pipeline_budget:
            fields["pipeline_budget"] = None
        self._orgs.set_plan(request.org, replace(self._orgs.in_use(request.org).base, **fields))

    def _plan(self, org: str) -> PlanInfo:
        used = self._orgs.in_use(org)
        return PlanInfo(org=org, workers=used.workers, **asdict(used.plan))


#: Fields of `SetPlan` that are not those of a plan.
_SWITCHES = {"kind", "org", "unlimited_minutes", "no_pipeline_budget"}


def _info(token: TokenRecord) -> TokenInfo:
    return TokenInfo(
        id=token.digest[:ID_LENGTH],
        user=token.identity.user,
        permissions=tuple(sorted(token.identity.permissions)),
        created=token.created,
        expires=token.expires,
    )
