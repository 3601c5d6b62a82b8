"""Organisations, tokens and connections in memory."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from chalicelib.errors import ConflictError, PlanLimitError
from chalicelib.people.port import (
    FRAME_LIMIT,
    Identity,
    InUse,
    Measured,
    Share,
    Spender,
    TokenRecord,
)
from chalicelib.people.tokens import is_listed
from chalicelib.remote.port import AgentKey
from conducto_core.billing.model import PipelineSpent
from conducto_core.billing.rules import NO_BILLING, Billing, BillingPlan
from conducto_core.people.model import TokenKind
from conducto_core.people.rules import narrowed
from conducto_core.run.model.records import Wait
from conducto_core.run.rules import waits


class FakeOrgs:
    """A fake `Orgs`.

    Attributes:
        plans: ``{org: plan}``; all other organisations have the free plan.
        billing: ``{org: subscription}``.
        accrued: ``{org: dollars of the billing period}``.
    """

    def __init__(self, clock: Callable[[], float] = lambda: 0.0) -> None:
        self._clock = clock
        self.plans: dict[str, BillingPlan] = {}
        self.billing: dict[str, Billing] = {}
        self.accrued: dict[str, float] = {}
        self._fetched: dict[str, tuple[float, float]] = {}
        self._workers: dict[str, int] = {}
        self._reserved: dict[str, int] = {}
        self._shares: dict[str, dict[str, Share]] = {}
        self._usage: dict[tuple[str, str], dict[str, tuple[float, float]]] = {}
        self._spent: dict[tuple[str, str], dict[str, PipelineSpent]] = {}
        self._measured: dict[str, Measured] = {}
        self._measured_last = "", ""

    def plan(self, org: str) -> BillingPlan:
        return self.in_use(org).plan

    def set_plan(self, org: str, plan: BillingPlan) -> None:
        self.plans[org] = plan

    def set_billing(self, org: str, billing: Billing, accrued: float, *, fetched: float) -> None:
        before, began = self._fetched.get(org, (-1.0, None))
        if fetched <= before:
            return
        known = self.billing.get(org, NO_BILLING)
        self.billing[org] = replace(
            billing,
            limit=known.limit,
            limit_set=known.limit_set,
            grace_minutes=known.grace_minutes,
        )
        self._fetched[org] = (fetched, billing.period)
        if began != billing.period:
            self.accrued[org] = accrued

    def set_limit(self, org: str, limit: float | None, grace_minutes: float) -> None:
        known = self.billing.get(org, NO_BILLING)
        now = self._clock()
        self.billing[org] = replace(known, limit=limit, limit_set=now, grace_minutes=grace_minutes)

    def workers(self, org: str) -> int:
        return self._workers.get(org, 0)

    def in_use(self, org: str) -> InUse:
        return InUse.for_org(
            self.plans.get(org, BillingPlan()),
            self.billing.get(org, NO_BILLING),
            self.accrued.get(org, 0.0),
            self.workers(org),
            self._reserved.get(org, 0),
            self._clock(),
        )

    def shares(self, org: str) -> Mapping[str, Share]:
        return dict(self._shares.get(org, {}))

    def set_share(self, org: str, pipeline_id: str, share: Share) -> None:
        """Write a pipeline's share; the store does so with an entry."""
        shares = self._shares.setdefault(org, {})
        shares[pipeline_id] = share
        if share == Share():
            del shares[pipeline_id]

    def count(self, org: str, workers: int, reserved: int = 0, *, admits: bool = False) -> None:
        """Add to the number of workers; the store does so with an entry.

        Raises:
            PlanLimitError: The plan does not allow that number.
        """
        used = self.in_use(org)
        plan, has, holds = used[:3]
        if used.suspended and workers > 0:
            raise PlanLimitError(Wait("the spend limit is reached", "spend_limit"))
        too_many = workers > 0 and has + workers > plan.max_workers
        if too_many or (admits and reserved > 0 and holds + reserved > plan.max_workers):
            raise PlanLimitError(waits.plan_workers(plan, 0, "or choose a larger plan"))
        self._workers[org], self._reserved[org] = has + workers, holds + reserved

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
        counted = self._usage.setdefault((org, month), {})
        if key in counted:
            return
        counted[key] = (seconds, seconds * cpu)
        if whose is not None:
            self._add(
                org,
                month,
                whose,
                attempts=whose.attempts,
                seconds=seconds,
                cpu_seconds=seconds * cpu,
                dollars=whose.dollars,
            )

    def _add(self, org: str, month: str, whose: Spender, **more: float) -> None:
        sums = self._spent.setdefault((org, month), {})
        empty = PipelineSpent(id=whose.pipeline_id, title="", month=month)
        before = sums.get(whose.pipeline_id, empty)
        changed = {name: getattr(before, name) + value for name, value in more.items()}
        known = {"program": whose.program, "function": whose.function}
        changed |= {name: value for name, value in known.items() if value is not None}
        sums[whose.pipeline_id] = before.model_copy(update={"title": whose.title, **changed})

    def spent_by(self, org: str, month: str, pipeline_id: str) -> PipelineSpent | None:
        return self._spent.get((org, month), {}).get(pipeline_id)

    def measured(self, pipeline_id: str) -> Measured | None:
        return self._measured.get(pipeline_id)

    def measured_last(self) -> tuple[str, str]:
        return self._measured_last

    def note_measured(self, org: str, pipeline_id: str) -> None:
        self._measured_last = org, pipeline_id

    def add_storage(
        self,
        org: str,
        whose: Spender,
        before: Measured | None,
        now: Measured,
        dollars: Mapping[str, float],
    ) -> None:
        if self._measured.get(whose.pipeline_id) != before:
            raise ConflictError(f"{whose.pipeline_id} was measured meanwhile")
        self._measured[whose.pipeline_id] = now
        for month, each in dollars.items():
            self._add(org, month, whose, storage_dollars=each)

    def spent(self, org: str, month: str) -> Sequence[PipelineSpent]:
        return list(self._spent.get((org, month), {}).values())

    def usage(self, org: str, month: str) -> Mapping[str, float]:
        all_of_it = self._usage.get((org, month), {}).values()
        return {
            "exec_seconds": sum(seconds for seconds, _ in all_of_it),
            "cpu_seconds": sum(cpu for _, cpu in all_of_it),
        }


class FakeTokens:
    """Tokens by digest."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: dict[str, TokenRecord] = {}
        self._counts: Counter[tuple[str, str, int]] = Counter()

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
        now = self._clock()
        kept = replace(identity, token=digest, parent=parent, kind=kind, created=now)
        self._kept[digest] = TokenRecord(digest, kept, now, expires, name)

    def put_root(self, digest: str, identity: Identity) -> None:
        self.put(digest, identity, expires=None)

    def find(self, digest: str) -> Identity | None:
        token = self._kept.get(digest)
        if token is None or (token.expires is not None and token.expires <= self._clock()):
            return None
        identity = token.identity
        if identity.parent is None:
            return identity
        parent = self.find(identity.parent)
        if parent is None:
            return None
        may = narrowed(identity.permissions, parent.permissions)
        return replace(identity, permissions=may)

    def revoke_once(self, digest: str) -> bool:
        return self._kept.pop(digest, None) is not None

    def count_in_minute(self, what: str, token: str) -> int:
        self._counts[what, token, int(self._clock() // 60)] += 1
        return self._counts[what, token, int(self._clock() // 60)]

    def signing_key(self) -> bytes:
        return b"a key of the tests"

    def known(self, org: str) -> Sequence[TokenRecord]:
        own = [t for d, t in self._kept.items() if ":" not in d]
        people = [token for token in own if is_listed(token.identity)]
        mine = [token for token in people if token.identity.org == org]
        return sorted(mine, key=lambda token: token.created, reverse=True)


class FakeConnections:
    """A fake `Connections`.

    Attributes:
        sent: ``{connection: frames}``.
        gone: Connections that the client has closed.
        broken: Connections for which sending and closing raise an error.
        closed: Connections that the API has closed.
    """

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.sent: dict[str, list[bytes]] = {}
        self.gone: set[str] = set()
        self.closed: list[str] = []
        self._token: dict[str, str] = {}
        self._parent: dict[str, str | None] = {}
        self._follow: dict[str, tuple[str, str, int]] = {}
        self._agent: dict[str, AgentKey] = {}

    def opened(self, connection: str, token: str, parent: str | None = None) -> None:
        self._token[connection] = token
        self._parent[connection] = parent

    def opened_by(self, *, agents: bool = True) -> Iterator[tuple[str, str, str | None]]:
        for connection, token in list(self._token.items()):
            if not agents and connection in self._agent:
                continue
            yield connection, token, self._parent.get(connection)

    def token_of(self, connection: str) -> str | None:
        return self._token.get(connection)

    def link(self, connection: str, agent: AgentKey) -> None:
        self._agent[connection] = agent

    def agent_of(self, connection: str) -> AgentKey | None:
        return self._agent.get(connection)

    def put(self, connection: str, org: str, pipeline_id: str, cursor: int) -> None:
        self._follow[connection] = (org, pipeline_id, cursor)

    def followers(self, pipeline_id: str) -> Sequence[tuple[str, int]]:
        return [
            (connection, cursor)
            for connection, (_, followed, cursor) in self._follow.items()
            if followed == pipeline_id
        ]

    def delete(self, connection: str) -> None:
        self._token.pop(connection, None)
        self._agent.pop(connection, None)
        self._follow.pop(connection, None)

    def close(self, connection: str) -> None:
        if connection in self.broken:
            raise ConnectionError(f"{connection} does not answer")
        self.delete(connection)
        self.closed.append(connection)

    def send(self, connection: str, data: bytes) -> bool:
        """Send a frame.

        Raises:
            ValueError: The frame is larger than API Gateway allows.
            ConnectionError: The connection is in `broken`.
        """
        if connection in self.gone:
            return False
        if connection in self.broken:
            raise ConnectionError(f"{connection} does not answer")
        if len(data) > FRAME_LIMIT:
            raise ValueError(f"a frame of {len(data)} bytes; at most {FRAME_LIMIT} are allowed")
        self.sent.setdefault(connection, []).append(data)
        return True
