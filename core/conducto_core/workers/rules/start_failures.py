"""Workers that end before they run a command: their causes, and the delay before the next start.

No I/O. A pool of which no worker has run a command starts few at once, waits longer after each
failure, and finally gives up: `PoolStarts` has the state of a pool.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from conducto_core.machines.model import Rung
from conducto_core.run.model.states import Cause
from conducto_core.run.rules.outcomes import MAX_LOST_STARTS
from conducto_core.workers.rules.placement import MAX_WAIT, RungHistory, opens

#: Maximum number of workers that a pool starts before one of them has run a command.
MAX_STARTS = 10
#: Maximum number of these that start at once at first.
FIRST_WAVE = 4
#: Maximum seconds before the next start; the second value applies while other workers of the
#: organisation may free capacity.
MAX_BACKOFF = 7200.0
MAX_BACKOFF_CONTENDED = 600.0


class StartFailure(StrEnum):
    """The reason for which a worker ended, or was not started, before it ran a command.

    ``service``: a service beside the commands did not start. ``bad_image``: no worker can run the
    image. ``image``: the image, as far as is known.
    ``exited``: a container ended by itself. ``setup``: ECS could not set the task up. ``no_room``:
    a quota, or the addresses of the subnets. ``throttled``: AWS or a registry limits calls; this
    passes. ``capacity``: AWS has none now. ``spot``: AWS interrupted a Spot task. ``denied``: a
    role lacks a permission. ``lost``: other.
    """

    SERVICE = "service"
    BAD_IMAGE = "bad_image"
    IMAGE = "image"
    EXITED = "exited"
    SETUP = "setup"
    NO_ROOM = "no_room"
    THROTTLED = "throttled"
    CAPACITY = "capacity"
    SPOT = "spot"
    DENIED = "denied"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class _Known:
    """Known words in a reason of AWS; ``pulling``: only while an image is pulled or started."""

    failure: StartFailure
    words: tuple[str, ...]
    remedy: str = ""
    pulling: bool = False


#: Remedy if AWS denies a request of a role of the installation.
DENIED_REMEDY = (
    "deploy the installation again, and check the policies of the AWS account or organisation that "
    "deny it"
)
_PLATFORM = (
    "build the image for the worker's architecture: --platform linux/amd64, or linux/arm64 with "
    "arch='arm64'"
)
_NOT_PULLED = "not on this machine and cannot be pulled"
_NOT_STARTED = "did not start beside the commands"
#: The first entry that matches a reason in lower case applies.
_KNOWN = (
    _Known(StartFailure.SERVICE, (_NOT_STARTED,)),
    _Known(
        StartFailure.SPOT,
        ("spot task was interrupted", "spotinterruption", "spot interruption", "terminationnotice"),
    ),
    _Known(StartFailure.BAD_IMAGE, (_NOT_PULLED,)),  # `not_pulled` says what to do
    _Known(
        StartFailure.THROTTLED,
        ("toomanyrequests", "429 too many", "pull rate limit"),
        "the registry limits pulls: log in to it, or pull through a cache "
        "(conducto deploy -c pull_through=...)",
    ),
    _Known(StartFailure.THROTTLED, ("rate exceeded", "throttl", "request limit")),
    _Known(StartFailure.BAD_IMAGE, ("exec format error", "does not contain descriptor"), _PLATFORM),
    _Known(
        StartFailure.BAD_IMAGE,
        ("container of the image did not start",),
        f"{_PLATFORM}, with /bin/sh in it",
    ),
    _Known(StartFailure.EXITED, ("exit code 255",), _PLATFORM),
    _Known(
        StartFailure.NO_ROOM,
        ("freeaddresses", "free addresses", "insufficient free", "resource:eni", "interfacelimit"),
        "the subnets have no free address: use larger subnets, or run fewer commands at once",
    ),
    _Known(
        StartFailure.NO_ROOM,
        ("vcpu", "quota", "limit on the number", "spotinstancecount", "provisioning capacity"),
        "request a higher quota for the AWS account (Fargate or EC2, vCPUs): conducto doctor "
        "--cloud",
    ),
    _Known(
        StartFailure.SETUP,
        ("capacity provider",),
        "the installation has no such machine class any more: launch the pipeline again, or deploy "
        "the class again",
    ),
    _Known(
        StartFailure.SETUP,
        ("attribute", "placement constraint"),
        "no machine of the class can run the task: deploy the installation again",
    ),
    _Known(StartFailure.SETUP, ("network interface provisioning",)),
    _Known(
        StartFailure.SETUP,
        ("efs", "mount", "s3files", "s3 files"),
        "check the file system, its mount targets, and its security group; a role for commands "
        "needs the policies that the outputs TaskRolePolicy and BucketPolicy of the stacks have",
    ),
    _Known(
        StartFailure.BAD_IMAGE,
        ("pull access denied", "authorization failed", "403 forbidden", "401 unauthorized"),
        "check the image's name, and that the installation has permission to pull it",
        pulling=True,
    ),
    _Known(
        StartFailure.BAD_IMAGE,
        ("/bin/sh", "no such file", "executable file"),
        "the image needs /bin/sh",
        pulling=True,
    ),
    _Known(
        StartFailure.BAD_IMAGE,
        ("manifest unknown", "not found", "does not exist"),
        "check the image's name and tag",
        pulling=True,
    ),
    _Known(
        StartFailure.SETUP,
        ("timeout", "deadline exceeded", "connection re", "no such host", "unavailable"),
        "check that the registry responds, and that the subnets can reach it",
        pulling=True,
    ),
    _Known(StartFailure.DENIED, ("not authorized", "accessdenied", "access denied"), DENIED_REMEDY),
    _Known(
        StartFailure.CAPACITY,
        ("capacity", "resource:", "runtask: agent", "taskfailedtostart: agent"),
    ),
    _Known(StartFailure.EXITED, ("essential container",)),
    _Known(StartFailure.SETUP, ("resourceinitializationerror", "failed to start")),
)
#: Prefixes of the reason of a task whose image could not be pulled or started.
_PULLING = (
    "cannotpullcontainer",
    "cannotpullimagemanifest",
    "cannotcreatecontainer",
    "cannotstartcontainer",  # for instance, there is no /bin/sh
)
#: Rounds of workers that fail like this before a pool gives up; otherwise, `MAX_STARTS` is the
#: limit.
_STRIKES = {
    StartFailure.SERVICE: 1,
    StartFailure.BAD_IMAGE: 1,
    StartFailure.IMAGE: 2,
    StartFailure.EXITED: 1 + MAX_LOST_STARTS,
    StartFailure.SETUP: 1 + MAX_LOST_STARTS,
    StartFailure.LOST: 1 + MAX_LOST_STARTS,
}
#: Seconds before the first retry; each further failure doubles the delay.
_FIRST_BACKOFF = {
    StartFailure.SERVICE: 0.0,
    StartFailure.BAD_IMAGE: 0.0,
    StartFailure.IMAGE: 15.0,
    StartFailure.EXITED: 15.0,
    StartFailure.SETUP: 15.0,
    StartFailure.LOST: 15.0,
    StartFailure.THROTTLED: 60.0,
    StartFailure.DENIED: 300.0,
}
#: Refusals of a rung, which another rung may not have (`conducto_core.workers.rules.placement`).
OF_RUNG = frozenset({StartFailure.CAPACITY, StartFailure.NO_ROOM, StartFailure.SPOT})
_OF_IMAGES = frozenset({StartFailure.BAD_IMAGE, StartFailure.IMAGE, StartFailure.EXITED})


def not_pulled(reference: str, reported: str) -> str:
    """Return the reason for which an engine on this machine has no image."""
    return (
        f"image {reference!r}: {_NOT_PULLED}. Check its spelling, that you are logged in (docker "
        f"login), and the network. The engine reported: {reported}"
    )


def not_started(service: str, reason: str) -> str:
    """Return the reason of a worker whose service AWS could not start."""
    return f"service {service!r} {_NOT_STARTED}: {reason}"


def failure_of(reason: str) -> StartFailure:
    """Return the kind of failure that a reason of AWS describes."""
    known = _known_cause(reason)
    if known is not None:
        return known.failure
    return StartFailure.IMAGE if _is_about_pulling(reason) else StartFailure.LOST


def with_remedy(reason: str) -> str:
    """Return AWS's reason with a remedy, if one is known."""
    remedy = remedy_for(reason)
    return f"{reason}; {remedy}" if remedy else reason


def remedy_for(reason: str) -> str:
    """Return the remedy for AWS's reason, or "" if none is known."""
    known = _known_cause(reason)
    return "" if known is None else known.remedy


def _known_cause(reason: str) -> _Known | None:
    said, pulling = reason.lower(), _is_about_pulling(reason)
    applying = (
        known
        for known in _KNOWN
        if (pulling or not known.pulling) and any(word in said for word in known.words)
    )
    return next(applying, None)


def _is_about_pulling(reason: str) -> bool:
    return any(word in reason.lower() for word in _PULLING)


@dataclass(frozen=True, slots=True)
class Failed:
    """A worker that ended, or was not started, before it ran a command.

    Attributes:
        round: `PoolStarts.rounds` when it was started. Any number of workers that are started at
            once may fail: that is one round.
        rung: The way in which its machine was to be bought.
        rungs: All ways that the pool allows, in their order.
        refused: AWS rejected the start, so that the worker never existed.
        contended: AWS rejected it while the organisation had other workers, which may free
            capacity.
        max_wait: Seconds after which the pool gives up without a machine.
    """

    failure: StartFailure
    reason: str
    round: int = 0
    rung: Rung = Rung.ON_DEMAND
    rungs: Sequence[Rung] = (Rung.ON_DEMAND,)
    max_wait: float = MAX_WAIT
    refused: bool = False
    contended: bool = False


@dataclass(frozen=True, slots=True)
class PoolStarts:
    """The state of the worker starts of a pool.

    Attributes:
        proven: A worker has run a command.
        calls: Number of workers that failed since one ran a command.
        rounds: Number of consecutive failed rounds.
        strikes: Number of these, without those for temporary reasons.
        until: Earliest next start, in seconds since the epoch.
        failure: Kind of the last failure.
        reason: AWS's reason of the last failure.
        refused: AWS rejected the last start.
        given_up: No further worker starts until a user changes something.
        spot: Refusals of Spot.
        on_demand: Refusals on demand.
        since: Since when AWS has had no machine; 0.0: it has some.
        contended: The last refusal was.
    """

    proven: bool = False
    calls: int = 0
    rounds: int = 0
    strikes: int = 0
    until: float = 0.0
    failure: StartFailure = StartFailure.LOST
    reason: str = ""
    refused: bool = False
    given_up: bool = False
    spot: RungHistory = field(default_factory=RungHistory)
    on_demand: RungHistory = field(default_factory=RungHistory)
    since: float = 0.0
    contended: bool = False

    @property
    def cause(self) -> Cause:
        """The cause of nodes that wait for a pool that has given up."""
        if self.failure is StartFailure.SERVICE:
            return Cause.SERVICE
        if self.failure in _OF_IMAGES:
            return Cause.IMAGE
        if self.failure in OF_RUNG:
            return Cause.NO_CAPACITY
        return Cause.WORKER_LOST if self.failure is StartFailure.LOST else Cause.NO_WORKER

    @property
    def histories(self) -> Mapping[Rung, RungHistory]:
        """The refusals of each rung."""
        return {Rung.SPOT: self.spot, Rung.ON_DEMAND: self.on_demand}

    @property
    def bad_image(self) -> bool:
        """Whether no worker, of this pool or another one, can run its image."""
        return self.given_up and self.failure is StartFailure.BAD_IMAGE

    def allowed(self, wanted: int, free: int, now: float) -> int:
        """Return how many workers may start now; ``free`` ones are starting or idle."""
        if self.given_up or now < self.until:
            return 0
        if self.rounds:  # a single one shows whether others would fail as well
            return min(wanted, max(0, 1 - free))
        if self.proven:
            return wanted
        return max(0, min(wanted, FIRST_WAVE - free, MAX_STARTS - self.calls - free))

    def after(self, failed: Failed, now: float) -> "PoolStarts":
        """Return the state after one more failure."""
        if failed.failure in OF_RUNG:
            return self._after_refusal(failed, now)
        failure = failed.failure
        fresh = failed.round >= self.rounds
        counted = not failed.contended and (fresh or not self.proven)
        rounds = self.rounds + fresh
        strikes = self.strikes + (fresh and failure in _STRIKES)
        calls = self.calls + counted
        return replace(
            self,
            calls=calls,
            rounds=rounds,
            strikes=strikes,
            until=max(self.until, now + _backoff(failed, rounds)) if fresh else self.until,
            failure=failure,
            reason=failed.reason,
            refused=failed.refused,
            given_up=self.given_up
            or calls >= MAX_STARTS
            or strikes >= _STRIKES.get(failure, MAX_STARTS)
            or failure is StartFailure.BAD_IMAGE,
        )

    def _after_refusal(self, failed: Failed, now: float) -> "PoolStarts":
        """Return the state after a rung refused a worker: the next rung at once, or a delay."""
        closed = self.after_interruption(failed.rung, now)
        known = replace(
            closed,
            failure=failed.failure,
            reason=failed.reason,
            since=self.since or now,
            contended=failed.contended,
        )
        until = opens(failed.rungs, known.histories)
        if until <= now:
            return known
        over = not failed.contended and now - known.since >= failed.max_wait
        return replace(
            known,
            rounds=self.rounds + (failed.round >= self.rounds),
            until=max(self.until, until),
            refused=True,
            given_up=self.given_up or over,
        )

    def after_interruption(self, rung: Rung, now: float) -> "PoolStarts":
        """Return the state after a rung refused or interrupted a worker."""
        history = self.histories[rung].after_refusal(now)
        return self._with(rung, history)

    def _with(self, rung: Rung, history: RungHistory) -> "PoolStarts":
        if rung is Rung.SPOT:
            return replace(self, spot=history)
        return replace(self, on_demand=history)

    def after_up(self, started_in: int, rung: Rung = Rung.ON_DEMAND) -> "PoolStarts":
        """Return the state after a worker of the round ``started_in`` started: AWS has capacity."""
        if started_in < self.rounds:  # it started before AWS ran out of capacity
            return self
        there = replace(self._with(rung, replace(self.histories[rung], refusals=0)), since=0.0)
        if not self.refused:
            return there
        return PoolStarts(self.proven, calls=self.calls, spot=there.spot, on_demand=there.on_demand)

    def after_command(self, started_in: int) -> "PoolStarts":
        """Return the state after a worker of that round runs a command."""
        if self.refused and started_in < self.rounds:  # it started before AWS ran out of capacity
            return replace(self, proven=True, calls=0)
        return PoolStarts(proven=True, spot=self.spot, on_demand=self.on_demand)

    def message(self, image: str) -> str:
        """Return the message of nodes that wait for a pool that has given up."""
        said = with_remedy(self.reason)
        if _NOT_PULLED in said:
            return said
        if self.failure in _OF_IMAGES:
            return f"no worker can run commands in the image {image!r}: {said}"
        again = self.rounds - 1
        tried = f" (tried again {again} times)" if again > 1 else ""
        return f"the command never started, no worker came up{tried}: {said}"


def _backoff(failed: Failed, rounds: int) -> float:
    maximum = MAX_BACKOFF_CONTENDED if failed.contended else MAX_BACKOFF
    return min(maximum, _FIRST_BACKOFF[failed.failure] * 2.0 ** (min(rounds, 20) - 1))
