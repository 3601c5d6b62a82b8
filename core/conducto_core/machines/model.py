"""Machine classes, their instance types, and the ways to buy them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Rung(StrEnum):
    """A way to get a machine: on Spot, where AWS may interrupt it, or on demand."""

    SPOT = "spot"
    ON_DEMAND = "ondemand"

    @property
    def label(self) -> str:
        """The rung in a sentence."""
        return "on Spot" if self is Rung.SPOT else "on demand"


@dataclass(frozen=True, slots=True)
class MachineType:
    """An instance type of EC2.

    Attributes:
        cpu: vCPUs.
        mem: GB.
        arch: Architecture, as nodes name it.
        hour: Dollars per hour on demand, without the fee of ECS; None: not known.
    """

    name: str
    cpu: int
    mem: float
    gpu: int
    arch: str
    hour: float | None


@dataclass(frozen=True, slots=True)
class MachineClass:
    """A class of machines.

    Attributes:
        types: Its instance types, the cheapest first; empty for a class that is not declared, as
            all of them are on a user's own machine.
        rungs: The ways to get one, in the order in which they are tried.
    """

    name: str
    types: tuple[MachineType, ...] = ()
    rungs: tuple[Rung, ...] = (Rung.ON_DEMAND,)

    @property
    def is_declared(self) -> bool:
        """Whether its types are known."""
        return bool(self.types)

    @property
    def arch(self) -> str:
        """The architecture of its types, which is the same for all."""
        return self.types[0].arch if self.types else ""

    @property
    def gpus(self) -> int:
        """The largest number of GPUs of a type."""
        return max((each.gpu for each in self.types), default=0)

    @property
    def may_be_shared(self) -> bool:
        """Whether two workers fit into one machine: each has the size of a type, at least."""
        cpus = [each.cpu for each in self.types]
        return max(cpus, default=0) >= 2 * min(cpus, default=1)

    @property
    def text(self) -> str:
        """Its declaration (`conducto_core.machines.rules.read_machines`)."""
        types = ",".join(f"{each.name}@{each.hour!r}" for each in self.types)
        return f"{self.name}={types}:{','.join(self.rungs)}"


class MemoryUse(NamedTuple):
    """The memory that earlier attempts of a node used.

    Attributes:
        gb: GB; the 99th percentile.
        attempts: Number of the attempts.
    """

    gb: float
    attempts: int


class MemoryUses(NamedTuple):
    """The part of a launch form.

    Attributes:
        uses: ``{path: use}``.
        most: GB that a command can have on the target; None if it is not known.
    """

    uses: Mapping[str, MemoryUse] = {}
    most: float | None = None


#: Nothing is known.
NO_USES = MemoryUses()
