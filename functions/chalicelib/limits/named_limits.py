"""Named limits of commands: acquired when a worker claims one, released when its attempt ends.

A command acquires its limits before the journal has its start. So a holder may be an attempt that
never started, or whose release was lost: `NamedLimits.sweep` removes it.
"""

import logging
from collections.abc import Callable, Iterable
from secrets import token_hex
from typing import TypeVar

from chalicelib.errors import ConflictError, ThrottledError, Timing
from chalicelib.images.poller import Reading
from chalicelib.records import Records
from chalicelib.run.rules.pipeline import CloudPipeline
from conducto_core.errors import NotFoundError
from conducto_core.limits.rules import Lease, LeasedLimits
from conducto_core.run.model.records import Wait
from conducto_core.run.model.states import IN_FLIGHT, State
from conducto_core.run.rules import waits
from conducto_core.run.rules.live_nodes import LiveExec

logger = logging.getLogger(__name__)

#: Seconds after which a holder must have started: longer than a request takes to commit.
GRACE = 120.0
#: Attempts of a write against concurrent writers.
_TRIES = 20
#: Number of waiting inputs of a pipeline that are checked.
_INBOX = 100
T = TypeVar("T")


class NamedLimits:
    """The limits of organisations, in the table."""

    def __init__(self, records: Records, timing: Timing) -> None:
        self._records = records
        self._timing = timing

    def acquire(self, org: str, lease: Lease) -> Wait | None:
        """Let a queued attempt hold its limits; return why it has to wait, or None."""
        try:
            return self._change(org, lambda limits: limits.acquire(lease))
        except ConflictError:
            return waits.limit_contended(lease.limits[0].name)

    def release(self, org: str, keys: Iterable[tuple[str, str, int]]) -> None:
        """Release the limits of attempts, held or waited for; raises `ConflictError`."""
        named = tuple(keys)
        self._change(org, lambda limits: limits.release(named))

    def give_back(self, org: str, lease: Lease) -> None:
        """Release limits that a claim acquired and will not use, unless another claim may."""
        self._change(org, lambda limits: limits.give_back(lease))

    def reader(self, org: str) -> "LeasedLimits":
        """Return the current limits, for reading."""
        leases, _ = self._records.limits.read(org)
        return LeasedLimits(leases or (), now=self._timing.clock())

    def sweep(self, org: str, reading: Reading) -> None:
        """Release the limits of attempts that do not run."""
        now = self._timing.clock()
        old = [one for one in self.reader(org).holders() if now - one.seen >= GRACE]
        ended = [lease for lease in old if not self._runs(org, lease, reading)]
        if ended:
            logger.info("limits of ended attempts are released", extra={"org": org})
            self._change(org, lambda limits: limits.drop(ended))

    def _runs(self, org: str, lease: Lease, reading: Reading) -> bool:
        if self._records.store.record(org, lease.pipeline) is None:
            return False
        if self._claim_waits(lease.pipeline):
            return True  # a later entry may start it, although its request has given up
        try:
            with reading(org, lease.pipeline) as live:
                return live.exec_in(lease.path, lease.attempt, State.RUNNING) is not None
        except NotFoundError:  # it is being deleted
            return False

    def _claim_waits(self, pipeline_id: str) -> bool:
        """Return whether a claim waits for an entry; it leaves the inbox when it is in one."""
        found = self._records.store.waiting(pipeline_id, _INBOX)
        return any(each.submitted["input"]["kind"] == "claimed" for each in found)

    def _change(self, org: str, change: Callable[[LeasedLimits], T]) -> T:
        for attempt in range(_TRIES):
            leases, version = self._records.limits.read(org)
            limits = LeasedLimits(leases or (), now=self._timing.clock())
            result = change(limits)
            if not limits.is_changed:
                return result
            try:
                self._records.limits.write(org, limits.leases(), version)
            except (ConflictError, ThrottledError):
                self._timing.sleep(self._timing.jitter() * 0.02 * 2 ** min(attempt, 4))
                continue
            return result
        raise ConflictError(f"the limits of {org} have too many concurrent changes")


class ClaimedLimits:
    """The limits that one request acquires for an attempt, before the journal has its start."""

    def __init__(self, limits: NamedLimits) -> None:
        self._limits = limits
        self._id = token_hex(6)
        self._lease: Lease | None = None

    def acquire(self, live: CloudPipeline, node: LiveExec) -> bool:
        """Let the queued attempt of an Exec hold its limits; return False if it has to wait."""
        if not node.spec.limits:
            return True
        lease = lease_of(live, node, self._id)
        if self._limits.acquire(live.org, lease) is not None:
            return False
        self._lease = lease
        return True

    def release(self, live: CloudPipeline) -> None:
        """Release the limits that were acquired for an attempt that the request does not start.

        While the attempt is in flight, another claim of it may have acquired them, and start it.
        """
        lease = self._lease
        if lease is None:
            return
        if live.exec_in(lease.path, lease.attempt, *IN_FLIGHT) is None:
            self._limits.release(live.org, [lease.key])
        else:
            self._limits.give_back(live.org, lease)
        self._lease = None


def lease_of(live: CloudPipeline, node: LiveExec, *claims: str) -> Lease:
    """Return the lease of the current attempt of an Exec, which is queued."""
    queued = live.in_flight.queued_at(node.path)
    since = live.now if queued is None else queued
    return Lease(live.id, node.path, node.attempt, node.spec.limits, since, claims=claims)
