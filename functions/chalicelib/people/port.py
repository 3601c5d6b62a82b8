"""Identities, tokens, secrets, plans, and WebSocket connections."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from chalicelib.remote.port import AgentKey
from conducto_core.billing.model import PipelineSpent
from conducto_core.billing.rules import FREE, NO_BILLING, Billing, BillingPlan, Stored, effective
from conducto_core.installation.names import Scope
from conducto_core.people.model import (
    AuditEntry,
    AuditPage,
    AuditParams,
    Invitation,
    Member,
    Role,
    TokenKind,
)
from conducto_core.record import Record
from conducto_core.run.model.records import PipelineRecord
from conducto_core.workers.rules.pools import Claimant

#: Maximum bytes of a WebSocket frame. API Gateway closes a connection that is sent a larger one,
#: also through ``@connections`` (quotas for WebSocket APIs in API Gateway).
FRAME_LIMIT = 32 << 10


class SecretVault(Protocol):
    """Secret values by scope (Secrets Manager), one JSON object per scope."""

    def read(self, scope: str) -> Mapping[str, Mapping[str, Any]]:
        """Return ``{key: {"value": …, "mask": …, "updated": …}}``, or {} if the scope has none."""

    def read_version(self, scope: str) -> tuple[Mapping[str, Mapping[str, Any]], str]:
        """Return the secrets and their version, which is "" if there are none."""

    def replace(self, scope: str, secrets: Mapping[str, Mapping[str, Any]], version: str) -> None:
        """Replace a version of a scope's secrets; the old values no longer exist anywhere.

        Raises:
            ConflictError: The scope has another version by now; nothing was changed.
        """


@dataclass(frozen=True, slots=True)
class VerifiedPerson:
    """A person, as the ID token of the identity provider describes them.

    Attributes:
        issuer: The provider.
        subject: The person's id at the provider.
        email: The verified e-mail address in lower case; "" if it is not verified.
        expires: When the ID token expires, in seconds since the epoch.
    """

    issuer: str
    subject: str
    email: str
    expires: float


@dataclass(frozen=True, slots=True)
class VerifiedRun:
    """A run of a CI service, as its ID token describes it.

    Attributes:
        issuer: The CI service.
        repository: The numeric id of the repository; names can change hands, ids cannot.
        ref: The git ref, such as ``refs/heads/main``.
        environment: The deployment environment; "" if the job has none.
        event: The event that started the run, such as ``push``.
        subject: The subject of the token, for the audit log.
        expires: When the ID token expires, in seconds since the epoch.
    """

    issuer: str
    repository: str
    ref: str
    environment: str
    event: str
    subject: str
    expires: float


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of a caller.

    Attributes:
        permissions: Values of `conducto_core.api.operation.Permission`.
        worker: For a worker's token: ``(pipeline id, pool, worker id)``.
        token: Digest of the token; "" before it is stored.
        attempt: For the token of a command: ``(pipeline id, path, number)`` of its attempt.
        parent: Digest of the token that it was created from, and with which it expires.
        challenge: For the code of ``conducto login``: the SHA-256 of the verifier that its
            exchange needs, in hexadecimal; otherwise "".
        person: For the ID token of a person, who has no organisation yet.
        run: For the ID token of a CI run.
        kind: The kind of the token.
        scopes: Those of an assistant's token.
        created: When the token was created.
        budget: Maximum cost in dollars of its pipelines whose tree has none.
    """

    org: str
    user: str
    permissions: frozenset[str]
    worker: tuple[str, str, str] | None = None
    attempt: tuple[str, str, int] | None = None
    token: str = field(default="", compare=False)
    parent: str | None = field(default=None, compare=False)
    challenge: str = ""
    person: VerifiedPerson | None = None
    run: VerifiedRun | None = None
    kind: TokenKind = field(default="login", compare=False)
    scopes: tuple[Scope, ...] = ()
    created: float = field(default=0.0, compare=False)
    budget: float | None = None


class InvalidIdTokenError(Exception):
    """An ID token is not valid here; the message has the reason, for the log only."""


class IdentityProvider(Protocol):
    """Verifies ID tokens."""

    @property
    def configured(self) -> bool:
        """Whether people sign in with an identity provider."""

    def person(self, id_token: str) -> VerifiedPerson:
        """Return the person of an ID token; raises `InvalidIdTokenError`."""

    def run(self, id_token: str) -> VerifiedRun:
        """Return the CI run of an ID token; raises `InvalidIdTokenError`."""


class Identities(Protocol):
    """The memberships of people at identity providers, which `People` writes."""

    def memberships(self, person: VerifiedPerson) -> Mapping[str, str]:
        """Return ``{organisation: user id}`` of a person, by organisation."""

    def unlink(self, issuer: str, subject: str, org: str) -> None:
        """Delete a person's membership of an organisation, if there is one."""

    def consume(self, digest: str, expires: float) -> bool:
        """Mark an ID token as used; return True for exactly one of concurrent callers."""


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token as listed; the token itself is not stored.

    Attributes:
        created: When it was created.
        expires: When it expires; None: never.
        name: The name that its creator gave it; "" if it has none.
    """

    digest: str
    identity: Identity
    created: float
    expires: float | None
    name: str = ""


class Tokens(Protocol):
    """Opaque tokens; only their SHA-256 digests are stored."""

    def put(
        self,
        digest: str,
        identity: Identity,
        *,
        expires: float | None,
        parent: str | None = None,
        kind: TokenKind = "login",
        name: str = "",
    ) -> None:
        """Store a token; one with a ``parent`` is valid only while its parent is."""

    def put_root(self, digest: str, identity: Identity) -> None:
        """Store the parent of a trust's tokens, which is not listed."""

    def find(self, digest: str) -> Identity | None:
        """Return a token's identity with the permissions that it and its parent have.

        None: the token or its parent is unknown, was revoked, or has expired.
        """

    def revoke_once(self, digest: str) -> bool:
        """Revoke a token; return True for exactly one of concurrent callers."""

    def count_in_minute(self, what: str, token: str) -> int:
        """Count a use of a token, such as a sign-in code, and return the number in this minute."""

    def signing_key(self) -> bytes:
        """Return the secret key of the installation that signs what assistants send back."""

    def known(self, org: str) -> Sequence[TokenRecord]:
        """Return the tokens of an organisation's users, newest first, with their sessions."""


@dataclass(frozen=True, slots=True)
class Spender:
    """The pipeline that usage is charged to.

    Attributes:
        title: Its current title.
        dollars: Cost of the usage.
        attempts: Attempts that ended with it.
        program: Its script, if known.
        function: The function of its script, if known.
    """

    pipeline_id: str
    title: str
    dollars: float
    attempts: int = 1
    program: str | None = None
    function: str | None = None

    @classmethod
    def for_pipeline(cls, record: PipelineRecord, dollars: float, attempts: int = 1) -> "Spender":
        """Return the spender of a pipeline."""
        named = (record.program, record.function)
        return cls(record.id, record.title, dollars, attempts, *named)


class Measured(NamedTuple):
    """What a pipeline stored at a time, in seconds since the epoch."""

    time: float
    stored: Stored


class Share(Record):
    """A pipeline's share of its organisation's workers.

    Attributes:
        workers: Number of workers, without those that were asked to stop.
        reserved: Workers with which the ``new`` groups that have started can finish
            (`conducto_core.workers.rules.pools.claim`).
        waiting: Since when it waits for a worker, in seconds since the epoch; None: it does not.
        wanted: Number of further workers that it could use now, at most as many as the plan allows.
        since: When it got the first of its workers; None: it has none.
        keeps: Number of workers to keep: others end after their commands; None: all.
        warm: Number of workers that stay for its next run; None: none.
        warm_since: When the last of these became idle.
    """

    workers: int = 0
    reserved: int = 0
    waiting: float | None = None
    wanted: int = 0
    since: float | None = None
    keeps: int | None = None
    warm: int | None = None
    warm_since: float | None = None

    def claimant(self) -> Claimant:
        """Return it for the distribution of workers."""
        since = self.since if self.workers else self.waiting
        return Claimant(self.workers, self.wanted, since or 0.0, self.reserved)


class InUse(NamedTuple):
    """An organisation's plan and its current use.

    Attributes:
        plan: The effective plan.
        workers: Current workers, including debug shells.
        reserved: Reserved workers, including one for each debug shell.
        base: The plan without its subscription.
        paying: Whether its workers are charged.
        suspended: Whether its spend limit is reached: no worker and no command starts.
        billing: Its subscription.
        accrued: Dollars of the current billing period.
    """

    plan: BillingPlan
    workers: int
    reserved: int
    base: BillingPlan = FREE
    paying: bool = False
    suspended: bool = False
    billing: Billing = NO_BILLING
    accrued: float = 0.0

    @classmethod
    def for_org(  # noqa: PLR0917  the attributes of one item
        cls,
        base: BillingPlan,
        billing: Billing,
        accrued: float,
        workers: int,
        reserved: int,
        now: float,
    ) -> "InUse":
        """Return the effective plan of an organisation and its use."""
        found = effective(base, billing, accrued, now)
        gates = (found.paying, found.suspended)
        return cls(found.plan, workers, reserved, base, *gates, billing, accrued)


class Orgs(Protocol):
    """Organisations and their plans."""

    def plan(self, org: str) -> BillingPlan:
        """Return an organisation's effective plan."""

    def set_plan(self, org: str, plan: BillingPlan) -> None:
        """Set an organisation's plan; a subscription allows at least the plan ``scale``."""

    def set_billing(self, org: str, billing: Billing, accrued: float, *, fetched: float) -> None:
        """Set the part of a subscription that gates workers, unless a later one is stored.

        Args:
            org: The organisation.
            billing: Its subscription; the spend limit stays as it is.
            accrued: Dollars of the billing period; they are set once per period.
            fetched: When the subscription was fetched.
        """

    def set_limit(self, org: str, limit: float | None, grace_minutes: float) -> None:
        """Set the maximum dollars of a billing period, and the minutes that commands get then."""

    def workers(self, org: str) -> int:
        """Return the number of workers that the organisation has now."""

    def in_use(self, org: str) -> InUse:
        """Return the plan and its use in one read."""

    def shares(self, org: str) -> Mapping[str, Share]:
        """Return ``{pipeline id: share}`` of the pipelines that have one (a consistent read)."""

    def add_usage(
        self,
        org: str,
        month: str,
        key: str,
        seconds: float,
        cpu: float,
        *,
        whose: Spender | None = None,
    ) -> None:
        """Meter the seconds of a worker or an Exec once; ``key`` identifies them.

        Usage with a spender also counts in the pipeline's monthly sums, which outlive the pipeline.

        Raises:
            ThrottledError: Concurrent writers; retry.
        """

    def spent(self, org: str, month: str) -> Sequence[PipelineSpent]:
        """Return the usage of each pipeline in a month, without its nodes."""

    def spent_by(self, org: str, month: str, pipeline_id: str) -> PipelineSpent | None:
        """Return the usage of one pipeline in a month, or None."""

    def measured(self, pipeline_id: str) -> Measured | None:
        """Return the last measurement of what a pipeline stores, or None."""

    def measured_last(self) -> tuple[str, str]:
        """Return ``(org, pipeline id)`` of the last `note_measured`; empty strings: none."""

    def note_measured(self, org: str, pipeline_id: str) -> None:
        """Record how far the daily measurement of storage has come, in the order of these pairs."""

    def add_storage(
        self,
        org: str,
        whose: Spender,
        before: Measured | None,
        now: Measured,
        dollars: Mapping[str, float],
    ) -> None:
        """Replace a pipeline's measurement, and add ``{month: dollars}`` to its monthly sums.

        Raises:
            ConflictError: ``before`` is not the last measurement.
        """

    def usage(self, org: str, month: str) -> Mapping[str, float]:
        """Return ``{"exec_seconds": …, "cpu_seconds": …}`` of a month, e.g. ``2026-11``."""


class Connections(Protocol):
    """Open WebSockets: their tokens and the pipelines that they follow."""

    def opened(self, connection: str, token: str, parent: str | None = None) -> None:
        """Store the digests of a connection's token and of that token's parent."""

    def opened_by(self, *, agents: bool = True) -> Iterator[tuple[str, str, str | None]]:
        """Yield ``(connection, token digest, digest of the token's parent)`` of all connections.

        ``agents``: also those of linked agents.
        """

    def token_of(self, connection: str) -> str | None:
        """Return the digest of a connection's token, or None if it has not sent one yet."""

    def link(self, connection: str, agent: AgentKey) -> None:
        """Store the agent that a connection belongs to."""

    def agent_of(self, connection: str) -> AgentKey | None:
        """Return the agent that a connection belongs to, or None."""

    def put(self, connection: str, org: str, pipeline_id: str, cursor: int) -> None:
        """Store the pipeline that a connection follows, and the last change that it received."""

    def followers(self, pipeline_id: str) -> Sequence[tuple[str, int]]:
        """Return ``(connection, cursor)`` of a pipeline's followers."""

    def delete(self, connection: str) -> None:
        """Delete the record of a connection."""

    def close(self, connection: str) -> None:
        """Delete the record of a connection and close it; a closed one is not an error."""

    def send(self, connection: str, data: bytes) -> bool:
        """Send a frame; return False if the connection is closed."""


# ----------------------------------------------------------------------------------------
# Organisations' members, invitations, and audit log.


class InvitationRecord(Record):
    """An invitation and its state."""

    invitation: Invitation
    digest: str
    state: Literal["open", "accepted", "withdrawn"] = "open"


class People(Protocol):
    """The members of all organisations.

    Each membership is also in `Tokens`, as the root of the member's tokens and sessions, under
    `chalicelib.people.tokens.membership_digest`.
    """

    def members(self, org: str) -> Sequence[Member]:
        """Return the members of an organisation, by name."""

    def member(self, org: str, user: str) -> Member | None:
        """Return a member."""

    def has_left(self, org: str, user: str) -> bool:
        """Return whether there was a member of that name, who left or was removed."""

    def former(self, org: str) -> Sequence[str]:
        """Return the user ids of members who left or were removed."""

    def forget_former(self, org: str, user: str) -> None:
        """Forget that there was a member of that name."""

    def person(self, org: str, user: str) -> VerifiedPerson | None:
        """Return the person at the identity provider who is a member, if known."""

    def join(
        self,
        org: str,
        member: Member,
        *,
        invitation: str | None = None,
        person: VerifiedPerson | None = None,
        first: bool = False,
    ) -> None:
        """Add a member in one transaction.

        Args:
            org: The organisation.
            member: The member.
            invitation: Digest of an open invitation, which becomes an accepted one.
            person: The person at the identity provider, who must not be another member; also in
                `Identities`.
            first: The organisation must not have had a member, a plan or a subscription before.

        Raises:
            ConflictError: There is a member of that name, or another condition is not met.
        """

    def change(self, org: str, member: Member, role: Role | None, by: str | None) -> None:
        """Change a member's role, or remove the member (None), in one transaction.

        The conditions are that the role is still ``member.role``, that an owner is left, and that
        ``by`` is still a member with the role that the change needs.

        Raises:
            ConflictError: A condition is not met; nothing was changed.
        """

    def invite(self, org: str, record: InvitationRecord) -> None:
        """Store an invitation."""

    def invitations(self, org: str) -> Sequence[InvitationRecord]:
        """Return the invitations of an organisation, the newest first."""

    def invitation(self, org: str, digest: str) -> InvitationRecord | None:
        """Return an invitation."""

    def withdraw(self, org: str, digest: str) -> None:
        """Withdraw an open invitation; raises `ConflictError` for any other."""

    def drop_invitation(self, org: str, digest: str) -> None:
        """Delete the record of an invitation."""

    def dissolve(self, org: str) -> None:
        """Remove all members and invitations at once, without the conditions of `change`.

        Nobody can be the ``first`` member again: the audit log, usage and subscription stay.
        """


class AuditLog(Protocol):
    """The requests of each organisation that did more than read."""

    def add(self, org: str, entry: AuditEntry) -> str:
        """Store an entry, and return its position."""

    def end(self, org: str, position: str, status: int, subject: str | None) -> None:
        """Store the status of a response; ``subject``: it replaces that of the entry."""

    def page(self, org: str, params: AuditParams) -> AuditPage:
        """Return a page of entries, the newest first."""

    def rename(
        self, org: str, user: str, replacement: str, check: Callable[[], None] = lambda: None
    ) -> int:
        """Replace a user's name in all entries; return their number.

        ``check`` is called before each entry, and may raise to stop.
        """


# ----------------------------------------------------------------------------------------
# Records of an organisation under names: trusts, notification rules and triggers.


class Named(Protocol):
    """A record with a name."""

    @property
    def name(self) -> str:
        """Its name, unique in its organisation."""

    def model_dump_json(self) -> str:
        """Return it as JSON."""

    @classmethod
    def model_validate_json(cls, json_data: str) -> Any:
        """Return the record that JSON describes."""


R = TypeVar("R", bound=Named)


class NamedRecords(Protocol[R]):
    """The records of one kind, of all organisations."""

    def list_by_name(self, org: str) -> Sequence[R]:
        """Return the records of an organisation, by name."""

    def get(self, org: str, name: str) -> R | None:
        """Return a record."""

    def put(self, org: str, record: R) -> None:
        """Store a record, replacing one of the same name."""

    def delete(self, org: str, name: str) -> bool:
        """Delete a record; return whether there was one."""
