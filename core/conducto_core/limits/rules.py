"""Named limits across pipelines: the next command to start. No I/O, no clock.

A command acquires all its limits together when it starts, and releases them when it ends. A command
that runs waits for no limit, so limits cannot deadlock. The requests for a limit form a line, in
the order of their turns: a request's turn is the time at which it began to wait, earlier by
`AGE` seconds for each point of priority. So priorities age: a request that has waited long enough
precedes every new one. None overtakes the first in a line, even if the first waits for another
limit: it gets its turn when the holders end.

If nodes give different numbers for one name, the smallest of the holders and of the request counts:
no holder ever runs beside more commands than its own node allows.
"""

import json
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from urllib.parse import quote

from conducto.errors import raise_found
from conducto.wire import limits
from conducto_core.billing.rules import BillingPlan
from conducto_core.buckets.rules import OrgBuckets
from conducto_core.errors import check_each, invalid
from conducto_core.machines.rules import machine_problems, worker_size
from conducto_core.run.model.records import Wait
from conducto_core.run.model.states import NodeType
from conducto_core.run.rules import waits
from conducto_core.services.rules import cloud_problems
from conducto_core.tree.model import NamedLimit, NodeSpec
from conducto_core.workers.rules import pools as capacity
from conducto_core.workers.rules.fargate import LARGEST, largest_mem

#: Seconds of waiting that one point of priority is worth.
AGE = 60.0
#: Maximum number of holders named in a reason.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class LimitRequest:
    """A command that needs limits.

    Attributes:
        label: The command for people: ``abc-def /load``.
        since: When it began to wait, in seconds.
    """

    key: Hashable
    label: str
    limits: tuple[NamedLimit, ...]
    since: float

    @property
    def turn(self) -> float:
        """Its place in the lines."""
        return self.since - AGE * max(limit.priority for limit in self.limits)


_Entry = tuple[float, int, LimitRequest]


class LimitTable:
    """The holders and the lines of all limits."""

    def __init__(self) -> None:
        self._holders: dict[str, dict[Hashable, LimitRequest]] = {}
        self._lines: dict[str, list[_Entry]] = {}
        self._waiting: dict[Hashable, _Entry] = {}
        self._changed: dict[str, None] = {}
        self._number = 0

    def check(self, request: LimitRequest) -> Wait | None:
        """Return why a request cannot start now, or None; it waits in line from now on."""
        if request.key not in self._waiting:
            self._number += 1
            entry = self._waiting[request.key] = (request.turn, self._number, request)
            for limit in request.limits:
                heappush(self._lines.setdefault(limit.name, []), entry)
        return self._blocker(self._waiting[request.key][2])

    def reason(self, key: Hashable) -> Wait | None:
        """Return why a waiting request cannot start now; None if it can, or does not wait."""
        entry = self._waiting.get(key)
        return None if entry is None else self._blocker(entry[2])

    def acquire(self, request: LimitRequest) -> None:
        """Let a request that `check` accepted hold its limits, until `end`."""
        self._leave(request.key)
        for limit in request.limits:
            self._holders.setdefault(limit.name, {})[request.key] = request

    def end(self, key: Hashable) -> None:
        """Release the limits of a holder, or take a waiting request out of the lines."""
        self._leave(key)
        for name in [name for name, holders in self._holders.items() if key in holders]:
            del self._holders[name][key]
            self._changed[name] = None
            if not self._holders[name]:
                del self._holders[name]

    def ready(self) -> list[Hashable]:
        """Return the requests that became able to start since the last call."""
        found: dict[Hashable, None] = {}
        changed, self._changed = self._changed, {}
        for name in changed:
            first = self._first(name)
            if first is not None and self._blocker(first) is None:
                found[first.key] = None
        return list(found)

    def holders(self, name: str) -> Iterator[LimitRequest]:
        """Yield the holders of a limit."""
        yield from self._holders.get(name, {}).values()

    def all_holders(self) -> list[LimitRequest]:
        """Return the holders of all limits, each once."""
        found = {key: each for held in self._holders.values() for key, each in held.items()}
        return list(found.values())

    def _leave(self, key: Hashable) -> None:
        entry = self._waiting.pop(key, None)
        if entry is not None:
            self._changed.update(dict.fromkeys(limit.name for limit in entry[2].limits))

    def _first(self, name: str) -> LimitRequest | None:
        """Return the first request of a line; drop entries that left it."""
        line = self._lines.get(name, [])
        while line and self._waiting.get(line[0][2].key) is not line[0]:
            heappop(line)
        if not line:
            self._lines.pop(name, None)
            return None
        return line[0][2]

    def _blocker(self, request: LimitRequest) -> Wait | None:
        for limit in request.limits:
            holders = list(self.holders(limit.name))
            room = min([limit.number, *(_number_of(each, limit.name) for each in holders)])
            if len(holders) >= room:
                return waits.limit_held(limit.name, _named(holders))
            first = self._first(limit.name)
            if first is not None and first.key != request.key:
                return waits.limit_line(limit.name, first.label)
        return None


def _number_of(request: LimitRequest, name: str) -> int:
    return next(limit.number for limit in request.limits if limit.name == name)


def _named(holders: list[LimitRequest]) -> str:
    shown = ", ".join(each.label for each in holders[:_NAMED])
    more = len(holders) - _NAMED
    return f"{shown} and {more:,} more" if more > 0 else shown


def merged(above: tuple[NamedLimit, ...], own: tuple[NamedLimit, ...]) -> tuple[NamedLimit, ...]:
    """Return the limits of a node: its own and those above it.

    Of two with the same name, the smaller number and the higher priority count.
    """
    found = {limit.name: limit for limit in above}
    for limit in own:
        other = found.get(limit.name, limit)
        number = min(limit.number, other.number)
        found[limit.name] = NamedLimit(limit.name, number, max(limit.priority, other.priority))
    return tuple(found.values())


# ----------------------------------------------------------------------------------------
# Named limits that several processes share through one document. No I/O, no clock.
#
# The rules are those of `conducto_core.limits.rules`; each process reads the document, applies a
# call, and writes the document back if nobody else did. Requests have leases, because a process can
# disappear: a waiting request that is not repeated for `WAIT_LEASE` seconds leaves the lines. It
# returns to its old place when it is repeated, because its turn only depends on its own data. The
# lease of a holder does not expire: it may be removed only if its command has ended.


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
            self._table.acquire(lease.request())
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
            self._table.acquire(lease.request())
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


# ----------------------------------------------------------------------------------------
# Limits of Execs that exist only in the cloud, and those of plans.


#: Maximum bytes of a character in a URL: four bytes of UTF-8, each as ``%xx``.
_QUOTED = 12


def validate_nodes(
    nodes: Mapping[str, NodeSpec], plan: BillingPlan, buckets: OrgBuckets | None = None
) -> None:
    """Reject Execs and ``new`` groups that Fargate or the plan cannot run, with a line for each.

    Args:
        nodes: The nodes of a tree.
        plan: The plan of the organisation.
        buckets: Those that the pipeline may mount; None: a client does not know them.
    """
    execs = (node for node in nodes.values() if node.type is NodeType.EXEC)

    def check(node: NodeSpec) -> None:
        _check_exec_in(node, plan)
        if buckets is not None:
            buckets.check(node)

    check_execs(execs, check)
    capacity.check_fits(nodes, plan.max_workers, plan.name)


def check_account(
    nodes: Mapping[str, NodeSpec], plan: str, *, max_workers: int, max_cpu: float
) -> None:
    """Reject nodes that the plan of an account cannot run, as a launch does."""
    validate_nodes(nodes, BillingPlan(plan, max_workers=max_workers, max_cpu=max_cpu))


def _check_exec_in(node: NodeSpec, plan: BillingPlan) -> None:
    check_exec(node)
    place, path = node.placement, node.path
    beside = " with its services" if place.services else ""
    # A plan without a lower maximum than Fargate's allows any machine of a class.
    is_free = place.machine is not None and plan.max_cpu >= LARGEST.cpu
    if place.total_cpu > plan.max_cpu and not is_free:
        raise invalid(
            path,
            f"cpu={place.total_cpu:g}{beside} is more than the plan {plan.name!r} allows for one "
            f"worker: {plan.max_cpu:g}; lower cpu, or choose a larger plan",
        )
    if place.machine is None and place.total_mem > largest_mem(plan.max_cpu):
        raise invalid(
            path,
            f"mem={place.total_mem:g}{beside} is more than the plan {plan.name!r} allows for a "
            f"worker: {plan.max_cpu:g} vCPUs allow at most {largest_mem(plan.max_cpu):g} GB; lower "
            "mem, or choose a larger plan",
        )


def check_exec(node: NodeSpec) -> None:
    """Reject an Exec that cannot run in the cloud, with a remedy.

    Raises:
        DefinitionError: names all reasons.
    """
    check_each((_check_features, _check_path, _check_command, _check_size), lambda one: one(node))


def check_execs(execs: Iterable[NodeSpec], check: Callable[[NodeSpec], None] = check_exec) -> None:
    """Reject Execs that cannot run in the cloud, with a line for each.

    Args:
        execs: Their placements are shared: each one is checked once.
        check: Checks the placement and the lengths of path and command.

    Raises:
        DefinitionError: names all reasons.
    """
    accepted: set[int] = set()

    def check_new(node: NodeSpec) -> None:
        if id(node.placement) not in accepted or not _is_short(node):
            check(node)
            accepted.add(id(node.placement))

    check_each(execs, check_new)


def _is_short(node: NodeSpec) -> bool:
    """Return whether path and command are short enough, whatever their characters are."""
    return (
        len(node.path) * _QUOTED <= limits.MAX_CLOUD_PATH_BYTES
        and len(node.command) * 4 <= limits.MAX_CLOUD_COMMAND_BYTES
    )


def _check_features(node: NodeSpec) -> None:
    raise_found([invalid(node.path, text) for used, text in _missing(node) if used])


def _missing(node: NodeSpec) -> Iterator[tuple[object, str]]:
    """Yield pairs: whether an Exec uses a feature that the cloud lacks, and the message."""
    place = node.placement
    text = "put what the command needs into the image, or run the pipeline locally"
    yield place.docker_run_args, f"docker_run_args is not available in the cloud; {text}"
    text = "workers have no Docker engine; build images with co.Image, or run the pipeline locally"
    yield place.requires_docker, f"requires_docker is not available in the cloud, {text}"
    text = "name a machine class that has GPUs, e.g. machine='gpu', or run it locally"
    yield place.gpu and place.machine is None, f"gpu={place.gpu}: Fargate has no GPUs; {text}"
    for problem in () if place.machine is None else machine_problems(node):
        yield True, problem
    for problem in cloud_problems(place.services):
        yield True, problem


def _check_size(node: NodeSpec) -> None:
    machine = node.placement.machine
    if machine is None or machine.is_declared:  # a client does not know the class; its server does
        worker_size(node.path, node.placement)


def _check_path(node: NodeSpec) -> None:
    quoted = len(quote(node.path, safe=""))
    if quoted > limits.MAX_CLOUD_PATH_BYTES:
        raise invalid(
            node.path,
            f"the path is {quoted} bytes long in a URL, the cloud accepts at most "
            f"{limits.MAX_CLOUD_PATH_BYTES}; use shorter names or fewer levels, or run the "
            "pipeline locally",
        )


def _check_command(node: NodeSpec) -> None:
    size = limits.size_of(node.command)
    try:
        limits.check_command_size(size, limits.MAX_CLOUD_COMMAND_BYTES)
    except ValueError as error:
        raise invalid(node.path, f"{error}, or run the pipeline locally") from error
