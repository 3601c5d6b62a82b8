"""Scarce capacity: RunTask that is refused, tasks without a machine, and Spot notices, by seed."""

from dataclasses import dataclass

from conducto_emulator.faults.latency import Dice

#: Reasons of RunTask for a task that it does not start.
REFUSALS = (
    "Capacity is unavailable at this time. Please try again later",
    "RESOURCE:CPU",
    "RESOURCE:MEMORY",
    "RESOURCE:GPU",
    "RESOURCE:ENI",
    "RESOURCE:FARGATE",
    "AGENT",
    "ATTRIBUTE",
    "You've reached the limit on the number of vCPUs you can run concurrently",
    "You've reached the limit on the number of Spot vCPUs you can run concurrently",
    "The provisioning capacity limit exceeded",
    "UnfulfillableCapacity: there is no Spot capacity for the requested instance types",
    "InsufficientInstanceCapacity: We currently do not have sufficient g6.xlarge capacity",
    "MaxSpotInstanceCountExceeded: Max spot instance count exceeded",
    "VcpuLimitExceeded: You have requested more vCPU capacity than your current vCPU limit of 0",
)
#: Reasons of tasks that stop before their containers run.
FAILED_STARTS = (
    "TaskFailedToStart: RESOURCE:CPU",
    "TaskFailedToStart: RESOURCE:MEMORY",
    "TaskFailedToStart: AGENT",
    "TaskFailedToStart: MemberOf placement constraint unsatisfied",
    "TaskFailedToStart: Capacity is unavailable at this time",
    "Unexpected EC2 error: InsufficientFreeAddressesInSubnet",
    "Timeout waiting for network interface provisioning to complete.",
)
#: Reason of a Spot task that AWS interrupts.
INTERRUPTED = "Your Spot Task was interrupted."
#: Maximum seconds after which a Spot task is interrupted.
_NOTICE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Scarcity:
    """How scarce capacity is.

    Attributes:
        dice: Random decisions.
        share: Fraction of tasks that meet each fault.
    """

    dice: Dice
    share: float

    def refusal(self) -> str | None:
        """Return why RunTask refuses a task, or None."""
        return self._one_of("refusal", REFUSALS)

    def failed_start(self) -> str | None:
        """Return why a task stops before its containers run, or None."""
        return self._one_of("start", FAILED_STARTS)

    def hangs(self) -> bool:
        """Return whether AWS finds no machine for a task, which stays in PROVISIONING."""
        return self.dice.happens("hang", self.share)

    def notice(self) -> float | None:
        """Return the seconds after which a Spot task is interrupted, or None."""
        if not self.dice.happens("notice", self.share):
            return None
        return self.dice.draw("seconds") * _NOTICE_SECONDS

    def _one_of(self, name: str, reasons: tuple[str, ...]) -> str | None:
        if not self.dice.happens(name, self.share):
            return None
        return self.dice.random(f"{name} code").choice(reasons)
