"""Sign-in of people and CI runs with an ID token, which is accepted once.

People get sessions of browsers and tokens of the command line, whose parent is their membership. CI
runs get tokens of an hour, whose parent is the trust of an organisation.
"""

import hmac
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

from chalicelib.people.port import Identity, VerifiedRun
from chalicelib.people.store.members import TableTokens
from chalicelib.people.suspension import Suspensions
from chalicelib.people.tokens import (
    CODE_SECONDS,
    SESSION_SECONDS,
    membership_digest,
    new_token,
    trust_digest,
)
from chalicelib.records import Records
from conducto_core.api import problems
from conducto_core.api.operation import Permission
from conducto_core.api.problems import ProblemError
from conducto_core.errors import NotFoundError
from conducto_core.people.model import (
    CiExchange,
    CliCode,
    CliExchange,
    CliLogin,
    IssuedToken,
    SessionToken,
    TokenKind,
    Trust,
    TrustList,
    TrustRequest,
)
from conducto_core.people.rules import INHERITED
from conducto_core.run.model.requests import Problem

#: Lifetime of a token of the command line, in seconds.
CLI_SECONDS = 90 * 86_400
#: Lifetime of a token of a CI run, in seconds.
CI_SECONDS = 3600
#: Maximum number of codes of a token in a minute; each is an item of the table for days.
MAX_CODES = 60
_CODE_ONLY = frozenset({Permission.SIGN_IN.value})


def check_codes(tokens: TableTokens, parent: str) -> None:
    """Count a sign-in code of a token; raises `ProblemError` (429) after too many in a minute."""
    if tokens.count_in_minute("codes", parent) > MAX_CODES:
        raise _refused(
            429,
            "too many codes",
            f"a token or a person gets {MAX_CODES} sign-in codes in a minute",
            "wait a minute, and sign in again",
        )


class SignIn:
    """Sign-in of one caller, whose token is an ID token or a code.

    Args:
        caller: The caller.
        begin: Begins the audit entry of a caller with an ID token, as the member that they are.
    """

    def __init__(
        self,
        records: Records,
        clock: Callable[[], float],
        caller: Identity,
        begin: Callable[[Identity], None],
    ) -> None:
        self._records = records
        self._clock = clock
        self._caller = caller
        self._begin = begin

    def start_session(self, org: str | None) -> SessionToken:
        """Exchange a person's ID token for the token of a browser's session.

        Raises:
            ProblemError: 401, the token was used; 403, the person is not a member.
        """
        orgs, org, owner = self._member(org)
        token = self._issue(owner, SESSION_SECONDS, "session")
        return SessionToken(
            token=token, seconds=SESSION_SECONDS, org=org, user=owner.user, orgs=orgs
        )

    def start_cli_login(self, request: CliLogin) -> CliCode:
        """Exchange a person's ID token for a code; raises as `start_session`."""
        _, org, owner = self._member(request.org)
        check_codes(self._records.tokens, owner.token)
        code, digest = new_token()
        self._records.tokens.put(
            digest,
            replace(owner, permissions=_CODE_ONLY, challenge=request.challenge),
            expires=self._clock() + CODE_SECONDS,
            parent=owner.token,
        )
        return CliCode(code=code, seconds=CODE_SECONDS, org=org, user=owner.user)

    def exchange_cli_code(self, request: CliExchange) -> IssuedToken:
        """Exchange a code and the verifier of its challenge for a token of the command line.

        Raises:
            ProblemError: 401, the code was used or the verifier is wrong; the code is then void.
        """
        code = self._caller
        found = sha256(request.verifier.encode()).hexdigest()
        # API Gateway caches the code's authorization for minutes after its first use.
        known = self._records.tokens.find(code.token)
        taken = known is not None and self._records.tokens.revoke_once(code.token)
        owner = None if code.parent is None else self._records.tokens.find(code.parent)
        right = code.challenge != "" and hmac.compare_digest(found, code.challenge)
        if not taken or owner is None or not right:
            raise _refused(
                401, "wrong code", "this code was used before, or is older than a minute", _AGAIN
            )
        return self._issued(owner, CLI_SECONDS)

    def exchange_ci_token(self, request: CiExchange) -> IssuedToken:
        """Exchange the ID token of a CI run for a token.

        Raises:
            ProblemError: 401, the token was used; 403, no trust of the organisation matches.
        """
        run = self._caller.run
        if run is None:
            raise _refused(401, "wrong token", "this is not the ID token of a CI run", _AGAIN)
        suspensions = Suspensions(self._records, request.org)
        for trust in self._records.trusts.list_by_name(request.org):
            owner = self._records.tokens.find(trust_digest(request.org, trust.name))
            if matches(trust, run) and owner is not None and not suspensions.covers(trust):
                self._consume(owner, run.expires)
                return self._issued(owner, CI_SECONDS, "token")  # a program, not a person
        # The same for an organisation that does not exist.
        raise _refused(
            403,
            "not trusted",
            f"no trust of {request.org} matches repository {run.repository}, ref {run.ref}, "
            f"environment {run.environment or 'none'}",
            "ask an administrator of the organisation to add one: conducto trusts add",
        )

    def _member(self, org: str | None) -> tuple[tuple[str, ...], str, Identity]:
        """Return a person's organisations, the chosen one, and the membership's root token."""
        person = self._caller.person
        if person is None:
            raise _refused(401, "wrong token", "this is not the ID token of a person", _AGAIN)
        memberships = self._records.identities.memberships(person)
        owners = {
            name: owner
            for name, user in memberships.items()
            if (owner := self._records.tokens.find(membership_digest(name, user))) is not None
        }
        if not owners or (org is not None and org not in owners):
            where = "any organisation" if org is None else org
            raise _refused(
                403,
                "not a member",
                f"{person.email or 'this person'} is not a member of {where}",
                "ask an administrator of the organisation for an invitation",
            )
        chosen = org or min(owners)
        self._consume(owners[chosen], person.expires)
        return tuple(owners), chosen, owners[chosen]

    def _consume(self, owner: Identity, expires: float) -> None:
        self._begin(replace(self._caller, org=owner.org, user=owner.user))
        if not self._records.identities.consume(self._caller.token, expires):
            raise _refused(401, "wrong token", "this ID token was used before", _AGAIN)

    def _issue(self, owner: Identity, seconds: float, kind: TokenKind = "login") -> str:
        token, digest = new_token()
        self._records.tokens.put(
            digest,
            replace(owner, permissions=INHERITED),
            expires=self._clock() + seconds,
            parent=owner.token,
            kind=kind,
        )
        return token

    def _issued(self, owner: Identity, seconds: float, kind: TokenKind = "login") -> IssuedToken:
        return IssuedToken(
            token=self._issue(owner, seconds, kind),
            org=owner.org,
            user=owner.user,
            expires=self._clock() + seconds,
        )


class TrustedRuns:
    """The trusts of the caller's organisation."""

    def __init__(self, records: Records, clock: Callable[[], float], caller: Identity) -> None:
        self._records = records
        self._clock = clock
        self._caller = caller

    def listing(self) -> TrustList:
        """Return the trusts, by name."""
        org = self._caller.org
        found = Suspensions(self._records, org).marked(self._records.trusts.list_by_name(org))
        return TrustList(trusts=tuple(found))

    def put(self, name: str, request: TrustRequest) -> Trust:
        """Store a trust; the tokens of an earlier one of this name get its permissions.

        Raises:
            ProblemError: 403, the caller has fewer permissions.
        """
        problems.check_allowed(request.permissions, self._caller.permissions)
        org, now = self._caller.org, self._clock()
        given = request.model_dump(include=set(TrustRequest.model_fields))
        trust = Trust(**given, name=name, created=now, created_by=self._caller.user)
        # No member's name has an "@", so the runs have no secrets of a member.
        owner = Identity(org, f"ci@{name}", frozenset(request.permissions))
        # If this is interrupted, no token has the permissions of the earlier trust.
        self._records.tokens.revoke_once(trust_digest(org, name))
        self._records.trusts.put(org, trust)
        self._records.tokens.put_root(trust_digest(org, name), owner)
        return trust

    def delete(self, name: str) -> TrustList:
        """Delete a trust and its tokens; raises `NotFoundError`."""
        self._records.tokens.revoke_once(trust_digest(self._caller.org, name))
        if not self._records.trusts.delete(self._caller.org, name):
            raise NotFoundError(
                f"there is no trust {name!r}; list them with 'conducto trusts list'"
            )
        return self.listing()


def matches(trust: Trust, run: VerifiedRun) -> bool:
    """Return whether a trust covers a CI run."""
    return (
        trust.repository == run.repository
        and trust.ref in (None, run.ref)
        and trust.environment in (None, run.environment)
    )


_AGAIN = "sign in again"


def _refused(status: int, title: str, detail: str, remedy: str) -> ProblemError:
    return ProblemError(Problem(title=title, status=status, detail=detail, remedy=remedy))
