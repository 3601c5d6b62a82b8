"""Who calls, what they may, their secrets, and who follows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from conducto_core.model.base import Record
from conducto_core.model.usage import PipelineSpent

#: Bytes of a WebSocket frame. API Gateway closes a connection to which a larger one is sent, also
#: by ``@connections`` (quotas for WebSocket APIs in API Gateway).
FRAME_LIMIT = 32 << 10


class SecretVault(Protocol):
    """Values of secrets by scope (Secrets Manager): one JSON object a scope."""

    def read(self, scope: str) -> Mapping[str, Mapping[str, Any]]:
        """Return ``{key: {"value": …, "mask": …, "updated": …}}``; empty when there is none."""

    def look(self, scope: str) -> tuple[Mapping[str, Mapping[str, Any]], str]:
        """Return the same, and the version it is; an empty one when there is none."""

    def replace(self, scope: str, secrets: Mapping[str, Mapping[str, Any]], version: str) -> None:
        """Put secrets in the place of a version of the scope's.

        Raises:
            ConflictError: it has another version by now; nothing was changed.
        """


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls.

    Attributes:
        permissions: Of `conducto_core.api.routes.Permission`, or ``worker``.
        worker: Of a worker's token: ``(pipeline id, pool, worker id)``.
        token: Digest of the token that says so; "" before it is kept.
        parent: Digest of the token that it was made from, and that it ends with.
    """

    org: str
    user: str
    permissions: frozenset[str]
    worker: tuple[str, str, str] | None = None
    token: str = field(default="", compare=False)
    parent: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token as listed; the token itself is kept nowhere.

    Attributes:
        created: When it was made.
        expires: When it ends; None: never.
    """

    digest: str
    identity: Identity
    created: float
    expires: float | None


class Tokens(Protocol):
    """Opaque tokens; only their SHA-256 is kept."""

    def put(
        self, digest: str, identity: Identity, *, expires: float | None, parent: str | None = None
    ) -> None:
        """Make a token known; with a ``parent`` it is good as long as that one is, too."""

    def find(self, digest: str) -> Identity | None:
        """Return whose token it is, unless it or its parent has expired or was taken back."""

    def take(self, digest: str) -> bool:
        """Take a token back; return whether it was there: of many who try, one hears so."""

    def known(self, org: str) -> Sequence[TokenRecord]:
        """Return an org's tokens, the newest first; none of workers, and none with a parent."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an organisation may do at once.

    Attributes:
        name: ``free``, ``full``, ``scale`` or what an administrator calls it.
        max_workers: Workers at once.
        max_pipelines: Active pipelines.
        max_cpu: vCPUs of one worker.
        exec_minutes: Minutes of workers a month; None: any number.
    """

    name: str = "free"
    max_workers: int = 2
    max_pipelines: int = 5
    max_cpu: float = 4.0
    exec_minutes: float | None = 1000.0


FREE = Plan()
#: Of organisations in an installation without billing, which its owner pays AWS for.
FULL = Plan("full", max_workers=1000, max_pipelines=1000, max_cpu=16.0, exec_minutes=None)


@dataclass(frozen=True, slots=True)
class Spender:
    """The pipeline that something was used for.

    Attributes:
        title: As it is now.
        dollars: What the use cost.
        attempts: Attempts that ended with it.
    """

    pipeline_id: str
    title: str
    dollars: float
    attempts: int = 1


class Share(Record):
    """A pipeline's share of its organisation's workers.

    Attributes:
        workers: Those it has; one that was told to stop is none of them.
        reserved: Workers with which the ``new`` groups that have begun can finish
            (`conducto_core.semantics.capacity.claim`).
        waiting: Since when it waits for a worker, in seconds since the epoch; None: it does not.
    """

    workers: int = 0
    reserved: int = 0
    waiting: float | None = None


class InUse(NamedTuple):
    """What an organisation has of its plan in one moment.

    Attributes:
        workers: Workers it has now, debug shells included.
        reserved: Workers that are reserved, one for each debug shell included.
    """

    plan: Plan
    workers: int
    reserved: int


class Orgs(Protocol):
    """Organisations and their plans."""

    def plan(self, org: str) -> Plan:
        """Return an org's plan; the installation's first one where none was set."""

    def set_plan(self, org: str, plan: Plan) -> None:
        """Change it."""

    def workers(self, org: str) -> int:
        """Return how many workers the org has now."""

    def in_use(self, org: str) -> InUse:
        """Return the plan and what is in use of it, for the price of one."""

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
        """Count a worker's or an Exec's seconds once: ``key`` names what was metered.

        What has a spender is in the pipeline's sums of the month, too, which outlive it.

        Raises:
            ThrottledError: it is to be tried again: others count at the same time.
        """

    def spent(self, org: str, month: str) -> Sequence[PipelineSpent]:
        """Return what each pipeline took in a month, without its nodes."""

    def usage(self, org: str, month: str) -> Mapping[str, float]:
        """Return ``{"exec_seconds": …, "cpu_seconds": …}`` of a month, e.g. ``2026-11``."""


class Connections(Protocol):
    """Open WebSockets, whose each is, and what it follows."""

    def opened(self, connection: str, token: str, parent: str | None = None) -> None:
        """Note by which token a connection was opened, and the one that it ends with; digests."""

    def opened_by(self) -> Iterator[tuple[str, str, str | None]]:
        """Yield ``(connection, digest of its token, digest of that one's parent)`` of all."""

    def token_of(self, connection: str) -> str | None:
        """Return the digest of a connection's token; None: it has not sent one so far."""

    def put(self, connection: str, org: str, pipeline_id: str, cursor: int) -> None:
        """Note what a connection follows and how far it is told."""

    def followers(self, pipeline_id: str) -> Sequence[tuple[str, int]]:
        """Return ``(connection, cursor)`` of who follows a pipeline."""

    def delete(self, connection: str) -> None:
        """Forget it."""

    def close(self, connection: str) -> None:
        """Forget it, and hang up; one that is gone is no error."""

    def send(self, connection: str, data: bytes) -> bool:
        """Send a frame; False when the connection is gone."""
