"""Spot workers: which workers are Spot tasks, and when to return to on demand. No I/O.

AWS refuses a Spot task that it has no capacity for, and interrupts a running one with a notice of
two minutes. There is no fallback of AWS's own: a capacity provider strategy with both providers
fails as a whole.
"""

from dataclasses import dataclass
from hashlib import sha256

from conducto_core.tree.model import SpotUse

#: How often an Exec that asks for Spot is run again after interruptions, beside its other retries.
MAX_INTERRUPTIONS = 10
#: The denominator of the installation's share.
_ALL = 10
#: Seconds for which workers start on demand after the first, second, ... consecutive refusal.
_DELAYS = (60.0, 120.0, 300.0, 600.0)


@dataclass(frozen=True, slots=True)
class SpotHistory:
    """The refusals of Spot that a pool has met.

    Attributes:
        refusals: Number of consecutive refusals and interruptions; 0 after a worker started.
        until: When Spot is tried again, in seconds since the epoch.
    """

    refusals: int = 0
    until: float = 0.0

    def after_refusal(self, now: float) -> "SpotHistory":
        """Return the history after Spot refused or interrupted a worker.

        Several at once count as one.
        """
        if now < self.until:
            return self
        delay = _DELAYS[min(self.refusals, len(_DELAYS) - 1)]
        return SpotHistory(self.refusals + 1, now + delay)


def on_spot(worker_id: str, use: SpotUse, share: int, history: SpotHistory, now: float) -> bool:
    """Return whether a new worker is a Spot task.

    Args:
        worker_id: Its id, which decides whether it is in the share.
        use: Parameter of the pool's nodes.
        share: Maximum number of Spot workers among ten, where the nodes do not say.
        history: That of the pool.
        now: In seconds since the epoch.
    """
    if use is SpotUse.ONLY:
        return True
    if use is SpotUse.NEVER or now < history.until:
        return False
    return use is SpotUse.FIRST or int(sha256(worker_id.encode()).hexdigest(), 16) % _ALL < share
