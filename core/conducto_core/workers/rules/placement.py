"""The placement ladder: the ways to get a machine for a worker, in their order. No I/O.

A pool has one or two rungs, Spot and on demand, in an order. A rung that refuses is closed for 1,
2, 5, then 10 minutes; meanwhile the next worker takes the first rung that is open. If all are
closed, the pool waits for the first rung to open, and after a maximum time it gives up. There is
no fallback of AWS's own: a capacity provider strategy with both rungs fails as a whole. Zones are
not rungs: AWS places a worker in any zone of the installation that has room.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from conducto_core.machines.model import MachineClass, Rung
from conducto_core.tree.model import SpotUse

#: How often an Exec that asks for Spot is run again after interruptions, beside its other retries.
MAX_INTERRUPTIONS = 10
#: Seconds for which a pool of Fargate, and of a machine class, waits for capacity.
MAX_WAIT = 6 * 3600.0
MAX_MACHINE_WAIT = 2 * 3600.0
#: Seconds after which a task is given up for which AWS has found no machine. ECS itself may take
#: half an hour, or forever.
MAX_PLACING = 600.0
#: The denominator of the installation's share.
_ALL = 10
#: Seconds for which a rung is closed after the first, second, ... consecutive refusal.
DELAYS = (60.0, 120.0, 300.0, 600.0)


@dataclass(frozen=True, slots=True)
class RungHistory:
    """The refusals of a rung that a pool has met.

    Attributes:
        refusals: Number of consecutive refusals and interruptions; 0 after a worker started.
        until: When it opens again, in seconds since the epoch.
    """

    refusals: int = 0
    until: float = 0.0

    def after_refusal(self, now: float) -> "RungHistory":
        """Return the history after the rung refused or interrupted a worker.

        Several at once count as one.
        """
        if now < self.until:
            return self
        delay = DELAYS[min(self.refusals, len(DELAYS) - 1)]
        return RungHistory(self.refusals + 1, now + delay)


def is_in_share(worker_id: str, share: int) -> bool:
    """Return whether a worker is among the Spot workers of an installation, of ten at most."""
    return int(sha256(worker_id.encode()).hexdigest(), 16) % _ALL < share


def rungs_of(use: SpotUse, machine: MachineClass | None, *, in_share: bool) -> tuple[Rung, ...]:
    """Return the rungs of a worker in the order in which they are tried; at least one.

    Args:
        use: Parameter of the pool's nodes.
        machine: Its class; None: Fargate, which has both rungs.
        in_share: Whether it is in the installation's share of Spot workers.
    """
    both = (Rung.SPOT, Rung.ON_DEMAND)
    if use is SpotUse.ONLY:
        wanted: tuple[Rung, ...] = (Rung.SPOT,)
    elif use is SpotUse.NEVER:
        wanted = (Rung.ON_DEMAND,)
    elif use is SpotUse.FIRST:
        wanted = both
    elif machine is not None:
        return machine.rungs
    else:
        wanted = both if in_share else (Rung.ON_DEMAND,)
    offered = both if machine is None else machine.rungs
    return tuple(rung for rung in wanted if rung in offered) or offered[:1]


def place(rungs: Sequence[Rung], histories: Mapping[Rung, RungHistory], now: float) -> Rung:
    """Return the rung of the next worker: the first open one, or else the first that opens."""
    open_rungs = [rung for rung in rungs if histories[rung].until <= now]
    return open_rungs[0] if open_rungs else min(rungs, key=lambda rung: histories[rung].until)


def opens(rungs: Sequence[Rung], histories: Mapping[Rung, RungHistory]) -> float:
    """Return when the first rung is open, in seconds since the epoch; it may be in the past."""
    return min(histories[rung].until for rung in rungs)


def max_wait(machine: MachineClass | None) -> float:
    """Return the seconds after which a pool gives up that gets no machine."""
    return MAX_WAIT if machine is None else MAX_MACHINE_WAIT
