"""Identities, secrets and plans, and the records of tokens, usage and invitations."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from conducto_core.assistants.model import AN_ASSISTANT
from conducto_core.billing.rules import FREE, NO_BILLING, Billing, BillingPlan, Stored, effective
from conducto_core.installation.names import Scope
from conducto_core.people.model import (
    Invitation,
    TokenKind,
)
from conducto_core.record import Record
from conducto_core.run.model.records import Actor, PipelineRecord
from conducto_core.workers.rules.pools import Claimant

#: Maximum bytes of a WebSocket frame. API Gateway closes a connection that is sent a larger one,
#: also through ``@connections`` (quotas for WebSocket APIs in API Gateway).
FRAME_LIMIT = 32 << 10


#: Mails a text (address, subject, text, password of the mail server); returns whether there is a
#: mail server; raises `conducto.integrations.http.DeliveryError`.
Mail = Callable[[str, str, str, str | None], bool]


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
        client: The program of an assistant, as this request names it.
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
    client: str = field(default="", compare=False)

    @property
    def actor(self) -> Actor:
        """Return who requests an action."""
        assistant = self.client or AN_ASSISTANT if self.kind == "assistant" else None
        return Actor(user=self.user, assistant=assistant)


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


class InvitationRecord(Record):
    """An invitation and its state."""

    invitation: Invitation
    digest: str
    state: Literal["open", "accepted", "withdrawn"] = "open"
