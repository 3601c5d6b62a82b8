"""What attempts in the cloud cost, as far as records tell: the time of commands in their workers.

A worker's start and the time it waits for more are on top, as time of its pipeline.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from conducto_core.model.records import AttemptRecord
from conducto_core.semantics.fargate import PRICES, Prices, Size, size_for

#: AWS charges a task for at least so many seconds.
_MIN_SECONDS = 60.0
#: What an attempt is taken to have had where its record does not say: the defaults of a node.
_CPU, _MEM = 1.0, 2.0


@dataclass(slots=True)
class Use:
    """What something took.

    Attributes:
        attempts: How many have ended.
        seconds: Of commands.
        cpu_seconds: vCPU-seconds of their workers.
        dollars: Of their workers while they ran.
    """

    attempts: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    dollars: float = 0.0

    def add(self, other: "Use") -> None:
        """Count another's as well."""
        self.attempts += other.attempts
        self.seconds += other.seconds
        self.cpu_seconds += other.cpu_seconds
        self.dollars += other.dollars


def use_of(attempt: AttemptRecord, *, prices: Prices = PRICES) -> Use:
    """Return what an attempt took; nothing for one that has not ended or never started."""
    if attempt.started is None or attempt.ended is None:
        return Use()
    seconds = max(0.0, attempt.ended - attempt.started)
    size = _size(attempt)
    return Use(1, seconds, seconds * size.cpu, _dollars(size, seconds, prices))


def own_use_of(attempt: AttemptRecord) -> Use:
    """Return what an attempt took on somebody's own machine: what it asked for, and no money."""
    if attempt.started is None or attempt.ended is None:
        return Use()
    seconds = max(0.0, attempt.ended - attempt.started)
    return Use(1, seconds, seconds * (_CPU if attempt.cpu is None else attempt.cpu))


def dollars_for(path: str, cpu: float, mem: float | None, seconds: float) -> float:
    """Return what a worker costs in ``seconds`` that gives a command so many vCPUs and GB.

    None is as many GB as a node has that says nothing.
    """
    return _dollars(size_for(path, cpu, _MEM if mem is None else mem), seconds, PRICES)


def charged_seconds(began: float, ended: float) -> float:
    """Return the seconds of a worker that AWS charges.

    Args:
        began: When the pull of its images began.
        ended: When its task had ended.
    """
    return max(_MIN_SECONDS, ended - began)


def total(uses: Iterable[Use]) -> Use:
    """Return the sum."""
    found = Use()
    for use in uses:
        found.add(use)
    return found


def _dollars(size: Size, seconds: float, prices: Prices) -> float:
    return seconds / 3600 * prices.worker_hour(size)


def _size(attempt: AttemptRecord) -> Size:
    cpu = _CPU if attempt.cpu is None else attempt.cpu
    mem = _MEM if attempt.mem is None else attempt.mem
    return size_for(attempt.path, cpu, mem)
