"""The cost of attempts in the cloud, from records: the time of commands in their workers.

A worker's start and idle time come on top, as time of its pipeline.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from conducto_core.model.records import AttemptRecord
from conducto_core.semantics import plans
from conducto_core.semantics.fargate import PRICES, Size, size_for
from conducto_core.semantics.plans import Rates

#: The size of an attempt whose record has none: the defaults of a node.
_CPU, _MEM = 1.0, 2.0


@dataclass(slots=True)
class Use:
    """The resources used by attempts.

    Attributes:
        attempts: Number of finished attempts.
        seconds: Time of their commands.
        cpu_seconds: vCPU-seconds of their workers.
        dollars: Cost of their workers while they ran.
    """

    attempts: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    dollars: float = 0.0

    def add(self, other: "Use") -> None:
        """Add another use."""
        self.attempts += other.attempts
        self.seconds += other.seconds
        self.cpu_seconds += other.cpu_seconds
        self.dollars += other.dollars


def use_of(attempt: AttemptRecord) -> Use:
    """Return the use of an attempt; zero if it has not ended or never started."""
    if attempt.started is None or attempt.ended is None:
        return Use()
    seconds = max(0.0, attempt.ended - attempt.started)
    size = _size(attempt)
    return Use(1, seconds, seconds * size.cpu, _dollars(size, seconds))


def own_use_of(attempt: AttemptRecord) -> Use:
    """Return the use of an attempt on a user's own machine: the CPUs it requested, at no cost."""
    if attempt.started is None or attempt.ended is None:
        return Use()
    seconds = max(0.0, attempt.ended - attempt.started)
    return Use(1, seconds, seconds * (_CPU if attempt.cpu is None else attempt.cpu))


def dollars_for(path: str, cpu: float, mem: float | None, seconds: float) -> float:
    """Return the cost of ``seconds`` of a worker whose command gets this many vCPUs and GB.

    None stands for a node's default of GB.
    """
    return _dollars(size_for(path, cpu, _MEM if mem is None else mem), seconds)


def price_of(cost: float, seconds: float, cpu_seconds: float, rates: Rates) -> float:
    """Return the price of workers for an organisation, given their cost on demand at AWS.

    Args:
        cost: In dollars.
        seconds: Their time.
        cpu_seconds: Their vCPU-seconds.
        rates: Its prices.
    """
    known = cpu_seconds * PRICES.cpu_hour + seconds * PRICES.address_hour
    gb_seconds = max(0.0, cost * 3600 - known) / PRICES.mem_hour
    return plans.dollars(cpu_seconds, gb_seconds, rates)


def charged_seconds(began: float, ended: float) -> float:
    """Return the seconds of a worker that AWS charges, from image pull to the end of its task."""
    return max(PRICES.least_seconds, ended - began)


def total(uses: Iterable[Use]) -> Use:
    """Return the sum."""
    found = Use()
    for use in uses:
        found.add(use)
    return found


def _dollars(size: Size, seconds: float) -> float:
    return seconds / 3600 * PRICES.worker_hour(size)


def _size(attempt: AttemptRecord) -> Size:
    cpu = _CPU if attempt.cpu is None else attempt.cpu
    mem = _MEM if attempt.mem is None else attempt.mem
    return size_for(attempt.path, cpu, mem)
