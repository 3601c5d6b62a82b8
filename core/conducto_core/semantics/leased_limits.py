"""Named limits that several processes share through one document. No I/O, no clock.

The rules are those of `conducto_core.semantics.limits`; each process reads the document, applies a
call, and writes the document back if nobody else did. Requests have leases, because a process can
disappear: a waiting request that is not repeated for `WAIT_LEASE` seconds leaves the lines. It
returns to its old place when it is repeated, because its turn only depends on its own data. The
lease of a holder does not expire: it may be removed only if its command has ended.
"""

import json
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

from conducto_core.model.nodes import NamedLimit
from conducto_core.model.wait_phases import Wait
from conducto_core.semantics.limits import LimitRequest, LimitTable

#: Seconds after which a waiting request that was not repeated leaves the lines.
WAIT_LEASE = 30.0
#: Seconds after which a repeated request renews its lease; before, the document stays the same.
RENEW = 8.0
#: Maximum number of waiting requests in a document: those with the earliest turns.
MAX_WAITING = 1000


@dataclass(frozen=True, slots=True)
class Lease:
    """A request of a command, which waits for its limits or holds them.

    Attributes:
        pipeline: Id of its pipeline.
        path: Path of its Exec.
        attempt: Number of its attempt.
        since: When it began to wait, in seconds since the epoch.
        seen: When it was last repeated.
        holds: It holds its limits.
        claims: Ids of the requests that acquired them for the attempt, and may still start it.
    """

    pipeline: str
    path: str
    attempt: int
    limits: tuple[NamedLimit, ...]
    since: float
    seen: float = 0.0
    holds: bool = False
    claims: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, int]:
        """The attempt."""
        return self.pipeline, self.path, self.attempt

    def request(self) -> LimitRequest:
        """Return the request for the table."""
        return LimitRequest(self.key, f"{self.pipeline} {self.path}", self.limits, self.since)


class LeasedLimits:
    """The leases of an organisation.

    Attributes:
        is_changed: The leases differ from the stored leases.
    """

    def __init__(self, leases: Iterable[Lease] = (), *, now: float) -> None:
        """Continue with stored leases; expired ones of waiting requests are dropped."""
        self.is_changed = False
        self._now = now
        self._leases: dict[Hashable, Lease] = {}
        self._table = LimitTable()
        for lease in leases:
            if lease.holds or now - lease.seen < WAIT_LEASE:
                self._add(lease)
            else:
                self.is_changed = True

    def _add(self, lease: Lease) -> None:
        self._leases[lease.key] = lease
        if lease.holds:
            self._table.hold(lease.request())
        else:
            self._table.check(lease.request())

    def acquire(self, lease: Lease) -> Wait | None:
        """Let a request hold its limits; return why it has to wait, or None.

        A holder may repeat its request, also with another claim: it keeps its limits.
        """
        known = self._leases.get(lease.key)
        if known is not None and known.holds:
            claims = tuple(dict.fromkeys((*known.claims, *lease.claims)))
            if claims != known.claims or self._now - known.seen >= RENEW:
                self._replace(replace(known, seen=self._now, claims=claims))
            return None
        reason = self._table.check(lease.request())
        if reason is None:
            self._table.hold(lease.request())
            self._replace(replace(lease, seen=self._now, holds=True))
        elif known is None or self._now - known.seen >= RENEW:
            self._replace(replace(lease, seen=self._now))
        return reason

    def _replace(self, lease: Lease) -> None:
        self._leases[lease.key] = lease
        self.is_changed = True

    def reason(self, lease: Lease) -> Wait | None:
        """Return why a request would have to wait, without adding it to the lines."""
        if lease.key in self._leases:
            return self._table.reason(lease.key)
        reason = self._table.check(lease.request())
        self._table.end(lease.key)
        return reason

    def release(self, keys: Iterable[tuple[str, str, int]]) -> None:
        """Release the limits of holders, and remove waiting requests."""
        for key in keys:
            if self._leases.pop(key, None) is not None:
                self._table.end(key)
                self.is_changed = True

    def give_back(self, lease: Lease) -> None:
        """Release limits that a request acquired for an attempt and will not start.

        They stay held if another claim of the attempt has acquired them too, because it may start.
        """
        known = self._leases.get(lease.key)
        if known is None or not known.holds:
            return
        claims = tuple(claim for claim in known.claims if claim not in lease.claims)
        if claims == known.claims:
            return
        if claims:
            self._replace(replace(known, claims=claims))
        else:
            self.release([lease.key])

    def drop(self, leases: Collection[Lease]) -> None:
        """Remove leases, except those that were renewed since they were read."""
        self.release(lease.key for lease in leases if self._leases.get(lease.key) == lease)

    def holders(self) -> list[Lease]:
        """Return the leases that hold limits."""
        return [lease for lease in self._leases.values() if lease.holds]

    def leases(self) -> list[Lease]:
        """Return all leases to store, in their order."""
        waiting = sorted(
            (lease for lease in self._leases.values() if not lease.holds),
            key=lambda lease: lease.request().turn,
        )
        return self.holders() + waiting[:MAX_WAITING]


def to_json(leases: Sequence[Lease]) -> str:
    """Return leases as a document."""
    return json.dumps(
        [
            [
                *lease.key,
                [[limit.name, limit.number, limit.priority] for limit in lease.limits],
                lease.since,
                lease.seen,
                int(lease.holds),
                lease.claims,
            ]
            for lease in leases
        ],
        separators=(",", ":"),
    )


def from_json(document: str) -> list[Lease]:
    """Return the leases of a document."""
    return [
        Lease(
            pipeline,
            path,
            attempt,
            tuple(NamedLimit(*limit) for limit in limits),
            since,
            seen,
            bool(holds),
            tuple(*claims),
        )
        for pipeline, path, attempt, limits, since, seen, holds, *claims in json.loads(document)
    ]
